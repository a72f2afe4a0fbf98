"""How surprising a deviation is, from the largest ones of blocks of windows: the calibration of `auto`.

Values of a metric depend on those before, are skewed and come in bursts, so a tail fitted to all of them is wrong. The
largest of a block of them nearly has a generalised extreme value distribution whatever they are, as long as blocks are
longer than bursts (M. R. Leadbetter, G. Lindgren, H. Rootzén, *Extremes and Related Properties of Random Sequences and
Processes*, 1983; S. Coles, *An Introduction to Statistical Modeling of Extreme Values*, 2001, chapters 3 and 5).

Of each view the maxima of the last `KEPT` blocks are kept. Blocks begin with two windows, so that there is an answer
after a few; whenever all places are taken and blocks are shorter than `LONGEST`, pairs of neighbours become one.

Location and scale follow from the first two L-moments (J. R. M. Hosking, "L-moments", J. Royal Statistical Society B
52(1), 1990): scale = l2 k / (Gamma(1 + k) (1 - 2^-k)) and location = l1 - scale (1 - Gamma(1 + k)) / k with k = -SHAPE.
The shape itself is held: 32 maxima tell it to about 0.2 only, and a shape that is too small by that much turns once a
year into once an hour. SHAPE is somewhat heavier than exponential.

The surprise of a deviation u is -log10 of P(block maximum > u) / windows a block, times the number of views.

Three rules make it robust. A maximum is learned as if it had had a surprise of `TRIMMED` at most, so that a fault that
was found does not hide the next; but what goes on into the next block is the new usual. What was as large in this
block, or as what was learned of the one before, is not news: it has surprise `KNOWN` at most. And nothing is called
rarer than n^-3 after n windows, or than 1 / n where nothing ever varied: no extrapolation carries farther.

The farther the tail is extrapolated, the less it is believed: what is beyond a surprise of `SURE`, about as far as the
kept blocks reach themselves, counts by `BELIEVED`. Measured on bursts of exponential and log-normal size that depend on
their past, tails are that much heavier than the fit; on Gaussian noise it says less than it could.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.detectors.base import MAX_SURPRISE, StateArray
from mendline.detectors.tracks import accumulated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.detectors.base import Rows

KEPT, FIRST, LONGEST = 32, 2, 256
LEAST_BLOCKS = 4
SHAPE = 0.08
TRIMMED = 4.3
KNOWN = 0.2
REACH = 3.0
SURE, BELIEVED = 3.2, 0.6
RARE = 1e-8
"""Below it, a probability and its rate are the same to the last digit that counts."""

NEAR = 40.0**-SHAPE
"""Up to here, in the tail's own unit, a rate is 40 or more, and its probability 1 to the last digit."""

SHARE = 0.5
"""Views look at the same series, so what one finds another often finds too: they count as half as many."""

FLOOR_SHARE = 0.05
"""Of the location: maxima that are nearly the same do not make one that is a little larger rare."""

ROUNDING = 1e-12
"""Maxima that differ by less than this, against themselves, do not differ."""

_GAMMA = math.gamma(1.0 - SHAPE)
_SCALE = -SHAPE / (_GAMMA * (1.0 - 2.0**SHAPE))
_LOCATION = (_GAMMA - 1.0) / SHAPE
_LOG10_E = math.log10(math.e)


def arrays(views: int) -> dict[str, StateArray]:
    """Return the state of a series with so many views."""
    return {
        "maxima": StateArray(shape=(views, KEPT), fill=-math.inf),
        "blocks": StateArray("int64", (views,)),
        "highest": StateArray(shape=(views,), fill=-math.inf),
        "before": StateArray(shape=(views,), fill=-math.inf),
        "location": StateArray(shape=(views,), fill=math.nan),
        "scale": StateArray(shape=(views,), fill=math.nan),
        "size": StateArray("int64", fill=FIRST),
        "filled": StateArray("int64"),
        "turns": StateArray("int64"),
        "known": StateArray("int64"),
    }


