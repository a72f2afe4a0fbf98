"""The generic checks: every registered detector passes them, and each fails a detector that is bad on purpose."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import pytest

from mendline.detectors import Detector, NoParameters, Rows, Scores, StateArray, Step, find, registered
from mendline.schemas.series import Series
from mendline.testing.detectors import BEGIN_MS, CheckFailedError, check_detector, run

SHARE = {"numerator": "errors", "denominator": "requests", "above": 1.5}
FEW = {"lags": 2, "windows": 32, "ready": 24, "every": 700}  # models cost milliseconds
PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "absence": [{}, {"above": 1.5, "memory": 20, "ready": 5}],
    "auto": [{}, {"better": 0.5}],
    "change_point": [{}, {"block": 2, "blocks": 16}],
    "correlation": [{"ready": 60, "half_life": 30}, {"metrics": 2, "half_life": 10, "ready": 20}],
    "cusum": [{}, {"half_life": 60, "ready": 30}],
    "ewma": [{}, {"half_life": 5, "ready": 5}],
    "exhaustion": [{"limit": 100.0, "horizon": 600.0}, {"limit": 100.0, "block": 1, "blocks": 16}],
    "extremes": [{}, {"windows": 12, "ready": 10}],
    "flat_line": [{}, {"memory": 40, "ready": 5}],
    "half_space_trees": [FEW | {"trees": 4, "height": 4}],
    "isolation_forest": [FEW | {"trees": 10, "sample": 32}],
    "mad": [{}, {"windows": 9, "ready": 5, "every": 2}],
    "n_of_m": [{"high": 100.0}, {"low": 0.0, "high": 70.0, "n": 1, "m": 2}],
    "calibrated": [{"detector": "zscore", "parameters": {"windows": 8, "ready": 5}}],
    "pyod_model": [FEW | {"model": "KNN", "arguments": {"n_neighbors": 3}}],
    "ranks": [{}, {"windows": 40, "ready": 20, "every": 7}],
    "ratio": [SHARE, SHARE | {"floor": 10.0, "below": 0.1}],
    "river_model": [FEW | {"windows": 16, "ready": 16, "model": "LocalOutlierFactor", "arguments": {"n_neighbors": 3}}],
    "seasonal": [{}, {"half_life": 20, "ready": 10}],
    "stuck": [{}],
    "threshold": [{"above": 100.0}, {"above": 20.0, "of": "rate"}, {"above": 12.0, "of": "rate", "over": 3}],
    "zscore": [{}, {"windows": 8, "ready": 5}],
}
ANOMALIES: dict[str, dict[str, Any]] = {
    "absence": {"anomaly": [float("nan")] * 4},
    "change_point": {"anomaly": [500.0] * 12},
    "correlation": {"columns": [Series(metric="busy"), Series(metric="requests"), Series(metric="threads")]},
    "exhaustion": {"anomaly": [50.0 + 0.1 * window for window in range(400)]},
    "flat_line": {"anomaly": [50.0] * 12},
    "n_of_m": {"anomaly": [500.0] * 3},
    "ratio": {"columns": [Series(metric="errors"), Series(metric="requests")]},
    "stuck": {"anomaly": [0.0] * 12},
}
ALL = [(name, given) for name, some in PARAMETERS.items() for given in some]
NEEDS = {"pyod_model": "pyod"}
CHECKS = len(list(check_detector(find("n_of_m"), {"high": 100.0})))  # as many of each other detector
LEARNED = frozenset({"half_space_trees", "isolation_forest", "pyod_model", "river_model"})


def subjects() -> Iterator[Any]:
    """Yield each detector with each check; one whose library is not installed once, as skipped."""
    for place, (name, given) in enumerate(ALL):
        if name in NEEDS and not find_spec(NEEDS[name]):
            why = f"NOT CHECKED: {NEEDS[name]} is too large for the development environment; pip install {NEEDS[name]}"
            yield pytest.param(name, given, 0, id=name, marks=pytest.mark.skip(reason=why))
            continue
        for number in range(CHECKS):
            yield pytest.param(name, given, number, id=f"{name}-{number}-{place}")


def test_every_registered_detector_is_checked() -> None:
    """No detector is registered without standing in the table above."""
    assert registered([]).keys() == PARAMETERS.keys()


def long_run(name: str, given: Mapping[str, Any]) -> int:
    """Return for how many windows memory has to hold still: more than twice what a detector looks back on."""
    if name in LEARNED:  # a model is made anew in each half, and libraries fill caches, some kB, at first
        return 1000
    return 300 if given else 700


@pytest.mark.slow
@pytest.mark.parametrize(("name", "given", "number"), list(subjects()))
def test_registered_detectors(name: str, given: dict[str, Any], number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registered detector passes each check."""
    monkeypatch.setattr("mendline.testing.detectors.LONG_RUN", long_run(name, given))
    list(check_detector(find(name), given, **ANOMALIES.get(name, {})))[number].run()


