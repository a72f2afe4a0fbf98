"""How much of the time each service did its work, from the faults that say that it did not.

Method: a service on a host is *down* while a fault is open there of a kind with which it serves nobody (`guards.DOWN`:
dead, hung, unreachable …), by the host's own clock, from the evidence that opened it to the end that its detector saw.
Nothing is *known* of it while its host is silent or missing, and while no detector reported progress for half a minute.
Availability is the share of the known time in which it was not down, over all its hosts together; `worst` the share of
the whole time, as if it had been down whenever nothing is known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mendline.responders.facts import service_of
from mendline.responders.guards import DOWN, GONE
from mendline.schemas.base import Frozen

if TYPE_CHECKING:
    from mendline.reports.history import Course, History

Stretch = tuple[int, int]
MOST_OUTAGES = 50
FOREVER = 2**53


class Outage(Frozen):
    """A time, from `begin` to `end` (ms), in which a service was down on a host."""

    target: str
    begin: int
    end: int


class ServiceReport(Frozen):
    """A service on all its `hosts`; times in ms are summed over them. `outages` are the longest, at most 50 of `count`.

    `availability` is None where nothing is known.
    """

    service: str
    hosts: int
    count: int
    down_ms: int
    known_ms: int
    whole_ms: int
    longest_ms: int
    availability: float | None
    worst: float | None
    outages: tuple[Outage, ...]


def services(history: History, watched: Iterable[str]) -> list[ServiceReport]:
    """Return how each service did that had a fault or is among those `watched` (HOST/SERVICE), by name."""
    down: dict[str, list[Stretch]] = {target: [] for target in watched}
    gone: dict[str, list[Stretch]] = defaultdict(list)
    for course in history.courses.values():
        about = course.fact.latest
        if service_of(about.target):
            down.setdefault(about.target, []).extend([_open(course, history)] if about.kind in DOWN else [])
        elif about.kind in GONE:
            gone[about.host].append(_open(course, history))
    targets: dict[str, list[str]] = defaultdict(list)
    for target in down:
        targets[service_of(target)].append(target)
    return [_service(history, name, mine, down, gone) for name, mine in sorted(targets.items())]


def _open(course: Course, history: History) -> Stretch:
    about = course.fact.latest
    return about.opened_at, history.bounds[1] if course.closed is None else about.time


def _service(
    history: History,
    name: str,
    targets: Sequence[str],
    down: dict[str, list[Stretch]],
    gone: dict[str, list[Stretch]],
) -> ServiceReport:
    begin, end = history.bounds
    outages: list[Outage] = []
    known_ms = 0
    for target in targets:
        unknown = joined([*history.blind(), *gone[target.partition("/")[0]]], begin, end)
        known_ms += end - begin - length(unknown)
        found = without(joined(down[target], begin, end), unknown)
        outages += [Outage(target=target, begin=first, end=last) for first, last in found]
    whole_ms, down_ms = (end - begin) * len(targets), sum(one.end - one.begin for one in outages)
    longest = sorted(outages, key=lambda one: (one.begin - one.end, one.begin, one.target))
    return ServiceReport(
        service=name,
        hosts=len(targets),
        count=len(outages),
        down_ms=down_ms,
        known_ms=known_ms,
        whole_ms=whole_ms,
        longest_ms=longest[0].end - longest[0].begin if longest else 0,
        availability=1 - down_ms / known_ms if known_ms else None,
        worst=(known_ms - down_ms) / whole_ms if whole_ms else None,
        outages=tuple(longest[:MOST_OUTAGES]),
    )


# Stretches of time ----------------------------------------------------------------------------------------------------


def joined(stretches: Iterable[Stretch], begin: int, end: int) -> list[Stretch]:
    """Return the stretches within `begin` and `end`, in order, those that overlap or touch as one.

    >>> joined([(5, 9), (0, 3), (2, 4), (8, 20)], 1, 12)
    [(1, 4), (5, 12)]
    """
    found: list[Stretch] = []
    for first, last in sorted((max(first, begin), min(last, end)) for first, last in stretches):
        if first >= last:
            continue
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def spells_of(faults: Iterable[tuple[int, int | None]]) -> list[Stretch]:
    """Return the stretches in which one of some faults was open, given from when to when each was; None: still.

    >>> length(spells_of([(0, 3), (10, 14), (12, 15)]))
    8
    """
    lasted = ((begin, FOREVER if end is None else max(end, begin + 1)) for begin, end in faults)
    return joined(lasted, -FOREVER, FOREVER)


def without(stretches: Sequence[Stretch], holes: Sequence[Stretch]) -> list[Stretch]:
    """Return what is left of joined stretches outside of joined holes.

    >>> without([(0, 10), (20, 30)], [(2, 4), (8, 25)])
    [(0, 2), (4, 8), (25, 30)]
    """
    left: list[Stretch] = []
    for first, last in stretches:
        at = first
        for begin, end in holes:
            if at < begin < last:
                left.append((at, begin))
            at = max(at, end) if begin < last else at
        if at < last:
            left.append((at, last))
    return left


def length(stretches: Iterable[Stretch]) -> int:
    """Return how long stretches are together, in ms."""
    return sum(last - first for first, last in stretches)
