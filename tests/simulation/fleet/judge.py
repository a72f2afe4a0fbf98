"""What must never happen in a fleet, besides what must never happen to incidents.

Of windows and faults nothing may be lost, said twice differently, or other than an undisturbed pass over the same log
says; of what an agent says nothing may be missing. What was wrong while an agent looked at it for long enough must have
been found, and what was found must have been wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from mendline.detectors.stage import DetectStage, RoundsStage
from mendline.processors.windows import WindowsStage
from tests.simulation.fleet.evidence import seen_on, undisturbed
from tests.simulation.fleet.rules import Heard
from tests.simulation.judge import Wrong
from tests.simulation.process import FOREVER
from tests.simulation.services import JOURNAL, METRICS

if TYPE_CHECKING:
    from mendline.schemas.records import Fault
    from mendline.schemas.stream import Partition, Stage
    from tests.simulation.deeds import Sickness
    from tests.simulation.fleet.evidence import Seen
    from tests.simulation.fleet.world import Fleet
    from tests.simulation.members import Holding

KINDS = ("lost", "twice", "different", "shared", "missed", "false_alarm")
WINDOWS = "mendline.windows"
FOUND_AS = {"dead": ("dead",), "hung": ("hung",), "leaking": ("leaking",), "failing": ("failing",)}
"""What cannot be anything else, and as what it is found."""
LONG_ENOUGH_MS = {"dead": 60_000, "hung": 90_000, "leaking": 650_000, "failing": 240_000}
LATE_MS = 130_000
"""By so much what windows show may follow its end."""


@dataclass(frozen=True)
class FleetJudge:
    """Goes through the log of a fleet that is over."""

    fleet: Fleet

    def wrongs(self) -> Iterator[Wrong]:
        """Yield all that must not have happened."""
        heard = Heard(self.fleet.plan.hosts[self.fleet.incidents % len(self.fleet.plan.hosts)])
        wanted = self._undisturbed(heard)
        yield from self._missing(wanted)
        found = seen_on(self.fleet.log, [*self.fleet.partitions(WINDOWS), JOURNAL])
        yield from self._differences(wanted, found)
        if heard.source not in self.fleet.truth.skew_ms:
            yield from (
                Wrong("different", f"windows: {key} has a {name} that is not by the rules")
                for key, name in heard.unlike(found.windows)
            )
        yield from self._against_truth(found)
        yield from self._shared()

    def _missing(self, wanted: Seen) -> Iterator[Wrong]:
        """Yield gaps in what an agent says, and what it had put on its disk and nobody ever said."""
        safe = {(life.site.name, life.epoch): life.publisher.safe for one in self.fleet.lives.values() for life in one}
        for (source, life), count in safe.items():
            numbers = wanted.spoken[source, life]
            if missing := max([*numbers, count - 1], default=-1) + 1 - len(numbers):
                yield Wrong("lost", f"{missing} records of life {life} of {source}")

    def _shared(self) -> Iterator[Wrong]:
        """Yield partitions that were given to a member before another one had let go, or had been silent for long."""
        by_partition: dict[object, list[Holding]] = defaultdict(list)
        for one in self.fleet.holdings:
            by_partition[one.stage, one.partition].append(one)
        for holdings in by_partition.values():
            for one, other in pairwise(sorted(holdings, key=lambda holding: holding.since)):
                if one.until > other.since and one.member != other.member:
                    yield Wrong("shared", f"{other} while {one}")

    def _undisturbed(self, heard: Heard) -> Seen:
        settings, vouch = self.fleet.plan.versions[0], self.fleet.keys.planner.why_not
        stages: dict[Partition, Sequence[Stage]] = {}
        for one in self.fleet.partitions(METRICS.topic):
            stages[one] = [WindowsStage(settings, one), RoundsStage(settings, one, vouch)]
        for one in self.fleet.partitions(WINDOWS):
            stages[one] = [DetectStage(settings, one)]
        readers = {METRICS.topic: ("windows", "rounds"), WINDOWS: ("detect",)}
        reached = {one: min(self.fleet.committed(stage, one) for stage in readers[one.topic]) for one in stages}
        return undisturbed(self.fleet.log, stages, reached, heard)

    def _differences(self, wanted: Seen, found: Seen) -> Iterator[Wrong]:
        for name in ("windows", "faults"):
            should, there = getattr(wanted, name), getattr(found, name)
            yield from (
                Wrong("lost", f"{name}: {key} is not there") for key in should.keys() - there.keys() - wanted.unsure
            )
            yield from (
                Wrong("different", f"{name}: {key} follows from nothing") for key in there.keys() - should.keys()
            )
            unlike = [key for key in should.keys() & there.keys() if should[key] != there[key]]
            yield from (Wrong("different", f"{name}: {key} is {there[key]}, not {should[key]}") for key in unlike)
        yield from (Wrong("twice", f"{key} was said again, and differently") for key in found.unlike)

    # Truth ------------------------------------------------------------------------------------------------------------

    def _against_truth(self, found: Seen) -> Iterator[Wrong]:
        """Yield what was not found, and what was found and was not so; of hosts whose clocks were set nobody knows."""
        told = [one for one in _spans(found) if one.host not in self.fleet.truth.skew_ms]
        for sickness in self.fleet.truth.sicknesses.values():
            host = sickness.target.partition("/")[0]
            must = self._was_looked_at(host, sickness) and host not in self.fleet.truth.skew_ms
            if must and not any(one.is_of(sickness, FOUND_AS[sickness.kind]) for one in told):
                yield Wrong("missed", f"{sickness}")
        true = [one for one in self.fleet.truth.sicknesses.values() if one.kind in FOUND_AS]
        for span in told:
            if span.kinds & {*FOUND_AS} and not any(span.is_of(one, (one.kind,)) for one in true):
                yield Wrong("false_alarm", f"{span}")

    def _was_looked_at(self, host: str, sickness: Sickness) -> bool:
        """Say whether one life of the agent saw it for long enough."""
        over = self.fleet.time.now if sickness.over is None else sickness.over
        seen = [min(life.died, over) - max(life.born, sickness.began) for life in self.fleet.lives[host]]
        return max(seen) >= LONG_ENOUGH_MS.get(sickness.kind, FOREVER)


class _Span(NamedTuple):
    """A fault from when it was opened until its end (ms), with all kinds that it had."""

    host: str
    target: str
    kinds: AbstractSet[str]
    opened: int
    ended: int

    def is_of(self, sickness: Sickness, kinds: Collection[str]) -> bool:
        """Say whether the fault is about the sickness, found as one of these kinds."""
        over = FOREVER if sickness.over is None else sickness.over
        together = self.opened <= over + LATE_MS and self.ended >= sickness.began
        return self.target == sickness.target and together and not self.kinds.isdisjoint(kinds)


def _spans(found: Seen) -> list[_Span]:
    records: dict[str, list[Fault]] = defaultdict(list)
    for fault in found.faults.values():
        records[fault.id].append(fault)
    return [_span(sorted(faults, key=lambda one: one.revision)) for faults in records.values()]


def _span(faults: Sequence[Fault]) -> _Span:
    last = faults[-1]
    ended = last.time if last.transition in {"resolved", "orphaned"} else FOREVER
    return _Span(last.host, last.target, {one.kind for one in faults}, last.opened_at, ended)
