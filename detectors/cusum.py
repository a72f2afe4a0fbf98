"""CUSUM: small shifts that last, by the sum of what is too much in each window."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from pydantic import Field

from mendline.detectors.base import MAX_SURPRISE, Detector, Rows, Scores, StateArray, Step
from mendline.detectors.floors import Floored
from mendline.detectors.standard import Standardiser

if TYPE_CHECKING:
    from numpy.typing import NDArray

Numbers = TypeVar("Numbers", float, "NDArray[np.float64]")

OVERSHOOT = 0.583
"""How far a Gaussian random walk goes beyond a bound on average: Siegmund's -zeta(1/2) / sqrt(2 pi)."""
PAUSE = 16.0
"""Sums are held below this many times `slack`, so that they are gone again soon after the fault is."""
HIGHEST = MAX_SURPRISE / PAUSE * math.log(10)
"""What a sum is held below, times its exponent."""


class Cusum(Detector):
    """Two sums, up = max(0, up + z - slack) and down = max(0, down - z - slack); surprise is the tail of the larger.

    E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954. z is the value in deviations from a slow reference
    (`Standardiser`). On healthy values, that is independent standard normal z, either sum is a random walk that drifts
    down and is held at 0; its stationary tail is exponential (Wald's identity; Cramer and Lundberg), with Siegmund's
    correction for the overshoot (D. Siegmund, *Sequential Analysis*, 1985, chapter X):

        P(sum > h) = exp(-2 slack (h + 0.583)),   two sides: twice that.

    Correlated values have sums that spread more; the exponent is divided by (1 + r) / (1 - r).

    Finds shifts of about 2 `slack` deviations and more that last for many windows, which no single window shows. It is
    late for large ones: one value counts as 5 deviations at most. Assumes a level that stays: a season, or a trend, is
    a shift to it. A sum is held at the height that is worth `MAX_SURPRISE` / `PAUSE`, about surprise 19, so that it
    falls again; after a long fault that takes about as long as the fault, as the reference has followed it meanwhile.
    A lasting shift is normal after some half-lives. NaN is neither scored
    nor learned; an infinite value has the largest surprise and is not learned. The floor of s is that of `zscore`.

    Cost: about 90 ns a series and window (docs/detectors.md). Memory: 52 bytes a series.

    >>> from mendline.testing.detectors import run
    >>> usual = [10.0, 12.0] * 30
    >>> run(Cusum, {}, [*usual, *[13.0] * 8]).surprise[-8:].round(1).tolist()
    [0.6, 1.2, 1.8, 2.3, 2.7, 3.2, 3.6, 4.0]
    """

    class Parameters(Floored):
        """What it looks for, how slowly the reference follows, and what counts as no change at all."""

        slack: float = Field(
            default=0.5, ge=0.1, le=3,
            description="deviations a window may be off for free: half of the shift that is found soonest",
        )  # fmt: skip
        half_life: float = Field(
            default=360.0, ge=10, le=2000, description="windows in which the reference follows half of the way"
        )
        ready: int = Field(
            default=60, ge=10, description="values before the first score: the mean is then known to 0.13 deviations"
        )

    def __init__(self, parameters: Parameters) -> None:
        """Keep the parameters; after two half-lives the reference is within a quarter of where it was to be."""
        super().__init__(parameters)
        self._standard = Standardiser(parameters.half_life, parameters.ready)
        self.warm_up = max(parameters.ready, int(2 * parameters.half_life))

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the reference and the two sums."""
        return {**self._standard.arrays(), "up": StateArray(), "down": StateArray()}

    def step(self, state: Rows, step: Step) -> Scores:
        """Add to the sums, and judge them with the reference as it was before."""
        slack = self.parameters.slack
        exponent = self._exponent(self._standard.correlation(state))
        ready = state["count"] >= self.parameters.ready
        z, known = self._standard.step(state, step, self.parameters)
        most = HIGHEST / exponent
        for name, one in (("up", z), ("down", -z)):
            moved = np.clip(state[name] + one - slack, 0.0, most)
            np.copyto(state[name], moved, where=known)
        return _judged(np.maximum(state["up"], state["down"]), exponent, known, np.isinf(step.values) & ready)

    def follow(self, state: Rows, windows: Step) -> Scores:
        """Score many windows of one series: the sums after each of them, in plain numbers, are judged all at once."""
        slack, ready = self.parameters.slack, int(state["count"][0])
        up, down = float(state["up"][0]), float(state["down"][0])
        heights, correlations, known = [], [], []
        for correlation, z in self._standard.path(state, windows, self.parameters):
            if z is not None:
                most = HIGHEST / self._exponent(correlation)
                up, down = min(max(up + z - slack, 0.0), most), min(max(down - z - slack, 0.0), most)
            heights.append(max(up, down))
            correlations.append(correlation)
            known.append(z is not None)
        state["up"][0], state["down"][0] = up, down
        finite = np.isfinite(windows.values)
        ready_then = ready + np.cumsum(finite) - finite >= self.parameters.ready
        exponent = self._exponent(np.array(correlations))
        return _judged(np.array(heights), exponent, np.array(known), np.isinf(windows.values) & ready_then)

    def _exponent(self, correlation: Numbers) -> Numbers:
        """Return by how much the tail of the sums falls a unit, where successive values are so correlated."""
        found: Numbers = 2.0 * self.parameters.slack * (1.0 - correlation) / (1.0 + correlation)
        return found


def _judged(
    height: NDArray[np.float64],
    exponent: NDArray[np.float64],
    known: NDArray[np.bool_],
    infinite: NDArray[np.bool_],
) -> Scores:
    """Return the surprise of sums so high, NaN where they are not known; infinite values have the largest."""
    surprise = (exponent * (height + OVERSHOOT) - math.log(2)) / math.log(10)
    surprise = np.where(known, np.clip(surprise, 0.0, MAX_SURPRISE), np.nan)
    surprise[infinite] = MAX_SURPRISE
    return Scores(surprise)
