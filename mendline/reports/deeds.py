"""What Mendline did: how incidents ended and how long that took, and what each playbook was good for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from mendline.reports.availability import spells_of
from mendline.reports.shares import Interval, Times, times_of, wilson
from mendline.responders.guards import HARMLESS
from mendline.schemas.base import Frozen

if TYPE_CHECKING:
    from mendline.reports.history import Course, History
    from mendline.responders.facts import FaultFact, IntentFact
    from mendline.responders.incidents import Incident

End = Literal["open", "mended", "asked", "other", "lost"]
ENDS: Mapping[End, str] = {
    "mended": "mended by Mendline alone",
    "asked": "mended with a person's word",
    "other": "over without Mendline",
    "lost": "not watched any more",
    "open": "still open",
}


class Spell(NamedTuple):
    """The faults of an incident that were open without a moment between in which none was, the first one first."""

    courses: Sequence[Course]

    @property
    def opened(self) -> int:
        """When the journal heard of it first (append time, ms)."""
        return self.courses[0].opened or 0

    @property
    def closed(self) -> int | None:
        """When its last fault was over (append time, ms); None while one is open."""
        found = [one.closed for one in self.courses if one.closed is not None]
        return max(found) if len(found) == len(self.courses) else None

    @property
    def detect_ms(self) -> int:
        """From the evidence that was enough, by the host's clock, to the fault in the journal."""
        return max(self.opened - self.courses[0].first.evidence.event_time, 0)

    @property
    def act_ms(self) -> int | None:
        """From the fault in the journal to the begin of the first action; None without one."""
        begun = [one.begun for one in self.courses if one.begun is not None]
        return max(min(begun) - self.opened, 0) if begun else None

    @property
    def recover_ms(self) -> int | None:
        """From the evidence that was enough to the end of the last fault; None while it is open or if it was lost."""
        if self.closed is None or self.end == "lost":
            return None
        return max(self.closed - self.courses[0].first.evidence.event_time, 0)

    @property
    def end(self) -> End:
        """How it ended: `ENDS`."""
        if self.closed is None:
            return "open"
        faults = [one.fact for one in self.courses]
        if any(intent.verification and intent.verification.mended for intent in _tries(faults)):
            return "asked" if any(map(_needed_a_word, faults)) else "mended"
        last = max(self.courses, key=lambda one: one.closed or 0)
        return "lost" if last.fact.latest.transition == "orphaned" else "other"


class Story(NamedTuple):
    """An incident that began in the span, with its spells, the first one first; it ended as the last of them did."""

    incident: Incident
    spells: Sequence[Spell]

    @property
    def opened(self) -> int:
        """When the journal heard of it first (append time, ms)."""
        return self.spells[0].opened

    @property
    def end(self) -> End:
        """How it ended: `ENDS`."""
        return self.spells[-1].end

    @property
    def took_ms(self) -> int | None:
        """From the begin of the first spell to the end of the last, by evidence; None as `Spell.recover_ms`."""
        last = self.spells[-1]
        if last.closed is None or last.end == "lost":
            return None
        return max(last.closed - self.spells[0].courses[0].first.evidence.event_time, 0)

    @property
    def wrong_ms(self) -> int | None:
        """How long some fault was open (append times, ms), without the times between; None while one is."""
        lasted = [one.closed - one.opened for one in self.spells if one.closed is not None]
        return sum(lasted) if len(lasted) == len(self.spells) else None


class IncidentsReport(Frozen):
    """Incidents that began in the span: how often something was wrong (`spells`), how that ended, how long it took.

    An incident may be several spells: `ends` (`ENDS`) counts those, and `detect`, `act` and `recover` are of each.
    `alone` is the share of those that are over which Mendline mended without a person.
    """

    count: int
    spells: int
    ends: dict[End, int]
    alone: Interval
    detect: Times
    act: Times
    recover: Times