class Fit(NamedTuple):
    """How the block maxima of each view are distributed, (views, n), NaN where that is not known yet.

    `scale` is at least what matters; `varied` says where it was above 0 by itself; `size` (n,) is the length of a
    block, and `share` (n,) turns a block's surprise into that of a window among so many views.
    """

    location: NDArray[np.float64]
    scale: NDArray[np.float64]
    varied: NDArray[np.bool_]
    size: NDArray[np.int64]

    @property
    def share(self) -> NDArray[np.float64]:
        """What turns a block's surprise into that of a window among so many views, (n,)."""
        return _shares(_divisor(len(self.scale)), LONGEST).take(self.size)

    def bound(self, level: float) -> NDArray[np.float64]:
        """Return the deviation of each view that has the surprise `level`, (views, n)."""
        extrapolated = min(level, SURE) + max(level - SURE, 0.0) / BELIEVED
        reduced = _quantiles(extrapolated, _divisor(len(self.scale)), LONGEST).take(self.size)
        return self.location + self.scale * reduced


def _divisor(views: int) -> float:
    return max(views * SHARE, 1.0)


@lru_cache(maxsize=256)
def _shares(divisor: float, longest: int) -> NDArray[np.float64]:
    """Return the share by the length of a block, up to the longest: there are few lengths, and many series."""
    found: NDArray[np.float64] = np.log10(np.maximum(np.arange(longest + 1.0), 1.0) / divisor)
    return found


@lru_cache(maxsize=256)
def _quantiles(level: float, divisor: float, longest: int) -> NDArray[np.float64]:
    """Return where the tail of a window has a surprise, by the length of a block."""
    return _quantile(level - _shares(divisor, longest))


def fit(state: Rows, grain: NDArray[np.float64]) -> Fit:
    """Return what the maxima so far say; `grain` (views, n): the least scale."""
    scale, location = _by_view(state, "scale"), _by_view(state, "location")
    least = np.abs(location)
    least *= FLOOR_SHARE
    np.maximum(grain, least, out=least)
    return Fit(location, np.maximum(scale, least, out=least), scale > 0.0, state["size"])


def surprise(state: Rows, deviations: NDArray[np.float64], fitted: Fit) -> NDArray[np.float64]:
    """Return the surprise of each view, NaN where it is not ready; `deviations` (views, windows, n) are of one block.

    Then take the deviations in; NaN is none.
    """
    # The larger of a number and NaN is the number, by fmax: so NaN is none.
    highest = accumulated(np.fmax, _by_view(state, "highest")[:, np.newaxis], deviations)
    scores = _scored(state, deviations, fitted)
    before = np.fmin(_by_view(state, "before"), fitted.bound(TRIMMED))
    seen = np.maximum(highest[:, :-1], before[:, np.newaxis])
    np.minimum(scores, KNOWN, out=scores, where=deviations <= seen)
    state["highest"][:] = highest[:, -1].T
    state["filled"] += deviations.shape[1]
    state["known"] += deviations.shape[1]
    return scores


