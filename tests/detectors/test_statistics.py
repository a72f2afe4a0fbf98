"""What the statistical detectors say of given numbers, against the slow way to work it out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mendline.detectors.base import Detector
from mendline.detectors.change_point import ChangePoint
from mendline.detectors.cusum import Cusum
from mendline.detectors.ewma import Ewma
from mendline.detectors.extremes import Extremes
from mendline.detectors.mad import TO_DEVIATION, Mad
from mendline.detectors.ranks import Ranks
from mendline.detectors.tails import gaussian_surprise
from mendline.detectors.zscore import TOGETHER, ZScore
from mendline.testing.detectors import Player, make_windows, run

VALUES = st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=40)


def _tail(z: float) -> float:
    return float(gaussian_surprise(np.array([z]))[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cls", "given"),
    [
        *((ZScore, {"windows": length}) for length in (2, 8, 60)),
        *((Mad, given) for given in ({}, {"windows": 9, "ready": 5, "every": 2})),
        *((Ranks, given) for given in ({}, {"windows": 40, "ready": 20, "every": 7})),
        *((Ewma, given) for given in ({}, {"half_life": 3.0, "ready": 5})),
        *((Cusum, given) for given in ({}, {"half_life": 10.0, "ready": 10, "floor": 0.1})),
        *((Extremes, given) for given in ({}, {"windows": 30, "ready": 20})),
        *((ChangePoint, given) for given in ({}, {"block": 3, "blocks": 24})),
    ],
)
def test_a_file_is_scored_as_window_by_window(cls: type[Detector], given: dict[str, int]) -> None:
    """Many windows at once leave the same answers and the same ring, to the bit, also where values are missing."""
    lots = np.random.default_rng(12)
    values = lots.normal(50, 2, 2 * TOGETHER + 7)
    values[lots.random(len(values)) < 0.03] = np.nan
    values[[100, 900]] = np.inf, -1e308
    at_once, one_by_one = Player(cls, given, 1), Player(cls, given, 1)
    for first, end in ((0, 1), (1, 5), (5, TOGETHER + 300), (TOGETHER + 300, len(values))):
        windows = make_windows(values[first:end].copy(), first)
        found = at_once.detector.follow(at_once.state, windows)
        expected = Detector.follow(one_by_one.detector, one_by_one.state, windows)
        for name in ("surprise", "low", "high"):
            one, other = getattr(found, name), getattr(expected, name)
            assert np.array_equal(one, other, equal_nan=one is not None)
        assert {name: array.tobytes() for name, array in at_once.state.items()} == {
            name: array.tobytes() for name, array in one_by_one.state.items()
        }


@pytest.mark.slow
@given(VALUES)
def test_ewma_against_its_formula(values: list[float]) -> None:
    """Each score is that of weighted mean and variance, worked out from all values and their weights."""
    scores = run(Ewma, {"half_life": 3, "ready": 4}, values)
    for place in range(4, len(values)):
        before = np.array(values[:place])
        weights = 0.5 ** (np.arange(place)[::-1] / 3)
        total, squares = weights.sum(), (weights**2).sum()
        mean = float((weights * before).sum() / total)
        s = math.sqrt(float((weights * (before - mean) ** 2).sum()) / (total - squares / total))
        s = max(s, 0.01 * abs(mean), 1e-9) * math.sqrt(1 + squares / total**2)
        assert scores.surprise[place] == pytest.approx(_tail((values[place] - mean) / s), rel=1e-4, abs=1e-4)


@pytest.mark.slow
@given(VALUES)
def test_mad_against_its_formula(values: list[float]) -> None:
    """Each score is that of the median and the median absolute deviation of the values before."""
    scores = run(Mad, {"windows": 7, "ready": 5, "every": 1}, values)
    for place in range(5, len(values)):
        before = np.array(values[max(place - 7, 0) : place])
        median = float(np.median(before))
        s = max(TO_DEVIATION * float(np.median(np.abs(before - median))), 0.01 * abs(median), 1e-9)
        assert scores.surprise[place] == pytest.approx(_tail((values[place] - median) / s), rel=1e-4, abs=1e-4)


def test_mad_is_not_widened() -> None:
    """A fault that has lasted for a sixth of the ring is still far out, where it has widened a standard deviation."""
    values = [*np.random.default_rng(3).normal(50, 2, 180), *[70.0] * 15]
    assert run(Mad, {}, values).surprise[-15:].min() > 15
    assert run(Ewma, {}, values).surprise[-1] < 3


def test_looks_are_spread_out() -> None:
    """Series that began together do not all look at their rings in one window."""
    player = Player(Mad, {}, 1500)
    values = np.random.default_rng(4).normal(50, 2, (120, 1500))
    player.play(values[:100])
    changed = []
    for number in range(100, 120):
        before = player.state["median"].copy()
        player.step(values[number], number)
        changed.append(int((before != player.state["median"]).sum()))
    assert 0 < min(changed) <= max(changed) < 200


@pytest.mark.slow
def test_ranks_of_skewed_values() -> None:
    """On exponential values, a surprise of 2 comes about once in a hundred windows, where a Gaussian tail overrates."""
    values = np.random.default_rng(5).exponential(1.0, (2000, 40)) + 10
    surprise = Player(Ranks, {"floor": 0.001, "floor_share": 1e-4}, 40).play(values)[300:]
    assert float((surprise > 2).mean()) == pytest.approx(0.01, rel=0.5)
    assert float((surprise > 3).mean()) == pytest.approx(0.001, rel=0.9)


def test_ranks_go_beyond_what_is_remembered() -> None:
    """A value far beyond all that is remembered is more surprising than any rank among them could say."""
    usual = np.random.default_rng(6).normal(50, 2, 400)
    surprise = run(Ranks, {}, [*usual, 60.0, 80.0]).surprise[-2:]
    assert math.log10(240) < surprise[0] < surprise[1]


def test_cusum_finds_what_no_window_shows() -> None:
    """A shift of one deviation that lasts is found, though each of its values is usual."""
    lots = np.random.default_rng(8)
    values = [*lots.normal(50, 2, 720), *lots.normal(52, 2, 60)]
    assert run(Cusum, {}, values).surprise[-1] > 8
    assert run(Mad, {}, values).surprise[-60:].max() < 6


@pytest.mark.slow
def test_cusum_is_calm_on_healthy_values() -> None:
    """On independent and on correlated Gaussian values a surprise of 3 is about as rare as it says, or rarer."""
    noise = np.random.default_rng(9).normal(0, 1, (4000, 40))
    correlated = noise.copy()
    for row in range(1, len(noise)):
        correlated[row] += 0.5 * correlated[row - 1]
    for values in (noise, correlated):
        surprise = Player(Cusum, {"floor": 0.01, "floor_share": 1e-4}, 40).play(values)[720:]
        assert float((surprise > 3).mean()) < 0.005


def test_cusum_forgets_a_fault() -> None:
    """After a fault of 200 windows the sums fall, though the reference has followed it: it takes about as long."""
    lots = np.random.default_rng(10)
    values = [*lots.normal(50, 2, 720), *[70.0] * 200, *lots.normal(50, 2, 300)]
    surprise = run(Cusum, {}, values).surprise
    assert surprise[919] > 8
    assert surprise[1120:].max() < 5


@pytest.mark.slow
def test_extremes_of_records() -> None:
    """A surprise above log10(n / 2) comes as often as records do, for exponential values of any order."""
    values = np.random.default_rng(11).exponential(1.0, (3000, 20)) + 10
    surprise = Player(Extremes, {"windows": 500, "floor": 0.001, "floor_share": 1e-4}, 20).play(values)[1000:]
    assert float((surprise > 3).mean()) == pytest.approx(0.001, rel=0.9)


@pytest.mark.parametrize("values", [[5.0] * 3000, [0.0, 0.0, 0.0, 1.0] * 750], ids=["constant", "small numbers"])
def test_what_equals_an_extreme_is_no_record(values: list[float]) -> None:
    """A series that stands, or counts few things, is at its extremes all the time."""
    assert 0.0 == np.nanmax(run(Extremes, {}, values).surprise)


def test_extremes_are_forgotten() -> None:
    """An outlier hides others for two blocks at most."""
    usual = [float(n % 10) for n in range(200)]
    values = [*usual, 500.0, *usual, 30.0]
    assert run(Extremes, {"windows": 50}, values).surprise[-1] > 5
    assert run(Extremes, {"windows": 500}, values).surprise[-1] < 1