class PlaybookReport(Frozen):
    """What a policy did about faults that opened in the span. `tried` counts actions that were begun, or may have been.

    Of those `verified` mended their fault and `failed` did not; of the rest nothing is known yet. `looked`: diagnoses
    and messages, which mend nothing. `shadow`, `denied`, `refused` (by the host) and `needless` were not done. `held`
    counts holds by guard. `harmful` counts faults with a try that people labelled harmful, `on_false` those they
    labelled false. `mend` is from decision to proof.
    """

    policy: str
    faults: int
    tried: int
    verified: int
    failed: int
    looked: int
    shadow: int
    denied: int
    refused: int
    needless: int
    held: dict[str, int]
    harmful: int
    on_false: int
    mend: Times
    actions: dict[str, int]


# Incidents ------------------------------------------------------------------------------------------------------------


def stories(history: History) -> list[Story]:
    """Return the incidents that began in the span, in the order in which the journal heard of them."""
    mine = {one.fact.id for one in history.opened()}
    found = []
    for incident in history.incidents():
        courses = sorted((history.courses[one.id] for one in incident.faults), key=lambda one: one.opened or 0)
        if courses[0].opened is not None and courses[0].fact.id in mine:
            found.append(Story(incident, list(_spells(courses))))
    return sorted(found, key=lambda one: one.opened)


def _spells(courses: Sequence[Course]) -> Iterator[Spell]:
    """Yield the spells of faults, which stand in the order in which they opened."""
    for begin, end in spells_of((one.opened or 0, one.closed) for one in courses):
        yield Spell([one for one in courses if begin <= (one.opened or 0) <= end])


def _tries(faults: Iterable[FaultFact]) -> Iterator[IntentFact]:
    return (intent for fault in faults for intent in fault.intents.values() if intent.tried)


def _needed_a_word(fault: FaultFact) -> bool:
    return fault.used > 0 or any(intent.record.mode == "ask" for intent in _tries([fault]))


def incidents_report(told: Sequence[Story]) -> IncidentsReport:
    """Return the numbers of all incidents."""
    spells = [spell for one in told for spell in one.spells]
    ends = Counter(one.end for one in spells)
    return IncidentsReport(
        count=len(told),
        spells=len(spells),
        ends={end: ends[end] for end in ENDS},
        alone=wilson(ends["mended"], len(spells) - ends["open"]),
        detect=times_of(one.detect_ms for one in spells),
        act=times_of(one.act_ms for one in spells),
        recover=times_of(one.recover_ms for one in spells),
    )


# Playbooks ------------------------------------------------------------------------------------------------------------


def playbooks(history: History) -> list[PlaybookReport]:
    """Return what each policy did that decided something, by name."""
    by_policy: dict[str, list[tuple[Course, list[IntentFact]]]] = defaultdict(list)
    for course in history.opened():
        counted = [one for one in course.fact.intents.values() if one.state != "void"]
        names = {one.record.policy for one in course.fact.intents.values()} | {policy for policy, _ in course.held}
        for name in names:
            by_policy[name].append((course, [one for one in counted if one.record.policy == name]))
    return [_playbook(name, faults) for name, faults in sorted(by_policy.items())]


def _playbook(name: str, faults: Sequence[tuple[Course, list[IntentFact]]]) -> PlaybookReport:
    intents = [intent for _, some in faults for intent in some]
    tried = [one for one in intents if _is_repair(one)]
    mended = [one for one in tried if one.verification and one.verification.mended]
    held = Counter(guard for course, _ in faults for by, guard in course.held.elements() if by == name)
    touched = [course for course, some in faults if any(_is_repair(one) for one in some)]
    return PlaybookReport(
        policy=name,
        faults=len(faults),
        tried=len(tried),
        verified=len(mended),
        failed=sum(one.verification is not None for one in tried) - len(mended),
        looked=sum(one.tried and one.record.action in HARMLESS for one in intents),
        shadow=sum(one.state == "shadow" for one in intents),
        denied=sum(one.state == "denied" for one in intents),
        refused=sum(one.refused and not one.needless for one in intents),
        needless=sum(one.needless for one in intents),
        held=dict(sorted(held.items())),
        harmful=sum(one.harmful for one in touched),
        on_false=sum(one.verdict == "false" for one in touched),
        mend=times_of(one.verification.after_ms for one in mended if one.verification),
        actions=dict(sorted(Counter(one.record.action for one in tried).items())),
    )


def _is_repair(intent: IntentFact) -> bool:
    return intent.tried and intent.record.action not in HARMLESS
