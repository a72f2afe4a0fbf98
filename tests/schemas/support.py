"""Batches, tables and comparisons for the tests of records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mendline.schemas.columnar import RoundBlock, WindowBlock
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.stream import ROUND_HEADERS, Batch, Headers, Partition

TABLES = tuple(
    SeriesTable([Series(service=f"s{kind}", metric=f"m{number}", attributes={"a": "é"}) for number in range(size)])
    for kind, size in enumerate((1, 3, 17))
)


def batch_of(values: Sequence[bytes], headers: Sequence[Headers] = ()) -> Batch:
    """Return the values as a batch, of columnar rounds unless `headers` say otherwise."""
    count = len(values)
    each = headers or [ROUND_HEADERS] * count
    return Batch(Partition("t", 0), range(count), range(1000, 1000 + count), [None] * count, list(values), each)


def rounds_of(blocks: Sequence[RoundBlock]) -> dict[int, tuple[tuple[Series, ...], str, int, int, int, bytes]]:
    """Return the rounds by position in the batch, in comparable form."""
    return {
        int(block.index[row]): (
            block.table.series,
            block.sources[row],
            int(block.times[row]),
            int(block.epoch[row]),
            int(block.sequence[row]),
            block.values[row].tobytes(),
        )
        for block in blocks
        for row in range(len(block.sources))
    }


def windows_of(blocks: Sequence[WindowBlock]) -> list[tuple[object, ...]]:
    """Return the windows in order, in comparable form."""
    return [
        (
            block.table.series,
            block.width_ms,
            block.sources[entry],
            *(int(column[entry]) for column in (block.starts, block.rounds, block.late)),
            {name: np.ascontiguousarray(values[entry]).tobytes() for name, values in block.statistics.items()},
        )
        for block in blocks
        for entry in range(len(block.sources))
    ]
