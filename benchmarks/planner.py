"""What the planner bears: fault records a second, the memory of open faults, and a storm. No log, no network.

python -m benchmarks.planner [--faults N] [--services N] [--json]

`throughput`: N fault records (each opens or resolves one of 1,000 targets) in batches of 500, each followed by what the
planner said about it, as the runtime hands them over; the time is what the planner's stage takes of the processor, its
decisions included.
`memory`: how much the process grows by N open faults, each with a hold, and how long one round of decisions takes then.
`storm`: that many services of one group fail at once, on hosts of their own, with the default guards and then with a
blast radius of 1; each action takes a second, and its fault resolves with it. The most that was ever at work, and the
faults that are still open at the end.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import report
from mendline.schemas.base import record_id
from mendline.schemas.records import Command, Hold, Record, decode_record, encode_record
from tests.responders.support import SECOND, START_MS, Scene, batch_of, fault, outcome, policy, progress, settings

BATCH = 500
TARGETS = 1_000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
HELD_S, MOST_S = 60, 2_000
AT_ONCE = 20


def rss_mb() -> float:
    """Return the memory of this process that is in RAM, in MB."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES / 1e6


def throughput(count: int) -> float:
    """Return fault records a second."""
    scene = Scene(settings(policy("shadow")))
    records = [_read(_turn(number)) for number in range(count)]
    spent = 0.0
    for begin in range(0, count, BATCH):
        scene.now += SECOND
        spent += _timed(scene, records[begin : begin + BATCH])
    return count / spent


def _turn(number: int) -> Record:
    """Return a fault record of the next target: the fault opens, and a thousand records later it resolves."""
    life, target = divmod(number, TARGETS)
    over = life % 2 == 1
    return fault(
        f"host-{target}/web",
        name=f"dead{life // 2}",
        transition="resolved" if over else "opened",
        revision=int(over),
        time=START_MS + number // BATCH * SECOND,
    )


def _timed(scene: Scene, records: Sequence[Record], *, quiet: bool = False) -> float:
    """Hand over the records, then all that the planner says; return the seconds that its stage took.

    `quiet`: there is more to read, so it decides nothing yet.
    """
    spent = 0.0
    scene.append(*records)
    unread = scene.entries[-len(records) :]
    while unread:
        batch = batch_of(unread, caught_up=not quiet)
        began = time.process_time()
        said = list(scene.stage.fold(batch))
        spent += time.process_time() - began
        place = len(scene.entries)
        scene.take(said)
        unread = scene.entries[place:]
    scene.entries.clear()
    return spent


def memory(count: int) -> dict[str, float]:
    """Return the growth by so many open faults in MB, each with a hold, and the seconds of one round of decisions."""
    scene = Scene(settings(policy("auto")))
    hold = _a_hold()
    gc.collect()
    before = rss_mb()
    for start in range(0, count, BATCH):
        some = [_read(fault(f"host-{number}/web")) for number in range(start, min(start + BATCH, count))]
        _timed(scene, some, quiet=True)
        _timed(scene, [_read(_like(hold, one)) for one in some], quiet=True)
    gc.collect()
    grown = rss_mb() - before
    return {
        "open_faults": sum(1 for _ in scene.journal.open_faults()),
        "held_faults": sum(one.hold is not None for one in scene.journal.open_faults()),
        "open_faults_mb": round(grown, 1),
        "round_of_decisions_s": round(_timed(scene, [progress(scene)]), 2),
    }


def _a_hold() -> Hold:
    """Return what the planner says of a fault that the blast radius holds."""
    scene = Scene(settings(policy("auto")))
    scene.say(*(fault(f"host-{number}/web") for number in range(BATCH)))
    return scene.all(Hold)[0]


def _like(hold: Hold, about: Record) -> Hold:
    """Return such a hold of another fault: if all were said at once, they would be measured on their way."""
    target = getattr(about, "target", "")
    return hold.model_copy(update={"id": record_id("hold", about.id, 0), "fault": about.id, "target": target})


def _read(record: Record) -> Record:
    """Return the record as it is read from a log, sharing nothing with others."""
    return decode_record(encode_record(record))


class Storm:
    """Services that fail at once, and hosts that do what they are told within a second."""

    def __init__(self, services: int, name: str = "web", **guards: object) -> None:
        """Let all of them fail; `{}` in a service's `name` stands for the number of its host. They are one group."""
        found = settings(policy("auto"), **guards)
        self.scene = Scene(found.model_copy(update={"groups": {"all": ("host-*",)}}))
        self.most = 0
        self._done = 0
        self.scene.say(*(fault(f"host-{number}/{name.format(number)}") for number in range(services)))
        self._look()

    @property
    def open(self) -> int:
        """How many faults are open."""
        return sum(1 for _ in self.scene.journal.open_faults())

    @property
    def restarted(self) -> int:
        """How many commands went out."""
        return len(self.scene.commands)

    def second(self) -> None:
        """Let a second pass: what was begun ends, and what it was about is over."""
        scene, begun = self.scene, self.scene.commands[self._done :]
        self._done = len(scene.commands)
        for command in begun:
            if isinstance(command, Command):
                over = fault(command.target, transition="resolved", revision=1, time=scene.time())
                scene.append(outcome(command), over)
        scene.tick()
        self._look()

    def _look(self) -> None:
        self.most = max(self.most, len(self.scene.journal.at_work))


def storm(services: int, seconds: int, **guards: object) -> dict[str, object]:
    """Let so many services fail at once and so many seconds pass, or fewer if all is well before."""
    began = time.process_time()
    scene = Storm(services, "web", **guards)
    passed = 0
    while scene.open and passed < seconds:
        scene.second()
        passed += 1
    return {
        "seconds": passed,
        "restarted": scene.restarted,
        "most_at_work": scene.most,
        "still_open": scene.open,
        "processor_s": round(time.process_time() - began, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=100_000, help="fault records, and open faults")
    parser.add_argument("--services", type=int, default=1_000, help="that fail at once")
    parser.add_argument("--json", action="store_true", help="print the JSON object only")
    given = parser.parse_args()
    held = memory(given.faults)
    result = {
        **held,
        "fault_records_per_s": round(throughput(given.faults)),
        "storm": storm(given.services, HELD_S),
        "storm_without_blast_radius": storm(given.services, MOST_S, blast_radius=1.0, concurrent=AT_ONCE),
    }
    report(result, given.json)


if __name__ == "__main__":
    main()
