"""Auto: several views of a series, each calibrated by its own extremes; the default where nothing is configured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import Field

from mendline.detectors import maxima, tracks
from mendline.detectors.base import MAX_SURPRISE, Detector, Rows, Scores, StateArray, Step
from mendline.detectors.profiles import DAY_MS, Profile
from mendline.detectors.tracks import Group, Track
from mendline.schemas.base import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = 1e150
"""Values are learned as if they were not larger than this, so that sums stay finite."""

DAILY = Profile("daily", 0, DAY_MS, 288, 0.25)
WEEKLY = Profile("weekly", 1, 7 * DAY_MS, 336, 0.25)

# The level; what lies between the value and the profile of the day, of the week, and of the day again, more quickly.
USUAL = Group(0, Track(0.1), Track(0.05, warm=False), Track(0.05, warm=False), Track(0.3, warm=False))
# The mean size of what differs from the level, from the best prediction, and from the season.
SPREADS = Group(4, Track(0.02), Track(0.02), Track(0.02))
# The mean errors of the level, of the day and of the week, by which the best prediction is chosen.
ERRORS = Group(7, Track(0.01), Track(0.01), Track(0.01))
TRACKS = 10

WARM_UP = 64
"""Windows that are read again when it is new: enough for every view; seasons take their days."""

PAST = 36
"""Values before the current one that views look back at."""


class View(NamedTuple):
    """One way to look at a value: `sign` 1 where it is surprising upwards, and what to say then."""

    sign: float
    words: str


VIEWS = (
    View(-1.0, "lower than it was before"),
    View(1.0, "a jump from the value before"),
    View(1.0, "far above what was expected"),
    View(-1.0, "far below its level, for how it usually moves"),
    View(1.0, "far above what was expected, for how it usually moves"),
    View(1.0, "above what is usual at this time of the day"),
    View(-1.0, "below what is usual at this time of the day"),
    View(1.0, "a higher level than before"),
    View(-1.0, "more quiet than before"),
)


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
            "daily": StateArray(shape=(DAILY.bins,), fill=np.nan),
            "weekly": StateArray(shape=(WEEKLY.bins,), fill=np.nan),
            "bin": StateArray("int64", (2,), fill=-1),
            "total": StateArray(shape=(2,)),
            "windows": StateArray("int64", (2,)),
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
        return VIEWS[int(views.argmax())].words + (f"; {others} other views find it unusual too" if others > 0 else "")

    def _score(
        self, state: Rows, values: NDArray[np.float64], times: NDArray[np.int64], grains: NDArray[np.float64]
    ) -> Viewed:
        """Score values (windows, series), one window or one series, of which no block ends before the last."""
        values = np.clip(values, -LARGEST, LARGEST)
        seen = _look(state, values, times, grains)
        grain = _grains(seen, grains)
        fitted = maxima.fit(state, grain)
        scores = maxima.surprise(state, seen.deviations, fitted)
        low, high = _expected(seen, fitted)
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


class _Seen(NamedTuple):
    """What the views say: deviations in units; origins and units only of those that bound the value.

    Each (views, windows, series).
    """

    deviations: NDArray[np.float64]
    origins: NDArray[np.float64]
    units: NDArray[np.float64]


_SIGNS = np.array([view.sign for view in VIEWS])[:, np.newaxis, np.newaxis]
_ANSWERS = ("surprise", "low", "high", "views")
MATTERS = 0.5
"""Differences of less than this share of what matters in the series' unit make nothing rare."""
IDLE = 0.05
"""How a series usually moves counts as no less than this share of its usual largest move: one that idles for long would
make each of its bursts the largest ever."""
_ABOVE = 2
_BOUNDED = 7
"""So many of the views, the first ones, bound the value itself."""

BY_LEVEL, BY_DAY, BY_WEEK = 0, 1, 2
READY = 12
CLIPPED, WILD = 5.0, 8.0
BETTER_WEEK = 0.9
EXPECTED = 3.0
"""The range that is told holds all but one window in a thousand."""


