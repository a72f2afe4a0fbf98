"""EWMA: how many standard deviations a value lies from the mean, older values counting less and less."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from mendline.detectors.base import Detector, Rows, Scores, StateArray, Step
from mendline.detectors.fading import Fading
from mendline.detectors.floors import Floored, gaussian_scores


class Ewma(Detector):
    """Surprise is the Gaussian tail of z = (x - mean) / (s sqrt(1 + V/W^2)), mean and s exponentially weighted.

    S. W. Roberts, "Control chart tests based on geometric moving averages", Technometrics 1(3), 1959. `Fading` has
    the formulae for mean, s and the sums of weights W and of their squares V; the root is the uncertainty of the mean
    itself, as in `zscore`. The two differ in what they forget: a window of `zscore` forgets a value all at once,
    here its weight halves every `half_life` windows, so there is no jump when a spike leaves the memory; and it costs
    20 bytes a series where a ring costs 8 a window, so it can look back over days.

    Assumes values near to independent and Gaussian: heavy tails, bursts and seasons make it overrate. Anomalies are
    learned like all values: a lasting shift is half forgotten after `half_life` windows, and one large spike hides
    others for some half-lives, as it widens s. `mad` is not widened; it costs more.

    NaN is neither scored nor learned; an infinite value has the largest surprise and is not learned. s is held above
    a floor, see `zscore`.

    Cost: 30 to 75 ns a series and window (docs/detectors.md). Memory: 20 bytes a series, whatever the half-life.

    >>> from mendline.testing.detectors import run
    >>> scores = run(Ewma, {"half_life": 3, "ready": 4}, [10.0, 11.0, 10.0, 11.0, 10.5, 13.0])
    >>> scores.surprise.round(2).tolist()
    [nan, nan, nan, nan, 0.03, 5.63]
    """

    class Parameters(Floored):
        """How fast it forgets, and what counts as no change at all."""

        half_life: float = Field(
            default=60.0, ge=1, le=2000,
            description="windows after which a value weighs half; 60 of 10 s average over the last quarter of an hour",
        )  # fmt: skip
        ready: int = Field(
            default=30, ge=2, description="values before the first score: from 30 on s is known to about 13 %"
        )

    def __init__(self, parameters: Parameters) -> None:
        """Keep the parameters; after four half-lives what came before weighs a sixteenth."""
        super().__init__(parameters)
        self._fading = Fading(parameters.half_life)
        self.warm_up = max(parameters.ready, int(4 * parameters.half_life))

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the moments."""
        return self._fading.arrays()

    def step(self, state: Rows, step: Step) -> Scores:
        """Score against the moments, then learn."""
        scores = self._score(state, step)
        self._fading.learn(state, step.values)
        return scores

    def follow(self, state: Rows, windows: Step) -> Scores:
        """Score many windows of one series: the moments before each of them are a row of its own."""
        return self._score(self._fading.path(state, windows.values), windows)

    def _score(self, state: Rows, step: Step) -> Scores:
        mean = state["mean"].copy()
        deviation = self._fading.deviation(state)
        deviation = deviation.clip(self.parameters.least(step, mean)) * self._fading.predictive(state)
        return gaussian_scores(step.values, mean, deviation, state["count"] >= self.parameters.ready)
