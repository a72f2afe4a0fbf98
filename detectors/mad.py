"""MAD: how far a value lies from the median, in median absolute deviations; anomalies do not widen it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from pydantic import Field

from mendline.detectors.base import Detector, Rows, Scores, StateArray, Step
from mendline.detectors.floors import Floored, gaussian_scores
from mendline.detectors.staggered import StaggeredRing, middle

TO_DEVIATION = 1.482602218505602
"""A Gaussian's standard deviation in its median absolute deviations: 1 / (the 3/4 quantile of a standard normal)."""


class Mad(Detector):
    """Surprise is the Gaussian tail of z = (x - median) / (1.4826 MAD) over the last `windows` values.

    MAD is the median of |x - median|. Half of the values must be wrong before either goes astray (F. R. Hampel, "The
    influence curve and its role in robust estimation", J. American Statistical Association 69, 1974), so a fault
    stays far out while it fills a small part of the ring, and is normal once it fills half of it. On Gaussian
    values both are less exact than mean and standard deviation (efficiency 64 % and 37 %), hence the longer ring.

    Assumes that the middle half of the values tells how far the others go. Where it does not, as for bursts (idle,
    now and then busy), it overrates every burst: use `ranks` there. More than half of the values alike have MAD 0;
    then the floor of the deviation decides, as described in `zscore`.

    Sorting the ring costs most. So it is done every `every` windows only, each series at its own (`StaggeredRing`): a
    value is scored against a median that is at most so many windows old. NaN is neither scored nor learned; an
    infinite value has the largest surprise and is not learned.

    Cost: about 90 ns a series and window (docs/detectors.md). Memory: 8 bytes x `windows` + 21 bytes a series.

    >>> from mendline.testing.detectors import run
    >>> given = {"windows": 5, "ready": 5, "every": 1}
    >>> run(Mad, given, [10.0, 11.0, 10.0, 11.0, 10.5, 90.0, 13.0]).surprise.round(2).tolist()
    [nan, nan, nan, nan, nan, 300.0, 2.16]
    """

    class Parameters(Floored):
        """How much it remembers, how often it looks, and what counts as no change at all."""

        windows: int = Field(
            default=90, ge=3, le=10_000, description="values remembered; 90 of 10 s are the last quarter of an hour"
        )
        ready: int = Field(
            default=30, ge=3, description="values before the first score: from 30 on MAD is known to about 20 %"
        )
        every: int = Field(
            default=15, ge=1, le=128, description="windows between two looks at the ring: a sixth of it is new by then"
        )

    def __init__(self, parameters: Parameters) -> None:
        """Keep the parameters."""
        super().__init__(parameters)
        self._ring = StaggeredRing(parameters.windows, parameters.ready, parameters.every)
        self.warm_up = parameters.windows

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the ring, and median and deviation as they were when last looked at."""
        return {**self._ring.arrays(), "median": StateArray(fill=math.nan), "deviation": StateArray()}

    def step(self, state: Rows, step: Step) -> Scores:
        """Score against median and deviation, then learn."""
        median = state["median"]
        ready = ~np.isnan(median)
        deviation = np.maximum(state["deviation"], self.parameters.least(step, median))
        scores = gaussian_scores(step.values, median, deviation, ready)
        self._look(state, self._ring.learn(state, step.values))
        return scores

    def follow(self, state: Rows, windows: Step) -> Scores:
        """Score many windows of one series."""
        return self._ring.follow(self, state, windows)

    def _look(self, state: Rows, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> None:
        if not len(rows):
            return
        ordered = np.sort(state["ring"][rows], axis=1)
        sizes = np.minimum(state["count"][rows], self._ring.windows).astype(np.int64)
        median = middle(ordered, sizes)
        distances = np.sort(np.abs(ordered - median[:, None]), axis=1)
        state["median"][rows] = median
        state["deviation"][rows] = TO_DEVIATION * middle(distances, sizes)
