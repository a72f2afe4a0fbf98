"""All that happened in a span of time: the journal's fold, with what that forgets kept for those who look back.

The fold (`responders.journal`) forgets a fault an hour after its end. `History` holds on to the same facts, so nothing
is judged twice: what was admitted, tried and proven is what the planner went by. As there, an order or an outcome
counts only if its signature is believed. A label may come days later, so it is taken here. Memory: some 3 kB a fault of
the span.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mendline.reading import offset_at, read_journal
from mendline.responders.incidents import Incident, incidents
from mendline.responders.journal import Journal
from mendline.schemas.records import Fault, Hold, Order, Outcome, Progress
from mendline.schemas.stream import Partition

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.reading import Stored
    from mendline.responders.facts import ChangeFact, FaultFact
    from mendline.schemas.settings import Settings

VERDICTS = ("true", "false", "useless")
HARMFUL = "harmful"
UNBEGUN = ("refused", "overtaken", "deferred")
TOLD = 5_000
LEAD_MS = 7_200_000
"""By then the policies in force, which are said again every hour, and the faults that are open have been told."""
BLIND_MS = 30_000
"""Detectors report progress every second: this long without, and nobody watched."""

WhyNot = Callable[[Order | Outcome], str | None]


class Span(NamedTuple):
    """From `begin` on and before `end`: append times of the journal in ms; None: as far as it goes."""

    begin: int | None = None
    end: int | None = None

    def holds(self, time: int) -> bool:
        """Say whether a moment is within."""
        return (self.begin is None or time >= self.begin) and (self.end is None or time < self.end)


@dataclass(slots=True)
class Course:
    """A fault from its first record to its last. Moments are append times in ms.

    `opened` is None when its first record is not in what was read. `begun` is when the first action about it began: the
    append time of its outcome, less how long it took by the host's clock. `verdict` and `harmful` are what was said
    last, `held` counts holds by policy and guard.
    """

    fact: FaultFact
    first: Fault
    opened: int | None
    closed: int | None = None
    flapped: bool = False
    begun: int | None = None
    verdict: str = ""
    harmful: bool = False
    held: Counter[tuple[str, str]] = field(default_factory=Counter)


def offsets(log: Log, settings: Settings, span: Span) -> tuple[int, int]:
    """Return from which offset of the journal on to read for a span, and below which. Raises as `read_batches`."""
    partition = Partition(settings.topics.topic("journal"), 0)
    consumer = log.consumer("reader")
    try:
        consumer.assign([partition])
        oldest, end = consumer.beginning_offset(partition), consumer.end_offset(partition)
    finally:
        consumer.close()
    begin = oldest if span.begin is None else offset_at(log, partition, span.begin - LEAD_MS)
    return max(begin, oldest), end


def read_history(
    log: Log, settings: Settings, why_not: WhyNot, span: Span, tell: Callable[[int], None] = lambda _: None
) -> History:
    """Return what the journal has of a span, and became of that up to now. Raises as `read_batches`.

    `tell` is told how many more records were read, some thousands at a time.
    """
    history = History(why_not, span)
    last, _ = offsets(log, settings, span)
    for stored in read_journal(log, settings, last):
        history.apply(stored)
        if stored.offset - last >= TOLD:
            tell(stored.offset - last)
            last = stored.offset
    return history


class History:
    """Takes the journal's records in order, from some time before the span on, so that what stands then is known."""

    def __init__(self, why_not: WhyNot, span: Span) -> None:
        """Keep what is of use for `span`; `why_not` says why an order or outcome is not believed, or None."""
        self.span = span
        self.courses: dict[str, Course] = {}
        self.changes: list[ChangeFact] = []
        self.ignored: Counter[str] = Counter()
        self.reflexes = 0
        self.oldest: int | None = None
        self.newest = 0
        self._why_not = why_not
        self._journal = Journal()
        self._heard: int | None = None
        self._blind: list[tuple[int, int]] = []

    @property
    def bounds(self) -> tuple[int, int]:
        """The span as it is known: from the first record within to the last, in ms."""
        end = self.newest if self.span.end is None else min(self.span.end, self.newest)
        begin = max(self.oldest or 0, self.span.begin or 0)
        return min(begin, end), end

    def blind(self) -> list[tuple[int, int]]:
        """Return the stretches of time, in ms, in which nobody watched; they may reach beyond the bounds."""
        begin, end = self.bounds
        last = begin if self._heard is None else self._heard
        return [*self._blind, *([(last, end)] if end - last > BLIND_MS else [])]

    def opened(self) -> list[Course]:
        """Return the faults that opened within the span."""
        return [one for one in self.courses.values() if one.opened is not None and self.span.holds(one.opened)]

    def incidents(self) -> Sequence[Incident]:
        """Return the incidents of all faults that are kept, whether or not they began within the span."""
        whole = Journal(policies=self._journal.policies)
        whole.faults = {name: one.fact for name, one in self.courses.items()}
        whole.changes = self.changes
        return incidents(whole)

    # Taking in --------------------------------------------------------------------------------------------------------

    def apply(self, stored: Stored) -> None:
        """Take in the journal's next record."""
        record, now = stored.record, stored.append_time
        self.newest = max(self.newest, now)
        self.oldest = now if self.oldest is None else self.oldest
        if isinstance(record, Order | Outcome) and (why := self._why_not(record)):
            self._journal.advance(stored.offset, stored.log_time, now)
            self.ignored[why] += self.span.begin is None or now >= self.span.begin
            return
        self._journal.apply(record, stored.offset, stored.log_time, now)
        self._remember_change()
        if isinstance(record, Fault):
            self._take_fault(record, now)
        elif isinstance(record, Hold) and record.fault in self.courses:
            self.courses[record.fault].held[record.policy, record.guard] += 1
        elif isinstance(record, Outcome):
            self._take_outcome(record, now)
        elif isinstance(record, Order) and record.kind == "label":
            self._take_label(record)
        elif isinstance(record, Progress) and record.judges:
            self._take_progress(now)

    def _remember_change(self) -> None:
        newest = self._journal.changes[-1] if self._journal.changes else None
        if newest and (not self.changes or newest is not self.changes[-1]):
            self.changes.append(newest)

    def _take_fault(self, record: Fault, now: int) -> None:
        fact = self._journal.faults[record.id]
        course = self.courses.get(record.id)
        if record.revision < fact.latest.revision or (course and fact is not course.fact):
            return  # an old revision again, maybe of a fault that the fold has forgotten
        if course is None:
            opened = now if record.revision == 0 else None
            course = self.courses[record.id] = Course(fact, record, opened)
        course.flapped |= record.flapping
        course.closed = None if fact.open else course.closed or now

    def _take_outcome(self, record: Outcome, now: int) -> None:
        self.reflexes += record.reflex and record.status == "succeeded" and self.span.holds(now)
        intent = self._journal.intent(record.intent)
        course = self.courses.get(intent.record.fault) if intent else None
        if course and record.status not in UNBEGUN and record.began_at is not None:
            begun = now - max((record.ended_at or record.began_at) - record.began_at, 0)
            course.begun = begun if course.begun is None else min(course.begun, begun)

    def _take_label(self, record: Order) -> None:
        course = self.courses.get(record.subject)
        if course is None:
            return
        verdict = record.text.partition(":")[0] if record.active else ""
        if verdict == HARMFUL or not record.active:
            course.harmful = record.active
        if verdict != HARMFUL:
            course.verdict = verdict if verdict in VERDICTS else ""

    def _take_progress(self, now: int) -> None:
        before = self._heard if self._heard is not None else self.oldest
        if before is not None and now - before > BLIND_MS:
            self._blind.append((before, now))
        self._heard = now
