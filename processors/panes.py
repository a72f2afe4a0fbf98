"""The arithmetic of windows: rounds to panes, panes to wider windows. Arrays in, arrays out, no state.

A pane is aggregated once, when it closes, from all of its rounds; wider windows merge panes in order of time. Nothing
is added to and taken from a running sum, and every reduction runs over the same axis in the same order, so the bytes of
a window do not depend on how its rounds were batched.

`count`, `sum`, `mean`, `std` (population), `min`, `max` and `last` are over the values that are not NaN. `rate` is of
counters, per second: the increases between neighbouring rounds, over the time between those rounds. A value below the
one before is a reset, and counts in full. The interval that reaches back into the pane before counts in the pane it
ends in. Intervals with a missing end, or longer than `LONGEST_INTERVAL_MS`, do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_INTERVAL_MS = 300_000
# What is kept of a pane, by row of its array: enough to merge panes without looking at rounds again.
COUNT, SUM, MEAN, SQUARES, MIN, MAX, LAST, INCREASE, SECONDS = range(9)
ROWS = 9


class Rounds(NamedTuple):
    """Rounds of one source in order of time: `times` (R,) int64 ms, `values` (R, S) float64."""

    times: NDArray[np.int64]
    values: NDArray[np.float64]


class Panes(NamedTuple):
    """Closed panes in order of time: `starts` (P,) int64 ms, `rounds` and `late` (P,), `kept` (P, ROWS or more, S)."""

    starts: NDArray[np.int64]
    rounds: NDArray[np.int64]
    late: NDArray[np.int64]
    kept: NDArray[np.float64]


def increases(
    rounds: Rounds, counters: NDArray[np.bool_], before: Rounds
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (R, C) increases and seconds of the C counters' intervals that end in each round; 0 where none counts.

    `before` holds the round before the first one, or no round.
    """
    times = np.concatenate([before.times, rounds.times])
    values = np.concatenate([before.values, rounds.values])[:, counters]
    if not len(before.times):
        times = np.concatenate([times[:1], times])
        values = np.concatenate([np.full_like(values[:1], np.nan), values])
    step = np.diff(times)
    grown = np.diff(values, axis=0)
    grown = np.where(grown < 0, values[1:], grown)
    counts = np.isfinite(grown) & ((step > 0) & (step <= LONGEST_INTERVAL_MS))[:, None]
    return np.where(counts, grown, 0.0), np.where(counts, (step / 1000)[:, None], 0.0)


def aggregate(
    rounds: Rounds, counters: NDArray[np.bool_], before: Rounds, pane_ms: int, quantiles: Sequence[float] = ()
) -> Panes:
    """Return the panes of at least one round; `counters` (S,) says which series are counters.

    Each of `quantiles` (0 to 1, linear interpolation) takes a row of its own after the `ROWS` others.
    """
    numbers = rounds.times // pane_ms
    begins = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
    lengths = np.diff(begins, append=len(numbers))
    kept = np.empty((len(begins), ROWS + len(quantiles), rounds.values.shape[1]))
    grown = increases(rounds, counters, before) if counters.any() else None
    if not quantiles and (lengths == lengths[0]).all():
        _fill(kept, slice(None), slice(None), rounds.values, grown, counters, int(lengths[0]))
    else:
        for number, (begin, length) in enumerate(zip(begins.tolist(), lengths.tolist(), strict=True)):
            rows = slice(begin, begin + length)
            _fill(kept, slice(number, number + 1), rows, rounds.values, grown, counters, length)
            _fill_quantiles(kept[number, ROWS:], rounds.values[rows], quantiles)
    return Panes(numbers[begins] * pane_ms, lengths, np.zeros_like(lengths), kept)


def _fill(
    kept: NDArray[np.float64],
    panes: slice,
    rows: slice,
    values: NDArray[np.float64],
    grown: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    counters: NDArray[np.bool_],
    length: int,
) -> None:
    out = kept[panes]
    _summarise(values[rows].reshape(len(out), length, -1), out)
    out[:, INCREASE:ROWS] = 0.0
    if grown is not None:
        for row, numbers in zip((INCREASE, SECONDS), grown, strict=True):
            per_pane = numbers[rows].reshape(len(out), length, -1)
            out[:, row, counters] = np.add.reduce(per_pane, axis=1)


