"""Rounds and windows as numpy arrays: what a batch is decoded into, and the columnar form of windows.

A columnar record of windows is little-endian: magic b"MLW1", u32 length of a JSON header, the header, the blobs of the
series tables, then float64 arrays. The header says which tables, sources and statistics there are and where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.series import SeriesTable

WINDOWS_MAGIC = b"MLW1"


@dataclass(frozen=True, slots=True)
class RoundBlock:
    """The rounds of a batch that share one series table, in log order: R rounds of S series.

    `index` (R,) int64 is the position in the batch, `sources` (R,) names who wrote each. `epoch` and `sequence` are
    -1 where a client does not count. `times` (R,) int64 is event time in ms; `values` (R, S) float64, NaN = no value.
    """

    table: SeriesTable
    index: NDArray[np.int64]
    sources: Sequence[str]
    times: NDArray[np.int64]
    epoch: NDArray[np.int64]
    sequence: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WindowBlock:
    """Windows of one width whose sources share one series table: E entries (a source's window each) of S series.

    `index` (E,) int64 is the position of the record in the batch (-1 before it was appended). `starts` (E,) int64 in
    ms of event time; windows are `[start, start + width_ms)`. `rounds` and `late` (E,) int64 count rounds in the
    window, and rounds that came too late since the window before. `epoch` (E,) is the source's. `statistics` maps
    the names in `schemas.windows.STATISTICS` and quantiles (`p99`) to (E, S) float64 arrays; NaN = no value.
    """

    table: SeriesTable
    width_ms: int
    index: NDArray[np.int64]
    sources: Sequence[str]
    starts: NDArray[np.int64]
    rounds: NDArray[np.int64]
    late: NDArray[np.int64]
    statistics: dict[str, NDArray[np.float64]]