def _scored(state: Rows, deviations: NDArray[np.float64], fitted: Fit) -> NDArray[np.float64]:
    """Return how surprising the deviations are, whether there was one like it before or not."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scores = deviations - fitted.location[:, np.newaxis]
        scores /= fitted.scale[:, np.newaxis]
        scores = _tail(scores)
        scores += fitted.share
        beyond = np.flatnonzero(scores > SURE)
        flat = scores.reshape(-1)
        flat[beyond] -= (flat[beyond] - SURE) * (1.0 - BELIEVED)
        np.minimum(scores, _reach(state["known"], fitted.varied, deviations.shape[1]), out=scores)
    return np.clip(scores, 0.0, MAX_SURPRISE, out=scores)


def _by_view(state: Rows, name: str) -> NDArray[np.float64]:
    """Return an array (n, views) as (views, n): long rows, which numpy goes through at once."""
    return np.ascontiguousarray(state[name].T)


def end_blocks(state: Rows, rows: NDArray[np.intp], grain: NDArray[np.float64]) -> None:
    """End the block of the rows: learn its maxima, and work out location and scale anew."""
    some = {name: state[name][rows] for name in ("maxima", "blocks", "highest", "before", "size", "turns")}
    so_far = fit({name: state[name][rows] for name in ("location", "scale", "size")}, grain[:, rows])
    trimmed = so_far.bound(TRIMMED).T
    learns_all = np.isnan(trimmed) | (state["scale"][rows] == 0.0) | (some["before"] > trimmed)
    known = np.where(learns_all, some["highest"], np.minimum(some["highest"], trimmed))
    place = (some["turns"] % KEPT)[:, np.newaxis, np.newaxis]
    np.put_along_axis(some["maxima"], np.broadcast_to(place, (*known.shape, 1)), known[..., np.newaxis], axis=2)
    some["turns"] += 1
    some["before"], some["highest"] = some["highest"], np.full_like(some["highest"], -np.inf)
    _lengthen(some)
    some["blocks"] = np.isfinite(some["maxima"]).sum(axis=2)
    for name, array in some.items():
        state[name][rows] = array
    state["location"][rows], state["scale"][rows] = _fitted(some["maxima"], some["blocks"])
    state["filled"][rows] = 0


def _lengthen(some: Rows) -> None:
    """Make blocks twice as long where all places are taken."""
    full = np.flatnonzero((some["turns"] == KEPT) & (some["size"] < LONGEST))
    if len(full):
        pairs = some["maxima"][full].reshape(len(full), -1, KEPT // 2, 2).max(axis=3)
        some["maxima"][full] = np.concatenate([pairs, np.full_like(pairs, -np.inf)], axis=2)
        some["turns"][full] = KEPT // 2
        some["size"][full] *= 2


def _fitted(maxima: NDArray[np.float64], blocks: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return location and scale, NaN with too few blocks; blocks without a value stand first when they are sorted."""
    ordered = np.sort(maxima, axis=2)
    held = np.where(np.isfinite(ordered), ordered, 0.0)
    count = np.maximum(blocks, 2).astype(np.float64)
    rank = np.maximum(np.arange(KEPT) - (KEPT - blocks[..., np.newaxis]), 0)
    first = held.sum(axis=2) / count
    second = 2.0 * (held * rank).sum(axis=2) / (count * (count - 1.0)) - first
    scale = np.where(second > ROUNDING * np.abs(first), second, 0.0) * _SCALE
    location = first - scale * _LOCATION
    too_few = blocks < LEAST_BLOCKS
    return np.where(too_few, np.nan, location), np.where(too_few, np.nan, scale)


def _tail(reduced: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return -log10 of the probability that a block's maximum lies above, in scales from the location.

    Most windows lie so far below that it is 0 to the last digit: those are spared the logarithms.
    """
    inside = 1.0 + SHAPE * reduced
    found = np.where(np.isnan(inside), np.nan, 0.0)
    near = np.flatnonzero(inside > NEAR)
    exponent = np.log(inside.reshape(-1)[near]) / SHAPE
    rate = np.exp(-exponent)
    found.reshape(-1)[near] = np.where(
        rate < RARE, exponent * _LOG10_E, -np.log10(np.maximum(-np.expm1(-rate), 1e-300))
    )
    return found


def _quantile(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where the tail has a surprise, in scales from the location: the inverse of `_tail`, (n,)."""
    probability = np.minimum(10.0**-level, 0.9)
    exponent = -np.log(-np.log1p(-probability))
    found: NDArray[np.float64] = np.expm1(SHAPE * exponent) / SHAPE
    return found


def _reach(known: NDArray[np.int64], varied: NDArray[np.bool_], windows: int) -> NDArray[np.float64]:
    """Return the largest surprise that a history of so many windows may give, (views, windows, n)."""
    histories = known + np.arange(1.0, windows + 1.0)[:, np.newaxis]
    reach: NDArray[np.float64] = np.where(varied, REACH, 1.0)[:, np.newaxis] * np.log10(histories)
    return reach
