import numpy as np
import pytest

from mendline.detectors.conditions import Bounds
from mendline.detectors.lifecycle import ARRAYS, Lifecycle
from mendline.detectors.registry import DetectorError
from mendline.detectors.transitions import State
from mendline.scoring import Scored, Scorer

MINUTE = 60_000
BEGIN = 1_700_000_000_000


def _times(count: int, step: int = MINUTE) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return BEGIN + step * np.arange(count)


def _values(count: int, seed: int = 1) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    values = np.random.default_rng(seed).normal(50.0, 2.0, count)
    values[count // 2 : count // 2 + 5] = 90.0
    return values


def _same(one: Scored, other: Scored) -> None:
    for name in ("surprise", "low", "high", "fault"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name


@pytest.mark.parametrize("cuts", [[1], [2], [1, 2, 3], [100], [37, 38, 120]])
def test_answers_do_not_depend_on_blocks(cuts: list[int]) -> None:
    """The same rows in blocks of any size get the same answers, to the bit."""
    times, values = _times(200), _values(200)
    parts = Scorer("zscore")
    answers = [parts.score(t, v) for t, v in zip(np.split(times, cuts), np.split(values, cuts), strict=True)]
    _same(Scorer("zscore").score(times, values), Scored.joined(answers))


def test_answers_do_not_look_ahead() -> None:
    """A row's answer is the same whatever rows, times and intervals follow."""
    times, values = _times(200), _values(200)
    whole = Scorer("zscore").score(times, values)
    for until in (1, 2, 99, 101):
        other_times, other_values = times.copy(), values.copy()
        other_times[until:] += 7 * MINUTE
        other_values[until:] = -1.0
        other = Scorer("zscore").score(other_times, other_values)
        for name in ("surprise", "low", "high", "fault"):
            assert getattr(whole, name)[:until].tobytes() == getattr(other, name)[:until].tobytes()


def test_fault_is_on_the_rows_on_which_it_is_open() -> None:
    """The row that opens a fault is its first, and the row that clears it is not one of it any more."""
    values = np.array([1.0, 5.0, 5.0, float("nan"), 5.0, 1.0, 1.0])
    fault = Scorer("threshold", {"above": 3.0}).score(_times(7), values).fault
    assert [False, True, True, True, True, False, False] == fault.tolist()


def test_interval_is_the_first_step_that_goes_forward() -> None:
    """Rows at one time do not tell the interval; the first later one does, and nothing afterwards changes it."""
    scorer = Scorer("zscore")
    scorer.score(np.array([BEGIN, BEGIN, BEGIN - 5]), np.ones(3))
    assert 0 == scorer.interval_ms
    scorer.score(np.array([BEGIN + 300_000, BEGIN + 301_000]), np.ones(2))
    assert 300_000 == scorer.interval_ms


@pytest.mark.parametrize(
    ("interval", "surprise"), [(1000, 4.936514), (MINUTE, 3.158362), (300_000, 3.0), (86_400_000, 3.0)]
)
def test_fault_opens_by_the_budget_of_one_series(interval: int, surprise: float) -> None:
    """One false fault a day of one series: p is 1 / windows a day, and never above 1 in 1,000."""
    scorer = Scorer("zscore", interval_ms=interval)
    assert surprise == pytest.approx(scorer.configured.bounds.open_above, abs=1e-6)


def test_times_that_go_back_or_stand_still_count_as_the_latest() -> None:
    """Rows count in their order in the file: a clock that was set back leaves no row out, and sorts none."""
    values = _values(200)
    times = _times(200)
    times[80:90] -= 30 * MINUTE
    clamped = np.maximum.accumulate(times)
    _same(Scorer("zscore").score(clamped, values), Scorer("zscore").score(times, values))


def test_missing_and_infinite_values_are_no_end() -> None:
    """A row without a value has no surprise; an infinite one the largest; both leave later rows alone."""
    values = _values(200)
    values[60], values[70] = np.nan, np.inf
    scored = Scorer("zscore").score(_times(200), values)
    assert np.isnan(scored.surprise[60])
    assert 300.0 == scored.surprise[70]
    assert np.isfinite(scored.surprise[71:]).all()


def test_no_rows_have_no_answers() -> None:
    """An empty block is no error."""
    assert 0 == len(Scorer("zscore").score(np.empty(0, dtype=np.int64), np.empty(0)).fault)


def test_unknown_detector_is_named() -> None:
    """A detector that does not exist is refused before anything is read."""
    with pytest.raises(DetectorError, match="did you mean zscore"):
        Scorer("zscor")


@pytest.mark.slow
@pytest.mark.parametrize("holds", [(0, 0), (2 * MINUTE, 0), (0, 3 * MINUTE), (2 * MINUTE, 3 * MINUTE)])
@pytest.mark.parametrize(("bad", "lasts"), [(0.2, 1), (0.04, 1), (0.4, 60)])
def test_following_a_row_equals_stepping_it(holds: tuple[int, int], bad: float, lasts: int) -> None:
    """Skipping what cannot change a row's state leaves its faults, and what makes it flap, as window by window."""
    draw = np.random.default_rng(3)
    surprise = np.repeat(draw.choice([0.0, 2.0, 5.0, np.nan], size=3000, p=[0.8 - bad, 0.1, bad, 0.1]), lasts)[:3000]
    surprise[draw.random(3000) < 0.02] *= 2.5
    surprise[draw.random(3000) < 0.01] = np.nan
    times = BEGIN + np.cumsum(draw.choice([MINUTE, 5 * MINUTE], size=3000, p=[0.95, 0.05]))
    bounds = Bounds(open_above=4.0, clear_below=1.5, open_hold=holds[0], clear_hold=holds[1])
    life = Lifecycle(bounds, 2 * MINUTE)
    rows = {name: array.rows(1) for name, array in ARRAYS.items()}
    expected = []
    for place in range(len(times)):
        one = slice(place, place + 1)
        life.step(rows, surprise[one], surprise[one], times[one], MINUTE, np.zeros_like)
        expected.append(bool(rows["state"][0] >= 2))
    fresh = {name: array.rows(1) for name, array in ARRAYS.items()}
    parts = [
        life.follow(fresh, surprise[part], surprise[part], times[part], MINUTE)
        for part in (slice(0, 1), slice(1, 777), slice(777, None))
    ]
    assert expected == np.concatenate(parts).tolist()
    names = ARRAYS if rows["state"][0] == State.OPEN else ("state", "history", "side", "reported")
    assert {name: rows[name] for name in names} == {name: fresh[name] for name in names}
    assert 5 <= sum(expected) < 2990
