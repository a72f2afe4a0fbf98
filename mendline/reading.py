"""Reading what stands on a log, from its beginning to its end at the time of asking: for commands and tools."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mendline.logs.base import LogRefusedError, LogUnavailableError
from mendline.responders.incidents import incidents
from mendline.responders.journal import Journal
from mendline.responders.planner import load_journal
from mendline.runtime.logtime import LogClock
from mendline.runtime.snapshots import Restored, SnapshotPlace, read_snapshot
from mendline.schemas.base import UnreadableRecordError
from mendline.schemas.records import Cancel, Command, Fault, Record, decode_record
from mendline.schemas.stream import Batch, Partition

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.responders.facts import FaultFact
    from mendline.schemas.settings import Settings

PATIENCE_S = 10.0
MARGIN_MS = 60_000
"""By so much the clock that opened a fault and the log's may differ."""
ROUTINE = (b'"type":"progress"', b'"type":"seal"')
"""Told by their bytes, without being decoded: most of a journal, and nothing about any fault."""


class Stored(NamedTuple):
    """A record as it stands on the log; `append_time` and `log_time` in ms."""

    offset: int
    append_time: int
    log_time: int
    record: Record

    def apply_to(self, journal: Journal) -> None:
        """Let the fold take the record at its place."""
        journal.apply(self.record, self.offset, self.log_time, self.append_time)


def read_batches(log: Log, partition: Partition, begin: int | None = None, until: int | None = None) -> Iterator[Batch]:
    """Yield the partition's records from `begin` (None: the oldest) to its end now, or to `until`, and maybe some more.

    Raises LogUnavailableError when the log stops answering, LogRefusedError for a topic that does not exist.
    """
    consumer = log.consumer("reader")
    try:
        consumer.assign([partition])
        at = consumer.beginning_offset(partition) if begin is None else begin
        end = consumer.end_offset(partition)
        end = end if until is None else min(until, end)
        if at < end:
            consumer.start(partition, at)
        while at < end:
            batches = consumer.poll(PATIENCE_S).batches
            if not batches:
                where = f"{partition.topic}: offset {at} of {end}"
                msg = f"{log.url}: no answer within {PATIENCE_S:g} s while reading {where}"
                raise LogUnavailableError(msg)
            for batch in batches:
                yield batch
                at = batch.next_offset
    finally:
        consumer.close()


def read_journal(
    log: Log, settings: Settings, begin: int | None = None, clock: LogClock | None = None, *, routine: bool = True
) -> Iterator[Stored]:
    """Yield the readable records of the journal from offset `begin` (None: the oldest), with their log time.

    `clock` is the journal's at `begin`; without it log time begins at 0 there. Without `routine` those that are
    `ROUTINE` are left out. Raises as `read_batches`.
    """
    batches = read_batches(log, Partition(settings.topics.topic("journal"), 0), begin)
    return stored(batches, clock or LogClock(), routine=routine)


def anything(_: bytes) -> bool:
    """Say yes to whatever stands there."""
    return True


def stored(
    batches: Iterable[Batch], clock: LogClock, wanted: Callable[[bytes], bool] = anything, *, routine: bool = True
) -> Iterator[Stored]:
    """Yield the readable records of batches of the journal; as `read_journal`, whose clock goes on.

    Those that `wanted` says no to are left out, undecoded.
    """
    for batch in batches:
        log_times = clock.advance(batch.timestamps).tolist()
        for offset, stamp, log_time, value in zip(
            batch.offsets, batch.timestamps, log_times, batch.values, strict=True
        ):
            if (not routine and any(kind in value for kind in ROUTINE)) or not wanted(value):
                continue
            try:
                yield Stored(offset, stamp, log_time, decode_record(value))
            except UnreadableRecordError:
                continue  # it stands in the dead letters, with the reason


class Sent(NamedTuple):
    """A command, or what called one off, with its offset among the commands and its append time (ms)."""

    offset: int
    append_time: int
    record: Command | Cancel


