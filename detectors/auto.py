"""Auto: several views of a series, each calibrated by its own extremes; the default where nothing is configured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from mendline.detectors import maxima, profiles, tracks
from mendline.detectors.base import MAX_SURPRISE, Detector, Rows, Scores, StateArray, Step
from mendline.detectors.profiles import DAY_MS
from mendline.detectors.views import (
    BY_DAY,
    BY_LEVEL,
    BY_WEEK,
    DAILY,
    ERRORS,
    EXPECTED,
    LARGEST,
    PAST,
    TRACKS,
    VIEWS,
    WEEKLY,
    grains_of,
    look,
    range_of,
)
from mendline.schemas.base import Frozen
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

WARM_UP = 64
"""Windows that are read again when it is new: enough for every view; seasons take their days."""


class Auto(Detector):
    """The largest surprise of nine views of the value, each calibrated by the extremes that it has shown itself.

    A value is compared with what is expected of it: its level (an exponentially weighted mean of some ten windows),
    or what is usual at this time of the day, or of the week: that whose errors were least of late (which is decided at
    the end of each block, and a season must be better by a fifth). The views are differences: from
    that expectation in the value's own unit, and in mean sizes of such differences of late; from the season and the
    level in the same way; from the value before; of the mean of the last 4 values from that of the 32 before; and two
    that look down, at the value itself and at how much it moves. Rises are looked at by five views and falls by four,
    because most of what is measured (load, errors, latency, use) is bounded below and ends in a fault above.

    How surprising the size of a view is follows from the largest ones in blocks of windows, whatever the distribution:
    `maxima` has the method, its sources and its rules. So surprise 4 means once in 10,000 windows on series that are
    skewed, bursty and depend on their past, and a burst that was seen before is no news. `profiles` and `tracks` say
    how seasons and means are learned; wild values are learned as if they were less wild.

    Assumes nothing of the values but that what comes was like what was. It has no surprise for the first 8 windows,
    knows a day's season from the second day on, and a week's from the second week. A lasting shift opens a fault and is
    the usual after a block or two. NaN is neither scored nor learned; an infinite value has the largest surprise.

    `low` and `high` are the range in which no view would have been surprised by more than 3.

    Cost: about 1 µs a series and window with 10,000 series, 3 µs a row of a file. Memory: 8.1 kB a series, of which
    5 kB are the two profiles.

    >>> from mendline.testing.detectors import run
    >>> values = [10.0, 11.0, 10.5, 11.5] * 16 + [11.0, 30.0, 10.5]
    >>> run(Auto, {}, values).surprise[[3, 20, 65]].round(2).tolist()
    [nan, 0.58, 5.46]
    """

    class Parameters(Frozen):
        """What it takes for usual."""

        better: float = Field(
            default=0.8,
            gt=0,
            le=1,
            description="a season is believed when its mean error is below this share of the level's: by a fifth",
        )

    kind = "unusual"

    def __init__(self, parameters: Parameters) -> None:
        """Keep the parameters."""
        super().__init__(parameters)
        self.warm_up = WARM_UP

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the last values, running means, the two profiles, and the extremes of each view."""
        return {
            "past": StateArray(shape=(PAST,)),
            "count": StateArray("int64"),
            "choice": StateArray("int8"),
            **tracks.arrays(TRACKS),
            **profiles.arrays(DAILY, WEEKLY),
            **maxima.arrays(len(VIEWS)),
        }

    def step(self, state: Rows, step: Step) -> Scores:
        """Score one window of each series, then learn from it."""
        rows = np.flatnonzero(np.isfinite(step.values))
        if len(rows) == len(step.values):
            return self._score(state, step.values[np.newaxis], step.times[np.newaxis], step.grains)
        some = {name: array[rows] for name, array in state.items()}
        values, times = step.values[np.newaxis, rows], step.times[np.newaxis, rows]
        scored = self._score(some, values, times, step.grains[rows])
        for name, array in some.items():
            state[name][rows] = array
        return _spread({name: getattr(scored, name) for name in _ANSWERS}, rows, step.values, state["known"] > 0)

    def follow(self, state: Rows, windows: Step) -> Scores:
        """Score many windows of one series, block by block."""
        rows = np.flatnonzero(np.isfinite(windows.values))
        values, times = windows.values[rows], windows.times[rows]
        parts, first = [], 0
        while first < len(rows):
            end = first + min(int(state["size"][0] - state["filled"][0]), len(rows) - first)
            end = first + _within_a_day(times[first:end])
            piece = slice(first, end)
            parts.append(self._score(state, values[piece, np.newaxis], times[piece, np.newaxis], windows.grains[:1]))
            first = end
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ANSWERS} if parts else {}
        return _spread(joined, rows, windows.values, np.ones(len(windows.values), dtype=bool))

    def words(self, step: Step, scores: Scores, row: int) -> str:
        """Return what the view with the largest surprise says, and how many others find it unusual too."""
        del step
        if not isinstance(scores, Viewed) or scores.views is None or np.isnan(scores.views[row]).all():
            return ""
        views = np.nan_to_num(scores.views[row])
        others = int((views >= EXPECTED).sum()) - 1
        more = f"; {counted(others, 'others find')} it unusual too" if others > 0 else ""
        return VIEWS[int(views.argmax())].words + more

    def _score(
        self, state: Rows, values: NDArray[np.float64], times: NDArray[np.int64], grains: NDArray[np.float64]
    ) -> Viewed:
        """Score values (windows, series), one window or one series, of which no block ends before the last."""
        values = np.clip(values, -LARGEST, LARGEST)
        seen = look(state, values, times, grains)
        grain = grains_of(seen, grains)
        fitted = maxima.fit(state, grain)
        scores = maxima.surprise(state, seen.deviations, fitted)
        low, high = range_of(seen, fitted)
        ended = np.flatnonzero(state["filled"] == state["size"])
        if len(ended):
            maxima.end_blocks(state, ended, grain)
            tracks.rebase(state, ended)
            self._choose(state, ended)
        views = scores.reshape(len(VIEWS), -1)
        return Viewed(np.fmax.reduce(views, axis=0), low.reshape(-1), high.reshape(-1), views=views.T)

    def _choose(self, state: Rows, rows: NDArray[np.intp]) -> None:
        """Decide for the next block what predicts best."""
        errors, known = state["base"][rows, ERRORS.columns], state["seen"][rows, ERRORS.columns] > 0
        level, day, week = errors.T
        by_day = known[:, 1] & (day < self.parameters.better * level)
        by_week = known[:, 2] & (week < BETTER_WEEK * np.where(by_day, day, level))
        state["choice"][rows] = np.where(by_week, BY_WEEK, np.where(by_day, BY_DAY, BY_LEVEL))


