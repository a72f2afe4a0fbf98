"""What the windows stage must know of series tables: counters, what several hold together, and how much fits."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.schemas.columnar import entry_bytes
from mendline.schemas.series import Series, SeriesTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

Key = tuple[str, str, tuple[tuple[str, str], ...], str, str]

MOST_ENTRY_BYTES = 700_000
"""One window of one source must fit into one record, with its table."""


class Layout(NamedTuple):
    """A table's series: `keys` by which one is the same in another table, and the columns (C,) that are counters."""

    keys: tuple[Key, ...]
    counters: NDArray[np.int64]


def _key(series: Series) -> Key:
    return (series.service, series.metric, tuple(sorted(series.attributes.items())), series.unit, series.kind)


@lru_cache(maxsize=1024)
def layout(table: SeriesTable) -> Layout:
    """Return the table's layout; the same object each time."""
    counters = [number for number, one in enumerate(table.series) if one.kind == "counter"]
    return Layout(tuple(map(_key, table.series)), np.array(counters, dtype=np.int64))


@lru_cache(maxsize=1024)
def columns(old: SeriesTable, new: SeriesTable) -> NDArray[np.int64]:
    """Return for each series of the new table its column in the old one, or -1."""
    where = {key: number for number, key in enumerate(layout(old).keys)}
    return np.array([where.get(key, -1) for key in layout(new).keys], dtype=np.int64)


@lru_cache(maxsize=256)
def union(tables: tuple[SeriesTable, ...]) -> SeriesTable:
    """Return a table with the series of all `tables`, given in order of time.

    It is the largest of them (of equals the newest) if that holds all; else that one, and then what it lacks, from the
    newest table to the oldest.
    """
    newest_first = tables[::-1]
    base = max(newest_first, key=len)
    known = set(layout(base).keys)
    missing: dict[Key, Series] = {}
    for table in newest_first:
        for key, series in zip(layout(table).keys, table.series, strict=True):
            if key not in known:
                missing.setdefault(key, series)
    return SeriesTable([*base.series, *missing.values()]) if missing else base


@lru_cache(maxsize=1024)
def fitting(table: SeriesTable, statistics: int) -> SeriesTable:
    """Return the table, or its first series only, as many as a window with so many `statistics` has room for."""
    found = table
    while entry_bytes(found, statistics) > MOST_ENTRY_BYTES and len(found) > 1:
        found = SeriesTable(found.series[: len(found) * 3 // 4])
    return found


def move(values: NDArray[np.float64], old: SeriesTable, new: SeriesTable, fill: float = np.nan) -> NDArray[np.float64]:
    """Return the last axis of `values` laid out by another table; `fill` for series the old one does not have."""
    if old.digest == new.digest:
        return values
    where = columns(old, new)
    there = where >= 0
    out = np.full((*values.shape[:-1], len(new)), fill)
    out[..., there] = values[..., where[there]]
    return out
