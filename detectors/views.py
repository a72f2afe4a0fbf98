"""The nine ways in which `auto` looks at a series: what each finds unusual, in which unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.detectors import maxima
from mendline.detectors.base import Rows
from mendline.detectors.profiles import DAY_MS, Profile
from mendline.detectors.tracks import Group, Track

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


class Seen(NamedTuple):
    """What the views say: deviations in units; origins and units only of those that bound the value.

    Each (views, windows, series).
    """

    deviations: NDArray[np.float64]
    origins: NDArray[np.float64]
    units: NDArray[np.float64]


_SIGNS = np.array([view.sign for view in VIEWS])[:, np.newaxis, np.newaxis]
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
EXPECTED = 3.0
"""The range that is told holds all but one window in a thousand."""


def look(state: Rows, values: NDArray[np.float64], times: NDArray[np.int64], grains: NDArray[np.float64]) -> Seen:
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
    return Seen(deviations, origins, units)


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


def grains_of(seen: Seen, grains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the least scale of each view, (views, series): what matters in the series' unit, in the view's own."""
    with np.errstate(invalid="ignore"):
        units = np.nan_to_num(seen.units[:, -1], nan=1.0)
    found: NDArray[np.float64] = MATTERS * grains / np.maximum(units, 1e-300)
    return np.minimum(found, 1e300)


def range_of(seen: Seen, fitted: maxima.Fit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the range within which no view would have been surprised by EXPECTED."""
    bounds = fitted.bound(EXPECTED)[:_BOUNDED, np.newaxis]
    edges = seen.origins + _SIGNS[:_BOUNDED] * bounds * seen.units[:_BOUNDED]
    up = _SIGNS[:_BOUNDED, 0, 0] > 0
    return np.fmax.reduce(edges[~up], axis=0), np.fmin.reduce(edges[up], axis=0)
