"""Mean and variance in which older values count less, exact from the second value on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.base import Rows, StateArray
from mendline.detectors.floors import LARGEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

HALF_LIVES = 40
"""After so many half-lives the weights have settled: what is older weighs 2^-40 of what is new."""


class Fading:
    """Weighted moments: a value that is `half_life` values old weighs half as much as the newest.

    With weights k^0, k^1, k^2 … from the newest on, k = 2^(-1/half_life), W their sum and V the sum of their squares,
    one value x is learned by (D. H. D. West, "Updating mean and variance estimates", Communications of the ACM 22(9),
    1979; with fading weights: T. Finch, "Incremental calculation of weighted mean and variance", 2009)

        d = x - mean,   mean += d / W,   square = k square + (1 - 1/W) d^2,   variance = square / (W - V/W).

    So the first mean is the first value, and the variance is without bias from the second value on: no value is made
    up to begin with. W and V follow from the number of values alone and are looked up. Memory: 20 bytes a series.
    """

    def __init__(self, half_life: float) -> None:
        """Make the tables, one entry for each number of values until the weights have settled."""
        self._keep = 0.5 ** (1.0 / half_life)
        counts = np.arange(int(HALF_LIVES * half_life) + 2)
        total = (1.0 - self._keep**counts) / (1.0 - self._keep)
        squares = (1.0 - self._keep ** (2 * counts)) / (1.0 - self._keep**2)
        settled = np.maximum(total, 1.0)
        self._last = len(counts) - 1
        self._gain = 1.0 / np.append(settled[1:], settled[-1])
        freedom = settled - squares / settled
        self._unbias = np.where(counts > 1, 1.0 / np.maximum(freedom, 0.5), 0.0)
        self._own = np.sqrt(1.0 + squares / settled**2)
        self._gains: list[float] = self._gain.tolist()
        self._unbiased: list[float] = self._unbias.tolist()

    @staticmethod
    def arrays() -> Mapping[str, StateArray]:
        """Return the state of a series: mean, weighted sum of squares about it, and number of values."""
        return {"mean": StateArray(), "square": StateArray(), "count": StateArray("int32")}

    def deviation(self, state: Rows) -> NDArray[np.float64]:
        """Return the standard deviation of each series (n,), 0 while there are fewer than two values."""
        deviation: NDArray[np.float64] = np.sqrt(state["square"] * self._unbias[state["count"]])
        return deviation

    def predictive(self, state: Rows) -> NDArray[np.float64]:
        """Return sqrt(1 + V/W^2): how much wider the next value's deviation is, as the mean is uncertain too."""
        factor: NDArray[np.float64] = self._own[state["count"]]
        return factor

    def learn(self, state: Rows, values: NDArray[np.float64]) -> None:
        """Learn the values (n,) that are finite."""
        known = np.isfinite(values)
        mean, square, count = state["mean"], state["square"], state["count"]
        gain = self._gain[count]
        delta = np.where(known, np.clip(values, -LARGEST, LARGEST) - mean, 0.0)
        mean += gain * delta
        np.copyto(square, self._keep * square + (1.0 - gain) * delta * delta, where=known)
        np.minimum(count + known, self._last, out=count, casting="unsafe")

    def learn_one(self, moments: Moments, value: float) -> Moments:
        """Return the moments after one more finite value: in plain numbers, the same to the last bit as `learn`."""
        mean, square, count = moments
        gain, delta = self._gains[count], min(max(value, -LARGEST), LARGEST) - mean
        return (
            mean + gain * delta,
            self._keep * square + (1.0 - gain) * delta * delta,
            count + 1 if count < self._last else count,
        )

    def deviation_of(self, moments: Moments) -> float:
        """Return the standard deviation that `deviation` gives."""
        return math.sqrt(moments[1] * self._unbiased[moments[2]])

    def path(self, state: Rows, values: NDArray[np.float64]) -> Rows:
        """Return the moments of one series before each of the values, as a row each; learn the values."""
        before, now = [], moments_of(state)
        for value in values.tolist():
            before.append(now)
            if math.isfinite(value):
                now = self.learn_one(now, value)
        put_moments(state, now)
        table = np.array(before).reshape(-1, len(MOMENTS))
        return {name: column.astype(state[name].dtype) for name, column in zip(MOMENTS, table.T, strict=True)}


Moments = tuple[float, float, int]
"""Mean, weighted sum of squares and number of values of one series."""
MOMENTS = ("mean", "square", "count")


def moments_of(state: Rows) -> Moments:
    """Return the moments of the only series."""
    return float(state["mean"][0]), float(state["square"][0]), int(state["count"][0])


def put_moments(state: Rows, moments: Moments) -> None:
    """Make these the moments of the only series."""
    for name, number in zip(MOMENTS, moments, strict=True):
        state[name][0] = number
