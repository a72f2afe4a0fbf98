"""What was recorded, as far as all sides of a back-test share it: read once from the journal.

Faults, intents, holds and proofs are what a side says anew. All else is as it was: what people ordered, how far the
stages were (the journal's clock), what hosts told of their configuration, what agents mended by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mendline.replaying.decisions import is_known
from mendline.replaying.errors import ReplayError
from mendline.replaying.inputs import Place
from mendline.replaying.letters import Unread
from mendline.reports.history import UNBEGUN
from mendline.responders.journal import POLICIES, Journal
from mendline.responders.planner import load_journal
from mendline.runtime.deadletters import dead_letter
from mendline.runtime.logtime import LogClock
from mendline.schemas.base import UnreadableRecordError
from mendline.schemas.records import (
    Activation,
    ConfigurationChange,
    Fault,
    Intent,
    Order,
    Outcome,
    Progress,
    Record,
    decode_record,
    readable,
)
from mendline.schemas.stream import Partition

if TYPE_CHECKING:
    from mendline.dumps.recording import Recording
    from mendline.replaying.letters import Letters
    from mendline.replaying.plan import Span
    from mendline.replaying.stages import Stages
    from mendline.schemas.stream import Batch

LAST = 1_000
"""Among so many offsets at the end of a journal there is mostly a record."""
OTHER_POLICIES = "policies were recorded that this version reads otherwise: what `live` does under them is not known"
EVIDENT = ("opened", "updated", "resolved")
STANDING = (
    *("offset", "log_time", "append_time", "actions", "partitions", "targets", "orders", "obeyed", "changes"),
    *("settings", "stopped", "policies", "policies_at", "configurations"),
)
"""What is known of the time before: all but faults, and what was under way about them."""


class Heard(NamedTuple):
    """A revision of a fault, and when (append time, ms) what it rests on was in the log."""

    at: int
    fault: Fault


class Done(NamedTuple):
    """What became of an intent, and how long (ms) after the intent it was in the journal."""

    after_ms: int
    outcome: Outcome


class Period(NamedTuple):
    """The append times (ms) between which sides are compared."""

    begin: int
    end: int

    def holds(self, at: int) -> bool:
        """Say whether a moment is within."""
        return self.begin <= at <= self.end


@dataclass
class Past:
    """What all sides share.

    `before` is the fold up to the period, `heard` are the faults that were recorded in it, `done` the outcomes by the
    id of their intent, `labels` what people said of faults by their ids. `ran` counts actions that were really begun,
    `gaps` tell what of the side that was recorded is not exact. `unanswered` are intents that no host answered.
    `introduced`: none were in force before the period, and some were put in force in it.
    """

    journal: Partition
    period: Period
    letters: Letters
    before: Journal = field(default_factory=Journal)
    clock: LogClock = field(default_factory=LogClock)
    heard: list[Heard] = field(default_factory=list)
    done: dict[str, Done] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    introduced: bool = False
    ran: int = 0
    gaps: list[str] = field(default_factory=list)

    def given(self, recording: Recording) -> Iterator[tuple[int, Record]]:
        """Yield with their append times the records of the period that are as they were, whatever a side says."""
        end = recording.extent(self.journal).end
        for batch in recording.batches(self.journal, self.before.offset + 1, end):
            for at, value in zip(batch.timestamps, batch.values, strict=True):
                record = readable(value) if self.period.holds(at) else None
                if record and self._is_given(record):
                    yield at, record

    def _is_given(self, record: Record) -> bool:
        if isinstance(record, Order) or (isinstance(record, Outcome) and record.reflex):
            return self.letters.why_not(record) is None
        return isinstance(record, Progress | ConfigurationChange | Activation)


def read_past(stages: Stages) -> Past:
    """Return what was recorded. Raises ReplayError, LogError, DumpError."""
    source = stages.source
    place = Place("planner", source.partitions("journal")[0])
    past = Past(place.partition, _period(stages), stages.letters)
    stretch = next(iter(stages.plans[place].stretches))
    if stretch.state:
        past.before = load_journal(list(stretch.state.taken()))
        past.clock = LogClock(stretch.state.log_time, stretch.state.append_time)
    reader = _Reader(past)
    for batch in source.recording.batches(past.journal, stretch.start, source.recording.extent(past.journal).end):
        reader.take(batch)
    past.before = standing(past.before)
    past.gaps += reader.unread.told
    return past


def standing(journal: Journal) -> Journal:
    """Return what is known of the time before, without what is a side's own to say."""
    return Journal.model_construct(
        None, **{**Journal().__dict__, **{name: getattr(journal, name) for name in STANDING}}
    )


