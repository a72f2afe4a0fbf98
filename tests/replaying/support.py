"""A recording: the stages at work on a log by a clock set by hand, while two hosts say values; and its replay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mendline.dumps.contents import Extent
from mendline.dumps.recording import LogRecording, Recording
from mendline.keys import key_ring
from mendline.logs.base import Log
from mendline.logs.memory import MemoryLog
from mendline.replaying.feeds import Pace, run
from mendline.replaying.inputs import Source, Wanted
from mendline.replaying.stages import Stages
from mendline.replaying.verifying import Verdict, Verification
from mendline.roles import detect_spec, planner_spec, rounds_spec, windows_spec
from mendline.runtime.member import Clocks, Member
from mendline.runtime.member import Pace as MemberPace
from mendline.schemas.rounds import encode_round
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings
from mendline.schemas.stream import ROUND_HEADERS, Batch, NewRecord, Partition
from mendline.testing.clock import ManualClock
from mendline.topics import topic_settings

TABLE = SeriesTable([Series(metric="load"), Series(metric="queue", service="web")])
HOSTS = ("host-1", "host-2")
READ = {"windows": "metrics", "rounds": "metrics", "detect": "windows", "planner": "journal"}
"""What each stage reads."""
SETTINGS: Mapping[str, Any] = {
    "name": "host-1",
    "topics": {"partitions": 2, "snapshots_every": "10s"},
    "windows": {"pane": "2s", "widths": ["2s", "6s"]},
    "detectors": [
        {"name": "load-limit", "use": "threshold", "window": 0, "match": {"metric": "load"}, "open": {"above": 80}},
        {
            "name": "queue-limit", "use": "threshold", "window": "2s", "match": {"metric": "queue"},
            "open": {"above": 80},
        },
        {
            "name": "queue-unusual", "use": "zscore", "window": "2s", "match": {"metric": "queue"},
            "parameters": {"windows": 20, "ready": 5}, "open": {"above": 4},
        },
    ],
    "policies": [
        {"name": "queues", "when": {"target": "web"}, "mode": "auto", "play": [{"action": "restart", "verify": "5s"}]},
        {"name": "rest", "mode": "shadow", "play": [{"action": "restart"}]},
    ],
}  # fmt: skip
UNLIMITED = Pace(None, lambda: 0.0, lambda _: None)


def settings_of(folder: Path, **more: Any) -> Settings:
    """Return the settings of the recording, or others."""
    return Settings.model_validate({**SETTINGS, "state": str(folder / "state"), **more})


def load_at(second: int) -> tuple[float, float]:
    """Return the values of a second: quiet, a load that is too high for a while, then a queue that is."""
    quiet = second % 7 / 8
    return 90.0 if 20 <= second < 24 else quiet, 95.0 if 40 <= second < 50 else 10 + quiet


@dataclass
class Studio:
    """Records on a log what the stages do under some settings."""

    settings: Settings
    clock: ManualClock = field(default_factory=ManualClock)
    given: Log | None = None
    second: int = 0

    def __post_init__(self) -> None:
        """Make the topics, on a memory log if no other was given, and begin."""
        self.log: Log = MemoryLog(clock=self.clock) if self.given is None else self.given
        self.log.ensure_topics(topic_settings(self.settings.topics))
        self.begin()

    def begin(self, settings: Settings | None = None) -> None:
        """Let members join, under other settings if given."""
        self.settings = settings or self.settings
        keys = key_ring(self.settings)
        specs = (
            windows_spec(self.settings), rounds_spec(self.settings, keys), detect_spec(self.settings),
            planner_spec(self.settings, keys),
        )  # fmt: skip
        clocks = Clocks(monotonic=lambda: self.clock() / 1000, now_ms=self.clock)
        self.members = [
            Member(self.log, spec, self.settings.topics, spec.name, pace=MemberPace(again=0.0, idle=0.0), clocks=clocks)
            for spec in specs
        ]
        for member in self.members:
            member.open()

    def end(self, *, crash: bool = False) -> None:
        """Let the members leave, or die."""
        for member in self.members:
            if not crash:
                member.finish()
            member.close()

    def record(self, seconds: int, *, turns: int = 3) -> None:
        """Let time pass, in which the hosts speak and the stages work."""
        producer = self.log.producer("hosts")
        for _ in range(seconds):
            self.clock.advance(1)
            producer.append(self.rounds()).result(10)
            self.second += 1
            for member in [*self.members] * turns:
                member.turn()
        producer.close()

    def catch_up(self, patience_s: float = 120.0) -> None:
        """Let the members work until they have read, and committed, all there is."""
        deadline = time.monotonic() + patience_s
        while not self._is_caught_up():
            assert time.monotonic() < deadline
            for member in [*self.members] * 5:
                member.turn()

    def _is_caught_up(self) -> bool:
        return all(self._has_read(stage, short) for stage, short in READ.items())

    def _has_read(self, stage: str, short: str) -> bool:
        prefix = self.settings.topics.prefix
        topic, consumer = f"{prefix}.{short}", self.log.consumer("look", group=f"{prefix}.{stage}")
        try:
            places = [Partition(topic, number) for number in range(self.log.topics()[topic])]
            consumer.assign(places)
            ends = {one: (consumer.committed(one), consumer.end_offset(one)) for one in places}
            return all(not end or (place is not None and place.offset >= end) for place, end in ends.values())
        finally:
            consumer.close()

    def rounds(self) -> list[NewRecord]:
        """Return what comes in a second."""
        return [self._round(host) for host in HOSTS]

    def _round(self, host: str) -> NewRecord:
        value = encode_round(host, 1, self.second, self.clock(), TABLE, load_at(self.second))
        return NewRecord(self.settings.topics.topic("metrics"), value, host.encode(), headers=ROUND_HEADERS)

    def ends(self) -> dict[Partition, int]:
        """Return where each partition of each topic ends."""
        with LogRecording(self.log) as found:
            return {
                Partition(name, number): found.extent(Partition(name, number)).end
                for name, count in found.topics().items()
                for number in range(count)
            }


def recorded(folder: Path, seconds: int = 70, **more: Any) -> Studio:
    """Return a recording that ended well."""
    studio = Studio(settings_of(folder, **more))
    studio.record(seconds)
    studio.end()
    return studio


def verified(recording: Recording, settings: Settings, wanted: Wanted | None = None) -> Verdict:
    """Return what a verification finds."""
    verification = Verification(Stages.as_recorded(Source(recording, settings, wanted or Wanted())))
    run(recording, verification.feeds, UNLIMITED, lambda _: None)
    return verification.verdict()


def verify(studio: Studio, settings: Settings | None = None, wanted: Wanted | None = None) -> Verdict:
    """Return what a verification of a recording finds, under its own settings if no others are given."""
    with LogRecording(studio.log) as recording:
        return verified(recording, settings or studio.settings, wanted)


Change = Callable[[Partition, int, bytes], bytes]


def at(partition: Partition, offset: int, other: bytes) -> Change:
    """Return what changes the value of one record."""

    def change(where: Partition, place: int, value: bytes) -> bytes:
        return other if (where, place) == (partition, offset) else value

    return change


class Altered:
    """A recording in which values are others."""

    def __init__(self, recording: Recording, change: Change) -> None:
        """Change values by `change`, which is given where they stand."""
        self._recording, self._change = recording, change
        self.url = recording.url

    def topics(self) -> Mapping[str, int]:
        """Return the topics."""
        return self._recording.topics()

    def extent(self, partition: Partition) -> Extent:
        """Return how far the partition goes."""
        return self._recording.extent(partition)

    def offset_at(self, partition: Partition, timestamp: int) -> int:
        """Return the offset of a time."""
        return self._recording.offset_at(partition, timestamp)

    def batches(self, partition: Partition, begin: int, end: int) -> Iterator[Batch]:
        """Yield the records with other values."""
        for batch in self._recording.batches(partition, begin, end):
            placed = zip(batch.offsets, batch.values, strict=True)
            yield replace(batch, values=[self._change(partition, offset, value) for offset, value in placed])

    def close(self) -> None:
        """Hold nothing."""


def values_of(recording: Recording, topic: str) -> Iterator[bytes]:
    """Yield all values of a topic, partition by partition."""
    for number in range(recording.topics()[topic]):
        partition = Partition(topic, number)
        for batch in recording.batches(partition, 0, recording.extent(partition).end):
            yield from batch.values


def find(recording: Recording, topic: str, which: Callable[[bytes], bool]) -> tuple[Partition, int, bytes]:
    """Return where the first record is that `which` says yes to, and its value."""
    for number in range(recording.topics()[topic]):
        partition = Partition(topic, number)
        for batch in recording.batches(partition, 0, recording.extent(partition).end):
            for offset, value in zip(batch.offsets, batch.values, strict=True):
                if which(value):
                    return partition, offset, value
    raise LookupError(topic)
