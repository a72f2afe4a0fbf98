"""What the built-in detectors say of given numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mendline.detectors.grains import grain
from mendline.detectors.stage import DetectStage
from mendline.detectors.tails import gaussian_surprise
from mendline.detectors.threshold import Threshold
from mendline.detectors.zscore import ZScore
from mendline.schemas.series import Kind, Series
from mendline.testing.detectors import make_step, run
from tests.detectors.support import BEGIN, WINDOWS, Story, Window, faults, said, settings, table


@given(st.floats(-37, 37))
def test_tail_where_a_double_can_tell(z: float) -> None:
    """As far as a probability is a double, the tail is that of the error function of the standard library."""
    expected = -math.log10(math.erfc(abs(z) / math.sqrt(2)))
    assert gaussian_surprise(np.array([z]))[0] == pytest.approx(expected, abs=6e-8)


@pytest.mark.parametrize("z", [20.0, 30.0, 35.0, 36.9])
def test_tail_far_out(z: float) -> None:
    """Far out, the tail is that of the asymptotic series (Abramowitz and Stegun, 7.1.23)."""
    x = z / math.sqrt(2)
    series = 1 - 1 / (2 * x**2) + 3 / (4 * x**4) - 15 / (8 * x**6)
    expected = (x * x + math.log(x * math.sqrt(math.pi)) - math.log(series)) / math.log(10)
    assert gaussian_surprise(np.array([z]))[0] == pytest.approx(expected, abs=1e-6)


def test_tail_at_the_ends() -> None:
    """Infinity is the cap, zero is zero, and NaN stays NaN."""
    given_z = np.array([math.inf, -math.inf, 1e300, 0.0, math.nan])
    assert gaussian_surprise(given_z).tolist() == pytest.approx([300, 300, 300, 0, math.nan], abs=1e-7, nan_ok=True)


@pytest.mark.slow
@given(st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=40), st.sampled_from([0.0, 1e6]))
def test_zscore_against_its_formula(values: list[float], level: float) -> None:
    """Each score is that of mean and standard deviation of the values before, worked out the slow way."""
    values = [value + level for value in values]
    scores = run(ZScore, {"windows": 6, "ready": 3}, values)
    for place, value in enumerate(values):
        before = values[max(place - 6, 0) : place]
        if len(before) < 3:
            assert math.isnan(scores.surprise[place])
            continue
        mean = math.fsum(before) / len(before)
        s = math.sqrt(math.fsum((one - mean) ** 2 for one in before) / (len(before) - 1))
        s = max(s, 0.01 * abs(mean), 1e-9) * math.sqrt(1 + 1 / len(before))
        expected = gaussian_surprise(np.array([(value - mean) / s]))[0]
        assert scores.surprise[place] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_zscore_does_not_drift() -> None:
    """After a huge value has left the ring, the scores are what they would be without it."""
    usual = [10.0, 11.0, 9.0, 10.5, 9.5, 10.2]
    with_spike = run(ZScore, {"windows": 4, "ready": 4}, [*usual, 1e15, *usual, 12.0])
    without = run(ZScore, {"windows": 4, "ready": 4}, [*usual, 12.0])
    assert with_spike.surprise[-1] == pytest.approx(without.surprise[-1], rel=1e-12)


def test_zscore_of_a_constant() -> None:
    """A constant series is surprised by a change of several per cent, and by none that is small against its value."""
    assert run(ZScore, {"windows": 30}, [100.0] * 30 + [100.5]).surprise[-1] < 1
    assert run(ZScore, {"windows": 30}, [100.0] * 30 + [110.0]).surprise[-1] > 20


def _idle_cpu(windows: int) -> list[float]:
    """Return 10 s means of a share that is measured in ticks of 10 ms: mostly 0.1 %, a few ticks now and then."""
    lots = np.random.default_rng(7)
    ticks = lots.poisson(0.1, (windows, 10)) + (lots.random((windows, 10)) < 0.01) * 2
    jitter = 1 + lots.normal(0, 1e-3, (windows, 10))
    return [float(mean) for mean in (ticks * 0.01 / jitter).mean(axis=1)]


@pytest.mark.slow
def test_an_idle_series_opens_nothing() -> None:
    """A CPU that idles for a day, and is then four times as busy as idle, is no news; one that works is."""
    made = settings({"name": "z", "use": "zscore"})
    idle = [*_idle_cpu(2000), *[0.001] * 60, 0.004, 0.004]
    for tail, opened in (([0.004] * 5, 0), ([0.25] * 2, 1)):
        story = Story(partition=WINDOWS)
        for number, value in enumerate([*idle, *tail]):
            story.now += 10_000
            one = table("system.cpu.utilization")
            story.tell([Window("h1", one, [value], BEGIN + number * 10_000)])
        assert len(faults(said(DetectStage(made, WINDOWS), story.inputs()))) == opened


@pytest.mark.parametrize(
    ("unit", "kind", "quiet", "loud"),
    [
        ("{thread}", "gauge", 3.0, 30.0),
        ("By", "gauge", 50_000.0, 5e6),
        ("s", "gauge", 0.001, 0.1),
        ("s", "counter", 0.01, 0.5),
        ("Cel", "gauge", 1.0, 30.0),
        ("V", "gauge", 1e-10, 0.1),
    ],
)
def test_what_matters_follows_from_the_unit(unit: str, kind: Kind, quiet: float, loud: float) -> None:
    """A series that was 0 for long is not surprised by little, and by much it is."""
    least = np.array([grain(Series(metric="m", unit=unit, kind=kind))])
    detector = ZScore(ZScore.Parameters(windows=30))
    state = {name: array.rows(1) for name, array in detector.arrays().items()}
    for number in range(30):
        detector.step(state, replace(make_step(np.zeros(1), number), grains=least))
    for value, low, high in ((quiet, 0.0, 6.0), (loud, 20.0, 300.0)):
        copied = {name: rows.copy() for name, rows in state.items()}
        surprise = detector.step(copied, replace(make_step(np.array([value]), 30), grains=least)).surprise[0]
        assert low <= surprise <= high


def test_threshold_on_a_rate() -> None:
    """A rate is the change per second since the value before; a gap makes it smaller, not wrong."""
    scores = run(Threshold, {"above": 1.0, "of": "rate"}, [0.0, 5.0, 25.0, math.nan, 45.0, 30.0])
    assert scores.surprise.tolist() == pytest.approx([math.nan, 0, 300, math.nan, 0, 0], nan_ok=True)
    assert scores.measure is not None
    assert scores.measure.tolist() == pytest.approx([math.nan, 0.5, 2.0, math.nan, 1.0, -1.5], nan_ok=True)


def test_threshold_below() -> None:
    """A lower bound is violated below it."""
    assert run(Threshold, {"below": 2.0}, [1.0, 2.0, 3.0]).surprise.tolist() == [300.0, 0.0, 0.0]
