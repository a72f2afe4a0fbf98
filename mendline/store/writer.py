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
from mendline.store.folding import Fold
from mendline.store.journal_rows import write_journal
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

    def __init__(self, engine: sa.Engine, journal: str) -> None:
        """Write to the database; `journal` is the name of that topic."""
        self.engine = engine
        self._journal = journal
        self._fold: Fold | None = None
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

    def begin(self, partition: Partition, oldest: int) -> tuple[Place | None, int]:
        """Return up to where the partition is stored, and from where on it is to be read; `oldest` is where it begins.

        Of the journal a part that is stored is read again, for what follows from all of it. Raises StoreError.
        """
        place = self.place(partition)
        at = place.offset if place else oldest
        if partition.topic != self._journal:
            return place, at
        with transaction(self.engine) as connection:
            self._fold = (Fold.load(connection) if place else None) or Fold.begin(oldest)
        return place, min(self._fold.offset, at)

    def write(self, batches: Sequence[Batch], places: Mapping[Partition, Place | None]) -> dict[Partition, Place]:
        """Write batches of `windows` and the journal that follow on `places`, and return the places after them.

        Raises OvertakenError when one of the places is not what is stored, StoreError; then nothing is written, and the
        partitions are to be begun anew.
        """
        journal = [batch for batch in batches if batch.partition.topic == self._journal]
        windows = [
            block for batch in batches if batch.partition.topic != self._journal for block in decode(batch).windows
        ]
        fold = self._fold
        if journal:
            self._fold = None  # until all is committed: what it takes in now may not be stored
        after = dict(places)
        with transaction(self.engine) as connection:
            for batch in sorted(batches, key=lambda one: (one.partition, one.offsets[0])):
                before = after[batch.partition]
                if batch.partition.topic == self._journal and before and batch.next_offset <= before.offset:
                    continue  # it is stored, and read again for the fold alone
                after[batch.partition] = there = Place(batch.next_offset, batch.timestamps[-1])
                _move(connection, batch.partition, before, there)
            if journal:
                _write_journal(connection, fold, journal, places)
            fresh = write_windows(connection, windows, self._known) if windows else Known()
        self._known.update(fresh)
        self._fold = fold
        return {partition: place for partition, place in after.items() if place}


def _write_journal(
    connection: sa.Connection, fold: Fold | None, batches: Sequence[Batch], places: Mapping[Partition, Place | None]
) -> None:
    """Write what is new of the journal, and what follows from it."""
    if fold is None:
        raise RuntimeError("the journal was not begun")
    for batch in batches:
        place = places[batch.partition]
        stored_to = place.offset if place else 0
        write_journal(connection, [one for one in fold.take(batch) if one.offset >= stored_to])
        fold.write(connection, above=stored_to)


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
