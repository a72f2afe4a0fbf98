"""Extremes: beyond all that was seen, and by how much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from mendline.detectors.base import MAX_SURPRISE, Detector, Rows, Scores, StateArray, Step
from mendline.detectors.floors import LARGEST, Floored

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Extremes(Detector):
    """Surprise of a value that lies d beyond the largest (or smallest) of the n values before it.

    That a value is the largest of n + 1 has probability 1 / (n + 1) whatever the distribution, if order does not
    matter (records: A. Renyi, "Theorie des elements saillants d'une suite d'observations", 1962; B. C. Arnold et al.,
    *Records*, 1998). From there on the tail is taken to be exponential, with the scale s at which the largest of n lies
    where it does: as far from the mean as s ln n. So, with two sides,

        p(x) = 2 / (n + 1) x exp(-d / s),   s = (max - mean) / ln n;   upwards alike downwards.

    What lies within, or on an extreme, was seen before: its surprise is 0, or a series that is constant, or hardly ever
    more than 0, would set a record in each window. A tail lighter than exponential is underrated, a heavier one
    overrated.

    What is remembered are the extremes of the current block of `windows` values and of the one before: the last
    `windows` to 2 x `windows` values, for the cost of four numbers. One outlier hides smaller ones for so long.
    Assumes no trend: whatever grows sets records all the time. s is held above the floor of a spread (see `zscore`).
    NaN is neither scored nor learned; an infinite value has the largest surprise and is not learned.

    Cost: 23 ns a series and window (docs/detectors.md). Memory: 48 bytes a series.

    >>> from mendline.testing.detectors import run
    >>> usual = [float(n % 10) for n in range(100)]
    >>> run(Extremes, {"windows": 50}, [*usual, 5.0, 9.0, 12.0, 30.0]).surprise[-4:].round(2).tolist()
    [0.0, 0.0, 2.59, 5.7]
    """

    class Parameters(Floored):
        """How far back it remembers, and what counts as no change at all."""

        windows: int = Field(
            default=1440, ge=10, le=1_000_000, description="values of a block; 1440 of 10 s are 4 hours, of 1 min a day"
        )
        ready: int = Field(default=60, ge=10, description="values before the first score: a record is then p = 1/30")

    def __init__(self, parameters: Parameters) -> None:
        """Keep the parameters; it is ready with a full block at the latest."""
        super().__init__(parameters)
        self._ready = min(parameters.ready, parameters.windows)
        self.warm_up = parameters.windows

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep least and greatest of this block and the one before, the mean, and how many values each holds."""
        low, high = StateArray(fill=math.inf), StateArray(fill=-math.inf)
        counts = {"count": StateArray("int32"), "earlier": StateArray("int32")}
        return {"low": low, "high": high, "low_before": low, "high_before": high, "mean": StateArray(), **counts}

    def step(self, state: Rows, step: Step) -> Scores:
        """Score against the extremes, then learn."""
        scores = self._score(state, step)
        self._learn(state, step.values)
        return scores

    def follow(self, state: Rows, windows: Step) -> Scores:
        """Score many windows of one series: the extremes before each of them are a row of its own."""
        return self._score(self._path(state, windows.values.tolist()), windows)

    def _score(self, state: Rows, step: Step) -> Scores:
        low = np.minimum(state["low"], state["low_before"])
        high = np.maximum(state["high"], state["high_before"])
        seen = state["count"] + state["earlier"]
        ready = (seen >= self._ready) & ~np.isnan(step.values)
        low, high = np.where(ready, low, np.nan), np.where(ready, high, np.nan)
        n = np.where(ready, seen, 2.0)
        least = self.parameters.least(step, state["mean"])
        with np.errstate(invalid="ignore", over="ignore"):
            up = _excess(step.values - high, high - state["mean"], least, n)
            down = _excess(low - step.values, state["mean"] - low, least, n)
            beyond = np.maximum(up, down)
            surprise = np.where(beyond > 0.0, np.log10(0.5 * (n + 1.0)) + beyond / math.log(10), 0.0)
        surprise = np.where(ready, np.clip(surprise, 0.0, MAX_SURPRISE), np.nan)
        return Scores(surprise, low, high)

    def _path(self, state: Rows, values: Sequence[float]) -> Rows:
        """Return the state of one series before each of the values; learn them, as `_learn` does, to the last bit."""
        names = ("low", "high", "mean", "count", "low_before", "high_before", "earlier")
        low, high, mean, count, *earlier = (state[name][0].item() for name in names)
        before = []
        for value in values:
            before.append((low, high, mean, count, *earlier))
            if not math.isfinite(value):
                continue
            if count >= self.parameters.windows:
                earlier, low, high, count = [low, high, count], math.inf, -math.inf, 0
            learned = min(max(value, -LARGEST), LARGEST)
            low, high, count = min(low, learned), max(high, learned), count + 1
            mean += (learned - mean) / (count + earlier[2])
        for name, number in zip(names, (low, high, mean, count, *earlier), strict=True):
            state[name][0] = number
        table = np.array(before).reshape(-1, len(names))
        return {name: column.astype(state[name].dtype) for name, column in zip(names, table.T, strict=True)}

    def _learn(self, state: Rows, values: NDArray[np.float64]) -> None:
        known = np.isfinite(values)
        full = np.flatnonzero(known & (state["count"] >= self.parameters.windows))
        for now, before, empty in (
            ("low", "low_before", math.inf), ("high", "high_before", -math.inf), ("count", "earlier", 0),
        ):  # fmt: skip
            state[before][full] = state[now][full]
            state[now][full] = empty
        learned = np.where(known, np.clip(values, -LARGEST, LARGEST), state["mean"])
        np.copyto(state["low"], np.minimum(state["low"], learned), where=known)
        np.copyto(state["high"], np.maximum(state["high"], learned), where=known)
        state["count"] += known
        seen = np.maximum(state["count"] + state["earlier"], 1)
        state["mean"] += (learned - state["mean"]) / seen


def _excess(
    beyond: NDArray[np.float64], reach: NDArray[np.float64], least: NDArray[np.float64], n: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return d / s, with the scale at which the extreme of n exponential values lies `reach` from their mean."""
    return beyond / np.maximum(reach / np.log(n), least)
