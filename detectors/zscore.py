"""Rolling z-score: how many standard deviations a value lies from the mean of the windows before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from mendline.detectors.base import MAX_SURPRISE, Detector, Rows, Scores, StateArray, Step, joined
from mendline.detectors.tails import gaussian_surprise
from mendline.schemas.base import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = 1e150
"""Values are learned as if they were not larger than this, so that sums of squares stay finite."""
TOGETHER = 1024
"""Windows of one series that are scored at once: their rings take half a megabyte."""


class ZScore(Detector):
    """Surprise is the Gaussian tail of z = (x - mean) / (s sqrt(1 + 1/n)) over the last `windows` values before x.

    Mean and standard deviation s (n - 1 in the denominator) are computed anew in each step from the values
    themselves, in the order of the ring: nothing is added to and taken away from running sums, so no rounding errors
    pile up. s^2 is (sum of x^2 - n mean^2) / (n - 1), which loses digits where s is tiny against the mean, by some
    1e-15 of mean^2; as s is held above 1e-4 of the mean at least (below), that is less than 1e-6 of s. The factor
    sqrt(1 + 1/n) is the uncertainty of the mean itself (the prediction interval of a Gaussian; G. J. Hahn, "Finding
    an interval for the next observation from a normal distribution", J. Quality Technology 1(3), 1969). The tail is
    two-sided, `tails.gaussian_surprise`.

    Assumes that values are near to independent and Gaussian: heavy tails, bursts and seasons make it overrate, and
    with few windows the Gaussian tail is thinner than the true (Student's) one. Anomalies are learned like all
    values, so a lasting shift is normal after `windows` windows.

    A *constant series* has s = 0, and one that idles hardly more. So s is held at no less than `floor_share` of the
    mean's size, and no less than `floor` (in the series' unit): a change that is small against the value itself, or
    against what matters at all, is not surprising, however quiet it was. Without `floor`, what matters follows from
    the unit: 1 % of the whole for shares, one thing for counts, 1 ms, 64 KiB, 0.5 °C (`grains`); so a CPU that goes
    from 0.1 % to 0.4 % opens nothing, and one that goes from there to 10 % does. Such a floor is no bound on the
    value: at surprise 8 it takes about six of them.

    NaN is neither scored nor learned; an infinite value has the largest surprise and is not learned.

    Cost: about 1 ns a value in the ring and series. Memory: 8 bytes x `windows` + 4 bytes a series.

    >>> from mendline.testing.detectors import run
    >>> scores = run(ZScore, {"windows": 4, "ready": 4}, [10.0, 11.0, 10.0, 11.0, 10.5, 13.0])
    >>> scores.surprise.round(2).tolist()
    [nan, nan, nan, nan, 0.0, 5.04]
    """

    class Parameters(Frozen):
        """How much it remembers, and what counts as no change at all."""

        windows: int = Field(
            default=60, ge=2, le=10_000, description="values remembered; 60 windows of 10 s are the last 10 minutes"
        )
        ready: int = Field(
            default=30, ge=2, description="values before the first score: from 30 on s is known to about 13 %"
        )
        floor_share: float = Field(
            default=0.01,
            ge=1e-4,
            description="least standard deviation, as a share of the mean's size: 1 % is no change",
        )
        floor: float | None = Field(
            default=None, gt=0, description="least standard deviation, in the series' unit; default: by the unit"
        )

    def __init__(self, parameters: Parameters) -> None:
        """Keep the parameters; it is ready with a full ring at the latest."""
        super().__init__(parameters)
        self._ready = min(parameters.ready, parameters.windows)
        self.warm_up = parameters.windows

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep a ring of values and how many were ever put into it, up to twice its length."""
        return {"ring": StateArray(shape=(self.parameters.windows,)), "count": StateArray("int32")}

    def step(self, state: Rows, step: Step) -> Scores:
        """Score against the ring, then put the value into it."""
        least = step.grains if self.parameters.floor is None else self.parameters.floor
        mean, deviation = self._moments(state["ring"], state["count"], least)
        ready = state["count"] >= self._ready
        mean[~ready] = np.nan
        with np.errstate(invalid="ignore", over="ignore"):
            surprise = gaussian_surprise((step.values - mean) / deviation)
            surprise[np.isinf(step.values) & ready] = MAX_SURPRISE
            low, high = mean - 3.0 * deviation, mean + 3.0 * deviation
        self._learn(state["ring"], state["count"], step.values)
        return Scores(surprise, low, high)

    def follow(self, state: Rows, windows: Step) -> Scores:
        """Score many windows of one series: what the ring held before each of them is a row of its own."""
        parts = [
            self._follow(state, windows, slice(at, at + TOGETHER)) for at in range(0, len(windows.values), TOGETHER)
        ]
        return joined(parts)

    def _follow(self, state: Rows, windows: Step, part: slice) -> Scores:
        values = windows.values[part]
        finite = np.isfinite(values)
        learned = np.clip(values[finite], -LARGEST, LARGEST)
        rows = self._rings(state, learned, np.cumsum(finite) - finite)
        scores = self.step(rows, windows.part(part))
        for name, array in state.items():
            array[0] = rows[name][-1]
        return scores

    def _rings(self, state: Rows, learned: NDArray[np.float64], before: NDArray[np.int64]) -> Rows:
        """Return the state before each of the windows, (windows, …): `before` of the values were learned by then.

        The newest value whose place is j is at the largest index below the count that is j modulo the ring's length.
        """
        length, start = self.parameters.windows, int(state["count"][0])
        known = np.concatenate([np.roll(state["ring"][0], -(start % length)), learned])
        last = start % length + before[:, np.newaxis] - 1
        ages = (last - np.arange(length)) % length
        ring = known[length + before[:, np.newaxis] - 1 - ages]
        count = start + before
        turns = np.maximum(count // length - 1, 0)
        return {"ring": ring, "count": (count - turns * length).astype(np.int32)}

    def _moments(
        self, ring: NDArray[np.float64], count: NDArray[np.int32], floor: NDArray[np.float64] | float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and floored standard deviation (with the factor for the mean's own) of each row's values.

        Places of the ring that were never filled hold 0 and so add nothing to either sum.
        """
        n: NDArray[np.float64] | float = float(self.parameters.windows)
        if count.size and count.min() < n:
            n = np.clip(count, 1.0, n)
        mean = np.einsum("ij->i", ring) / n
        variance = (np.einsum("ij,ij->i", ring, ring) - n * mean * mean) / np.maximum(n - 1.0, 1.0)
        least = np.maximum(self.parameters.floor_share * np.abs(mean), floor)
        return mean, np.maximum(np.sqrt(np.maximum(variance, 0.0)), least) * np.sqrt(1.0 + 1.0 / n)

    def _learn(self, ring: NDArray[np.float64], count: NDArray[np.int32], values: NDArray[np.float64]) -> None:
        windows = self.parameters.windows
        rows = np.flatnonzero(np.isfinite(values))
        ring[rows, count[rows] % windows] = np.clip(values[rows], -LARGEST, LARGEST)
        count[rows] += 1
        # The ring's place is the count modulo its length, so a full turn may be taken off.
        count[count >= 2 * windows] -= windows
