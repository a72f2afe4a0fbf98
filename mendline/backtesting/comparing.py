"""Two sides compared: which faults came, went or changed, and what would have been done about them instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from mendline.replaying.courses import Change, Course, Courses, changes, partners
from mendline.responders.guards import GUARDS

if TYPE_CHECKING:
    from mendline.backtesting.deciding import Decided, Deed
    from mendline.backtesting.past import Heard

WAYS = ("added", "lost", "moved", "longer", "shorter", "severity", "kind")
OTHER_HOLDS = ("approval", "denied", "ended", "escalated", "policies")
"""What a hold may name beside the guards."""
HOLDS = tuple(sorted({*(one.name for one in GUARDS), *OTHER_HOLDS}))


class FaultChange(NamedTuple):
    """A fault that is not what it was, in one way or several (`WAYS`), and by how much.

    `moved_ms`: it begins so much later; `longer_ms`: it lasts so much longer; None where that is not known, as of a
    fault that was open at the end on one side.
    """

    change: Change
    ways: tuple[str, ...]
    moved_ms: int | None = None
    longer_ms: int | None = None


class DeedChange(NamedTuple):
    """An action that was decided on one side only, or went otherwise: that ran here, and asked a person there."""

    before: Deed | None
    after: Deed | None


@dataclass(frozen=True)
class Side:
    """What one side found and decided; `gaps` tell what of it is not exact.

    `opened` is when (append time, ms) the log had what each fault's beginning rests on.
    """

    name: str
    courses: Mapping[str, Course]
    opened: Mapping[str, int]
    decided: Decided
    gaps: Sequence[str] = ()

    @property
    def held(self) -> Counter[str]:
        """How many holds there were, by guard."""
        return Counter(one.hold.guard for one in self.decided.holds)

    @property
    def hosts(self) -> set[str]:
        """The hosts on which something would have been done."""
        return {one.intent.host for one in self.decided.ran}


def side_of(name: str, heard: Sequence[Heard], decided: Decided, gaps: Sequence[str] = ()) -> Side:
    """Return a side that heard these faults."""
    opened = {one.fault.id: one.at for one in heard if not one.fault.revision}
    return Side(name, courses_of(heard), opened, decided, gaps)


def courses_of(heard: Sequence[Heard]) -> dict[str, Course]:
    """Return the faults whose beginning was heard."""
    courses = Courses()
    for one in heard:
        courses.take(one.fault)
    return courses.found


@dataclass(frozen=True)
class Comparison:
    """What is different on the side `after`."""

    before: Side
    after: Side

    @cached_property
    def same(self) -> Mapping[str, str]:
        """Which fault of the one side, by id, is which of the other."""
        return partners(self.before.courses, self.after.courses)

    @cached_property
    def faults(self) -> Sequence[FaultChange]:
        """The faults that are not what they were, in the order of time."""
        return [_told(one) for one in changes(self.before.courses, self.after.courses)]

    @cached_property
    def deeds(self) -> Sequence[DeedChange]:
        """The actions that are not what they were, in the order of time."""
        return sorted(self._deeds(), key=_begin)

    @property
    def mends_lost(self) -> list[Deed]:
        """What was proven to mend its fault and is not done on the side `after`: the fault ends there all the same."""
        gone = [one.before for one in self.deeds if one.before and _course(one.after) != "ran"]
        return [deed for deed in gone if deed.course == "ran" and deed.mended]

    def ways(self) -> Counter[str]:
        """Return how many faults changed in which way."""
        return Counter(way for one in self.faults for way in one.ways)

    def _deeds(self) -> Iterator[DeedChange]:
        own = {other: name for name, other in self.same.items()}
        before = {_key(one, {}): one for one in self.before.decided.deeds if one.course != "void"}
        after = {_key(one, own): one for one in self.after.decided.deeds if one.course != "void"}
        for key in before | after:
            pair = DeedChange(before.get(key), after.get(key))
            if _course(pair.before) != _course(pair.after):
                yield pair


def counts(found: Comparison) -> dict[str, float]:
    """Return what can be counted, by name: `NAMES`."""
    ways, before, after = found.ways(), found.before, found.after
    ran = [(_course(one.before) == "ran", _course(one.after) == "ran") for one in found.deeds]
    return {
        "faults_before": len(before.courses),
        "faults": len(after.courses),
        **{way: ways[way] for way in WAYS},
        "actions_before": len(before.decided.ran),
        "actions": len(after.decided.ran),
        "actions_added": ran.count((False, True)),
        "actions_lost": ran.count((True, False)),
        "mends_lost": len(found.mends_lost),
        "asked": after.decided.of("asked"),
        "shadow": after.decided.of("shadow"),
        "held": after.held.total(),
        **{f"held_{guard}": after.held[guard] for guard in HOLDS},
        "peak": after.decided.peak,
        "hosts": len(after.hosts),
    }


NAMES = (
    *(
        "faults_before",
        "faults",
        *WAYS,
        "actions_before",
        "actions",
        "actions_added",
        "actions_lost",
        "mends_lost",
        "asked",
        "shadow",
    ),
    *("held", *(f"held_{guard}" for guard in HOLDS), "peak", "hosts"),
)


def _course(deed: Deed | None) -> str:
    return deed.course if deed else ""


def _key(deed: Deed, own: Mapping[str, str]) -> tuple[str, int, int]:
    """Return which try of which step about which fault it is; a fault of both sides goes by the id it had."""
    intent = deed.intent
    return own.get(intent.fault, intent.fault), intent.step, intent.attempt


def _begin(one: DeedChange) -> int:
    return min(deed.at for deed in one if deed)


def _told(change: Change) -> FaultChange:
    before, after = change.recorded, change.replayed
    if before is None or after is None:
        return FaultChange(change, (change.kind,))
    moved, longer = after.begin - before.begin, _longer(before, after)
    ways = {
        "moved": moved != 0,
        "longer": after.end is None if longer is None else longer > 0,
        "shorter": before.end is None if longer is None else longer < 0,
        "severity": before.last.severity != after.last.severity,
        "kind": before.last.kind != after.last.kind,
    }
    return FaultChange(change, tuple(way for way, holds in ways.items() if holds), moved, longer)


def _longer(before: Course, after: Course) -> int | None:
    """Return how much longer (ms) a fault lasts, None if unknown; both open to the end count as equal."""
    if before.end is None and after.end is None:
        return 0
    if before.end is None or after.end is None:
        return None
    return (after.end - after.begin) - (before.end - before.begin)
