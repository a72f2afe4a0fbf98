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
from mendline.schemas.base import record_id
from mendline.schemas.records import (
    Cancel,
    Command,
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
    """What the planner decided, in its order."""

    intents: Sequence[Intended]
    holds: Sequence[Held]


def unsigned(record: Signed) -> Signed:
    """Return the record as it is: no host would obey it."""
    return record


def plan(planned: Planned, heard: Heard, settings: Settings) -> Decided:
    """Return what is decided about a test. Raises OfflineError."""
    if not any(isinstance(one, Fault) for _, one in heard.said):
        return Decided((), ())
    planning = _Planning(planned, settings)
    own = _by_time(planned, heard)
    for at in sorted({*own, *heard.progress}):
        if at <= planned.end:
            planning.step(at, own.get(at, ()), heard.progress.get(at, ()))
    return planning.decided()


def _by_time(planned: Planned, heard: Heard) -> Mapping[int, list[Record]]:
    """Return what comes into the journal beside progress, by time: faults, then orders."""
    found: dict[int, list[Record]] = defaultdict(list)
    for at, record in heard.said:
        found[at].append(record)
    for order in planned.case.orders:
        found[order.at].append(order.record)
    return found


class _Planning:
    """The planner at work on a test. Its journal is a list: what stands there is not read as bytes again."""

    def __init__(self, planned: Planned, settings: Settings) -> None:
        topics = settings.topics
        self._outcomes = planned.case.outcomes
        self._journal = Partition(topics.topic("journal"), 0)
        self._stage = PlannerStage(settings, self._journal, unsigned, believe)
        self._said: list[Timed] = []
        self._offset = 0
        self._unread: list[Timed] = []
        self._has_begun = False

    def step(self, at: int, records: Sequence[Record], progress: Sequence[Record]) -> None:
        """Let the records come in, and what follows from them follow."""
        self._unread += [Timed(at, self._meant(one)) for one in records]
        self._unread += [Timed(at, one) for one in progress]
        if self._has_begun and not records and not any(self._stage.journal.pending()):
            return
        self._has_begun = True
        while self._unread:
            batch, self._unread = self._unread, []
            said = [decode_record(one.value) for one in self._stage.fold(self._input(batch))]
            self._said += [Timed(at, one) for one in said]
            answers = [
                self._answer(one, at) for one in said if isinstance(one, Command) and one.action in self._outcomes
            ]
            self._unread += [Timed(at, one) for one in (*said, *answers) if not isinstance(one, Command | Cancel)]

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

    def _meant(self, record: Record) -> Record:
        """Return an order that names a target with the newest fault there as its subject, if it is about a fault."""
        if not isinstance(record, Order) or record.kind in ("maintenance", "silence", "note", "stop"):
            return record
        faults = [
            one.id for one in self._stage.journal.faults.values() if matches_target(record.subject, one.latest.target)
        ]
        return record.model_copy(update={"subject": faults[-1]}) if faults else record

    def _answer(self, command: Command, at: int) -> Outcome:
        """Return what the test says that the host reports of a command, at once."""
        status, now = self._outcomes[command.action], BEGIN_MS + at
        began = now if status in BEGUN else None
        return Outcome(
            id=record_id("outcome", command.intent),
            cause=command.id,
            source=command.host,
            time=now,
            intent=command.intent,
            host=command.host,
            target=command.target,
            action=command.action,
            status=status,
            reason="" if status == "succeeded" else "the test says so",
            began_at=began,
            ended_at=began,
        )

    def decided(self) -> Decided:
        """Return what was decided."""
        said = self._said
        proven = {one.record.intent: one.record.mended for one in said if isinstance(one.record, Verification)}
        intents = [Intended(at, one, proven.get(one.id)) for at, one in said if isinstance(one, Intent)]
        return Decided(intents, [Held(at, one) for at, one in said if isinstance(one, Hold)])
