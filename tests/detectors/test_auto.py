"""What `auto` says of series whose story is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mendline.detectors.auto import Auto
from mendline.detectors.views import VIEWS
from mendline.testing.detectors import Player, make_step, make_windows

HOUR = 360
"""Windows of 10 s."""

OPENS = 7.9
"""The surprise at which a fault opens with 10,000 series that share one false fault a day."""


def scored(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the surprises of one series."""
    return Player(Auto, {}, 1).follow(values[:, np.newaxis])[:, 0]


def noise(windows: int, seed: int = 1) -> NDArray[np.float64]:
    """Return values about 50 that depend on those before, as load does."""
    steps = np.random.default_rng(seed).normal(0.0, 1.0, windows)
    values = np.empty(windows)
    last = 0.0
    for place, step in enumerate(steps.tolist()):
        last = 0.7 * last + step
        values[place] = 50.0 + last
    return values


@pytest.mark.parametrize(
    ("change", "least"),
    [
        pytest.param(lambda values: values[-1:].__iadd__(40.0), OPENS, id="spike"),
        pytest.param(lambda values: values[-8:].__iadd__(30.0), OPENS, id="shift"),
        pytest.param(lambda values: values[-1:].__imul__(0.0), OPENS, id="drop to nothing"),
        pytest.param(lambda values: values[-30:].__setitem__(slice(None), 50.0), 1.0, id="stands still"),
    ],
)
def test_what_never_happened_before_is_surprising(change: object, least: float) -> None:
    """A spike, a shift and a drop open a fault in a fleet; a value that stands still is at least unusual."""
    values = noise(4 * HOUR)
    assert callable(change)
    change(values)
    assert np.nanmax(scored(values)[-30:]) > least


@pytest.mark.slow
def test_healthy_series_open_nothing() -> None:
    """Twenty series that depend on their past, skewed ones among them, stay below the fleet's level for hours."""
    values = np.stack([noise(8 * HOUR, seed) for seed in range(20)], axis=1)
    values[:, 10:] = np.exp((values[:, 10:] - 50.0) / 2.0)
    assert np.nanmax(Player(Auto, {}, 20).play(values)) < OPENS


@pytest.mark.parametrize("apart", [2 * HOUR, 64])
def test_a_fault_that_was_found_does_not_hide_the_next(apart: int) -> None:
    """An outlier is learned as if it had been much less: a smaller one is found hours later, and a block later."""
    values = noise(4 * HOUR)
    values[-1 - apart] += 60.0
    values[-1] += 40.0
    surprise = scored(values)
    assert surprise[-1 - apart] > OPENS
    assert surprise[-1] > OPENS / 2


def test_what_goes_on_becomes_usual() -> None:
    """A level that stays is learned: the fault ends, and the old level would be a surprise after a while."""
    values = noise(6 * HOUR)
    values[3 * HOUR :] += 30.0
    surprise = scored(values)
    assert np.nanmax(surprise[3 * HOUR : 3 * HOUR + 10]) > OPENS
    assert np.nanmax(surprise[4 * HOUR :]) < OPENS / 2


@pytest.mark.slow
def test_a_season_that_breaks_is_surprising_where_the_value_alone_is_not() -> None:
    """Night's values at noon: seen every night, and never at noon."""
    windows = 10 * 144
    day = np.sin(np.arange(windows) / 144 * 2 * math.pi) * 20 + noise(windows)
    usual = day.copy()
    day[-108:-96] -= 35.0
    player, other = Player(Auto, {}, 1), Player(Auto, {}, 1)
    width = 600_000
    for playing, values in ((player, day), (other, usual)):
        step = make_windows(values, 0)
        step.times[:] = step.times[0] + width * np.arange(windows)
        playing.state["answer"] = playing.detector.follow(playing.state, step).surprise
    assert np.nanmax(player.state["answer"][-108:-96]) > 3.0
    assert np.nanmax(other.state["answer"][-108:-96]) < 3.0


def test_short_histories_claim_little() -> None:
    """After n windows nothing is rarer than n^-3, and where nothing ever varied, than 1 / n."""
    short = noise(40)
    short[-1] = 1e9
    assert scored(short)[-1] <= 3 * math.log10(40)
    constant = np.full(1000, 7.0)
    constant[-1] = 8.0
    assert scored(constant)[-1] == pytest.approx(3.0, abs=0.01)


@pytest.mark.slow
def test_it_says_what_it_saw() -> None:
    """The words are those of the view that is the most surprised; nothing before it is ready."""
    player = Player(Auto, {}, 1)
    step = make_step(np.array([50.0]), 0)
    assert player.detector.words(step, player.step(np.array([50.0]), 0), 0) == ""
    for number, value in enumerate(noise(HOUR).tolist(), 1):
        player.step(np.array([value]), number)
    scores = player.step(np.array([120.0]), HOUR + 1)
    assert player.detector.words(step, scores, 0).startswith(tuple(view.words for view in VIEWS if view.sign > 0))


def test_the_expected_range_holds_what_is_usual() -> None:
    """Nearly all healthy values lie in it, and the outlier does not."""
    values = noise(4 * HOUR)
    values[-1] += 40.0
    player = Player(Auto, {}, 1)
    scores = player.detector.follow(player.state, make_windows(values, 0))
    assert scores.low is not None
    assert scores.high is not None
    inside = (values >= scores.low) & (values <= scores.high)
    assert inside[HOUR:-1].mean() > 0.99
    assert not inside[-1]


def test_a_burst_after_a_long_idle_is_no_news() -> None:
    """A series that mostly does nothing is as surprising after hundreds of idle windows as after a few."""
    draw = np.random.default_rng(4)
    values = np.where(
        draw.random(8 * HOUR) < 1 / 50, draw.uniform(50.0, 100.0, 8 * HOUR), draw.uniform(0.0, 0.01, 8 * HOUR)
    )
    values[6 * HOUR : 7 * HOUR] = 0.001
    values[7 * HOUR] = 75.0
    assert scored(values)[7 * HOUR] < OPENS / 2


def test_a_day_without_its_wave_is_surprising_from_its_first_minutes() -> None:
    """Traffic that falls below what is usual at this time of the day is found although such values come each night."""
    day = 144
    at = np.arange(14 * day)
    values = 100.0 + 60.0 * np.sin(at * (2.0 * np.pi / day)) + np.random.default_rng(3).normal(0.0, 4.0, len(at))
    values[12 * day + 30 : 12 * day + 60] *= 0.4
    step = make_windows(values, 0)
    times = step.times[0] + 600_000 * at
    player = Player(Auto, {}, 1)
    surprise = player.detector.follow(player.state, replace(step, times=times, width_ms=600_000)).surprise
    assert surprise[12 * day + 30 : 12 * day + 33].max() > OPENS / 2
