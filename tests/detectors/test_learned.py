"""Detectors with a trained model: what they learn from, when, and what they say of it."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from mendline.detectors.configuring import configure
from mendline.detectors.isolation_forest import IsolationForest, _fenced
from mendline.detectors.learned import Answer, Learned, LearnedParameters
from mendline.detectors.models import Model, Models
from mendline.detectors.pyod_model import PyodModel
from mendline.detectors.registry import DetectorError
from mendline.detectors.river_model import RiverModel
from mendline.detectors.stage import DetectStage
from mendline.testing.detectors import Player, make_step
from tests.detectors.support import (
    BEGIN,
    WINDOWS,
    Story,
    Window,
    faults,
    said,
    settings,
    table,
    through_snapshot,
)

SMALL = {"trees": 5, "lags": 1, "windows": 32, "ready": 16, "every": 40, "drift": 0.0}


def usual(windows: int, seed: int = 3) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return healthy values, (windows, 1)."""
    return np.random.default_rng(seed).normal(50.0, 2.0, (windows, 1))


def player(**more: Any) -> Player:
    """Return a small forest about one series."""
    return Player(IsolationForest, SMALL | more, 1)


@pytest.mark.slow
def test_trees_are_walked_as_scikit_learn_walks_them() -> None:
    """A forest's score is the one that scikit-learn gives, negated."""
    rng = np.random.default_rng(0)
    vectors, others = rng.normal(size=(200, 3)), 4.0 * rng.normal(size=(50, 3))
    detector = IsolationForest(IsolationForest.Parameters(trees=20, sample=64, seed=5))
    ensemble = pytest.importorskip("sklearn.ensemble")  # too slow to import for whoever only collects the tests
    forest = ensemble.IsolationForest(n_estimators=20, max_samples=64, random_state=5).fit(_fenced(vectors))
    assert (-forest.score_samples(others)).tolist() == pytest.approx([detector.fit(vectors)(one) for one in others])


def test_trained_by_schedule() -> None:
    """A model is trained when it is ready and then by schedule, a quarter early at most; its range is recorded."""
    forest = player()
    forest.play(usual(16))
    assert (1, 16) == (forest.state["version"][0], forest.state["held"][0])
    forest.play(usual(40), 16)
    assert 2 == forest.state["version"][0]
    assert 32 == forest.state["held"][0]
    assert 32 * 10_000 == forest.state["end"][0] - forest.state["begin"][0]


def test_trained_in_the_order_of_time() -> None:
    """Training data stands in the order of time, also when the ring has turned."""
    forest = player(every=64, trust=300.0)
    values = np.arange(200.0)[:, np.newaxis]
    forest.play(values)
    newest = forest.state["trained"][0, :, 0]
    assert [1.0] * 31 == np.diff(newest).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("drift", [1e-6, 0.0])
def test_trained_by_drift(drift: float) -> None:
    """Where scores are distributed otherwise than after training, a model is trained before its time."""
    forest = player(every=10_000, drift=drift, trust=300.0)
    forest.play(usual(200))
    assert 1 == forest.state["version"][0]
    forest.play(usual(200) + 8.0, 200)
    assert (forest.state["version"][0] > 1) == bool(drift)


def test_windows_of_an_open_fault_are_not_learned() -> None:
    """What comes while a fault is open is scored, and neither learned nor trained on."""
    forest = player(trust=300.0)
    forest.play(usual(100))
    before = {name: array.copy() for name, array in forest.state.items()}
    for number in range(100, 180):
        step = replace(make_step(np.array([70.0]), number), faulty=np.array([True]))
        assert not np.isnan(forest.detector.step(forest.state, step).surprise[0])
    for name in ("ring", "learned", "trained", "version", "begin", "end", "age", "recent"):
        assert before[name].tobytes() == forest.state[name].tobytes(), name


def test_surprising_windows_are_not_learned() -> None:
    """A window that is surprising itself is not learned: the first of a fault comes before it opens."""
    forest = player(trust=2.0)
    forest.play(usual(100))
    known = int(forest.state["learned"][0])
    surprise = forest.play(np.array([[500.0]]), 100)[0, 0]
    assert surprise >= 2.0
    assert known == forest.state["learned"][0]