def commands_of(batches: Iterable[Batch], intents: Collection[str]) -> Iterator[Sent]:
    """Yield the commands for these intents, and what called them off, of batches of one partition of the commands.

    Each once: who goes on after a crash says them again under the same id.
    """
    marks = [intent.encode() for intent in intents]
    seen: set[str] = set()
    for one in stored(batches, LogClock(), lambda value: any(mark in value for mark in marks)):
        record = one.record
        if isinstance(record, Command | Cancel) and record.intent in intents and record.id not in seen:
            seen.add(record.id)
            yield Sent(one.offset, one.append_time, record)


def fold_journal(log: Log, settings: Settings) -> Journal:
    """Return the fold over the whole journal: the planner's last snapshot, and what came after it.

    Raises as `read_batches`.
    """
    found = _last_snapshot(log, settings)
    journal, begin, clock = Journal(), None, LogClock()
    if found:
        journal, begin = load_journal(found.taken()), found.offset
        clock = LogClock(found.log_time, found.append_time)
    for offset, append_time, log_time, record in read_journal(log, settings, begin, clock):
        journal.apply(record, offset, log_time, append_time)
    return journal


def read_about(log: Log, settings: Settings, fault: str) -> dict[str, list[Stored]]:
    """Return, in order, the records about each fault whose id begins with `fault`, by id. Raises as `read_batches`."""
    known = [one for name, one in fold_journal(log, settings).faults.items() if name.startswith(fault)]
    # The fold forgets faults some time after their end: for those all there is has to be read.
    begin = _begin_of(log, settings, known) if known else None
    mine: dict[str, list[Stored]] = {}
    for about, entry in _read_told(log, settings, begin):
        if about.startswith(fault):
            mine.setdefault(about, []).append(entry)
    return mine


def fault_ids(log: Log, settings: Settings, beginning: str) -> set[str]:
    """Return the ids of all faults of the journal that begin so, those that the fold forgot too."""
    records = (entry.record for entry in read_journal(log, settings))
    return {one.id for one in records if isinstance(one, Fault) and beginning and one.id.startswith(beginning)}


def read_incident(log: Log, settings: Settings, incident: str) -> dict[str, list[Stored]]:
    """Return, in order, the records about all faults of each incident whose id begins so, by the incident's id.

    Of incidents that the fold has forgotten there are none. Raises as `read_batches`.
    """
    found = {one.id: one for one in incidents(fold_journal(log, settings)) if incident and one.id.startswith(incident)}
    return {name: read_faults(log, settings, one.faults) for name, one in found.items()}


def read_faults(log: Log, settings: Settings, faults: Sequence[FaultFact]) -> list[Stored]:
    """Return, in order, the records about any of the faults. Raises as `read_batches`."""
    members = {fault.id for fault in faults}
    told = _read_told(log, settings, _begin_of(log, settings, faults))
    return [entry for about, entry in told if about in members]


def _begin_of(log: Log, settings: Settings, faults: Sequence[FaultFact]) -> int:
    partition = Partition(settings.topics.topic("journal"), 0)
    return offset_at(log, partition, min(one.latest.opened_at for one in faults) - MARGIN_MS)


def _read_told(log: Log, settings: Settings, begin: int | None) -> Iterator[tuple[str, Stored]]:
    """Yield the records that are about a fault, each with the fault's id."""
    journal = Journal()
    for entry in read_journal(log, settings, begin, routine=False):
        entry.apply_to(journal)
        about = journal.fault_of(entry.record)
        if about:
            yield about, entry


def _last_snapshot(log: Log, settings: Settings) -> Restored | None:
    partition = Partition(settings.topics.topic("journal"), 0)
    consumer = log.consumer("reader", f"{settings.topics.prefix}.planner")
    try:
        committed = consumer.committed(partition)
        oldest = consumer.beginning_offset(partition)
    except LogRefusedError:
        return None  # whoever may not look at the planner's place can still read the journal
    finally:
        consumer.close()
    place = SnapshotPlace.parse(committed.metadata) if committed else None
    found = read_snapshot(log, settings.topics.topic("state"), place, "planner", partition) if place else None
    return found if found and found.offset >= oldest else None


def offset_at(log: Log, partition: Partition, time_ms: int) -> int:
    """Return the offset of the first record appended at `time_ms` or later. Raises as `read_batches`."""
    consumer = log.consumer("reader")
    try:
        consumer.assign([partition])
        return consumer.offset_at(partition, time_ms)
    finally:
        consumer.close()
