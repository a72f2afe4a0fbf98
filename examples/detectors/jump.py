"""An example detector: how far is a value from the one before, measured by how far such steps usually go?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field

from mendline.detectors import Detector, Rows, Scores, StateArray, Step
from mendline.schemas.base import Frozen


class Jump(Detector):
    """Vectorised: surprise is -log10 of exp(-|x - before| / scale), scale being the mean step so far (exponential law).

    Assumes that steps are exponentially distributed. Memory: 24 bytes a series. Cost: a dozen passes over the values.
    """

    class Parameters(Frozen):
        """How long its memory is."""

        ready: int = Field(default=20, ge=1, description="steps that are seen before the first score")

    kind = "jump"

    def __init__(self, parameters: Parameters) -> None:
        """Keep the parameters; the first value gives no step yet."""
        super().__init__(parameters)
        self.warm_up = parameters.ready + 1

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the value before, the mean step, and the number of steps."""
        return {"before": StateArray(fill=math.nan), "scale": StateArray(), "steps": StateArray("int64")}

    def step(self, state: Rows, step: Step) -> Scores:
        """Score the step from the value before, then learn it."""
        values = np.where(np.isfinite(step.values), np.clip(step.values, -1e150, 1e150), np.nan)
        size = np.abs(values - state["before"])
        surprise = np.clip(size / np.maximum(state["scale"], 1e-9) / math.log(10), 0.0, 300.0)
        surprise[state["steps"] < self.parameters.ready] = np.nan
        known = np.flatnonzero(~np.isnan(size))
        state["steps"][known] += 1
        state["scale"][known] += (size[known] - state["scale"][known]) / np.minimum(state["steps"][known], 100)
        np.copyto(state["before"], values, where=~np.isnan(values))
        return Scores(surprise)


class SimpleJump:
    """The same for one series: easier to write, and a thousand times slower. Mendline runs one for each series."""

    Parameters = Jump.Parameters
    kind = "jump"
    warm_up = 21
    state_bytes = 120

    def __init__(self, parameters: Jump.Parameters) -> None:
        """Begin with nothing known."""
        self.ready = parameters.ready
        self.before: float | None = None
        self.scale = 0.0
        self.steps = 0

    def score(self, value: float, time: int) -> float:
        """Return the surprise of the step to `value`; NaN while not ready."""
        if self.before is None or self.steps < self.ready:
            return math.nan
        return abs(value - self.before) / max(self.scale, 1e-9) / math.log(10)

    def learn(self, value: float, time: int) -> None:
        """Learn the step."""
        if self.before is not None:
            self.steps += 1
            self.scale += (abs(value - self.before) - self.scale) / min(self.steps, 100)
        self.before = value

    def dump(self) -> Mapping[str, Any]:
        """Return all that was learned."""
        return {"before": self.before, "scale": self.scale, "steps": self.steps}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` returned."""
        self.before, self.scale, self.steps = state["before"], state["scale"], state["steps"]
