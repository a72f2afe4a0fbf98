"""Seasons that nobody told of: learned, used where they predict better, and said in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mendline.detectors.base import Detector, Step, joined
from mendline.detectors.seasonal import DAILY, Seasonal, Seasons
from mendline.testing.detectors import BEGIN_MS, Player, make_step, make_windows

STEP_MS = 900_000
DAY = 96


def _step(value: float, number: int) -> Step:
    step = make_step(np.array([value]), number)
    return replace(step, times=np.array([BEGIN_MS + number * STEP_MS], dtype=np.int64), width_ms=STEP_MS)


def _play(values: NDArray[np.float64]) -> tuple[Player, list[Seasons]]:
    player = Player(Seasonal, {}, 1)
    answers = [player.detector.step(player.state, _step(value, number)) for number, value in enumerate(values.tolist())]
    return player, [answer for answer in answers if isinstance(answer, Seasons)]


def _wave(days: int, height: float = 20.0) -> NDArray[np.float64]:
    lots = np.random.default_rng(1)
    return 50 + height * np.sin(2 * np.pi * np.arange(days * DAY) / DAY) + lots.normal(0, 1, days * DAY)


@pytest.mark.slow
def test_a_day_is_learned_and_used() -> None:
    """After some days a value that is usual at noon and wrong by night is found, and the words say why."""
    values = _wave(14)
    trough = len(values) - DAY // 4
    values[trough] = 70.0
    player, answers = _play(values)
    assert answers[trough].surprise[0] > 8
    assert player.detector.words(_step(70.0, trough), answers[trough], 0) == "compared with this time of the day"
    assert max(float(one.surprise[0]) for one in answers[10 * DAY : trough]) < 6


@pytest.mark.slow
def test_weekends_are_learned() -> None:
    """A series that rests on two days of seven is compared with the hour of the week."""
    values = _wave(42)
    resting = np.arange(len(values)) // DAY % 7 >= 5
    values[resting] = 10 + np.random.default_rng(2).normal(0, 1, int(resting.sum()))
    player, answers = _play(values)
    assert player.detector.words(_step(50.0, 1), answers[-1], 0) == "compared with this hour of the week"


@pytest.mark.slow
def test_no_season_is_made_up() -> None:
    """Noise is compared with its level, and surprise 2 comes about once in a hundred windows."""
    player, answers = _play(_wave(30, height=0.0))
    known = answers[720:]
    assert np.mean([one.choice is not None and one.choice[0] == 0 for one in known]) > 0.99
    assert float(np.mean([one.surprise[0] > 2 for one in known])) == pytest.approx(0.01, abs=0.008)
    assert "no season is known" in player.detector.words(_step(50.0, 1), answers[-1], 0)


@pytest.mark.slow
def test_one_bad_day_is_no_habit() -> None:
    """After a day on which nobody came, the same on the next day is still unusual."""
    values = _wave(16)
    values[14 * DAY + 24 : 14 * DAY + 30] = 0.0
    values[15 * DAY + 24 : 15 * DAY + 30] = 0.0
    _, answers = _play(values)
    assert answers[15 * DAY + 25].surprise[0] > 8


@pytest.mark.slow
def test_each_series_has_its_own_season() -> None:
    """Series that are scored together, some without a value now and then, are scored as each by itself."""
    values = np.stack([_wave(9), np.roll(_wave(9), DAY // 2), np.roll(_wave(9), DAY // 3)], axis=1)
    values[np.random.default_rng(4).random(values.shape) < 0.05] = np.nan
    together = Player(Seasonal, {}, 3)
    alone = [Player(Seasonal, {}, 1) for _ in range(3)]
    for number, row in enumerate(values):
        times = np.full(3, BEGIN_MS + number * STEP_MS, dtype=np.int64)
        step = replace(make_step(row.copy(), number), times=times, width_ms=STEP_MS)
        found = together.detector.step(together.state, step).surprise
        ones = [
            one.detector.step(one.state, _step(value, number)).surprise[0]
            for one, value in zip(alone, row.tolist(), strict=True)
        ]
        assert np.array(ones).tobytes() == found.tobytes()
    assert [1] * 3 == together.detector.step(together.state, step).choice.tolist()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_file_is_scored_as_windows_one_by_one() -> None:
    """Days at a time give the same answers and leave the same state, gaps and infinite values among them."""
    lots, values = np.random.default_rng(5), _wave(16)
    values[lots.random(len(values)) < 0.05] = np.nan
    values[lots.random(len(values)) < 0.01] = np.inf
    values[3 * DAY : 3 * DAY + 20] = 1e300
    times = np.cumsum(STEP_MS * lots.choice([0, 1, 1, 1, 5], len(values))).astype(np.int64)
    one, other = Player(Seasonal, {}, 1), Player(Seasonal, {}, 1)
    windows = replace(make_windows(values, 0), times=times, width_ms=STEP_MS)
    expected = Detector.follow(one.detector, one.state, windows)
    found = joined(
        [other.detector.follow(other.state, windows.part(slice(at, at + 500))) for at in range(0, 2000, 500)]
    )
    for name in ("surprise", "low", "high"):
        assert getattr(expected, name).tobytes() == getattr(found, name).tobytes()
    assert {name: rows.tobytes() for name, rows in one.state.items()} == {
        name: rows.tobytes() for name, rows in other.state.items()
    }


def test_what_was_looked_up_stays_true() -> None:
    """What is usual now is what the profile says, wherever time goes, and whatever was valid on the way."""
    lots, series = np.random.default_rng(7), 6
    state = {name: array.rows(series) for name, array in Seasonal(Seasonal.Parameters()).arrays().items()}
    hour = 3_600_000
    times = np.cumsum(lots.integers(-hour, 3 * hour, (400, series)), axis=0) + 10 * hour
    for window in times:
        bins = DAILY.bin_of(window)
        assert np.array_equal(DAILY.usual(state, bins[np.newaxis])[0], DAILY.usual_now(state, bins), equal_nan=True)
        DAILY.take(state, bins, lots.normal(50.0, 2.0, series), lots.random(series) < 0.8)
    assert np.isfinite(state["daily"]).any(axis=1).all()
