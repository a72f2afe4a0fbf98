"""The arithmetic of windows: rounds to panes, panes to wider windows. Arrays in, arrays out, no state.

A pane is aggregated once, when it closes, from all of its rounds; a wider window takes its panes in one after the
other, in order of time. Nothing is ever taken out of a sum again. Sums run over the rounds one by one, whatever stands
beside them in the array, so the bytes of a window depend on its own rounds only: not on batches, not on neighbours.

`count`, `sum`, `mean`, `std` (population), `min`, `max` and `last` are over the values that are not NaN. `rate` is of
counters, per second: the increase from each value to the next that is there, over the time between them. A value below
the one before is a reset and counts in full. The step from the last value before a pane counts in that pane. A step
longer than `LONGEST_STEP_MS` does not count. What is too large for a float64 is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.schemas.windows import STATISTICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LONGEST_STEP_MS = 300_000

# What is kept of a pane or window, by row: enough to merge panes without looking at their rounds again.
COUNT, SUM, SQUARES, LEAST, MOST, LAST, INCREASE, ELAPSED = range(8)
ROWS = 8
EMPTY = np.array([0.0, 0.0, 0.0, np.inf, -np.inf, 0.0, 0.0, 0.0])[:, None, None]
"""A window that holds nothing, (ROWS, 1, 1): what is merged into it stays what it was."""


class Ends(NamedTuple):
    """First and last value of each counter in its pane, with their times (ms), each (P, C); NaN where there is none."""

    first: Floats
    first_time: Floats
    last: Floats
    last_time: Floats


def add_rows(rows: Floats) -> Floats:
    """Return the sum over the first axis, added strictly one row after the other; a sum of -0.0 is 0.0.

    numpy sums a single column pairwise, which rounds otherwise than the same column beside others.
    """
    if rows[0].size == 1:
        total: Floats = np.add.accumulate(rows, axis=0)[-1]
    else:
        total = np.add.reduce(rows, axis=0)
    return total + 0.0


def summarise(cube: Floats, out: Floats) -> None:
    """Fill rows COUNT to LAST of `out` (ROWS, P, S) from P panes of k rounds, `cube` (k, P, S), which is used up."""
    length = len(cube)
    total = add_rows(cube)
    if not np.isfinite(total).all():
        _summarise_with_gaps(cube, out)
        return
    out[COUNT], out[SUM], out[LAST] = length, total, cube[-1] + 0.0
    _extremes(cube, cube, out)
    cube -= total / length
    np.multiply(cube, cube, out=cube)
    out[SQUARES] = add_rows(cube)


def _extremes(low: Floats, high: Floats, out: Floats) -> None:
    # Which zero is less, 0.0 or -0.0, depends on the processor's lanes: adding 0.0 makes both 0.0, here as elsewhere.
    np.add(np.minimum.reduce(low, axis=0), 0.0, out=out[LEAST])
    np.add(np.maximum.reduce(high, axis=0), 0.0, out=out[MOST])


def _summarise_with_gaps(cube: Floats, out: Floats) -> None:
    missing = np.isnan(cube)
    count = (len(cube) - np.add.reduce(missing, axis=0)).astype(np.float64)
    newest = len(cube) - 1 - np.argmax(~missing[::-1], axis=0)
    last = np.take_along_axis(cube, newest[None], axis=0)[0]
    _extremes(np.where(missing, np.inf, cube), np.where(missing, -np.inf, cube), out)
    cube[missing] = 0.0
    total = add_rows(cube)
    cube -= total / np.maximum(count, 1.0)
    cube[missing] = 0.0
    np.multiply(cube, cube, out=cube)
    out[COUNT], out[SUM], out[SQUARES] = count, total, add_rows(cube)
    out[LAST] = np.where(count > 0, last, 0.0) + 0.0


def increases(cube: Floats, times: Floats, *, within: bool) -> tuple[Floats, Floats, Ends]:
    """Return what counters grew by, the time (ms) that took, each (P, C), and their ends.

    `cube` (k, P, C), `times` (k, P) in ms. `within`: no step inside a pane can be too long.
    """
    if not within or np.isnan(cube).any():
        return _increases_with_gaps(cube, times)
    shape = cube.shape[1:]
    begin, end = np.broadcast_to(times[0][:, None], shape), np.broadcast_to(times[-1][:, None], shape)
    ends = Ends(cube[0], begin, cube[-1], end)
    if len(cube) == 1:
        return np.zeros(shape), np.zeros(shape), ends
    return add_rows(_growth(cube[:-1], cube[1:])), end - begin, ends


def _growth(before: Floats, after: Floats) -> Floats:
    grown = after - before
    fell = grown < 0
    if fell.any():
        grown[fell] = np.maximum(after[fell], 0.0)
    return grown


def _increases_with_gaps(cube: Floats, times: Floats) -> tuple[Floats, Floats, Ends]:
    shape = cube.shape[1:]
    grown, elapsed = np.zeros(shape), np.zeros(shape)
    nothing = np.full(shape, np.nan)
    ends = Ends(nothing, nothing, nothing.copy(), nothing.copy())
    first, first_time = nothing.copy(), nothing.copy()
    for values, at in zip(cube, times, strict=True):
        now = np.broadcast_to(at[:, None], shape)
        step(ends.last, ends.last_time, values, now, grown, elapsed)
        fresh = np.isnan(first)
        first[fresh], first_time[fresh] = values[fresh], np.where(np.isnan(values), np.nan, now)[fresh]
    return grown, elapsed, ends._replace(first=first, first_time=first_time)


def step(last: Floats, last_time: Floats, value: Floats, time: Floats, grown: Floats, elapsed: Floats) -> None:
    """Add the step from `last` to `value` to `grown` and `elapsed` where both are there, and move `last` on."""
    took = time - last_time
    counts = (took <= LONGEST_STEP_MS) & ~np.isnan(value)
    grown[counts] += _growth(last[counts], value[counts])
    elapsed[counts] += took[counts]
    there = ~np.isnan(value)
    last[there], last_time[there] = value[there], time[there]


def merge(into: Floats, panes: Floats) -> None:
    """Take the panes into the windows of the same place; both (ROWS, n, S), the panes the younger.

    Squares by the distance of the means (Chan, Golub, LeVeque 1979).
    """
    before, more = into[COUNT], panes[COUNT]
    count = before + more
    apart = panes[SUM] / np.maximum(more, 1.0) - into[SUM] / np.maximum(before, 1.0)
    apart *= apart
    apart *= before * more / np.maximum(count, 1.0)
    into[SQUARES] += panes[SQUARES]
    into[SQUARES] += apart
    into[COUNT] = count
    into[SUM] += panes[SUM]
    np.minimum(into[LEAST], panes[LEAST], out=into[LEAST])
    np.maximum(into[MOST], panes[MOST], out=into[MOST])
    np.copyto(into[LAST], panes[LAST], where=more > 0)
    into[INCREASE:] += panes[INCREASE:]


def quantiles(cube: Floats, shares: Sequence[float]) -> Floats:
    """Return (Q, P, S) quantiles of `cube` (k, P, S), by linear interpolation between the values that are there."""
    ordered = np.sort(cube, axis=0)
    count = len(cube) - np.add.reduce(np.isnan(cube), axis=0)
    out = np.empty((len(shares), *cube.shape[1:]))
    for number, share in enumerate(shares):
        place = share * np.maximum(count - 1, 0)
        below = np.floor(place).astype(np.int64)
        low = np.take_along_axis(ordered, below[None], axis=0)[0]
        high = np.take_along_axis(ordered, np.minimum(below + 1, np.maximum(count - 1, 0))[None], axis=0)[0]
        out[number] = low + (high - low) * (place - below) + 0.0
    return out


def statistics(kept: Floats, counters: NDArray[np.int64]) -> dict[str, Floats]:
    """Return the published statistics, each (E, S), of windows `kept` (ROWS, E, S); NaN = no value."""
    out = np.empty_like(kept)
    count = kept[COUNT]
    out[0], out[1], out[4:7] = count, kept[SUM], kept[LEAST : LAST + 1]
    np.divide(kept[SUM], count, out=out[2])
    np.divide(kept[SQUARES], count, out=out[3])
    np.sqrt(out[3], out=out[3])
    if not count.all():
        out[1:7, count == 0] = np.nan
    out[7] = np.nan
    if len(counters):
        elapsed = kept[ELAPSED][:, counters]
        out[7][:, counters] = np.where(elapsed > 0, kept[INCREASE][:, counters] * 1000.0 / elapsed, np.nan)
    wrong = ~np.isfinite(out)
    if wrong[:7].any() or len(counters):
        out[wrong] = np.nan
    return dict(zip(STATISTICS, out, strict=True))
