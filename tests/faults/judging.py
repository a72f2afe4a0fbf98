"""What must stand on a log, worked out afresh: the stages fold its records in one undisturbed pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mendline.logs.base import Log
from mendline.reading import read_batches
from mendline.runtime.logtime import LogClock
from mendline.schemas.decode import decode
from mendline.schemas.records import Fault
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Batch, Input, NewRecord, Partition, Stage

Windows = dict[tuple[str, int, int, str], dict[str, float]]


def decoded(log: Log, partition: Partition) -> Iterator[tuple[Batch, Input]]:
    """Yield the partition's batches, as the runtime hands them to a stage."""
    clock = LogClock()
    for batch in read_batches(log, partition):
        found = decode(batch)
        assert not found.unreadable
        times = clock.advance(batch.timestamps)
        yield (
            batch,
            Input(partition, batch.offsets, found.append_times, times, found.rounds, found.windows, found.records),
        )


def fold_all(log: Log, stage: Stage, partition: Partition) -> list[NewRecord]:
    """Return what an undisturbed stage says of the whole partition."""
    return [record for _, one in decoded(log, partition) for record in stage.fold(one)]


def add_windows(found: Windows, blocks: Sequence[Any]) -> None:
    """Add the rows of the blocks; a window that stands there already must be the same."""
    for block in blocks:
        for entry, source in enumerate(block.sources):
            for column, series in enumerate(block.table.series):
                key = (source, block.width_ms, int(block.starts[entry]), series.label)
                row = {name: float(values[entry, column]) for name, values in block.statistics.items()}
                assert repr(found.setdefault(key, row)) == repr(row), key


def windows_of(records: Sequence[NewRecord]) -> Windows:
    """Return the rows of window records."""
    found: Windows = {}
    for number, record in enumerate(records):
        batch = Batch(Partition("w", 0), [number], [0], [None], [record.value], [record.headers])
        add_windows(found, decode(batch).windows)
    return found


def by_revision(records: Sequence[Any]) -> dict[tuple[str, int], Fault]:
    """Return faults by id and revision; a repeat must be the same."""
    found: dict[tuple[str, int], Fault] = {}
    for record in records:
        if isinstance(record, Fault):
            assert found.setdefault((record.id, record.revision), record) == record
    return found


def read_journal(log: Log, settings: Settings) -> list[Any]:
    """Return the records of the journal."""
    return [
        record for _, one in decoded(log, Partition(settings.topics.topic("journal"), 0)) for _, record in one.records
    ]
