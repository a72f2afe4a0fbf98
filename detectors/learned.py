"""What detectors with a trained model share: when it is trained, on what, and how its scores become surprise."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from mendline.detectors.base import MAX_SURPRISE, Detector, Rows, Scores, StateArray, Step
from mendline.detectors.lagged import Lagged, Scaling
from mendline.detectors.models import Model, Models
from mendline.detectors.ranks import KNOTS, Ranks
from mendline.detectors.training import Training
from mendline.schemas.base import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCORE = "score/"
"""Before the names of the arrays that say how the scores are distributed."""

MIDDLE = len(KNOTS) // 2
ONE_SIDED = math.log10(2.0)
"""A rank is two-sided, and only high scores are unusual."""


class LearnedParameters(Frozen):
    """How much a model sees, and when it is trained."""

    lags: int = Field(default=3, ge=1, le=64, description="values in a row that are looked at together")
    windows: int = Field(default=256, ge=16, le=4096, description="latest windows that a model is trained on")
    ready: int = Field(default=128, ge=16, description="windows before the first model: half of what it will see")
    every: int = Field(default=2160, ge=16, description="windows between two trainings: 6 h of windows of 10 s")
    drift: float = Field(
        default=1e-6,
        ge=0,
        le=0.1,
        description="trained before its time where scores of late are that improbable; windows depend on each other, "
        "so it is small; 0: never",
    )
    trust: float = Field(default=3.0, gt=0, description="a window with at least this surprise is not learned")
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="of the random numbers of the model")


@dataclass(frozen=True, slots=True)
class Answer(Scores):
    """Scores with the model's own, and by which model: version, begin and end (ms) of its training range, each (n,)."""

    score: NDArray[np.float64] | None = None
    version: NDArray[np.int32] | None = None
    begin: NDArray[np.int64] | None = None
    end: NDArray[np.int64] | None = None


class Learned(Detector):
    """A detector with a model a series. A subclass says how one is trained (`fit`), and what its scores' grain is.

    State is the training data, not the model. That is trained from it when it is first asked, and again after a
    restart: with the same data, seed and library it gives the same scores to the last bit. No more than some are
    trained for the windows of one time (`models`): a series whose model has to wait is not ready, and learns nothing.
    """

    grain: ClassVar[float]
    """The least scale of the scores' tail: for a series whose scores hardly differ."""

    def __init__(self, parameters: LearnedParameters) -> None:
        """Keep the parameters."""
        super().__init__(parameters)
        self._lagged = Lagged(parameters.lags)
        self._training = Training(
            parameters.windows, parameters.ready, parameters.every, parameters.drift, self._lagged.width
        )
        self._models = Models()
        self._ranks = Ranks(Ranks.Parameters(floor=self.grain, floor_share=1e-4))
        self.warm_up = parameters.lags + self._training.ready + self._ranks.parameters.ready

    @abstractmethod
    def fit(self, vectors: NDArray[np.float64]) -> Model:
        """Return a model trained on scaled vectors (windows, features) in the order of time.

        It must draw no random numbers but from the seed among the parameters.
        """

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the last values, the training data, how scores are distributed, and the windows in doubt in a row."""
        scores = {SCORE + name: array for name, array in self._ranks.arrays().items()}
        return {**self._lagged.arrays(), **self._training.arrays(), **scores, "doubted": StateArray("int32")}

    def step(self, state: Rows, step: Step) -> Scores:
        """Score by the models, then learn what is no fault; train where it is due."""
        vectors = self._lagged.look(state, step)
        seen, by_model = ~np.isnan(vectors[:, 0]), state["version"] > 0
        scores, waits = self._scored(state, step, vectors, np.flatnonzero(seen & by_model))
        surprise = self._surprise(state, replace(step, values=scores))
        surprise[np.isinf(step.values) & by_model] = MAX_SURPRISE
        made_by = {name: state[name].copy() for name in ("version", "begin", "end")}
        rows = np.flatnonzero(seen & ~waits & self._is_trusted(state, step, surprise))
        self._learn(state, rows, replace(step, values=scores), vectors)
        return Answer(surprise, score=scores, **made_by)

    def _scored(
        self, state: Rows, step: Step, vectors: NDArray[np.float64], rows: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the scores (n,) of the rows, NaN for others, and which of the rows have no model in memory yet."""
        scores, waits = np.full(len(step.values), np.nan), np.zeros(len(step.values), dtype=bool)
        if len(rows):
            self._models.begin(int(step.times.max()), step.width_ms)
        for row in rows.tolist():
            model = self._model(state, row)
            if model is None:
                waits[row] = True
            else:
                scores[row] = model(vectors[row])
        return scores, waits

    def _surprise(self, state: Rows, step: Step) -> NDArray[np.float64]:
        """Return how far the scores, the values of `step`, lie in the upper tail of those before."""
        mine = self._scores(state)
        surprise = self._ranks.score(mine, step).surprise
        with np.errstate(invalid="ignore"):
            surprise = np.where(step.values > mine["knots"][:, MIDDLE], surprise + ONE_SIDED, surprise * 0.0)
        return np.minimum(surprise, MAX_SURPRISE)

    @staticmethod
    def _scores(state: Rows) -> Rows:
        return {name.removeprefix(SCORE): array for name, array in state.items() if name.startswith(SCORE)}

    def _is_trusted(self, state: Rows, step: Step, surprise: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say of which series the window may be learned; what was in doubt for long, without a fault, is the usual."""
        faulty = np.zeros(len(surprise), dtype=bool) if step.faulty is None else step.faulty
        doubted = ~faulty & (surprise >= self.parameters.trust)
        state["doubted"][:] = np.where(doubted, np.minimum(state["doubted"] + 1, self._training.ready), 0)
        trusted: NDArray[np.bool_] = ~faulty & (state["doubted"] % self._training.ready == 0)
        return trusted

    def _learn(self, state: Rows, rows: NDArray[np.intp], step: Step, vectors: NDArray[np.float64]) -> None:
        """Learn the windows of the rows, and their scores, the values of `step`; train where it is due."""
        learned = np.full(len(step.values), np.nan)
        learned[rows] = step.values[rows]
        self._ranks.learn(self._scores(state), learned)
        self._training.learn(state, rows, vectors[rows], step.times[rows], learned[rows])
        for row in self._training.due(state, rows):
            self._models.drop(int(state["digest"][row]))
            self._training.train(state, row, step.width_ms)

    def _model(self, state: Rows, row: int) -> Model | None:
        """Return the row's model, trained if it is not in memory; None if it has to wait for that."""
        return self._models.get(int(state["digest"][row]), lambda: self._trained(self._training.vectors(state, row)))

    def _trained(self, vectors: NDArray[np.float64]) -> Model:
        scaling = Scaling(vectors)
        model = self.fit(scaling.apply(vectors))
        return lambda vector: model(scaling.apply(vector))

    def words(self, step: Step, scores: Scores, row: int) -> str:
        """Say which model it was, and what it was trained on."""
        del step
        if not isinstance(scores, Answer) or scores.version is None or scores.score is None:
            return ""
        begin, end = (_said(array[row]) for array in (scores.begin, scores.end) if array is not None)
        return f"score {scores.score[row]:.3g} by model version {scores.version[row]}, trained on {begin} to {end}"


def _said(time: int) -> str:
    return datetime.fromtimestamp(int(time) / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
