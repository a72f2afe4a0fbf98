"""What the planner makes of a test: the very stage, on a journal of the test's own, second by second.

A second in which nothing is wrong is only appended, and read with the next one that matters: of a journal without a
pending fault no decision follows, and what the stage knows does not depend on where batches end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from mendline.cases.detecting import Timed, believe
from mendline.cases.files import BEGIN_MS
from mendline.responders.planner import PlannerStage
from mendline.responders.playbook import matches_target
from mendline.responders.work import NEVER, Result, Span, outcome_of
from mendline.schemas.records import (
    Cancel,
    Command,
    ConfigurationChange,
    Fault,
    Hold,
    Intent,
    Order,
    Outcome,
    Seal,
    Verification,
    decode_record,
)
from mendline.schemas.stream import Input, Partition

if TYPE_CHECKING:
    from mendline.cases.detecting import Heard, Planned
    from mendline.responders.journal import Journal
    from mendline.schemas.records import Record
    from mendline.schemas.settings import Settings

Signed = TypeVar("Signed", Command, Cancel, Seal)
BEGUN = ("succeeded", "failed", "timed_out", "interrupted")


class Intended(NamedTuple):
    """An intent, when it was in the journal (ms after the beginning), and whether it mended its fault, if known."""

    at: int
    record: Intent
    mended: bool | None


class Held(NamedTuple):
    """A hold, and when it was in the journal (ms after the beginning)."""

    at: int
    record: Hold


class Decided(NamedTuple):
    """What the planner decided, in its order; `faults` are those that it says itself, such as drift."""

    intents: Sequence[Intended]
    holds: Sequence[Held]
    faults: Sequence[Timed]


def unsigned(record: Signed) -> Signed:
    """Return the record as it is: no host would obey it."""
    return record


class Planners:
    """Plans tests under one configuration. What happens before anything is wrong is the same for all of a run."""

    def __init__(self, settings: Settings) -> None:
        """Begin with no prologue."""
        self._settings = settings
        self._prologues: dict[int, Prologue] = {}

    def plan(self, planned: Planned, heard: Heard) -> Decided:
        """Return what is decided about a test."""
        own = _by_time(planned, heard)
        if not any(isinstance(one, Fault | ConfigurationChange) for _, one in heard.said):
            return Decided((), (), ())
        key, begin = id(heard.progress), min(own)
        if key not in self._prologues:
            self._prologues[key] = Prologue(self._settings, heard.progress)
        prologue = self._prologues[key]
        planning = _Planning(planned, self._settings, prologue.stage_before(begin), steady=_is_steady(heard))
        for at in sorted({*own, *(time for time in heard.progress if time >= begin)}):
            if at <= planned.end:
                planning.step(at, own.get(at, ()), heard.progress.get(at, ()))
        return planning.decided()


class Prologue:
    """Planners that have read progress and nothing else, up to moments at which tests begin to differ."""

    def __init__(self, settings: Settings, progress: Mapping[int, Sequence[Record]]) -> None:
        """Begin before anything was said."""
        self._progress = progress
        self._journal = Partition(settings.topics.topic("journal"), 0)
        self._stages = {0: _Reader(PlannerStage(settings, self._journal, unsigned, believe), self._journal)}

    def stage_before(self, at: int) -> _Reader:
        """Return a planner that has read all progress before `at` (ms after the beginning), to go on from there."""
        if at not in self._stages:
            nearest = max(time for time in self._stages if time <= at)
            reader = self._stages[nearest].twin()
            times = [time for time in self._progress if nearest <= time < at]
            reader.read([Timed(time, one) for time in times[:1] for one in self._progress[time]])
            reader.read([Timed(time, one) for time in times[1:] for one in self._progress[time]])
            self._stages[at] = reader
        return self._stages[at].twin()


class _Reader:
    """A planner, and how far it has read its journal. What stands there is not read as bytes again."""

    def __init__(self, stage: PlannerStage, journal: Partition, offset: int = 0) -> None:
        self.stage, self._journal, self._offset = stage, journal, offset

    def twin(self) -> _Reader:
        """Return one that has read the same."""
        return _Reader(self.stage.twin(), self._journal, self._offset)

    def read(self, batch: Sequence[Timed]) -> list[Timed]:
        """Let the planner read the batch, and then what it says; return all that it has said."""
        said: list[Timed] = []
        while batch:
            new = [Timed(batch[-1].at, decode_record(one.value)) for one in self.stage.fold(self._input(batch))]
            said += new
            batch = [one for one in new if not isinstance(one.record, Command | Cancel)]
        return said

    def _input(self, batch: Sequence[Timed]) -> Input:
        """Return the batch as it would be read from the journal, to its end."""
        # Progress comes every second, so log time, which has no longer steps than two, is the time since the beginning.
        log_times = np.array([at for at, _ in batch], dtype=np.int64)
        first, self._offset = self._offset, self._offset + len(batch)
        return Input(
            self._journal,
            range(first, self._offset),
            log_times + BEGIN_MS,
            log_times,
            records=[(index, one.record) for index, one in enumerate(batch)],
            caught_up=True,
        )


def _is_steady(heard: Heard) -> bool:
    """Say whether only faults set the planner to work: what hosts tell of their configuration may do so later too."""
    return all(isinstance(one, Fault) for _, one in heard.said)


def _by_time(planned: Planned, heard: Heard) -> Mapping[int, list[Record]]:
    """Return what comes into the journal beside progress, by time: faults, then orders."""
    found: dict[int, list[Record]] = defaultdict(list)
    for at, record in heard.said:
        found[at].append(record)
    for order in planned.case.orders:
        found[order.at].append(order.record)
    return found


class _Planning:
    """The planner at work on a test."""

    def __init__(self, planned: Planned, settings: Settings, reader: _Reader, *, steady: bool) -> None:
        self._outcomes = planned.case.outcomes
        self._reader, self._steady = reader, steady
        self._said: list[Timed] = []
        self._unread: list[Timed] = []

    @property
    def _journal(self) -> Journal:
        return self._reader.stage.journal

    def step(self, at: int, records: Sequence[Record], progress: Sequence[Record]) -> None:
        """Let the records come in, and what follows from them follow."""
        self._unread += [Timed(at, self._meant(one)) for one in records]
        self._unread += [Timed(at, one) for one in progress]
        if self._steady and self._journal.policies and not records and not any(self._journal.pending()):
            return
        while self._unread:
            said = self._reader.read(self._unread)
            self._said += said
            commands = [one.record for one in said if isinstance(one.record, Command)]
            self._unread = [Timed(at, self._answer(one, at)) for one in commands if one.action in self._outcomes]

    def _meant(self, record: Record) -> Record:
        """Return an order that names a target with the newest fault there as its subject, if it is about a fault."""
        if not isinstance(record, Order) or record.kind in ("maintenance", "silence", "note", "stop"):
            return record
        faults = [one.id for one in self._journal.faults.values() if matches_target(record.subject, one.latest.target)]
        return record.model_copy(update={"subject": faults[-1]}) if faults else record

    def _answer(self, command: Command, at: int) -> Outcome:
        """Return what the test says that the host reports of a command, at once."""
        status, now = self._outcomes[command.action], BEGIN_MS + at
        result = Result(status, "" if status == "succeeded" else "the test says so")
        return outcome_of(command, result, now, Span(now, now) if status in BEGUN else NEVER)

    def decided(self) -> Decided:
        """Return what was decided."""
        said = self._said
        proven = {one.record.intent: one.record.mended for one in said if isinstance(one.record, Verification)}
        intents = [Intended(at, one, proven.get(one.id)) for at, one in said if isinstance(one, Intent)]
        faults = [one for one in said if isinstance(one.record, Fault)]
        return Decided(intents, [Held(at, one) for at, one in said if isinstance(one, Hold)], faults)
