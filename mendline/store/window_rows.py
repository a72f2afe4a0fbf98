"""From blocks of windows to rows, column by column: what is done once for each row is the database's own work.

PostgreSQL takes arrays, one for each column; SQLite a tuple for each row. No value is NULL in both, not NaN.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mendline.store.tables import DOUBLES, SERIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.columnar import WindowBlock
    from mendline.schemas.series import Series

AT_ONCE = 50_000
"""Rows that are plain Python values at a time: some 20 MB."""
_COLUMNS = ("series", "start", *DOUBLES)
_NAMES = ", ".join(_COLUMNS)
_MARKS = ", ".join("?" * len(_COLUMNS))
_ARRAYS = ", ".join(["%s::bigint[]"] * 2 + ["%s::double precision[]"] * len(DOUBLES))
INSERT = {
    "sqlite": f"INSERT INTO windows ({_NAMES}) VALUES ({_MARKS}) ON CONFLICT DO NOTHING",  # noqa: S608 - our own names
    "postgresql": f"INSERT INTO windows ({_NAMES}) SELECT * FROM unnest({_ARRAYS}) ON CONFLICT DO NOTHING",  # noqa: S608
}


class Rows(NamedTuple):
    """Rows of `windows` as columns: `series` and `start` (ms), int64, and `values`, (statistics, rows) as in DOUBLES.

    NaN = no value.
    """

    series: NDArray[np.int64]
    start: NDArray[np.int64]
    values: NDArray[np.float64]


def series_id(source: str, width_ms: int, series: Series) -> int:
    """Return the id of one series of a source in windows of one width: 64 bits of a BLAKE2b hash, with a sign.

    >>> from mendline.schemas.series import Series
    >>> series_id("host-1", 10_000, Series(metric="system.cpu.utilization"))
    6791287501313547498
    """
    name = [source, width_ms, series.service, series.metric, sorted(series.attributes.items()), series.kind]
    text = json.dumps(name, separators=(",", ":"), ensure_ascii=False).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big", signed=True)


class Known:
    """The ids of the series of tables that were seen, so that a hash is made once; and which series are stored.

    Bounded by `MOST` series: all are forgotten when there are more.
    """

    MOST = 2_000_000

    def __init__(self) -> None:
        """Know nothing yet."""
        self._ids: dict[tuple[str, int, int], NDArray[np.int64]] = {}
        self._size = 0

    def find(self, source: str, block: WindowBlock) -> NDArray[np.int64] | None:
        """Return the ids of a source's series (S,) as they stand in the block's table, if they are stored."""
        return self._ids.get((source, block.width_ms, block.table.digest))

    def add(self, source: str, block: WindowBlock, ids: NDArray[np.int64]) -> None:
        """Remember ids that are stored."""
        self._size += len(ids)
        self._ids[source, block.width_ms, block.table.digest] = ids

    def update(self, fresh: Known) -> None:
        """Take over what another knows."""
        if self._size + fresh._size > self.MOST:
            self._ids.clear()
            self._size = 0
        self._size += fresh._size
        self._ids |= fresh._ids


def write_windows(connection: sa.Connection, blocks: Sequence[WindowBlock], known: Known) -> Known:
    """Write the windows of the blocks; of two with the same start the first stays.

    Return the series that are stored now and `known` does not know yet: to be taken over once all is committed.
    """
    fresh = Known()
    for block in blocks:
        _write_series(connection, block, known, fresh)
    for part in _parts(_joined([_rows(block, known, fresh) for block in blocks])):
        insert_windows(connection, part)
    return fresh


def insert_windows(connection: sa.Connection, rows: Rows) -> None:
    """Write rows, of which those whose series and start are there already are left out."""
    if connection.dialect.name == "sqlite":  # for which NaN is NULL
        columns = [rows.series.tolist(), rows.start.tolist(), *rows.values.tolist()]
        connection.exec_driver_sql(INSERT["sqlite"], list(zip(*columns, strict=True)))
    else:
        columns = [rows.series.tolist(), rows.start.tolist(), *map(_nullable, rows.values)]
        connection.exec_driver_sql(INSERT["postgresql"], tuple(columns))


def _nullable(values: NDArray[np.float64]) -> list[float | None]:
    missing = np.isnan(values)
    if not missing.any():
        found: list[float | None] = values.tolist()
        return found
    mixed = values.astype(object)
    mixed[missing] = None
    return list(mixed)


def _rows(block: WindowBlock, known: Known, fresh: Known) -> Rows:
    """Return the rows of a block: those of series that had a value in the window."""
    ids = np.array([_ids(source, block, known, fresh) for source in block.sources], dtype=np.int64)
    values = np.stack([_statistic(block, name).ravel() for name in DOUBLES])
    there = values[DOUBLES.index("count")] > 0
    starts = np.repeat(block.starts, len(block.table))
    return Rows(ids.ravel()[there], starts[there], values[:, there])


def _statistic(block: WindowBlock, name: str) -> NDArray[np.float64]:
    """Return a statistic (E, S) of a block; the sum, where only the mean is told, follows from that."""
    found = block.statistics.get(name)
    if found is None:
        found = np.full((len(block.sources), len(block.table)), np.nan)
    if name != "sum" or not np.isnan(found).any():
        return found
    return np.where(np.isnan(found), _statistic(block, "mean") * _statistic(block, "count"), found)


def _ids(source: str, block: WindowBlock, known: Known, fresh: Known) -> NDArray[np.int64]:
    found = fresh.find(source, block)
    found = known.find(source, block) if found is None else found
    if found is None:
        raise KeyError(source)
    return found


def _joined(several: Sequence[Rows]) -> Rows:
    """Return all rows as they are to stand: the windows of a series beside each other, in order of time."""
    series = np.concatenate([one.series for one in several])
    start = np.concatenate([one.start for one in several])
    values = np.concatenate([one.values for one in several], axis=1)
    order = np.lexsort((start, series))
    return Rows(series[order], start[order], values[:, order])


def _parts(rows: Rows) -> Iterator[Rows]:
    for begin in range(0, len(rows.series), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        yield Rows(rows.series[part], rows.start[part], rows.values[:, part])


def _write_series(connection: sa.Connection, block: WindowBlock, known: Known, fresh: Known) -> None:
    new: list[dict[str, object]] = []
    for source in dict.fromkeys(block.sources):
        if known.find(source, block) is None and fresh.find(source, block) is None:
            rows = [series_row(source, block.width_ms, one) for one in block.table.series]
            fresh.add(source, block, np.array([row["id"] for row in rows], dtype=np.int64))
            new += rows
    insert_series(connection, new)


def series_row(source: str, width_ms: int, series: Series, *, made: bool = False) -> dict[str, object]:
    """Return the row of one series of a source in windows of one width; `made`: of narrower ones, here."""
    return {
        "id": series_id(source, width_ms, series),
        "source": source.replace("\0", "\ufffd"),
        "width_ms": width_ms,
        "service": series.service.replace("\0", "\ufffd"),
        "metric": series.metric.replace("\0", "\ufffd"),
        "attributes": json.dumps(dict(sorted(series.attributes.items())), ensure_ascii=True),
        "unit": series.unit.replace("\0", "\ufffd"),
        "kind": series.kind,
        "label": series.label.replace("\0", "\ufffd"),
        "made": made,
    }


def insert_series(connection: sa.Connection, rows: Iterable[dict[str, object]]) -> None:
    """Write series; those that are there stay, and are known not to be made here once the log brings one."""
    if several := list(rows):
        insert = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(SERIES)
        told = SERIES.c.made & ~insert.excluded["made"]
        change = insert.on_conflict_do_update(index_elements=["id"], set_={"made": False}, where=told)
        connection.execute(change, several)
