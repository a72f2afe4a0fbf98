"""The drift method: where a random walk with drift will be, and when it reaches a limit. See `exhaustion`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.detectors.base import MAX_SURPRISE
from mendline.detectors.tails import gaussian_surprise

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST = 1e-9
"""Steps that vary less than this, as a share of the distance from the limit, vary by rounding."""

BOUND_Z = 1.645
"""The interval's ends are passed with probability 5 % on either side."""


class Trend(NamedTuple):
    """Of each row: mean step from block to block towards the limit, its variance in the long run, and their number.

    In shares of the largest distance from the limit, so that no square overflows.
    """

    drift: NDArray[np.float64]
    variance: NDArray[np.float64]
    steps: int


def trend_of(away: NDArray[np.float64]) -> Trend:
    """Return the trend of points (rows, span) that tell how far away the limit is.

    With Bartlett weights the variance is that of sums of neighbouring steps, and such a sum is a difference of points.
    """
    count = away.shape[1] - 1
    width = math.isqrt(count) + 1
    drift = (away[:, 0] - away[:, -1]) / count
    walk = away[:, :1] - away - drift[:, np.newaxis] * np.arange(count + 1)
    sums = walk[:, width:] - walk[:, :-width]
    ends = walk[:, 1:width], walk[:, -width:-1] - walk[:, -1:]
    whole = _squares(sums) + sum(_squares(end) for end in ends)
    # Steps of pure noise around a line have this variance in the long run, as far as so many lags can tell.
    variance = np.maximum(whole, _squares(np.diff(walk, axis=1))) / (width * (count - 1.0))
    return Trend(drift, np.maximum(variance, LEAST * LEAST), count)


def _squares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    summed: NDArray[np.float64] = (values * values).sum(axis=1)
    return summed


def sureness(trend: Trend) -> NDArray[np.float64]:
    """Return the surprise of a drift towards the limit, were there none."""
    t = np.maximum(trend.drift, 0.0) / np.sqrt(trend.variance / trend.steps)
    freedom = 1.5 * trend.steps / (math.isqrt(trend.steps) + 1.0)
    z = np.sqrt(freedom * np.log1p(t * t / freedom)) * (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0)
    surprise: NDArray[np.float64] = np.minimum(gaussian_surprise(z) + math.log10(2.0), MAX_SURPRISE)
    return surprise


def blocks_left(gap: NDArray[np.float64], trend: Trend) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the interval of the number of blocks after which the gap is closed."""
    gap, drift = np.maximum(gap, 0.0), np.maximum(trend.drift, LEAST)
    spread = BOUND_Z * BOUND_Z * trend.variance
    sure = drift * drift - spread / trend.steps
    half = 2.0 * gap * drift + spread
    root = np.sqrt(4.0 * gap * drift * spread + spread * spread + 4.0 * spread * gap * gap / trend.steps)
    farthest = np.where(sure > 0, (half + root) / (2.0 * np.where(sure > 0, sure, 1.0)), np.inf)
    return 2.0 * gap * gap / (half + root), farthest
