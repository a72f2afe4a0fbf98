"""Seasonal: how far a value is from what is usual at this time of the day or week, where the series has such a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from mendline.detectors import profiles
from mendline.detectors.base import Detector, Rows, Scores, StateArray, Step
from mendline.detectors.floors import LARGEST, Floored, gaussian_scores
from mendline.detectors.predictions import OnePrediction, Prediction
from mendline.detectors.profiles import DAY_MS, OneProfile, Profile

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAILY = Profile("daily", 0, DAY_MS, 96, 0.3)
WEEKLY = Profile("weekly", 1, 7 * DAY_MS, 168, 0.3)
"""Quarters of an hour of the day, hours of the week; a third of a new day is taken."""
TO_DEVIATION = 1.2533
"""Standard deviation of a Gaussian in mean absolute deviations, sqrt(pi / 2)."""
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

    Cost: 40 ns a series and window, 65 ns where seasons are known, and some 50 ns more in a window with which a new
    quarter of an hour begins. Memory: 2,240 bytes a series.

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
        share = 1.0 - 0.5 ** (1.0 / parameters.half_life)
        self._level, self._day, self._week = (
            Prediction(name, share, parameters.ready) for name in ("level", "day", "week")
        )
        self.warm_up = max(parameters.ready, int(2 * parameters.half_life))

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the profiles, and level, error and number of values of each of the three predictions."""
        return {
            **profiles.arrays(DAILY, WEEKLY),
            **DAILY.now(),
            **WEEKLY.now(),
            **self._level.arrays(),
            **self._day.arrays(),
            **self._week.arrays(),
        }

    def step(self, state: Rows, step: Step) -> Scores:
        """Score against what predicts best, then learn."""
        days, weeks = DAILY.bin_of(step.times), WEEKLY.bin_of(step.times)
        expected = (
            self._level.expected(state, None),
            self._day.expected(state, DAILY.usual_now(state, days)),
            self._week.expected(state, WEEKLY.usual_now(state, weeks)),
        )
        known = (~np.isnan(expected[1]), ~np.isnan(expected[2]))
        choice, usual, error = self._chosen(state, expected, known)
        deviation = np.maximum(TO_DEVIATION * error, self.parameters.least(step, usual))
        scores = gaussian_scores(step.values, usual, deviation, self._level.is_usable(state))
        self._learn(state, step.values, expected, known, (days, weeks))
        return Seasons(scores.surprise, scores.low, scores.high, choice=choice)

    def follow(self, state: Rows, windows: Step) -> Scores:
        """Score many windows of one series: what is expected of each, in plain numbers, is judged all at once."""
        path = np.array(list(self._path(state, windows)), dtype=np.float64).reshape(-1, 4)
        usual, error, ready, choice = path.T
        deviation = np.maximum(TO_DEVIATION * error, self.parameters.least(windows, usual))
        scores = gaussian_scores(windows.values, usual, deviation, ready.astype(bool))
        return Seasons(scores.surprise, scores.low, scores.high, choice=choice.astype(np.int8))

    def _path(self, state: Rows, windows: Step) -> Iterator[tuple[float, float, bool, int]]:
        """Yield what is expected of each window, its error, whether that is ready, and by what; learn each."""
        level = OnePrediction(self._level, state)
        seasons = [
            (OneProfile(profile, state), OnePrediction(one, state))
            for profile, one in ((DAILY, self._day), (WEEKLY, self._week))
        ]
        bins = [profile.bin_of(windows.times).tolist() for profile in (DAILY, WEEKLY)]
        for value, *now in zip(windows.values.tolist(), *bins, strict=True):
            expected = [profile.usual_now(bin_) + one.level for (profile, one), bin_ in zip(seasons, now, strict=True)]
            usual, error, choice = level.level, level.error, 0
            for number, (_, one) in enumerate(seasons):
                by_season = expected[number]
                # NaN where there is no season yet.
                if by_season == by_season and one.is_usable and one.error < self.parameters.better * error:  # noqa: PLR0124
                    usual, error, choice = by_season, one.error, number + 1
            yield usual, error, level.is_usable, choice
            if math.isfinite(value):
                _learn_one(level, seasons, min(max(value, -LARGEST), LARGEST), expected, now)
        for part in (level, *(part for season in seasons for part in season)):
            part.put(state)

    def words(self, step: Step, scores: Scores, row: int) -> str:
        """Return what the value was compared with."""
        del step
        if not isinstance(scores, Seasons) or scores.choice is None:
            return ""
        return f"compared with {WORDS[int(scores.choice[row])]}"

    def _chosen(
        self, state: Rows, expected: Sequence[NDArray[np.float64]], known: Sequence[NDArray[np.bool_]]
    ) -> tuple[NDArray[np.int8], NDArray[np.float64], NDArray[np.float64]]:
        """Return which prediction to use (0 the level, 1 the day, 2 the week), what it expects, and its error."""
        usual, error = expected[0], self._level.error(state)
        choice = np.zeros(len(usual), dtype=np.int8)
        for number, one in ((1, self._day), (2, self._week)):
            if known[number - 1].any():
                own = one.error(state)
                better = own < self.parameters.better * error
                better &= known[number - 1]
                better &= one.is_usable(state)
                usual, error = np.where(better, expected[number], usual), np.where(better, own, error)
                choice[better] = number
        return choice, usual, error

    def _learn(
        self,
        state: Rows,
        values: NDArray[np.float64],
        expected: Sequence[NDArray[np.float64]],
        known: Sequence[NDArray[np.bool_]],
        bins: Sequence[NDArray[np.int64]],
    ) -> None:
        finite = np.isfinite(values)
        values = np.clip(np.where(finite, values, 0.0), -LARGEST, LARGEST)
        self._level.learn(state, values, expected[0], finite)
        for number, (profile, one) in enumerate(((DAILY, self._day), (WEEKLY, self._week))):
            left = one.learn(state, values, expected[number + 1], known[number] & finite)
            profile.take(state, bins[number], left, finite)


def _learn_one(
    level: OnePrediction,
    seasons: Sequence[tuple[OneProfile, OnePrediction]],
    value: float,
    expected: Sequence[float],
    bins: Sequence[int],
) -> None:
    level.learn(value, level.level)
    for (profile, one), by_season, bin_ in zip(seasons, expected, bins, strict=True):
        profile.take(bin_, value - one.level if math.isnan(by_season) else one.learn(value, by_season))


@dataclass(frozen=True, slots=True)
class Seasons(Scores):
    """Scores with what each value was compared with, (n,): 0 its level, 1 the day, 2 the week."""

    choice: NDArray[np.int8] | None = None
