"""When a resource is exhausted, forecast: how early, how surely, and in which words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mendline.detectors.configuring import configure
from mendline.detectors.exhaustion import Exhaustion, Forecast
from mendline.detectors.registry import DetectorError
from mendline.detectors.stage import DetectStage
from mendline.testing.detectors import Player, run
from tests.detectors.support import BEGIN, WINDOWS, Story, Window, faults, said, settings, table

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILLS = 0.1 / 360
"""A tenth an hour, a window."""


def many(values: NDArray[np.float64]) -> list[Forecast]:
    """Return what it answers to the rows of values (windows, series)."""
    player = Player(Exhaustion, {}, values.shape[1])
    answers = [player.step(row.copy(), number) for number, row in enumerate(values)]
    assert all(isinstance(answer, Forecast) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Forecast)]


def healthy(kind: str, windows: int = 2000, series: int = 100) -> NDArray[np.float64]:
    """Return series that do not go anywhere."""
    lots = np.random.default_rng(3).normal(size=(windows, series))
    if kind == "noise":
        return 0.7 + 0.05 * lots
    if kind == "walk":
        return 0.6 + np.cumsum(0.0005 * lots, axis=0)
    correlated = np.zeros((windows, series))
    for number in range(1, windows):
        correlated[number] = 0.98 * correlated[number - 1] + 0.01 * lots[number]
    return 0.7 + correlated


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["noise", "walk", "correlated"])
def test_nothing_is_foretold_of_what_goes_nowhere(kind: str) -> None:
    """Noise, correlated noise and walks without drift open next to nothing within days of windows."""
    answers = many(healthy(kind))
    inside = [(answer.measure < 14_400) for answer in answers if answer.measure is not None]
    assert np.mean(inside) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "step"), [("line", 0.0), ("walk", 0.0002)])
def test_the_interval_is_honest(kind: str, step: float) -> None:
    """The limit is reached before the lower end in less than 5 % of cases, after the upper one in less than 20 %."""
    lots = np.random.default_rng(5).normal(size=(3000, 150))
    values = 0.3 + FILLS * np.arange(3000)[:, np.newaxis] + np.cumsum(step * lots, axis=0, dtype=np.float64)
    values += 0.003 * np.random.default_rng(6).normal(size=values.shape)
    reached = np.argmax(values >= 1.0, axis=0)
    early, late = [], []
    for number, answer in list(enumerate(many(values[:2000].astype(np.float64))))[800::100]:
        truth = (reached - number) * 10.0
        sure = np.flatnonzero(answer.measure < 1e9) if answer.measure is not None else np.empty(0, np.intp)
        assert len(sure) > 100
        assert answer.measure is not None
        assert answer.latest is not None
        early.append(float(np.mean(answer.measure[sure] > truth[sure])))
        late.append(float(np.mean(answer.latest[sure] < truth[sure])))
    assert float(np.mean(early)) < 0.05, kind
    assert float(np.mean(late)) < 0.2, kind


@pytest.mark.slow
def test_it_opens_before_it_happens_and_says_by_when() -> None:
    """A disk that begins to fill is a fault hours before it is full, with the times in words."""
    story = Story(partition=WINDOWS)
    lots = np.random.default_rng(1).normal(0, 0.0005, 3000)
    for number in range(1500):
        value = 0.5 + FILLS * max(number - 500, 0) + lots[number]
        story.now += 10_000
        one = table("system.filesystem.utilization")
        story.tell([Window("h1", one, [value], BEGIN + number * 10_000)])
    made = settings({"name": "full", "use": "exhaustion", "match": {"metric": "system.filesystem.utilization"}})
    opened = next(fault for fault in faults(said(DetectStage(made, WINDOWS), story.inputs())))
    hours = (opened.opened_at - BEGIN) / 3_600_000
    assert (opened.transition, opened.kind) == ("opened", "exhaustion")
    # It begins after 1.4 h and would be full after 6.4 h.
    assert 1.4 < hours < 3.5
    assert "at this trend it reaches 1 at 0" in opened.reason
    assert "at the latest" in opened.reason


@pytest.mark.slow
def test_a_jump_is_no_trend() -> None:
    """A single step of half the whole, up or down, foretells nothing."""
    for to in (0.9, 0.1):
        scores = run(Exhaustion, {}, [0.4] * 600 + [to] * 600)
        assert scores.measure is not None
        assert np.nanmin(scores.measure) > 1e9


@pytest.mark.slow
def test_time_that_is_left() -> None:
    """Of a certificate the time left is the answer itself, and one that is renewed is no news any more."""
    left = [40_000.0 - 10.0 * number for number in range(800)]
    given = {"limit": 0.0, "direction": "down", "horizon": 36_000.0}
    scores = run(Exhaustion, given, [*left, 9e6])
    assert scores.measure is not None
    for number in (400, 600, 799):
        assert scores.measure[number] == pytest.approx(left[number] - 10.0, abs=40.0)
    renewed = run(Exhaustion, given, left + [9e6 - 10.0 * number for number in range(700)])
    assert renewed.measure is not None
    assert renewed.measure[-1] > 3_600_000


def test_at_the_limit_nothing_is_left() -> None:
    """A value at its limit is exhausted now, trend or not."""
    scores = run(Exhaustion, {}, [0.5] * 400 + [1.0])
    assert scores.measure is not None
    assert scores.measure[-1] == 0.0


def test_no_value_no_answer() -> None:
    """A window without a value is not answered, and the forecast goes on behind it."""
    values = [0.5 + FILLS * number for number in range(700)]
    scores = run(Exhaustion, {}, [*values, math.nan, values[-1] + 2 * FILLS])
    assert scores.measure is not None
    assert math.isnan(scores.measure[-2])
    assert scores.measure[-1] < 14_400


def test_too_long_a_memory_is_refused() -> None:
    """What could never be read back is refused."""
    made = settings({"name": "d", "use": "exhaustion", "parameters": {"block": 10_000, "blocks": 1000}})
    with pytest.raises(DetectorError, match="take wider windows"):
        configure(made.detectors[0], made)