class _Reader:
    """Takes the journal in, in its order: up to the period all of it, within and behind what sides are given."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self.unread = Unread(past.letters)
        self._intended: dict[str, int] = {}

    def take(self, batch: Batch) -> None:
        placed = zip(batch.offsets, batch.timestamps, batch.values, strict=True)
        for index, (offset, at, value) in enumerate(placed):
            record = self._read(batch, index, value)
            if at <= self._past.period.end and isinstance(record, Activation) and _is_of_others(record):
                self._past.gaps = [OTHER_POLICIES]
            if at < self._past.period.begin:
                self._fold(record, offset, at)
            elif record:
                self._note(record, at)

    def _read(self, batch: Batch, index: int, value: bytes) -> Record | None:
        try:
            return decode_record(value)
        except UnreadableRecordError as error:
            self.unread.hear([dead_letter(self._past.letters.topic, "planner", batch, index, str(error))])
            return None

    def _fold(self, record: Record | None, offset: int, at: int) -> None:
        past = self._past
        log_time = int(past.clock.advance([at])[-1])
        if record is None or (isinstance(record, Order | Outcome) and past.letters.why_not(record)):
            past.before.advance(offset, log_time, at)
        else:
            past.before.apply(record, offset, log_time, at)

    def _note(self, record: Record, at: int) -> None:
        if isinstance(record, Intent):
            self._note_intent(record, at)
        elif isinstance(record, Activation):
            self._note_policies(record)
        elif isinstance(record, Fault):
            self._note_fault(record, Heard(heard_at(record, at), record))
        elif isinstance(record, Order | Outcome) and self._past.letters.why_not(record) is None:
            self._note_people(record) if isinstance(record, Order) else self._note_outcome(record, at)

    def _note_intent(self, record: Intent, at: int) -> None:
        self._intended.setdefault(record.id, at)
        if record.mode == "auto" and record.id not in self._past.done:
            self._past.unanswered.add(record.id)

    def _note_policies(self, record: Activation) -> None:
        self._past.introduced |= is_policies(record) and self._past.before.policies is None

    def _note_fault(self, record: Fault, heard: Heard) -> None:
        if record.source == record.stage and self._past.period.holds(heard.at):
            self._past.heard.append(heard)

    def _note_outcome(self, record: Outcome, at: int) -> None:
        intended = self._intended.get(record.intent)
        if intended is not None and record.intent not in self._past.done:
            self._past.done[record.intent] = Done(at - intended, record)
            self._past.unanswered.discard(record.intent)
            self._past.ran += record.status not in UNBEGUN

    def _note_people(self, record: Order) -> None:
        if record.kind != "label":
            return
        if record.active:
            self._past.labels[record.subject] = record.text.partition(":")[0]
        else:
            self._past.labels.pop(record.subject, None)


def heard_at(fault: Fault, latest: int) -> int:
    """Return when what a revision rests on was in the log; it was said at `latest` (append times, ms).

    One that only says again that a fault stands, or that nobody affirms it, has its moment as its time.
    """
    known = fault.evidence.event_time + fault.evidence.delay_ms
    return min(known if fault.transition in EVIDENT else max(known, fault.time), latest)


def _period(stages: Stages) -> Period:
    """Return what every input covers: retention may have left less of one than of another. Raises ReplayError."""
    recording, wanted = stages.source.recording, stages.source.wanted
    first = {place: found for place, span in stages.spans.items() if (found := _first(recording, place, span))}
    journal = stages.source.partitions("journal")[0]
    last = _last(recording, journal, stages.spans[journal])
    if last is None:
        msg = f"{recording.url}: nothing was recorded in that time"
        raise ReplayError(msg)
    cut = [first[place] for place, span in stages.spans.items() if span.oldest and place in first]
    return Period(max([wanted.begin or 0, *cut]) or min(first.values()), last)


def _first(recording: Recording, partition: Partition, span: Span) -> int | None:
    """Return the append time of the first record of the span, None where there is none."""
    batch = next(iter(recording.batches(partition, span.begin, span.end)), None)
    return batch.timestamps[0] if batch else None


def _last(recording: Recording, partition: Partition, span: Span) -> int | None:
    """Return the append time of the last record of the span; looked for near its end first."""
    for begin in (max(span.begin, span.end - LAST), span.begin):
        if batches := list(recording.batches(partition, begin, span.end)):
            return batches[-1].timestamps[-1]
    return None


def is_policies(record: Record) -> bool:
    """Say whether a record puts policies in force."""
    return isinstance(record, Activation) and record.stage == POLICIES


def _is_of_others(record: Activation) -> bool:
    return is_policies(record) and not is_known(record)
