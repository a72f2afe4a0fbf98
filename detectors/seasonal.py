"""Seasonal: how far a value is from what is usual at this time of the day or week, where the series has such a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from mendline.detectors.base import Detector, Rows, Scores, StateArray, Step
from mendline.detectors.floors import LARGEST, Floored, gaussian_scores
from mendline.detectors.profiles import DAY_MS, Profile

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAILY = Profile("daily", 0, DAY_MS, 96, 0.3)
WEEKLY = Profile("weekly", 1, 7 * DAY_MS, 168, 0.3)
"""Quarters of an hour of the day, hours of the week; a third of a new day is taken."""
TO_DEVIATION = 1.2533
"""Standard deviation of a Gaussian in mean absolute deviations, sqrt(pi / 2)."""
WILD = 5.0
"""What is further off than so many mean absolute errors is learned as if it were not: a fault is no habit."""
WORDS = ("its level; no season is known", "this time of the day", "this hour of the week")


class Seasonal(Detector):
    """Surprise is the Gaussian tail of x - expected, in deviations of that residual; expected is what predicts best.

    Three predictions are made of each value: its level, the level and the usual at this quarter of an hour of the day,
    the level and the usual at this hour of the week (`profiles`: seasonal indices smoothed exponentially, P. R.
    Winters, "Forecasting sales by exponentially weighted moving averages", Management Science 6(3), 1960). Level and
    mean absolute error of each are faded means. The day is used where its error is less than `better` times that of the
    level, the week where its own is less than `better` times that of what is used otherwise: so nobody says what the
    period is, and a series without a season is compared with its level. `words` says which it was.

    The deviation is sqrt(pi / 2) mean absolute errors of the prediction that is used, and never less than the floor of
    `zscore`. Errors are learned as at most 5 mean ones, so a fault neither widens the deviation at once nor becomes a
    habit of its hour; a lasting shift is normal after some half-lives.

    Assumes residuals that are about Gaussian, and a season of 24 hours or 7 days in UTC: where clocks change, an hour a
    day is off until the profile has followed. A day is known after one day and the week after one week. `auto` has the
    same profiles, and calibrates; this one costs less and says the one thing.

    NaN is neither scored nor learned; an infinite value has the largest surprise and is not learned.

    Cost: 250 to 380 ns a series and window. Memory: 2,220 bytes a series.

    >>> from mendline.testing.detectors import run
    >>> given = {"half_life": 60, "ready": 10}
    >>> run(Seasonal, given, [50.0, 51.0, 49.0, 50.0] * 10 + [54.0]).surprise[-2:].round(1).tolist()
    [0.0, 8.5]
    """

    class Parameters(Floored):
        """How slowly the level moves, and how much better a season must be."""

        half_life: float = Field(
            default=360.0, ge=10, le=100_000, description="windows in which the level follows half of the way"
        )
        better: float = Field(
            default=0.9, gt=0, le=1, description="a season is used below this share of the error without it"
        )
        ready: int = Field(
            default=60, ge=10, description="errors that are known of a prediction before it is used: to about 10 %"
        )

    def __init__(self, parameters: Parameters) -> None:
        """Keep the parameters; a season takes its own time, of which the number of windows tells nothing."""
        super().__init__(parameters)
        self._share = 1.0 - 0.5 ** (1.0 / parameters.half_life)
        self.warm_up = max(parameters.ready, int(2 * parameters.half_life))

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the profiles, and level, error and number of values of each of the three predictions."""
        return {
            "daily": StateArray(shape=(DAILY.bins,), fill=np.nan),
            "weekly": StateArray(shape=(WEEKLY.bins,), fill=np.nan),
            "bin": StateArray("int64", (2,), fill=-1),
            "total": StateArray(shape=(2,)),
            "windows": StateArray("int64", (2,)),
            "level": StateArray(shape=(3,)),
            "error": StateArray(shape=(3,)),
            "seen": StateArray("int32", (3,)),
        }

    def step(self, state: Rows, step: Step) -> Scores:
        """Score against what predicts best, then learn."""
        finite = np.isfinite(step.values)
        bins = [profile.bin_of(step.times[:, np.newaxis]) for profile in (DAILY, WEEKLY)]
        none = np.zeros((len(finite), 1))
        season = np.concatenate([none, DAILY.usual(state, bins[0]), WEEKLY.usual(state, bins[1])], axis=1)
        expected = season + state["level"]
        choice = self._choice(state, ~np.isnan(season))
        every = np.arange(len(choice))
        usual = expected[every, choice]
        deviation = np.maximum(TO_DEVIATION * state["error"][every, choice], self.parameters.least(step, usual))
        scores = gaussian_scores(step.values, usual, deviation, state["seen"][:, 0] >= self.parameters.ready)
        rows = np.flatnonzero(finite)
        some = {name: array[rows] for name, array in state.items()} if len(rows) < len(finite) else state
        if len(rows):
            values = np.clip(step.values[rows], -LARGEST, LARGEST)
            self._learn(some, values, expected[rows], [one[rows] for one in bins])
        if some is not state:
            for name, array in some.items():
                state[name][rows] = array
        return Seasons(scores.surprise, scores.low, scores.high, choice=choice)

    def words(self, step: Step, scores: Scores, row: int) -> str:
        """Return what the value was compared with."""
        del step
        if not isinstance(scores, Seasons) or scores.choice is None:
            return ""
        return f"compared with {WORDS[int(scores.choice[row])]}"

    def _choice(self, state: Rows, known: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return which prediction to use: 0 the level, 1 the day, 2 the week."""
        error, usable = state["error"], known & (state["seen"] >= self.parameters.ready)
        by_day = usable[:, 1] & (error[:, 1] < self.parameters.better * error[:, 0])
        without = np.where(by_day, error[:, 1], error[:, 0])
        by_week = usable[:, 2] & (error[:, 2] < self.parameters.better * without)
        found: NDArray[np.intp] = np.where(by_week, 2, np.where(by_day, 1, 0)).astype(np.intp)
        return found

    def _learn(
        self, state: Rows, values: NDArray[np.float64], expected: NDArray[np.float64], bins: list[NDArray[np.int64]]
    ) -> None:
        level, error, seen = state["level"], state["error"], state["seen"]
        known = ~np.isnan(expected)
        away = np.where(known, values[:, np.newaxis] - expected, 0.0)
        usual = (seen >= self.parameters.ready) & (error > 0)
        away = np.where(usual, np.clip(away, -WILD * error, WILD * error), away)
        # The profile is given what was learned of the value, less the level, which it does not have to follow.
        tame = np.where(known, expected + away, values[:, np.newaxis]) - level
        DAILY.learn(state, bins[0], tame[:, 1:2])
        WEEKLY.learn(state, bins[1], tame[:, 2:3])
        gain = np.maximum(1.0 / np.maximum(seen, 1), self._share)
        error += np.where(known & (seen > 0), gain * (np.abs(away) - error), 0.0)
        level += np.where(known, np.maximum(1.0 / (seen + 1.0), self._share) * away, 0.0)
        seen += known & (seen < SETTLED)


SETTLED = 1_000_000
"""Values are counted up to here; by then the share of a new one follows from the half-life alone."""


@dataclass(frozen=True, slots=True)
class Seasons(Scores):
    """Scores with what each value was compared with, (n,): 0 its level, 1 the day, 2 the week."""

    choice: NDArray[np.intp] | None = None
