"""Rounds on their way to a closed pane: those that wait for it, and how the rounds of many panes are put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.processors.tables import move, union

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.series import SeriesTable

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

MOST_CELLS = 1 << 16
"""Values aggregated at once: what stays in a processor's second cache."""


class Chunk(NamedTuple):
    """Rounds that came together: `times` (k,) int64 ms, `values` (k, S)."""

    table: SeriesTable
    times: Ints
    values: Floats


def whole(chunks: Sequence[Chunk]) -> Chunk:
    """Return the rounds of a pane in order of event time, then arrival, in a table that holds the series of all."""
    table = union(tuple({one.table.digest: one.table for one in reversed(chunks)}.values())[::-1])
    times = np.concatenate([one.times for one in chunks])
    joined = np.concatenate([move(one.values, one.table, table) for one in chunks])
    by_time = np.argsort(times, kind="stable")
    return Chunk(table, times[by_time], joined[by_time])


class Waiting(NamedTuple):
    """Panes of one table that close now: of `source`, number `pane` on the source's own time.

    The rounds of a pane stand either in the batch, at `begin` of the rounds let in, or in `chunks` under its place.
    """

    source: Ints
    pane: Ints
    length: Ints
    begin: Ints
    chunks: dict[int, Chunk]


class Cube(NamedTuple):
    """Panes of k rounds each: `places` (P,) among all, `times` (k, P) ms, `values` (k, P, S), own copies."""

    places: Ints
    times: Floats
    values: Floats


def cubes(waiting: Waiting, times: Ints, rows: Ints, values: Floats | None, series: int) -> Iterator[Cube]:
    """Yield the panes' rounds, panes of the same number of rounds together, with the first `series` of their table.

    `times` and `rows` are those of the rounds let in; a row tells where in `values` the round is.
    """
    for length in np.unique(waiting.length).tolist():
        places = np.flatnonzero(waiting.length == length)
        most = max(1, MOST_CELLS // (length * series))
        for first in range(0, len(places), most):
            yield _cube(waiting, places[first : first + most], length, times, rows, values, series)


def _cube(
    waiting: Waiting, places: Ints, length: int, times: Ints, rows: Ints, values: Floats | None, series: int
) -> Cube:
    begin = waiting.begin[places]
    direct = begin >= 0
    cube = Cube(places, np.empty((length, len(places))), np.empty((length, len(places), series)))
    if values is not None and direct.any():
        which = begin[direct] + np.arange(length)[:, None]
        if direct.all():
            return Cube(places, times[which].astype(np.float64), values[rows[which], :series])
        cube.times[:, direct], cube.values[:, direct] = times[which], values[rows[which], :series]
    for number in np.flatnonzero(~direct).tolist():
        chunk = waiting.chunks[int(places[number])]
        cube.times[:, number], cube.values[:, number] = chunk.times, chunk.values[:, :series]
    return cube


def selected(waiting: Waiting, which: Sequence[int] | Ints) -> Waiting:
    """Return some of the panes, in that order."""
    chosen = np.asarray(which, dtype=np.int64)
    chunks = {new: waiting.chunks[old] for new, old in enumerate(chosen.tolist()) if old in waiting.chunks}
    return Waiting(waiting.source[chosen], waiting.pane[chosen], waiting.length[chosen], waiting.begin[chosen], chunks)