@dataclass(frozen=True, slots=True)
class Viewed(Scores):
    """Scores with the surprise of each view, (n, views)."""

    views: NDArray[np.float64] | None = None


_ANSWERS = ("surprise", "low", "high", "views")
BETTER_WEEK = 0.9


def _within_a_day(times: NDArray[np.int64]) -> int:
    """Return how many of the windows, at least one, visit no bin of the day twice: less than a day, in order."""
    wrong = (np.diff(times) < 0) | (times[1:] - times[0] >= DAY_MS - DAY_MS // DAILY.bins)
    found = np.flatnonzero(wrong)
    return int(found[0]) + 1 if len(found) else len(times)


def _spread(
    scored: Mapping[str, NDArray[np.float64]],
    rows: NDArray[np.intp],
    values: NDArray[np.float64],
    known: NDArray[np.bool_],
) -> Viewed:
    """Return the scores of all windows: those of `rows`, the largest surprise for infinite values, NaN for none."""
    answers = {name: np.full((len(values), *_SHAPES.get(name, ())), np.nan) for name in _ANSWERS}
    for name, array in scored.items():
        answers[name][rows] = array
    answers["surprise"][np.isinf(values) & known] = MAX_SURPRISE
    return Viewed(**answers)


_SHAPES = {"views": (len(VIEWS),)}
