"""Wider windows made of narrower ones, for those widths of `store.tiers` that the log does not bring.

Each is made once the interval is complete: a window of the same source and the narrower width that begins after it is
there, and they come in order. Count, sum, least, most and last are then what they would be over all the values, the
deviation too (to rounding: squares are added by the distance of the means, as for windows themselves). The rate of a
counter is the mean of the rates, each by the number of values behind it. Up to where a source's windows of a width are
made stands beside them, in the same transaction; made again, they are the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mendline.processors import panes
from mendline.schemas.series import intern_series
from mendline.store.tables import DOUBLES, SERIES, TIERS, WINDOWS
from mendline.store.window_rows import Rows, insert_series, insert_windows, series_row

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_ROWS = 100_000
"""Windows that are read for one step, about."""


class Unit(NamedTuple):
    """All windows of one width of a source: what is worked on at a time."""

    source: str
    width_ms: int

    def series(self, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """Return the question for columns of its series."""
        return sa.select(*columns).where((SERIES.c.source == self.source) & (SERIES.c.width_ms == self.width_ms))


def oldest(connection: sa.Connection, unit: Unit, begin: int | None = None) -> int | None:
    """Return the start (ms) of the oldest window from `begin` on, None if there is none. Cost: one search a series."""
    of_series = WINDOWS.c.series == SERIES.c.id
    since = of_series if begin is None else of_series & (WINDOWS.c.start >= begin)
    first = sa.select(sa.func.min(WINDOWS.c.start)).where(since).scalar_subquery()
    found: int | None = connection.execute(
        sa.select(sa.func.min(unit.series(first.label("at")).subquery().c.at))
    ).scalar()
    return found


def newest(connection: sa.Connection, unit: Unit) -> int | None:
    """Return the start (ms) of the newest window. Cost: one search a series."""
    last = sa.select(sa.func.max(WINDOWS.c.start)).where(WINDOWS.c.series == SERIES.c.id).scalar_subquery()
    found: int | None = connection.execute(
        sa.select(sa.func.max(unit.series(last.label("at")).subquery().c.at))
    ).scalar()
    return found


def made_to(connection: sa.Connection, unit: Unit) -> int | None:
    """Return up to where (ms) windows of a width were made of narrower ones, None if none were."""
    question = sa.select(TIERS.c.made_to).where((TIERS.c.source == unit.source) & (TIERS.c.width_ms == unit.width_ms))
    found: int | None = connection.execute(question).scalar()
    return found


def make(connection: sa.Connection, narrow: Unit, wide_ms: int) -> bool:
    """Make some windows of width `wide_ms` that are complete; return whether there are more.

    Nothing is made where the log brings that width itself.
    """
    wide = Unit(narrow.source, wide_ms)
    if connection.execute(wide.series(SERIES.c.id).where(~SERIES.c.made).limit(1)).first():
        return False
    mark = made_to(connection, wide)
    first, last = oldest(connection, narrow, mark), newest(connection, narrow)
    if first is None or last is None:
        return False
    complete = last - last % wide_ms
    begin = first - first % wide_ms
    if begin >= complete:
        return False
    count = len(connection.execute(narrow.series(SERIES.c.id)).all())
    several = max(MOST_ROWS // (count * (wide_ms // narrow.width_ms)), 1)
    end = min(begin + several * wide_ms, complete)
    _make(connection, narrow, wide, begin, end)
    _set_mark(connection, wide, end)
    return end < complete


def _make(connection: sa.Connection, narrow: Unit, wide: Unit, begin: int, end: int) -> None:
    columns = ("id", "service", "metric", "attributes", "unit", "kind")
    rows = connection.execute(narrow.series(*(SERIES.c[name] for name in columns))).all()
    ids = np.array(sorted(row.id for row in rows), dtype=np.int64)
    by_id = {row.id: row for row in rows}
    read = _read(connection, narrow, begin, end)
    kept = _merged(read, ids, (begin, end, narrow.width_ms, wide.width_ms))
    new = [_wide_row(wide, by_id[one]) for one in ids.tolist()]
    insert_series(connection, new)
    counters = np.array([place for place, row in enumerate(new) if row["kind"] == "counter"], dtype=np.int64)
    with np.errstate(all="ignore"):
        made = panes.statistics(kept, counters)
    _write(connection, made, np.array([row["id"] for row in new], dtype=np.int64), begin, wide.width_ms)


def _wide_row(wide: Unit, row: Any) -> dict[str, object]:
    attributes = tuple(json.loads(row.attributes).items())
    series = intern_series(row.service, row.metric, attributes, row.unit, row.kind)
    return series_row(wide.source, wide.width_ms, series, made=True)


def _read(connection: sa.Connection, unit: Unit, begin: int, end: int) -> Rows:
    """Return the windows that begin in [begin, end), ms; none that overlap others, as hopping ones do."""
    columns = (WINDOWS.c.series, WINDOWS.c.start, *(WINDOWS.c[name] for name in DOUBLES))
    mine = WINDOWS.c.series.in_(unit.series(SERIES.c.id))
    between = (WINDOWS.c.start >= begin) & (WINDOWS.c.start < end)
    rows = connection.execute(sa.select(*columns).where(mine & between)).all()
    series, start, *values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    found = Rows(np.array(series, np.int64), np.array(start, np.int64), np.array(values, np.float64))
    apart = found.start % unit.width_ms == 0
    return Rows(found.series[apart], found.start[apart], found.values[:, apart])


def _merged(read: Rows, ids: NDArray[np.int64], span: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """Return what is kept of each wide window, (ROWS, windows, series), by taking the narrow ones in one by one."""
    begin, end, narrow_ms, wide_ms = span
    shape = (panes.ROWS, (end - begin) // wide_ms, len(ids))
    kept = np.broadcast_to(panes.EMPTY, shape).copy()
    series = np.searchsorted(ids, read.series)
    window, rest = np.divmod(read.start - begin, wide_ms)
    steps = rest // narrow_ms
    with np.errstate(all="ignore"):
        rows = _as_kept(read.values)
        for step in np.unique(steps):
            here = steps == step
            more = np.broadcast_to(panes.EMPTY, shape).copy()
            more[:, window[here], series[here]] = rows[:, here]
            panes.merge(kept, more)
    return kept


def _as_kept(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return stored statistics as the rows that windows are merged by; a rate as an increase over so many values."""
    count, total, std, least, most, last, rate = values
    known = ~np.isnan(rate)
    increase, elapsed = np.where(known, rate * count / 1000.0, 0.0), np.where(known, count, 0.0)
    return np.stack([count, total, std * std * count, least, most, last, increase, elapsed])


def _write(
    connection: sa.Connection, made: dict[str, NDArray[np.float64]], ids: NDArray[np.int64], begin: int, width: int
) -> None:
    values = np.stack([made[name].ravel() for name in DOUBLES])
    windows = len(made["count"])
    series, start = np.tile(ids, windows), np.repeat(begin + width * np.arange(windows), len(ids))
    there = values[DOUBLES.index("count")] > 0
    insert_windows(connection, Rows(series[there], start[there], values[:, there]))


def _set_mark(connection: sa.Connection, wide: Unit, to: int) -> None:
    insert = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(TIERS)
    new = insert.values(source=wide.source, width_ms=wide.width_ms, made_to=to)
    connection.execute(new.on_conflict_do_update(index_elements=["source", "width_ms"], set_={"made_to": to}))


def units(connection: sa.Connection) -> Sequence[Unit]:
    """Return what there is to work on, the narrow windows of a source first."""
    question = sa.select(SERIES.c.source, SERIES.c.width_ms).distinct().order_by(SERIES.c.source, SERIES.c.width_ms)
    return [Unit(*row) for row in connection.execute(question)]