class Good(Detector):
    """Surprise is how far the value is from the one before."""

    warm_up = 1

    def arrays(self) -> Mapping[str, StateArray]:
        return {"before": StateArray(fill=float("nan"))}

    def step(self, state: Rows, step: Step) -> Scores:
        with np.errstate(all="ignore"):
            surprise = np.clip(np.abs(step.values - state["before"]) / 10, 0.0, 300.0)
        surprise[~np.isfinite(step.values)] = np.nan
        np.copyto(state["before"], step.values, where=np.isfinite(step.values))
        return Scores(surprise)


class ChangesInput(Good):
    def step(self, state: Rows, step: Step) -> Scores:
        scores = super().step(state, step)
        step.values[:] = 0.0
        return scores


class ZeroWhenNotReady(Good):
    def step(self, state: Rows, step: Step) -> Scores:
        return Scores(np.nan_to_num(super().step(state, step).surprise, nan=0.0))


class RemembersAcrossRuns(Good):
    highest: ClassVar[float] = 0.0

    def step(self, state: Rows, step: Step) -> Scores:
        type(self).highest = max(self.highest, float(np.nan_to_num(step.values, posinf=0).max(initial=0.0)))
        return Scores(np.minimum(super().step(state, step).surprise + self.highest / 1e4, 300.0))


class DrawsLots(Good):
    def step(self, state: Rows, step: Step) -> Scores:
        return Scores(np.minimum(super().step(state, step).surprise + random.random(), 300.0))


class ComparesSeries(Good):
    def step(self, state: Rows, step: Step) -> Scores:
        surprise = super().step(state, step).surprise
        return Scores(np.clip(surprise + len(step.values) / 100, 0.0, 300.0))


class LooksAtNeighbours(Good):
    def step(self, state: Rows, step: Step) -> Scores:
        surprise = super().step(state, step).surprise
        return Scores(np.clip(surprise + np.arange(len(surprise)) / 100, 0.0, 300.0))


class CountsItsSteps(Good):
    steps = 0

    def step(self, state: Rows, step: Step) -> Scores:
        self.steps += 1
        surprise = super().step(state, step).surprise
        return Scores(np.clip(surprise + self.steps / 1e4, 0.0, 300.0))


class LearnsOneSeasonForAll(Good):
    def step(self, state: Rows, step: Step) -> Scores:
        surprise, days = super().step(state, step).surprise, (step.times - BEGIN_MS) // 86_400_000
        return Scores(np.clip(surprise + np.minimum(days, 1) * np.arange(len(surprise)) / 100, 0.0, 300.0))


class KeepsStateElsewhere(Good):
    before: Any = None

    def step(self, state: Rows, step: Step) -> Scores:
        mine = {"before": np.full(len(step.values), np.nan) if self.before is None else self.before}
        scores = super().step(mine, step)
        self.before = mine["before"]
        return scores


class PacksTooCoarsely(Good):
    def pack(self, name: str, rows: Any) -> Any:
        return rows.astype(np.float32)


class KeepsEverything(Good):
    def __init__(self, parameters: NoParameters) -> None:
        super().__init__(parameters)
        self.all: list[float] = []

    def step(self, state: Rows, step: Step) -> Scores:
        self.all += step.values.tolist()
        return super().step(state, step)


class IsNeverSurprised(Good):
    def step(self, state: Rows, step: Step) -> Scores:
        return Scores(super().step(state, step).surprise * 0.0)


class IsPoisonedByInfinity(Good):
    def arrays(self) -> Mapping[str, StateArray]:
        return {"mean": StateArray()}

    def step(self, state: Rows, step: Step) -> Scores:
        with np.errstate(all="ignore"):
            surprise = np.clip(np.abs(step.values - state["mean"]) / 10, 0.0, 300.0)
            state["mean"] += (step.values - state["mean"]) / 10
        return Scores(surprise)


