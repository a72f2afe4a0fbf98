"""Incidents: faults that share a cause, joined, with the likely causes first. A pure function of the journal's fold.

    for incident in incidents(journal): ...

Theory of operation. Each fault looks for the one fault that explains it best, among those of the same host whose times
touch its own (`JOIN_MS` of log time between the end of one and the begin of the other at most):

  1. a fault of its host that says the host itself is gone: its services are not the cause; or of the peer that its host
     cannot reach;
  2. a fault of a service that its own `depends_on`, the nearest first;
  3. another fault of its own target: what is down explains what is unusual, and the earlier explains the later;
  4. where a service is merely unusual: its host, if that began to be unusual at the same time (`JOIN_MS` between the
     two at most, however long both last). A change of load shows in dozens of metrics, and is one thing to look at.

What explains has always a smaller `_rank` than what is explained (gone before all else, host before service, what is
needed before what needs it, down before unusual, earlier before later), so there is no circle. A fault that nothing
explains is the root of an incident; the others are its children, and all of them stay visible. A fault that came back
(`earlier`) belongs to the incident of the same fault before. Services that need each other in a circle are not told
apart by that.

What was changed shortly before the incident began is a candidate cause beside the root; `causes` says how they are
ranked. Cost: faults times those of the same host at about the same time. Memory: that of the fold, which is bounded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import accumulate
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from mendline.responders.facts import UNDELIVERED, service_of
from mendline.responders.guards import DOWN, GONE
from mendline.responders.journal import LATE_MS, PROMPT_MS
from mendline.responders.playbook import matches_target
from mendline.schemas.base import record_id
from mendline.schemas.quantities import counted
from mendline.schemas.records import REFUSES, SEVERITIES
from mendline.schemas.series import peer_of

if TYPE_CHECKING:
    from mendline.responders.facts import ChangeFact, FaultFact
    from mendline.responders.journal import Journal

JOIN_MS = 300_000
CHANGED_MS = 1_800_000
"""What was changed longer ago than this before a fault opened is no candidate for its cause."""


class Child(NamedTuple):
    """A fault of an incident that is not its root: the id of the fault that explains it, and why, in words."""

    fault: FaultFact
    parent: str
    why: str


class Cause(NamedTuple):
    """What an incident may come from, in words; `score` is between 0 and 100, and no probability."""

    score: int
    text: str


class Incident(NamedTuple):
    """Faults that share a cause. `children` stand in the order of a tree, each after its parent, with its `depth`.

    `id` is a hash of the id of the fault that opened first, so it stays when others join or a better root is found.
    """

    id: str
    root: FaultFact
    children: Sequence[tuple[int, Child]]
    causes: Sequence[Cause]

    @property
    def faults(self) -> Sequence[FaultFact]:
        """All of its faults, the root first."""
        return (self.root, *(child.fault for _, child in self.children))

    @property
    def open(self) -> bool:
        """Whether one of its faults is."""
        return any(fault.open for fault in self.faults)

    @property
    def lead(self) -> FaultFact:
        """The fault that tells what is wrong now: the root, or while that is over already, the most severe open one."""
        if self.root.open or not self.open:
            return self.root
        still = (fault for fault in self.faults if fault.open)
        return max(still, key=lambda fault: SEVERITIES.index(fault.latest.severity))


def incidents(journal: Journal) -> list[Incident]:
    """Return the incidents of all faults that the fold knows, in the order in which their roots opened."""
    parents = {child.fault.id: child for child in _children(journal)}
    below: dict[str, list[Child]] = defaultdict(list)
    for child in parents.values():
        below[child.parent].append(child)
    roots = [fault for fault in journal.faults.values() if fault.id not in parents]
    return [_incident(journal, root, below) for root in sorted(roots, key=lambda one: one.latest.opened_at)]


def _incident(journal: Journal, root: FaultFact, below: dict[str, list[Child]]) -> Incident:
    children = list(_walk(root.id, below))
    first = min((root, *(child.fault for _, child in children)), key=_begun)
    return Incident(record_id("incident", first.id), root, children, causes(journal, root, children))


def _walk(root: str, below: dict[str, list[Child]]) -> Iterator[tuple[int, Child]]:
    """Yield all that hangs below a fault, each after its parent, with its depth: a chain may be long."""
    ahead = [(1, child) for child in _last_first(below.get(root, ()))]
    while ahead:
        depth, child = ahead.pop()
        yield depth, child
        ahead += ((depth + 1, one) for one in _last_first(below.get(child.fault.id, ())))


def _last_first(children: Sequence[Child]) -> list[Child]:
    return sorted(children, key=lambda one: _begun(one.fault), reverse=True)


def _begun(fault: FaultFact) -> tuple[int, str]:
    return fault.latest.opened_at, fault.id


# Which fault explains which -------------------------------------------------------------------------------------------


class _Course:
    """The faults of a target, to be asked for those that were open at about the same time as another."""

    def __init__(self, faults: Sequence[FaultFact]) -> None:
        self._faults = sorted(faults, key=lambda fault: fault.opened_at)
        self._opened = [fault.opened_at for fault in self._faults]
        self._ended = list(accumulate(map(_ended, self._faults), max))

    def touching(self, fault: FaultFact) -> Iterator[FaultFact]:
        """Yield the faults that were open at the same time as this one, or nearly."""
        place = bisect_right(self._opened, _ended(fault) + JOIN_MS)
        while place and self._ended[place - 1] >= fault.opened_at - JOIN_MS:
            place -= 1
            if _ended(self._faults[place]) >= fault.opened_at - JOIN_MS:
                yield self._faults[place]


def _ended(fault: FaultFact) -> float:
    return inf if fault.closed_at is None else fault.closed_at


_NEVER = _Course(())
Courses = Mapping[str, _Course]


def _children(journal: Journal) -> Iterator[Child]:
    """Yield the faults that another one explains."""
    by_target: dict[str, list[FaultFact]] = defaultdict(list)
    for fault in _of_targets(journal):
        by_target[fault.latest.target].append(fault)
    courses = {target: _Course(faults) for target, faults in by_target.items()}
    for fault in _of_targets(journal):
        rules = (_host_gone(fault, courses), _peer_gone(fault, courses), _needed(journal, fault, courses))
        found = next(filter(None, rules), None) or _same(journal, fault, courses) or _host_too(fault, courses)
        if found:
            yield found


def _of_targets(journal: Journal) -> Iterator[FaultFact]:
    """Yield the faults that say something of their target: that a receiver is not reached says nothing of its host."""
    return (fault for fault in journal.faults.values() if fault.latest.kind != UNDELIVERED)


def _of_kind(kinds: AbstractSet[str], target: str, fault: FaultFact, courses: Courses) -> FaultFact | None:
    """Return the first fault of one of the kinds that the target had when `fault` was open, or nearly."""
    found = (one for one in courses.get(target, _NEVER).touching(fault) if one.latest.kind in kinds)
    return min(found, key=_begun, default=None)


def _host_gone(fault: FaultFact, courses: Courses) -> Child | None:
    host = fault.latest.host
    parent = _of_kind(GONE, host, fault, courses)
    if fault.latest.target == host or not parent:
        return None
    return Child(fault, parent.id, f"its host {host} {_so(parent)}")


def _peer_gone(fault: FaultFact, courses: Courses) -> Child | None:
    peer = peer_of(fault.latest.evidence.series)
    parent = _of_kind(GONE, peer, fault, courses)
    if not peer or not parent:
        return None
    return Child(fault, parent.id, f"its peer {peer} {_so(parent)}")


def _needed(journal: Journal, fault: FaultFact, courses: Courses) -> Child | None:
    for service in _needs(journal, fault):
        target = f"{fault.latest.host}/{service}"
        if parent := _of_kind(DOWN, target, fault, courses):
            return Child(fault, parent.id, f"it depends on {target}, which {_so(parent)}")
    return None


def _needs(journal: Journal, fault: FaultFact) -> Sequence[str]:
    service = service_of(fault.latest.target)
    return journal.policies.needed_by(service) if journal.policies and service else ()


def _same(journal: Journal, fault: FaultFact, courses: Courses) -> Child | None:
    about = fault.latest
    before = journal.faults.get(about.earlier)
    if before and before is not fault:
        return Child(fault, before.id, f"the same again, {counted(about.again, 'times')} by now")
    mine = _rank(fault)
    parent = min((one for one in courses[about.target].touching(fault) if _rank(one) < mine), key=_rank, default=None)
    if not parent:
        return None
    return Child(fault, parent.id, f"{about.target} {_so(parent)}")


def _host_too(fault: FaultFact, courses: Courses) -> Child | None:
    host = fault.latest.host
    if fault.latest.target == host or not _merely_unusual(fault):
        return None
    near = courses.get(host, _NEVER).touching(fault)
    parent = min((one for one in near if _merely_unusual(one) and _together(one, fault)), key=_rank, default=None)
    if not parent:
        return None
    return Child(fault, parent.id, f"its host {host} {_so(parent)} since about the same time")


def _so(fault: FaultFact) -> str:
    return f"{'is' if fault.open else 'was'} {fault.latest.kind}"


def _merely_unusual(fault: FaultFact) -> bool:
    return fault.latest.kind not in GONE | DOWN


def _together(one: FaultFact, other: FaultFact) -> bool:
    return abs(one.opened_at - other.opened_at) <= JOIN_MS


def _rank(fault: FaultFact) -> tuple[int, int, str]:
    """Order the faults of one target: what explains the others comes first."""
    kind = fault.latest.kind
    order = 0 if kind in GONE else 1 if kind in DOWN else 2
    # What came back hangs below what it was the first time, so it must never be taken for the cause of that.
    return (bool(fault.latest.earlier) * 3 + order, *_begun(fault))


# What it may come from ------------------------------------------------------------------------------------------------


def causes(journal: Journal, root: FaultFact, children: Sequence[tuple[int, Child]]) -> list[Cause]:
    """Return what an incident may come from, the likeliest first.

    The root has 50, and 5 more for each fault beside it, but for those that are the same again, 75 at most. A change
    has 34, and 15 for each of: it was to the root's own target; it is of a sort that often breaks things; it was within
    ten minutes before. So what was changed at the very place right before comes before the fault itself, and a harmless
    change elsewhere, such as the restart of another service, or one long before, comes after it. What Mendline did
    about one of the faults is the cause of none.
    """
    beside = sum(not child.fault.latest.earlier for _, child in children)
    about = _about_root(root, beside, len(children) - beside) + _from_outside(root, children)
    found = [Cause(min(50 + 5 * beside, 75), about)]
    found += [_changed(change, root) for change in changes_before(journal, root, children)]
    return sorted(found, key=lambda cause: (-cause.score, cause.text))


def changes_before(journal: Journal, root: FaultFact, children: Sequence[tuple[int, Child]]) -> list[ChangeFact]:
    """Return what was changed before the incident began and may be its cause, in the order of the journal."""
    answered = {root.id, *(child.fault.id for _, child in children)}
    return [one for one in journal.changes if _is_candidate(one, root) and one.fault not in answered]


def _about_root(root: FaultFact, beside: int, again: int) -> str:
    """Return what is wrong at the root, with how many other faults stand beside it: none is proven to come from it."""
    about = root.latest
    others = f"; with {counted(beside, 'faults')} beside it" if beside else ""
    back = f"; back {counted(again, 'times')}" if again else ""
    return f"{about.target} {_so(root)}: {about.reason or about.evidence.text or about.detector}{others}{back}"


def _from_outside(root: FaultFact, children: Sequence[tuple[int, Child]]) -> str:
    """Return what the peers of a host say of it: whether it is the host that is down, its agent, or the network."""
    about = root.latest
    if peer := peer_of(about.evidence.series):
        return "" if REFUSES in about.reason else f"; nothing says that {peer} is gone: rather the way between them"
    if about.kind != "silent":
        return ""
    views = [child.fault.latest for _, child in children if peer_of(child.fault.latest.evidence.series) == about.target]
    if any(REFUSES in view.reason for view in views):
        return "; its host is up, for it refuses connections: rather its agent is down"
    if views:
        hosts = ", ".join(sorted({view.host for view in views}))
        return f"; {hosts} cannot reach it either: the host is down, or cut off"
    return "; no peer misses it: if one asks it (host.peers), rather its agent is down, or its way to the log"


def _is_candidate(change: ChangeFact, root: FaultFact) -> bool:
    if not -LATE_MS <= root.opened_at - change.time <= CHANGED_MS:
        return False
    if change.began is not None and change.began >= root.latest.opened_at:
        return False  # a deed of ours about another fault, or while the log was away: this one was there before
    return matches_target(change.target, root.latest.target) or change.target.startswith(f"{root.latest.host}/")


def _changed(change: ChangeFact, root: FaultFact) -> Cause:
    before_ms = max(root.opened_at - change.time, 0)
    there = change.target != "*" and matches_target(change.target, root.latest.target)
    score = 34 + 15 * (there + (change.rank >= 3) + (before_ms <= PROMPT_MS))  # noqa: PLR2004 - as the docstring says
    return Cause(score, f"{change.text}, {before_ms / 1000:.0f} s before")
