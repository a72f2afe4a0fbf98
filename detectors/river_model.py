"""Any anomaly detector of River by its name."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from mendline.detectors.learned import Learned, LearnedParameters
from mendline.detectors.libraries import library, made, no_such
from mendline.detectors.models import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RiverModel(Learned):
    """Surprise of the score that an anomaly detector of River gives, trained on windows in the order of time.

    River (J. Montiel et al., "River: machine learning for streaming data in Python", J. Machine Learning Research
    22(110), 2021) has models that learn one thing after the other. `model` is the name of a class of `river.anomaly`
    that learns without labels and wraps no other (`LODA`, `LocalOutlierFactor`), `arguments` what it is
    made with; `seed` is handed to those that take one. It sees the features of `lagged`, in spreads from their median,
    under the names 0, 1 and so on, the newest value first. It learns at trainings only, so that a version is one model,
    which can be made again from the training data.

    Surprise is by the upper tail of the scores before (`ranks`), whatever their scale. What is learned, and when, is as
    for `isolation_forest`. Assumes what the model assumes. NaN is neither scored nor learned; an infinite value has the
    largest surprise.

    Cost and memory are the model's, mostly 0.1 to 1 ms a series and window. State: 34 kB a series.

    >>> from mendline.testing.detectors import run
    >>> values = [50.0 + (37 * window % 11) for window in range(300)] + [56.0, 90.0]
    >>> run(RiverModel, {"model": "LODA"}, values).surprise.round(1)[[0, -2, -1]].tolist()
    [nan, 104.2, 128.0]
    """

    class Parameters(LearnedParameters):
        """Which model, and what it is made with."""

        model: str = Field(description="name of a class of river.anomaly, such as LocalOutlierFactor")
        arguments: dict[str, Any] = Field(default={}, description="what the class is made with")

        @model_validator(mode="after")
        def _can_be_made(self) -> RiverModel.Parameters:
            _make(self)
            return self

    grain: ClassVar[float] = 0.005

    def fit(self, vectors: NDArray[Any]) -> Model:
        """Make a model, and let it learn the vectors one after the other."""
        return streamed(_make(self.parameters), vectors)


def streamed(model: Any, vectors: NDArray[Any]) -> Model:
    """Let a model of River learn the vectors (windows, features); return how it scores one."""
    for vector in vectors:
        model.learn_one(_named(vector))
    return lambda vector: float(model.score_one(_named(vector)))


def _named(vector: NDArray[Any]) -> dict[int, float]:
    return dict(enumerate(vector.tolist()))


def _make(parameters: RiverModel.Parameters) -> Any:
    """Return a fresh model. Raises ValueError without River, for no model, and for wrong arguments."""
    anomaly = library("river.anomaly", "River", "learned")
    known = {name: cls for name in anomaly.__all__ if _learns_alone(cls := getattr(anomaly, name))}
    if parameters.model not in known:
        raise no_such(parameters.model, known, "River")
    cls = known[parameters.model]
    seed = {"seed": parameters.seed} if "seed" in inspect.signature(cls).parameters else {}
    return made(cls, seed | parameters.arguments)


def _learns_alone(cls: Any) -> bool:
    """Say whether a model learns from values alone: without labels, and without another that it wraps."""
    return {"self", "x"} == set(inspect.signature(cls.learn_one).parameters)
