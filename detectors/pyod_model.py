"""Any detector of PyOD by its name."""

from __future__ import annotations

import inspect
import pkgutil
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from mendline.detectors.learned import Learned, LearnedParameters
from mendline.detectors.libraries import library, made, no_such
from mendline.detectors.models import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PyodModel(Learned):
    """Surprise of the score that a detector of PyOD gives.

    PyOD (Y. Zhao, Z. Nasrullah, Z. Li, "PyOD: a Python toolbox for scalable outlier detection", J. Machine Learning
    Research 20(96), 2019) has some forty: `KNN`, `ECOD`, `HBOS`, `LOF`, `PCA` and others. `model` is the name of a
    class in the module of `pyod.models` that is called like it in lower case; nothing else is imported by it.
    `arguments` is what it is made with; `seed` is handed to those that take a `random_state`. One that draws random
    numbers from elsewhere is another after each restart. Those on neural networks need what PyOD says they need.

    The model sees the features of `lagged`, in spreads from their median. Surprise is by the upper tail of the scores
    before (`ranks`), whatever their scale. What is learned, and when, is as for `isolation_forest`. Assumes what the
    model assumes. NaN is neither scored nor learned; an infinite value has the largest surprise.

    Cost and memory are the model's; most take 0.1 to 1 ms a series and window. State: 34 kB a series. PyOD itself takes
    300 MB on disk, with what it needs: `pip install 'mendline[pyod]'`.
    """

    class Parameters(LearnedParameters):
        """Which model, and what it is made with."""

        model: str = Field(description="name of a class of PyOD, such as KNN")
        arguments: dict[str, Any] = Field(default={}, description="what the class is made with")

        @model_validator(mode="after")
        def _can_be_made(self) -> PyodModel.Parameters:
            _make(self)
            return self

    grain: ClassVar[float] = 0.005

    def fit(self, vectors: NDArray[Any]) -> Model:
        """Make a model and fit it."""
        model = _make(self.parameters)
        model.fit(vectors)
        return lambda vector: float(model.decision_function(vector.reshape(1, -1))[0])


def _make(parameters: PyodModel.Parameters) -> Any:
    """Return a fresh model. Raises ValueError without PyOD, for no model, and for wrong arguments."""
    cls = _find(parameters.model)
    seed = {"random_state": parameters.seed} if "random_state" in inspect.signature(cls).parameters else {}
    return made(cls, seed | parameters.arguments)


def _find(model: str) -> Any:
    """Return the class of a model; its module alone is imported, as those of others may need more."""
    models = library("pyod.models", "PyOD", "pyod")
    modules = {one.name.replace("_", ""): one.name for one in pkgutil.iter_modules(models.__path__)}
    key = model.lower()
    if key in modules:
        module = library(f"pyod.models.{modules[key]}", f"pyod.models.{modules[key]}", "pyod")
        classes = {name: cls for name, cls in inspect.getmembers(module, inspect.isclass) if name.lower() == key}
        if hasattr(found := classes.get(model), "decision_function"):
            return found
        if key in map(str.lower, classes):
            raise no_such(model, classes, "PyOD")
    raise no_such(model, [name.upper() for name in modules], "PyOD")
