"""Entries of the journal as people read them: those about an incident, and all of them, searched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mendline.reading import Stored, read_about, read_faults, read_journal
from mendline.responders.journal import Journal
from mendline.schemas.records import Fault, Hold, Intent, Order, Outcome, Verification
from mendline.schemas.stream import Partition
from mendline.web.answers import Entry, JournalPage
from mendline.words import describe

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.responders.facts import FaultFact
    from mendline.schemas.records import Record
    from mendline.schemas.settings import Settings

MOST_ENTRIES = 500
BLOCK = 2_000
BLOCKS = 25
"""So many records are looked at for one answer, at most: who searches further asks again."""


def entry(stored: Stored, fault: str | None) -> Entry:
    """Return a record in words; `fault` is the id of the fault it is about."""
    record = stored.record
    attached = (record.attached or {}) if isinstance(record, Outcome) else {}
    return Entry(
        offset=stored.offset,
        time=stored.append_time,
        type=record.type,
        what=what_of(record),
        fault=fault,
        text=describe(record),
        attached=attached,
    )


def what_of(record: Record) -> str:
    """Return what tells records of a type apart at a glance."""
    if isinstance(record, Fault):
        return record.transition
    if isinstance(record, Intent):
        return record.mode
    if isinstance(record, Outcome):
        return record.status
    if isinstance(record, Verification):
        return "mended" if record.mended else "not mended"
    if isinstance(record, Hold):
        return record.guard
    return record.kind if isinstance(record, Order) else ""


def entries_about(log: Log, settings: Settings, faults: Sequence[FaultFact]) -> tuple[Sequence[Entry], bool]:
    """Return the newest entries about the faults, in order, and whether older ones were left out.

    Raises as `read_batches`.
    """
    return told_of(read_faults(log, settings, faults))


def past_journal(log: Log, settings: Settings, fault: str) -> tuple[Journal, Sequence[Stored]]:
    """Return the fold over what stands about one fault in all of the journal, and its records; empty without one.

    For faults that the fold over all has forgotten. Raises as `read_batches`.
    """
    found = read_about(log, settings, fault)
    records = next(iter(found.values())) if len(found) == 1 else []
    journal = Journal()
    for stored in records:
        stored.apply_to(journal)
    return journal, records


def told_of(records: Sequence[Stored]) -> tuple[Sequence[Entry], bool]:
    """Return the newest of the records as entries, but for affirmations, and whether older ones were left out."""
    journal, found = Journal(), []
    for stored in records:
        stored.apply_to(journal)
        if getattr(stored.record, "transition", "") != "affirmed":
            found.append(entry(stored, journal.fault_of(stored.record)))
    return found[-MOST_ENTRIES:], len(found) > MOST_ENTRIES


def journal_page(log: Log, settings: Settings, words: str, before: int | None, most: int) -> JournalPage:
    """Return up to `most` entries that contain all `words`, the newest first, from below offset `before`.

    Of a long journal only its newest part is looked through; the answer says where to go on. Raises as `read_batches`.
    """
    oldest, end = _bounds(log, settings)
    at = end if before is None else min(before, end)
    wanted = words.lower().split()
    found: list[Entry] = []
    for _ in range(BLOCKS):
        if at <= oldest or len(found) >= most:
            break
        begin = max(at - BLOCK, oldest)
        block = [one for one in _block(log, settings, begin, at) if _matches(one, wanted)]
        found += reversed(block)
        at = begin
    older = found[most - 1].offset if len(found) >= most else at
    return JournalPage(entries=tuple(found[:most]), older=older if older > oldest else None)


def _block(log: Log, settings: Settings, begin: int, end: int) -> Iterator[Entry]:
    journal = Journal()
    for stored in read_journal(log, settings, begin, routine=False):
        if stored.offset >= end:
            return
        if stored.record.type in ("tick", "activation"):
            continue
        stored.apply_to(journal)
        yield entry(stored, journal.fault_of(stored.record))


def _matches(one: Entry, wanted: Sequence[str]) -> bool:
    text = f"{one.type} {one.what} {one.fault or ''} {one.text}".lower()
    return all(word in text for word in wanted)


def _bounds(log: Log, settings: Settings) -> tuple[int, int]:
    partition = Partition(settings.topics.topic("journal"), 0)
    consumer = log.consumer("page")
    try:
        return consumer.beginning_offset(partition), consumer.end_offset(partition)
    finally:
        consumer.close()