def _fill_quantiles(out: NDArray[np.float64], values: NDArray[np.float64], quantiles: Sequence[float]) -> None:
    if not quantiles:
        return
    out[:] = np.nan
    there = ~np.isnan(values).all(axis=0)
    out[:, there] = np.nanquantile(values[:, there], quantiles, axis=0)


def _summarise(block: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Fill rows COUNT to LAST of `out` (P, ROWS, S) from `block` (P, k, S)."""
    missing = np.isnan(block)
    if missing.any():
        _summarise_with_gaps(block, missing, out)
        return
    length = block.shape[1]
    out[:, COUNT] = length
    total = np.add.reduce(block, axis=1)
    mean = total / length
    spread = block - mean[:, None]
    out[:, SUM], out[:, MEAN] = total, mean
    out[:, SQUARES] = np.add.reduce(spread * spread, axis=1)
    out[:, MIN], out[:, MAX], out[:, LAST] = block.min(axis=1), block.max(axis=1), block[:, -1]


def _summarise_with_gaps(block: NDArray[np.float64], missing: NDArray[np.bool_], out: NDArray[np.float64]) -> None:
    count = np.add.reduce(~missing, axis=1)
    total = np.add.reduce(np.where(missing, 0.0, block), axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
    spread = np.where(missing, 0.0, block - mean[:, None])
    none = count == 0
    length = block.shape[1]
    newest = length - 1 - np.argmax(~missing[:, ::-1], axis=1)
    out[:, COUNT] = count
    out[:, SUM] = np.where(none, np.nan, total)
    out[:, MEAN] = mean
    out[:, SQUARES] = np.where(none, np.nan, np.add.reduce(spread * spread, axis=1))
    out[:, MIN] = np.where(none, np.nan, np.where(missing, np.inf, block).min(axis=1))
    out[:, MAX] = np.where(none, np.nan, np.where(missing, -np.inf, block).max(axis=1))
    out[:, LAST] = np.take_along_axis(block, newest[:, None], axis=1)[:, 0]


def merge(kept: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (ROWS, S) of one window from the (P, ROWS or more, S) of its panes, in order of time.

    The squares follow from those of the panes and the distance of their means (Chan, Golub, LeVeque 1979).
    """
    kept = kept[:, :ROWS]
    if len(kept) == 1:
        return kept[0]
    out = np.empty(kept.shape[1:])
    there = kept[:, COUNT] > 0
    count = np.add.reduce(kept[:, COUNT], axis=0)
    none = count == 0
    total = np.add.reduce(np.where(there, kept[:, SUM], 0.0), axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
    apart = kept[:, MEAN] - mean
    squares = np.where(there, kept[:, SQUARES] + kept[:, COUNT] * apart * apart, 0.0)
    newest = len(kept) - 1 - np.argmax(there[::-1], axis=0)
    out[COUNT], out[MEAN] = count, mean
    out[SUM] = np.where(none, np.nan, total)
    out[SQUARES] = np.where(none, np.nan, np.add.reduce(squares, axis=0))
    out[MIN] = np.fmin.reduce(kept[:, MIN], axis=0)
    out[MAX] = np.fmax.reduce(kept[:, MAX], axis=0)
    out[LAST] = np.take_along_axis(kept[:, LAST], newest[None], axis=0)[0]
    out[INCREASE:] = np.add.reduce(kept[:, INCREASE:], axis=0)
    return out


def statistics(kept: NDArray[np.float64], counters: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """Return the published statistics, each (E, S), of E windows' kept arrays (E, ROWS, S)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        std = np.sqrt(kept[:, SQUARES] / kept[:, COUNT])
        rate = np.where(counters & (kept[:, SECONDS] > 0), kept[:, INCREASE] / kept[:, SECONDS], np.nan)
    return {
        "count": kept[:, COUNT],
        "sum": kept[:, SUM],
        "mean": kept[:, MEAN],
        "std": std,
        "min": kept[:, MIN],
        "max": kept[:, MAX],
        "last": kept[:, LAST],
        "rate": rate,
    }
