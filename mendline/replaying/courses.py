"""Two sets of faults compared as a person would: which are new, which are gone, which came or went at other times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from mendline.schemas.records import CLOSING, Fault


class Course(NamedTuple):
    """A fault from its beginning to its end, if it has come (event time in ms), as it was told last."""

    last: Fault
    begin: int
    end: int | None

    @property
    def about(self) -> tuple[str, str, str]:
        """What it is about, whenever it is: target, detector and series."""
        return self.last.target, self.last.detector, self.last.evidence.series

    def overlaps(self, other: Course) -> bool:
        """Say whether there was a moment of both."""
        return not (_ends_before(self, other.begin) or _ends_before(other, self.begin))


def _ends_before(one: Course, moment: int) -> bool:
    return one.end is not None and one.end < moment


@dataclass
class Courses:
    """Faults by id, of those whose opening was seen, folded from their revisions."""

    found: dict[str, Course] = field(default_factory=dict)

    def take(self, fault: Fault) -> None:
        """Take a revision in; repeats change nothing."""
        known = self.found.get(fault.id)
        if known is None and fault.revision:
            return  # it was open already before what is compared
        if known is None or fault.revision > known.last.revision:
            end = fault.evidence.event_time if fault.transition in CLOSING else None
            self.found[fault.id] = Course(fault, fault.opened_at, end)


class Change(NamedTuple):
    """A fault that was recorded and is not said again (`lost`), the opposite (`added`), or one of other times."""

    kind: Literal["lost", "added", "moved"]
    recorded: Course | None
    replayed: Course | None

    @property
    def begin(self) -> int:
        """When it begins, on the side that has it first (ms)."""
        return min(one.begin for one in (self.recorded, self.replayed) if one)


def changes(recorded: Mapping[str, Course], replayed: Mapping[str, Course]) -> list[Change]:
    """Return what differs, in the order of time.

    A fault of another id that is about the same and was there at the same time is the same, moved.
    """
    same = partners(recorded, replayed)
    found = [
        Change("moved", recorded[name], replayed[other])
        for name, other in same.items()
        if name != other or _differ(recorded[name], replayed[other])
    ]
    taken = set(same.values())
    found += [Change("lost", one, None) for name, one in recorded.items() if name not in same]
    found += [Change("added", None, one) for name, one in replayed.items() if name not in taken]
    return sorted(found, key=lambda one: (one.begin, one.kind))


def partners(recorded: Mapping[str, Course], replayed: Mapping[str, Course]) -> dict[str, str]:
    """Return which of the recorded faults, by id, is which of the others; what has no partner is left out."""
    found = {name: name for name in recorded if name in replayed}
    lost = {name: one for name, one in recorded.items() if name not in found}
    added = {name: one for name, one in replayed.items() if name not in found}
    return found | dict(_pairs(lost, added))


def _differ(one: Course, other: Course) -> bool:
    return (one.begin, one.end, one.last.severity) != (other.begin, other.end, other.last.severity)


def _pairs(lost: Mapping[str, Course], added: Mapping[str, Course]) -> Iterator[tuple[str, str]]:
    """Yield the ids of faults that are about the same at the same time, each once, early ones first."""
    waiting: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for name, one in sorted(added.items(), key=lambda item: item[1].begin):
        waiting[one.about].append(name)
    for name, one in sorted(lost.items(), key=lambda item: item[1].begin):
        other = next((other for other in waiting[one.about] if one.overlaps(added[other])), None)
        if other:
            waiting[one.about].remove(other)
            yield name, other


def course_json(one: Course | None) -> dict[str, object] | None:
    """Return a fault from its beginning to its end, None for one that is not there."""
    if one is None:
        return None
    last = one.last
    return {
        "id": last.id, "target": last.target, "detector": last.detector, "kind": last.kind, "severity": last.severity,
        "series": last.evidence.series, "begin": one.begin, "end": one.end,
    }  # fmt: skip