def test_what_is_in_doubt_for_long_is_the_usual() -> None:
    """Windows that stay surprising without a fault are learned in the end, or a small lasting shift never would be."""
    forest = player(trust=0.1)
    forest.play(usual(100))
    learned = []
    for number in range(100, 140):
        step = replace(make_step(np.array([90.0]), number), faulty=np.array([False]))
        forest.detector.step(forest.state, step)
        learned.append(int(forest.state["learned"][0]))
    assert [learned[0]] * 15 == learned[:15]
    assert learned[0] < learned[20]


def test_surprise_lasts_as_long_as_the_fault() -> None:
    """A window that is as unusual as the one before is as surprising: what a fault shows is not taken for known."""
    forest = player()
    forest.play(usual(120))
    surprise = forest.play(np.full((20, 1), 90.0), 120)
    assert surprise.min() > 2.0
    assert surprise.min() == surprise.max()


@pytest.mark.slow
def test_restored_after_several_versions() -> None:
    """A model that is trained anew from the state gives the same scores to the last bit."""
    forest = player(lags=2, drift=1e-6)
    forest.play(usual(150))
    restored, following = forest.restored(), usual(60, seed=4)
    assert forest.state["version"][0] > 1
    assert forest.play(following, 150).tobytes() == restored.play(following, 150).tobytes()


@pytest.mark.slow
def test_one_model_a_series_is_kept() -> None:
    """A new version takes the place of the one before in memory."""
    forest = player()
    forest.play(usual(400))
    assert isinstance(forest.detector, IsolationForest)
    assert forest.state["version"][0] > 3
    assert len(forest.detector._models) <= 1


def test_words_before_there_is_a_model() -> None:
    """Scores that are no model's have no words."""
    forest = player()
    step = make_step(np.array([1.0]), 0)
    assert "" == forest.detector.words(step, Answer(np.zeros(1)), 0)


class Counted(Learned):
    """A model that is the size of the first feature, and a count of the trainings since the last look."""

    Parameters = LearnedParameters
    grain = 0.01
    trainings = 0

    def fit(self, vectors: np.ndarray[Any, np.dtype[np.float64]]) -> Model:
        """Count."""
        del vectors
        type(self).trainings += 1
        return lambda vector: float(abs(vector[0]))

    @classmethod
    def counted(cls) -> int:
        """Return how many trainings there were, and begin anew."""
        found, cls.trainings = cls.trainings, 0
        return found


@pytest.mark.slow
def test_few_models_are_trained_at_a_time() -> None:
    """After a restart some models are trained for each window; the others wait, not ready, and learn nothing."""
    values = np.random.default_rng(5).normal(50.0, 2.0, (210, 20))
    first = Player(Counted, {"lags": 1, "windows": 32, "ready": 16, "drift": 0.0, "trust": 300.0}, 20)
    first.play(values[:200])
    restored, learned = first.restored(), first.state["learned"].copy()
    Counted.counted()
    trainings, scored = [], []
    for window in range(200, 204):
        scored.append(int((~np.isnan(restored.step(values[window], window).surprise)).sum()))
        trainings.append(Counted.counted())
    assert [8, 8, 4, 0] == trainings
    assert [8, 16, 20, 20] == scored
    assert [4] * 8 + [3] * 8 + [2] * 4 == (restored.state["learned"] - learned).tolist()


def test_models_in_use_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    """Where all room is in use a further model is refused, and said so once; what nobody asks any more makes room."""
    models = Models(most=2)

    def ask(time: int, *digests: int) -> list[bool]:
        models.begin(time, 10_000)
        return [
            models.get(digest, lambda: Counted(LearnedParameters()).fit(np.zeros(0))) is not None for digest in digests
        ]

    Counted.counted()
    assert [[True, True, False]] * 3 == [ask(time, 1, 2, 3) for time in (0, 10_000, 20_000)]
    assert 2 == Counted.counted()
    assert ["2 models are in use"] == [record.getMessage()[:19] for record in caplog.records]
    assert [True, True] == ask(3_630_000, 2, 3)
    assert 1 == Counted.counted()


def told() -> Story:
    """Return a story of a healthy series with a fault of five windows."""
    story = Story(partition=WINDOWS)
    for number, value in enumerate([*usual(150)[:, 0], *[90.0] * 9, *usual(40)[:, 0]]):
        story.now += 10_000
        story.tell([Window("h1", table("m"), [float(value)], BEGIN + number * 10_000)])
    return story


