"""Reading what stands on a log, from its beginning to its end at the time of asking: for commands and tools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from mendline.logs.base import LogUnavailableError
from mendline.responders.journal import Journal
from mendline.runtime.logtime import LogClock
from mendline.schemas.base import UnreadableRecordError
from mendline.schemas.records import Record, decode_record
from mendline.schemas.stream import Batch, Partition

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.schemas.settings import Settings

PATIENCE_S = 10.0


class Stored(NamedTuple):
    """A record as it stands on the log; `append_time` and `log_time` in ms."""

    offset: int
    append_time: int
    log_time: int
    record: Record


def read_batches(log: Log, partition: Partition, begin: int | None = None) -> Iterator[Batch]:
    """Yield the partition's records from `begin` (None: the oldest) to its end now.

    Raises LogUnavailableError when the log stops answering, LogRefusedError for a topic that does not exist.
    """
    consumer = log.consumer("reader")
    try:
        consumer.assign([partition])
        at = consumer.beginning_offset(partition) if begin is None else begin
        end = consumer.end_offset(partition)
        if at < end:
            consumer.start(partition, at)
        while at < end:
            batches = consumer.poll(PATIENCE_S).batches
            if not batches:
                msg = f"{log.url}: no answer within {PATIENCE_S:g} s while reading {partition.topic}"
                raise LogUnavailableError(msg)
            for batch in batches:
                yield batch
                at = batch.next_offset
    finally:
        consumer.close()


def read_journal(log: Log, settings: Settings) -> Iterator[Stored]:
    """Yield the readable records of the journal with their log time. Raises as `read_batches`."""
    clock = LogClock()
    for batch in read_batches(log, Partition(settings.topics.topic("journal"), 0)):
        log_times = clock.advance(batch.timestamps).tolist()
        for offset, stamp, log_time, value in zip(
            batch.offsets, batch.timestamps, log_times, batch.values, strict=True
        ):
            try:
                yield Stored(offset, stamp, log_time, decode_record(value))
            except UnreadableRecordError:
                continue  # it stands in the dead letters, with the reason


def fold_journal(log: Log, settings: Settings) -> Journal:
    """Return the fold over the whole journal. Raises as `read_batches`."""
    journal = Journal()
    for offset, append_time, log_time, record in read_journal(log, settings):
        journal.apply(record, offset, log_time, append_time)
    return journal
