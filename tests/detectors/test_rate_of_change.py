"""How fast a value changes, over one window or several, and the faults that follow."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mendline.detectors.configuring import configure
from mendline.detectors.registry import DetectorError
from mendline.detectors.stage import DetectStage
from mendline.detectors.threshold import Threshold
from mendline.testing.detectors import Player, run
from tests.detectors.support import BEGIN, WINDOWS, Story, Window, faults, said, settings, table


@pytest.mark.parametrize("over", [1, 2, 5])
def test_change_per_second_over_windows_with_a_value(over: int) -> None:
    """The rate is that since the value so many windows before, divided by the time between; gaps are passed over."""
    values = np.random.default_rng(over).normal(size=60)
    values[[3, 4, 20, 41]] = math.nan
    measure = run(Threshold, {"below": 0.0, "of": "rate", "over": over}, values.tolist()).measure
    assert measure is not None
    known: list[tuple[int, float]] = []
    for place, value in enumerate(values.tolist()):
        expected = math.nan
        if not math.isnan(value) and len(known) >= over:
            at, before = known[-over]
            expected = (value - before) / (10.0 * (place - at))
        assert measure[place] == pytest.approx(expected, nan_ok=True)
        known += [] if math.isnan(value) else [(place, value)]


def test_a_slope_that_one_step_hides() -> None:
    """A slow slope in noise stays within the bound of healthy noise over one window, and is seen over thirty."""
    lots = np.random.default_rng(4).normal(0, 5.0, 300)
    values = lots + np.where(np.arange(300) < 200, 0.0, 2.0 * (np.arange(300) - 200))
    for over, seen in ((1, False), (30, True)):
        measure = run(Threshold, {"above": 0.1, "of": "rate", "over": over}, values.tolist()).measure
        assert measure is not None
        assert (measure[240:].min() > np.nanmax(measure[:200])) is np.bool_(seen)


def test_windows_out_of_order_have_no_rate() -> None:
    """A value that is not later than the one before it has no rate."""
    player = Player(Threshold, {"above": 1.0, "of": "rate"}, 1)
    player.step(np.array([1.0]), 5)
    assert np.isnan(player.step(np.array([2.0]), 5).surprise).all()
    assert np.isnan(player.step(np.array([3.0]), 4).surprise).all()


def test_open_and_clear_have_bounds_and_holds_of_their_own() -> None:
    """A fault opens when the rate was beyond its bound for a while and resolves by another; the words tell the rate."""
    story = Story(partition=WINDOWS)
    steps = [0.0] * 5 + [20.0] + [0.0] * 3 + [20.0] * 6 + [8.0] * 6 + [1.0] * 4
    for number, value in enumerate(np.cumsum(steps).tolist()):
        story.now += 10_000
        story.tell([Window("h1", table("queue.length"), [value], BEGIN + number * 10_000)])
    conditions = {"open": {"above": 1.0, "for": "30s"}, "clear": {"below": 0.5, "for": "20s"}}
    made = settings({"name": "d", "use": "threshold", "parameters": {"of": "rate"}, **conditions})
    told = [fault for fault in faults(said(DetectStage(made, WINDOWS), story.inputs())) if fault.revision < 1]
    closed = [f for f in faults(said(DetectStage(made, WINDOWS), story.inputs())) if f.transition == "resolved"]
    assert [(fault.opened_at - BEGIN) // 10_000 for fault in told] == [12]
    assert "it changes by 2 a second" in told[0].reason
    assert [(fault.time - BEGIN) // 10_000 for fault in closed] == [23]


def test_over_is_about_rates() -> None:
    """Windows to take a value itself over are refused."""
    made = settings({"name": "d", "use": "threshold", "parameters": {"above": 1.0, "over": 3}})
    with pytest.raises(DetectorError, match="over = 3 is about a rate"):
        configure(made.detectors[0], made)