def stage() -> DetectStage:
    """Return a stage with a forest whose faults open and clear early."""
    one = {"name": "d", "use": "isolation_forest", "parameters": SMALL | {"trust": 2.5}, "open": {"above": 2.0}}
    return DetectStage(settings(one | {"clear": {"below": 1.5, "for": "20s"}}), WINDOWS)


@pytest.mark.slow
def test_fault_names_model_and_training_range() -> None:
    """A fault says by which version it was found and what that was trained on; a restored stage says the same."""
    made = faults(said(stage(), told().inputs()))
    opened = [fault for fault in made if fault.transition == "opened" and fault.time >= BEGIN + 1_500_000]
    assert "by model version 4, trained on 2023-11-14T22:" in opened[0].reason
    inputs = told().inputs([152])
    first = stage()
    begun = said(first, inputs[:1])
    assert made == faults([*begun, *said(through_snapshot(first, stage()), inputs[1:])])


def refused(use: str, given: dict[str, Any]) -> str:
    """Return the message with which a detector is refused."""
    made = settings({"name": "d", "use": use, "parameters": given})
    with pytest.raises(DetectorError) as told:
        configure(made.detectors[0], made)
    return str(told.value)


@pytest.mark.parametrize(
    ("use", "given", "message"),
    [
        ("river_model", {"model": "LocalOutlierFaktor"}, "did you mean LocalOutlierFactor"),
        ("river_model", {"model": "GaussianScorer"}, "River has no detector 'GaussianScorer'"),
        (
            "river_model",
            {"model": "LODA", "arguments": {"cuts": 3}},
            "LODA does not take {'seed': 0, 'cuts': 3}: TypeError",
        ),
        ("half_space_trees", {"trees": 0}, "parameter trees = 0: "),
    ],
)
def test_wrong_model(use: str, given: dict[str, Any], message: str) -> None:
    """A model that there is not, or that cannot be made so, is a message with the nearest name or the reason."""
    assert message in refused(use, given)


@pytest.mark.slow
def test_every_model_of_river_that_learns_alone() -> None:
    """Each detector of River that is offered can be trained and scores what it is asked about."""
    vectors = np.random.default_rng(0).normal(size=(64, 3))
    for name in ("HalfSpaceTrees", "LODA", "LocalOutlierFactor", "OneClassSVM"):
        detector = RiverModel(RiverModel.Parameters(model=name))
        assert np.isfinite(detector.fit(vectors)(vectors[0])), name


@pytest.mark.parametrize(
    ("use", "given", "module", "extra"),
    [
        ("half_space_trees", {}, "river.anomaly", "learned"),
        ("isolation_forest", {}, "sklearn.ensemble", "learned"),
        ("pyod_model", {"model": "KNN"}, "pyod.models", "pyod"),
        ("river_model", {"model": "LODA"}, "river.anomaly", "learned"),
    ],
)
def test_missing_library(
    monkeypatch: pytest.MonkeyPatch, use: str, given: dict[str, Any], module: str, extra: str
) -> None:
    """Without the library there is one message, which says what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    message = refused(use, given)
    assert message.startswith(f"detector d ({use}): ")
    assert f"run: pip install 'mendline[{extra}]'" in message


needs_pyod = pytest.mark.skipif(
    not find_spec("pyod"), reason="NOT CHECKED: pyod is too large for the development environment; pip install pyod"
)


@needs_pyod
@pytest.mark.slow
def test_models_of_pyod() -> None:
    """Detectors of PyOD are found by name, fitted with the seed, and find what is far from all else."""
    vectors = np.random.default_rng(0).normal(size=(64, 3))
    for name in ("KNN", "ECOD", "HBOS", "IForest", "LOF", "PCA"):
        parameters = PyodModel.Parameters(model=name)
        models = [PyodModel(parameters).fit(vectors) for _ in range(2)]
        scores = [[model(vector) for vector in (np.zeros(3), np.full(3, 9.0))] for model in models]
        assert scores[0] == scores[1], name
        assert scores[0][0] < scores[0][1], name


@needs_pyod
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "KNNN"}, "did you mean KNN"),
        ({"model": "knn"}, "did you mean KNN"),
        ({"model": "os.path"}, "PyOD has no detector 'os.path'"),
        ({"model": "KNN", "arguments": {"neighbours": 3}}, "KNN does not take {'neighbours': 3}"),
    ],
)
def test_wrong_model_of_pyod(given: dict[str, Any], message: str) -> None:
    """A model that PyOD has not, or that cannot be made so, is a message."""
    assert message in refused("pyod_model", given)