def _look(state: Rows, values: NDArray[np.float64], times: NDArray[np.int64], grains: NDArray[np.float64]) -> _Seen:
    """Look at the windows, and take them in."""
    count = state["count"] + np.arange(len(values))[:, np.newaxis]
    usual, by_season = _usual(state, values, times)
    _learn(state, ERRORS, np.abs(_gap(values, usual[:3])), by_season[:3] & (count > 0), WILD)
    best = _best(state["choice"], usual, by_season)
    expected = np.stack([usual[0], best, usual[3]])
    away = _gap(values, expected)
    known = by_season[[0, 0, 1]] & (count > 0)
    spreads = _learn(state, SPREADS, np.abs(away), known, CLIPPED)
    least = np.fmax(MATTERS * grains, IDLE * state["location"][:, _ABOVE])
    spreads = np.maximum(spreads, least)

    before = np.concatenate([state["past"], values.T], axis=1)
    recent, older, moves = _moved(before)
    state["past"][:] = before[:, -PAST:]
    state["count"] += len(values)
    last, (level, best, season) = before[:, PAST - 1 : -1].T, expected
    zero, one = np.zeros(values.shape), np.ones(values.shape)
    origins = np.stack([zero, last, best, level, best, season, season])
    units = np.stack([one, one, one, *spreads, spreads[2], one, one])
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        level_far, best_far, season_far = away / spreads
        looked = [values, _gap(values, last), away[1], level_far, best_far, season_far, season_far]
        deviations = np.stack([*looked, _gap(recent, older), moves])
        deviations[_FALLS] *= -1.0
    np.copyto(deviations, np.nan, where=~np.isfinite(deviations))
    if count.size and count.min() < PAST:
        deviations[count < _LEAST] = np.nan
    return _Seen(deviations, origins, units)


_FALLS = np.flatnonzero(_SIGNS.reshape(-1) < 0)
_LEAST = np.array([0, 1, 1, 1, 1, 1, 1, PAST - 1, 17])[:, np.newaxis, np.newaxis]
"""How many values each view needs before its first."""


def _gap(values: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the values are from what was expected; 0 where only the rounding of means tells them apart."""
    gap: NDArray[np.float64] = values - expected
    return np.where(np.abs(gap) <= maxima.ROUNDING * np.abs(values), 0.0, gap)


def _usual(
    state: Rows, values: NDArray[np.float64], times: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return what the level, the day, the week and, more quickly, the day lead to expect, and where they do."""
    days, weeks = DAILY.bin_of(times), WEEKLY.bin_of(times)
    day, week = DAILY.usual(state, days), WEEKLY.usual(state, weeks)
    profile = np.stack([np.zeros(values.shape), day, week, day])
    valid = ~np.isnan(profile)
    without = values - profile
    means = USUAL.advance(state, without, valid, USUAL.seen(state, valid))
    DAILY.learn(state, days, values - means[1, 1:])
    WEEKLY.learn(state, weeks, values - means[2, 1:])
    return profile + means[:, :-1], valid


def _best(choice: NDArray[np.int8], usual: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return what the chosen prediction says, or the level where it says nothing."""
    by_day, by_week = (choice == BY_DAY) & valid[1], (choice == BY_WEEK) & valid[2]
    found: NDArray[np.float64] = np.where(by_day, usual[1], np.where(by_week, usual[2], usual[0]))
    return found


def _learn(
    state: Rows, group: Group, errors: NDArray[np.float64], valid: NDArray[np.bool_], clip: float
) -> NDArray[np.float64]:
    """Return the mean errors before each window, NaN where they are not known yet; learn them, wild ones as less."""
    seen = group.seen(state, valid)
    usual = group.at_base(state)
    clipped = np.where((seen >= READY) & (usual > 0), np.minimum(errors, clip * usual), errors)
    before = group.advance(state, clipped, valid, seen)[:, :-1]
    found: NDArray[np.float64] = np.where((seen >= READY) & (before > 0), before, np.nan)
    return found


def _moved(
    before: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return means of the last 4 values and of the 32 before those, and the mean step of the last 16, per window.

    `before` is (series, windows), so that what follows on each other lies together; the answers are (windows, series).
    """
    windows = before.shape[1] - PAST
    steps = np.abs(before[:, -windows - 15 :] - before[:, -windows - 16 : -1])
    recent = _sums(before[:, -windows - 3 :], 4) / 4
    older = _sums(before[:, -windows - 35 : -4], 32) / 32
    return recent.T, older.T, _sums(steps, 16).T / 16


def _sums(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Return the sums of `length` (a power of two) successive values, added in pairs, wherever so many end."""
    if values.shape[1] == length:
        while values.shape[1] > 1:
            values = values[:, 1::2] + values[:, ::2]
        return values
    step = 1
    while step < length:
        values = values[:, step:] + values[:, :-step]
        step *= 2
    return values


def _grains(seen: _Seen, grains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the least scale of each view, (views, series): what matters in the series' unit, in the view's own."""
    with np.errstate(invalid="ignore"):
        units = np.nan_to_num(seen.units[:, -1], nan=1.0)
    found: NDArray[np.float64] = MATTERS * grains / np.maximum(units, 1e-300)
    return np.minimum(found, 1e300)


def _expected(seen: _Seen, fitted: maxima.Fit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the range within which no view would have been surprised by EXPECTED."""
    bounds = fitted.bound(EXPECTED)[:_BOUNDED, np.newaxis]
    edges = seen.origins + _SIGNS[:_BOUNDED] * bounds * seen.units[:_BOUNDED]
    up = _SIGNS[:_BOUNDED, 0, 0] > 0
    return np.fmax.reduce(edges[~up], axis=0), np.fmin.reduce(edges[up], axis=0)


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
