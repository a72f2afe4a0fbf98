"""The moments of a timeline, collected from the log and put in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from mendline.logs.base import LogRefusedError
from mendline.reading import Stored, commands_of, offset_at, read_batches, read_journal, stored
from mendline.responders.incidents import CHANGED_MS
from mendline.responders.playbook import matches_target
from mendline.runtime.logtime import LogClock
from mendline.schemas.records import (
    ConfigurationChange,
    Fault,
    Hold,
    Intent,
    Notice,
    Order,
    Outcome,
    Record,
    Verification,
)
from mendline.schemas.stream import Batch, Partition
from mendline.timelines.signs import first_sign
from mendline.words import attachments, describe

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.schemas.settings import Settings

NOTICE = b'"type":"notice"'
MOST_SIGNS = 20
"""Of a storm the first faults' signs are told: each is a place of its own to read."""
AFTER_MS = 60_000
"""So long after an incident's last record what stands beside it still counts: a cancel, a note."""


class Moment(NamedTuple):
    """Something that happened: when by the log's clock (ms), of what sort, about which fault if one, in words.

    `record` is what stands on the log; None for a sign, whose place is in its text.
    """

    time: int
    what: str
    fault: str
    text: str
    record: Record | None = None

    @property
    def attached(self) -> list[str]:
        """What is attached to it, line by line."""
        return list(attachments(self.record)) if self.record else []


def moments(log: Log, settings: Settings, told: Sequence[Stored]) -> list[Moment]:
    """Return all moments of the incident or fault that the journal's records `told` are about, in order.

    Raises as `read_batches`.
    """
    mine = [
        _told(one, about) for one, about in _with_fault(told) if getattr(one.record, "transition", "") != "affirmed"
    ]
    about_of = {one.offset: about for one, about in _with_fault(told)}
    found = [(fault.id, first_sign(log, fault, opened_at)) for opened_at, fault in islice(_opened(told), MOST_SIGNS)]
    signs = [Moment(sign.time, "first sign", fault, f"first sign {sign.text}") for fault, sign in found]
    shown = {sign.offset for _, sign in found if sign.topic == settings.topics.topic("journal")}
    beside = list(_beside(log, settings, told, min(one.time for one in [*signs, *mine]), shown))
    # What comes of equal times first: the sign, the journal, what follows from it.
    notices = _notices(log, settings, about_of)
    return sorted([*signs, *beside, *mine, *_commands(log, settings, told), *notices], key=lambda one: one.time)


def _told(one: Stored, fault: str) -> Moment:
    record = one.record
    return Moment(one.append_time, record.type, fault, describe(record), record)


def _with_fault(told: Sequence[Stored]) -> Iterator[tuple[Stored, str]]:
    """Yield the records, each with the id of the fault that it is about."""
    intents = _intents(told)
    for one in told:
        record = one.record
        if isinstance(record, Fault):
            yield one, record.id
        elif isinstance(record, Intent | Hold | Verification):
            yield one, record.fault
        elif isinstance(record, Outcome):
            yield one, intents.get(record.intent, "")
        else:
            subject = record.subject if isinstance(record, Order) else ""
            yield one, intents.get(subject, subject)


def _intents(told: Sequence[Stored]) -> Mapping[str, str]:
    """Return the fault of each intent."""
    return {one.record.id: one.record.fault for one in told if isinstance(one.record, Intent)}


def _opened(told: Sequence[Stored]) -> Iterator[tuple[int, Fault]]:
    """Yield when each fault opened, and as what."""
    for one in told:
        if isinstance(one.record, Fault) and one.record.transition == "opened":
            yield one.append_time, one.record


def _beside(log: Log, settings: Settings, told: Sequence[Stored], begin: int, shown: set[int]) -> Iterator[Moment]:
    """Yield what was changed on the targets and what people wrote about them, from half an hour before `begin` (ms).

    What stands at the offsets `shown` is told already.
    """
    targets = {one.record.target for one in told if isinstance(one.record, Fault)}
    known, end = shown | {one.offset for one in told}, told[-1].append_time + AFTER_MS
    partition = Partition(settings.topics.topic("journal"), 0)
    for one in read_journal(log, settings, offset_at(log, partition, begin - CHANGED_MS), routine=False):
        if one.append_time > end:
            return
        if one.offset not in known and _is_about(one.record, targets):
            yield _told(one, "")


def _is_about(record: Record, targets: set[str]) -> bool:
    if isinstance(record, ConfigurationChange):
        return not record.known and f"{record.source}/{record.service}" in targets
    if isinstance(record, Order):
        return record.kind == "stop" or any(matches_target(record.subject, target) for target in targets)
    return False


def _notices(log: Log, settings: Settings, about: Mapping[int, str]) -> Iterator[Moment]:
    """Yield which receivers were told of records at the offsets `about`, which names the fault of each.

    Of what is under way for long only that it is, where nothing is known of how it ended.
    """
    sending: dict[str, Moment] = {}
    batches = read_batches(log, Partition(settings.topics.topic("journal"), 0), min(about))
    for one in stored(batches, LogClock(), lambda value: NOTICE in value):
        notice = one.record
        if not isinstance(notice, Notice) or not (mine := sorted(about.keys() & set(notice.offsets))):
            continue
        if notice.status == "sending":
            sending.setdefault(notice.id, _told(one, about[mine[0]]))
        else:
            sending.pop(notice.id, None)
            yield _told(one, about[mine[0]])
    yield from sending.values()


def _commands(log: Log, settings: Settings, told: Sequence[Stored]) -> Iterator[Moment]:
    """Yield the commands that went out for the intents, and what took them back."""
    intents = _intents(told)
    if not intents:
        return
    begin = min(one.append_time for one in told if isinstance(one.record, Intent))
    topic = settings.topics.topic("commands")
    for number in range(log.topics().get(topic, 0)):
        batches = _appended(log, Partition(topic, number), begin, told[-1].append_time + AFTER_MS)
        for _, time, record in commands_of(batches, intents):
            yield Moment(time, record.type, intents[record.intent], describe(record), record)


def _appended(log: Log, partition: Partition, begin: int, end: int) -> Iterator[Batch]:
    """Yield the batches that were appended from `begin` to `end` (ms); none to whoever may read the journal alone."""
    try:
        for batch in read_batches(log, partition, offset_at(log, partition, begin)):
            if batch.timestamps[0] > end:
                return
            yield batch
    except LogRefusedError:
        return
