"""Ranks: how many of the remembered values lie as far out, and a fitted tail beyond the last of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from mendline.detectors.base import MAX_SURPRISE, Detector, Rows, Scores, StateArray, Step
from mendline.detectors.floors import Floored
from mendline.detectors.staggered import StaggeredRing

if TYPE_CHECKING:
    from numpy.typing import NDArray

KNOTS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
"""Quantiles that are kept: between the tails a coarse rank will do, as no surprise there is over 0.7."""
TAIL = 0.1
"""A value outside of the first and last knot is in a tail, which holds this share of the values."""
LARGEST_SHAPE = 0.5
"""Heavier tails have no variance; so few values do not tell them from lighter ones."""
PRIOR_VALUES, PRIOR_SHAPE = 15.0, 0.1
"""The shape is fitted as if so many more values of a tail a little heavier than exponential had been seen."""
_BELOW = np.arange(2 * len(KNOTS) + 1)
BY_RANK = -np.log10(
    np.minimum(2.0 * (TAIL + (1.0 - 2.0 * TAIL) * np.minimum(_BELOW, _BELOW[::-1]) / (2.0 * len(KNOTS))), 1.0)
)
"""Surprise of a value by how many quantiles lie below it, counted twice, and once those that equal it."""


class Ranks(Detector):
    """Surprise is -log10 of a two-sided p: twice the share of remembered values that lie at least as far out.

    Nothing is assumed of the middle of the values: p is a rank, as in conformal prediction (V. Vovk, A. Gammerman,
    G. Shafer, *Algorithmic Learning in a Random World*, 2005), taken among 5 quantiles of the last `windows` values.
    A rank among n says at most log10(n). So beyond the outer tenths p goes on as a generalised Pareto tail, fitted to
    the values beyond the quantile u (J. Pickands, "Statistical inference using extreme order statistics", Annals of
    Statistics 3(1), 1975; for monitoring: A. Siffer et al., "Anomaly detection in streams with extreme value theory",
    KDD 2017), each side by itself, as metrics are skewed:

        p(x) = 2 x 0.1 x (1 + shape y / scale)^(-1 / shape),   y = |x - u|.

    Scale and shape are by probability-weighted moments, which are better than likelihood for few values (J. R. M.
    Hosking, J. R. Wallis, "Parameter and quantile estimation for the generalized Pareto distribution", Technometrics
    29(3), 1987). The shape is drawn towards 0.1 and held from 0.01 to 0.5: an end of the tail that the values suggest
    is not believed, and the answer is the slower to reach large surprises the heavier the tail.

    Assumes that the last `windows` values are what is to be expected. Anomalies are learned; a few make a tail heavier
    for as long as they are remembered. `scale` is held above the floor of a spread (see `zscore`), so a constant has
    an exponential tail of that scale. The fit is made anew every `every` windows, each series at its own. NaN is
    neither scored nor learned; an infinite value has the largest surprise and is not learned.

    Cost: about 85 ns a series and window (docs/detectors.md). Memory: 8 bytes x `windows` + 77 bytes a series.

    >>> from mendline.testing.detectors import run
    >>> given = {"windows": 50, "ready": 50, "every": 1}
    >>> run(Ranks, given, [float(n % 25) for n in range(50)] + [12.0, 24.0, 60.0]).surprise.round(2)[-3:].tolist()
    [0.0, 1.42, 10.04]
    """

    class Parameters(Floored):
        """How much it remembers, how often it fits, and what counts as no change at all."""

        windows: int = Field(
            default=240, ge=20, le=10_000, description="values remembered: a tail of a tenth of 240 has 24 to be fitted"
        )
        ready: int = Field(default=60, ge=20, description="values before the first score: then a tail has 6")
        every: int = Field(
            default=120, ge=1, le=128, description="windows between two fits: half of the values are new by then"
        )

    def __init__(self, parameters: Parameters) -> None:
        """Keep the parameters."""
        super().__init__(parameters)
        self._ring = StaggeredRing(parameters.windows, parameters.ready, parameters.every)
        self.warm_up = parameters.windows

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the ring, the quantiles, and scale and shape of the lower and the upper tail."""
        return {
            **self._ring.arrays(),
            "knots": StateArray(shape=(len(KNOTS),), fill=math.nan),
            "scale": StateArray(shape=(2,)),
            "shape": StateArray(shape=(2,), fill=PRIOR_SHAPE),
        }

    def step(self, state: Rows, step: Step) -> Scores:
        """Score by rank and tail, then learn."""
        scores = self.score(state, step)
        self.learn(state, step.values)
        return scores

    def score(self, state: Rows, step: Step) -> Scores:
        """Score by rank and tail."""
        values, knots = step.values, state["knots"]
        low, high = knots[:, 0].copy(), knots[:, -1].copy()
        ready = ~np.isnan(low) & ~np.isnan(values)
        with np.errstate(invalid="ignore", over="ignore"):
            excess = np.maximum(low - values, values - high)
            side = (values > high).astype(np.intp)
        least = self.parameters.least(step, np.where(ready, low, 0.0))
        surprise = BY_RANK[_rank(knots, values)] + self._beyond(state, np.maximum(excess, 0.0), side, least)
        surprise = np.where(ready, np.clip(surprise, 0.0, MAX_SURPRISE), np.nan)
        surprise[np.isinf(values) & ready] = MAX_SURPRISE
        return Scores(surprise, low, high)

    def learn(self, state: Rows, values: NDArray[np.float64]) -> None:
        """Take in the finite ones of the values (n,), and fit where it is due."""
        self._look(state, self._ring.learn(state, values))

    def follow(self, state: Rows, windows: Step) -> Scores:
        """Score many windows of one series."""
        return self._ring.follow(self, state, windows)

    @staticmethod
    def _beyond(
        state: Rows, excess: NDArray[np.float64], side: NDArray[np.intp], least: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return -log10 of the share of a tail that lies beyond the excess; 0 where there is none."""
        rows = np.arange(len(excess))
        shape = state["shape"][rows, side]
        scale = np.maximum(state["scale"][rows, side], least)
        with np.errstate(over="ignore"):
            beyond: NDArray[np.float64] = np.log10(1.0 + shape * excess / scale) / shape
        return beyond

    def _look(self, state: Rows, rows: NDArray[np.intp]) -> None:
        if not len(rows):
            return
        ordered = np.sort(state["ring"][rows], axis=1)
        sizes = np.minimum(state["count"][rows], self._ring.windows).astype(np.int64)
        lines = np.arange(len(rows))[:, None]
        knots = ordered[lines, ((sizes[:, None] - 1) * KNOTS + 0.5).astype(np.int64)]
        state["knots"][rows] = knots
        # The tails grow from their quantile outwards: place 0 is the value next to it.
        tail = int(self._ring.windows * TAIL + 1e-9)
        steps = np.arange(1, tail + 1)
        places = sizes[:, None] - 1 - (tail - steps)
        upper = ordered[lines, np.maximum(places, 0)] - knots[:, -1:]
        lower = knots[:, :1] - ordered[:, tail - steps]
        fits = np.stack([_fitted(lower, sizes), _fitted(upper, sizes)])
        state["scale"][rows], state["shape"][rows] = fits[:, 0].T, fits[:, 1].T


def _rank(knots: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return how many knots lie below each value, counted twice, and once those that equal it."""
    below = np.zeros(len(values), dtype=np.int8)
    with np.errstate(invalid="ignore"):
        for knot in knots.T:
            below += (knot < values).view(np.int8)
            below += (knot <= values).view(np.int8)
    return below


def _fitted(excesses: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return scale and shape (2, n) of the tail of each row: ascending excesses, the last tenth of which count."""
    length = excesses.shape[1]
    used = np.maximum((sizes * TAIL + 1e-9).astype(np.int64), 2)[:, None]
    rank = np.arange(length) - (length - used)
    counts = rank >= 0
    y = np.where(counts, np.maximum(excesses, 0.0), 0.0)
    # Share of the tail that lies beyond the value of this rank, by plotting position (Hosking and Wallis, 1987).
    beyond = np.where(counts, 1.0 - (rank + 1 - 0.35) / used, 0.0)
    n = used[:, 0]
    first, second = np.einsum("ij->i", y) / n, np.einsum("ij,ij->i", y, beyond) / n
    gap = first - 2.0 * second
    with np.errstate(invalid="ignore", divide="ignore"):
        shape = np.where(gap > 0.0, 2.0 - first / gap, PRIOR_SHAPE)
    shape = np.clip((n * shape + PRIOR_VALUES * PRIOR_SHAPE) / (n + PRIOR_VALUES), 0.01, LARGEST_SHAPE)
    # With its shape given, the mean of the tail gives its scale.
    return np.stack([first * (1.0 - shape), shape])
