"""Windows made of values."""

from __future__ import annotations

from typing import Any

import numpy as np

from mendline.schemas.columnar import WindowBlock
from mendline.schemas.series import SeriesTable


def values_block(
    table: SeriesTable, source: str, start: int, width_ms: int, values: np.ndarray[Any, Any]
) -> WindowBlock:
    """Return the window of one source over `values` (values, series); the rate of counters is 2."""
    counters = np.array([one.kind == "counter" for one in table.series])
    statistics = {
        "count": np.full(len(table), float(len(values))),
        "sum": values.sum(axis=0),
        "mean": values.mean(axis=0),
        "std": values.std(axis=0),
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "last": values[-1],
        "rate": np.where(counters, 2.0, np.nan),
    }
    one = np.ones(1, dtype=np.int64)
    rows = {name: row[None] for name, row in statistics.items()}
    return WindowBlock(table, width_ms, -one, (source,), start * one, one * len(values), 0 * one, rows)
