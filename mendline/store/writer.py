"""Writes what was read of the log, and in the same transaction up to where: all of it stands there, or nothing.

The place of a partition is moved on only from where this member believes it to be. So of two members that hold the
same partition for a moment, as while the group shares the partitions anew, one writes, and the other learns of it
(`OvertakenError`) before it has written anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mendline.schemas.decode import decode
from mendline.store.engine import transaction
from mendline.store.journal_rows import Said, write_journal
from mendline.store.tables import PLACES
from mendline.store.window_rows import Known, write_windows

if TYPE_CHECKING:
    from mendline.schemas.stream import Batch, Partition


class Place(NamedTuple):
    """Up to where a partition is stored: the next offset, and when the last record was appended (ms)."""

    offset: int
    append_time: int


class OvertakenError(Exception):
    """Another member has stored records of this partition."""


class Writer:
    """Writes to a store whose tables are there. One thread at a time."""

    def __init__(self, engine: sa.Engine) -> None:
        """Write to the database."""
        self.engine = engine
        self._known = Known()

    def place(self, partition: Partition) -> Place | None:
        """Return up to where the partition is stored, None when nothing is. Raises StoreError."""
        columns = sa.select(PLACES.c.next_offset, PLACES.c.append_time).where(_is(partition))
        with transaction(self.engine) as connection:
            found = connection.execute(columns).one_or_none()
        return Place(*found) if found else None

    def move(self, partition: Partition, before: Place, after: Place) -> None:
        """Set the place where nothing is written: a log may end before it. Raises OvertakenError, StoreError."""
        with transaction(self.engine) as connection:
            _move(connection, partition, before, after)

    def write(self, batches: Sequence[Batch], places: Mapping[Partition, Place | None]) -> dict[Partition, Place]:
        """Write batches of `windows` and the journal that follow on `places`, and return the places after them.

        Raises OvertakenError when one of the places is not what is stored, StoreError; then nothing is written.
        """
        decoded = [(batch, decode(batch)) for batch in batches]
        windows = [block for _, one in decoded for block in one.windows]
        journal = [
            Said(record, batch.offsets[index], batch.timestamps[index])
            for batch, one in decoded
            for index, record in one.records
        ]
        after = dict(places)
        with transaction(self.engine) as connection:
            for batch in sorted(batches, key=lambda one: (one.partition, one.offsets[0])):
                there = Place(batch.next_offset, batch.timestamps[-1])
                _move(connection, batch.partition, after[batch.partition], there)
                after[batch.partition] = there
            write_journal(connection, journal)
            fresh = write_windows(connection, windows, self._known) if windows else Known()
        self._known.update(fresh)
        return {partition: place for partition, place in after.items() if place}


def _is(partition: Partition) -> sa.ColumnElement[bool]:
    return (PLACES.c.topic == partition.topic) & (PLACES.c.partition == partition.number)


def _move(connection: sa.Connection, partition: Partition, before: Place | None, after: Place) -> None:
    """Move a place on if it is still where it was."""
    there = {"next_offset": after.offset, "append_time": after.append_time}
    change: sa.Insert | sa.Update
    if before is None:
        insert = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(PLACES)
        new = {"topic": partition.topic, "partition": partition.number, **there}
        change = insert.values(new).on_conflict_do_nothing()
    else:
        change = sa.update(PLACES).where(_is(partition) & (PLACES.c.next_offset == before.offset)).values(there)
    if connection.execute(change, execution_options={"preserve_rowcount": True}).rowcount != 1:
        msg = f"{partition.topic}/{partition.number}"
        raise OvertakenError(msg)
