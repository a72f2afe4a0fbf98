from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mendline.detectors.correlation import Correlation
from mendline.schemas.series import Series
from mendline.testing.detectors import Player, make_step

NAMES = ("cpu", "latency", "requests", "threads")
READY = 100


def columns(*names: str, service: str = "web") -> list[Series]:
    """Return series of one service."""
    return [Series(metric=name, service=service) for name in names]


def together(windows: int, seed: int = 3) -> NDArray[np.float64]:
    """Return windows of the four metrics: all follow the load, each with some noise of its own."""
    generator = np.random.default_rng(seed)
    load = generator.normal(0.0, 1.0, (windows, 1))
    return 100.0 + 10.0 * (load + generator.normal(0.0, 0.2, (windows, len(NAMES))))


def player(names: tuple[str, ...] = NAMES, sources: int = 1, **parameters: float) -> Player:
    """Return a fresh detector of so many sources."""
    return Player(Correlation, {"ready": READY, **parameters}, len(names) * sources, columns(*names))


@pytest.mark.slow
def test_what_follows_the_others_is_no_surprise() -> None:
    """Three deviations up is much for each metric, and nothing where all of them go."""
    one = player()
    one.play(together(400))
    surprise = one.step(np.full(4, 130.0), 400).surprise
    assert (surprise < 1.5).all(), surprise


def test_what_leaves_the_others_is_the_only_one_to_blame() -> None:
    """One metric stays where it always was while the others rise; they rise together, and are not taken for wrong."""
    one = player()
    one.play(together(400))
    surprise = one.step(np.array([130.0, 130.0, 100.0, 130.0]), 400).surprise
    assert surprise[2] > 10
    assert (np.delete(surprise, 2) < 2).all(), surprise


def test_the_range_is_where_the_others_say_that_it_is() -> None:
    """What was expected moves with the load, and is much narrower than what the metric does."""
    one = player()
    one.play(together(400))
    scores = one.step(np.array([120.0, 120.0, 100.0, 120.0]), 400)
    assert scores.low is not None
    assert scores.high is not None
    assert 110 < scores.low[2] < 120 < scores.high[2] < 130


@pytest.mark.slow
def test_bonds_by_chance_are_not_believed() -> None:
    """Metrics that have nothing to do with each other are judged as each would be by itself."""
    independent = np.random.default_rng(5).normal(50.0, 2.0, (600, 4))
    one = player()
    surprise = one.play(independent)[READY:]
    assert 0.2 < (surprise > 1).mean() * 10 < 1.5


@pytest.mark.slow
def test_a_spike_does_not_become_what_is_usual() -> None:
    """It is learned as four deviations, so what comes after is seen as well as before."""
    spiked, quiet = player(), player()
    for one in (spiked, quiet):
        one.play(together(400))
    spiked.step(np.array([100.0, 1e9, 100.0, 100.0]), 400)
    quiet.step(np.array([100.0, 100.0, 100.0, 100.0]), 400)
    broken = np.array([130.0, 130.0, 100.0, 130.0])
    after, without = (one.step(broken, 401).surprise[2] for one in (spiked, quiet))
    assert after > 0.5 * without


def test_a_metric_alone_has_no_answer() -> None:
    """Nobody says what it should be: for that there are other detectors."""
    one = player(("cpu",))
    assert np.isnan(one.play(together(300)[:, :1])).all()


@pytest.mark.slow
def test_a_missing_value_takes_no_part() -> None:
    """The others are judged by those that are there, and the one that is missing has no answer."""
    one = player()
    one.play(together(400))
    surprise = one.step(np.array([130.0, np.nan, 100.0, 130.0]), 400).surprise
    assert [False, True, False, False] == np.isnan(surprise).tolist()
    assert surprise[2] > 8


@pytest.mark.slow
def test_services_are_judged_apart() -> None:
    """What one service does says nothing about another on the same host."""
    names = [*columns("cpu", "latency"), *columns("cpu", "latency", service="db")]
    both = Player(Correlation, {"ready": READY}, 4, names)
    values = together(400)
    values[:, 2:] = together(400, seed=4)[:, 2:]
    whole = both.play(values)
    alone = Player(Correlation, {"ready": READY}, 2, names[:2]).play(values[:, :2].copy())
    assert alone.tobytes() == whole[:, :2].copy().tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("turned", [(3, 2, 1, 0), (1, 3, 0, 2)])
def test_the_order_of_metrics_does_not_matter(turned: tuple[int, ...]) -> None:
    """They are taken by name, to the last bit."""
    values = together(300)
    other = player(tuple(NAMES[place] for place in turned))
    expected = player().play(values)[:, turned].copy()
    assert expected.tobytes() == other.play(values[:, turned].copy()).tobytes()


@pytest.mark.slow
def test_a_metric_that_comes_later_is_judged_when_it_is_known() -> None:
    """And the others are judged all the time; what stayed away for a while begins anew."""
    values, names = together(700), columns(*NAMES)
    one = player()
    few, all_four = np.array([0, 2, 3]), np.arange(4)
    late = Stepper(one, names)
    for number in range(200):
        late.step(values, number, few)
    newcomer = [late.step(values, number, all_four)[1] for number in range(200, 350)]
    assert [True] * READY + [False] * 50 == np.isnan(newcomer).tolist()
    assert not np.isnan(late.step(values, 350, few)).any()
    back = [late.step(values, number, all_four)[1] for number in range(351, 500)]
    assert [True] * READY + [False] * 49 == np.isnan(back).tolist()


def test_no_more_metrics_than_asked_for_are_looked_at() -> None:
    """The first by name; the rest has no answer and harms nothing."""
    one = player(metrics=3)
    surprise = one.play(together(300))
    assert [False, False, False, True] == np.isnan(surprise[-1]).tolist()


class Stepper:
    """Feeds some of a source's metrics, as where one appears or vanishes."""

    def __init__(self, one: Player, names: list[Series]) -> None:
        self._one = one
        self._names = names

    def step(self, values: NDArray[np.float64], number: int, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        state = {name: array[rows] for name, array in self._one.state.items()}
        step = make_step(values[number, rows], number, [self._names[row] for row in rows])
        surprise = self._one.detector.step(state, step).surprise
        for name, array in self._one.state.items():
            array[rows] = state[name]
        return surprise
