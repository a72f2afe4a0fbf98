"""How a store stands: up to where, how old, how large."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mendline.store import tables as t
from mendline.store.engine import told, transaction
from mendline.store.schema import newest, version
from mendline.store.writer import Writer

if TYPE_CHECKING:
    from mendline.store.rebuilding import Span


@dataclass(frozen=True, slots=True)
class Standing:
    """A store: its address, the step of its tables (None: it has none yet), bytes, and rows of tables.

    Windows are too many to be counted; `series` tells how many have some.
    """

    url: str
    version: str | None
    newest: str
    bytes: int
    rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class Reached:
    """A partition: up to which offset it is stored, where the log ends, when the newest stored record was appended."""

    topic: str
    partition: int
    offset: int | None
    end: int
    append_time: int | None

    @property
    def lag(self) -> int:
        """How many offsets are not stored yet."""
        return max(self.end - (self.offset or 0), 0)


def standing(engine: sa.Engine) -> Standing:
    """Return how the store stands. Raises StoreError, StoreAwayError when it does not answer."""
    with transaction(engine) as connection:
        step = version(connection)
        rows = {table.name: _count(connection, table) for table in (t.SERIES, *t.JOURNAL)} if step else {}
        return Standing(told(engine), step, newest(), _size(connection), rows)


def reached(engine: sa.Engine, spans: list[Span]) -> Iterator[Reached]:
    """Yield how far each partition of the log is stored. Raises StoreError."""
    writer = Writer(engine, "")
    for span in spans:
        place = writer.place(span.partition)
        yield Reached(*span.partition, place.offset if place else None, span.end, place.append_time if place else None)


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _size(connection: sa.Connection) -> int:
    if connection.dialect.name == "sqlite":
        pages = connection.exec_driver_sql("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return int(pages.scalar_one())
    return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
