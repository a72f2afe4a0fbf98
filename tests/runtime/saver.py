"""Takes snapshots of 2 MB as fast as it can, and prints how many stand, until it is killed.

python -m tests.runtime.saver URL
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import numpy as np

from mendline.logs import open_log
from mendline.logs.base import TopicSettings
from mendline.runtime import saving, snapshots
from mendline.runtime.member import Member, Pace
from mendline.runtime.spec import StageSpec
from mendline.schemas.records import Heartbeat, encode_record
from mendline.schemas.stream import NewRecord, StateBlock
from tests.runtime.support import INPUT, OUTPUT, TOPICS, RunningSum

SOURCES = ("a", "b", "c", "d", "e")
BLOCK_BYTES = 400_000
BALLAST = np.random.default_rng(7).random(BLOCK_BYTES // 8)  # nothing that could be compressed on its way


class LargeSum(RunningSum):
    """A running sum with a ballast."""

    def dump(self) -> Iterable[StateBlock]:
        """Return large blocks."""
        for block in super().dump():
            block.arrays["ballast"] = BALLAST
            yield block


def main(url: str) -> None:
    """Go on from where the life before was killed."""
    saving.SNAPSHOT_PAUSE, snapshots.PORTION_BYTES = 0, BLOCK_BYTES
    log = open_log(url)
    log.ensure_topics([TopicSettings(name) for name in (INPUT, OUTPUT, "t.journal", "t.deadletter")])
    log.ensure_topics([TopicSettings("t.state", replaced=True)])
    member = Member(
        log, StageSpec("sum", INPUT, LargeSum, "c"), TOPICS, "m", pace=Pace(snapshot=0.0, again=0.0, idle=0.0)
    )
    member.open()
    producer = log.producer("p")
    beats = [NewRecord(INPUT, encode_record(Heartbeat(source=source, time=0, interval_ms=1))) for source in SOURCES]
    while True:
        producer.append(beats)
        member.turn()
        print(member.metrics.snapshot().get(("mendline_snapshots", "sum", "0"), 0), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