class FailsOnNothing(Good):
    def step(self, state: Rows, step: Step) -> Scores:
        return super().step(state, step) if step.values[0] is not None else Scores(step.values)


class WrongShape(Good):
    def step(self, state: Rows, step: Step) -> Scores:
        return Scores(super().step(state, step).surprise[:, np.newaxis])


class OffTheScale(Good):
    def step(self, state: Rows, step: Step) -> Scores:
        return Scores(super().step(state, step).surprise - 1000.0)


class LearnsAheadWhenFollowing(Good):
    def follow(self, state: Rows, windows: Step) -> Scores:
        state["before"][:] = windows.values[-1:].sum()
        return super().follow(state, windows)


class MixesSources(Good):
    def step(self, state: Rows, step: Step) -> Scores:
        surprise = super().step(state, step).surprise
        return Scores(np.clip(surprise + step.values.reshape(-1, len(step.columns))[:, 1].mean() / 100, 0.0, 300.0))


def failing(cls: type[Any], beginning: str = "", **more: Any) -> list[str]:
    """Return the names of the checks that the detector fails, of those whose name begins so."""
    names = []
    for check in check_detector(cls, **more):
        try:
            if check.name.startswith(beginning):
                check.run()
        except CheckFailedError:
            names.append(check.name)
    return names


@pytest.mark.slow
def test_good_detector() -> None:
    """The detector that the bad ones are made of passes every check."""
    assert failing(Good) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cls", "beginning"),
    [
        (ChangesInput, "The input"),
        (ZeroWhenNotReady, "Surprise is NaN"),
        (RemembersAcrossRuns, "The beginning"),
        (DrawsLots, "The beginning"),
        (ComparesSeries, "It does not matter how many"),
        (LearnsAheadWhenFollowing, "Many windows"),
        (LooksAtNeighbours, "The order"),
        (LearnsOneSeasonForAll, "Nor over days"),
        (CountsItsSteps, "It does not matter how many"),
        (KeepsStateElsewhere, "State that was written"),
        (KeepsStateElsewhere, "Series may appear"),
        (PacksTooCoarsely, "State that was written"),
        (KeepsEverything, "Memory"),
        (IsNeverSurprised, "What is not healthy"),
        (IsPoisonedByInfinity, "Constant"),
        (FailsOnNothing, "Constant"),
        (WrongShape, "Surprise is NaN"),
        (OffTheScale, "Surprise is NaN"),
    ],
)
def test_bad_detectors(cls: type[Any], beginning: str) -> None:
    """A detector that is bad on purpose fails the check that is there for it."""
    assert failing(cls, beginning)


@pytest.mark.slow
def test_sources_of_several_series() -> None:
    """With several series to a source a detector may look at them together, but not at those of other sources."""
    columns = [Series(metric="a"), Series(metric="b")]
    assert failing(Good, columns=columns) == []
    beginnings = [name.split(" ")[0] for name in failing(MixesSources, columns=columns)]
    assert {"It", "Series"} <= set(beginnings)


class Highest:
    """Per series: surprised by every value above the highest so far."""

    Parameters, warm_up, state_bytes = NoParameters, 1, 64

    def __init__(self, parameters: NoParameters) -> None:
        self.highest: float | None = None

    def score(self, value: float, time: int) -> float:
        return float("nan") if self.highest is None else max(value - self.highest, 0.0)

    def learn(self, value: float, time: int) -> None:
        self.highest = value if self.highest is None else max(value, self.highest) * 0.9

    def dump(self) -> dict[str, float | None]:
        return {"highest": self.highest}

    def load(self, state: Mapping[str, float | None]) -> None:
        self.highest = state["highest"]


class GrowingHighest(Highest):
    def __init__(self, parameters: NoParameters) -> None:
        super().__init__(parameters)
        self.all: list[float] = []

    def learn(self, value: float, time: int) -> None:
        super().learn(value, time)
        self.all.append(value)

    def dump(self) -> Any:
        return {"highest": self.highest, "all": self.all}


@pytest.mark.slow
def test_per_series_class() -> None:
    """A per-series class passes the same checks, wrapped."""
    assert failing(Highest) == []
    assert run(Highest, {}, [1.0, 1.0, 3.0]).surprise.tolist() == pytest.approx([float("nan"), 0.0, 2.1], nan_ok=True)


@pytest.mark.slow
def test_per_series_class_over_its_bound() -> None:
    """A per-series class that dumps more than it declared fails for its memory."""
    assert failing(GrowingHighest, "Memory")
