"""Threshold: a rule on the value itself, or on how fast it changes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from mendline.detectors.base import MAX_SURPRISE, Detector, Rows, Scores, StateArray, Step
from mendline.schemas.base import Frozen
from mendline.schemas.settings import Condition

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Threshold(Detector):
    """Violated where the value is above `above` or below `below`; on the bound it is obeyed.

    A rule does not learn: what it says of a value does not depend on what came before (`of: rate`: on the value
    before). Holds, and the clear condition, which may lie at other bounds, are those of the settings' `open` and
    `clear`, compared with the value; the bounds are taken from `open` unless they are given as parameters.

    `of: rate` looks at the change per second, in the series' unit per second, since the value `over` windows before
    (of those that had a value; divided by the time between the two, whatever it is). One window shows a jump; over
    more of them noise of standard deviation s in each value shrinks to 1.4 s / (over x width), so that a slope is seen
    which one step hides. It is the rate of change of a gauge. Of a counter the value is its rate already, so a plain
    bound on it is what is wanted mostly, and `of: rate` tells how fast that rate changes.

    Cost: two comparisons a series, some 50 ns for a rate. Memory: none, or 16 bytes for each window of `over` and 4.

    >>> from mendline.testing.detectors import run
    >>> run(Threshold, {"above": 0.9}, [0.5, 0.9, 0.91, float("nan")]).surprise.tolist()
    [0.0, 0.0, 300.0, nan]
    >>> run(Threshold, {"above": 1.5, "of": "rate", "over": 2}, [0.0, 10.0, 20.0, 50.0, 60.0]).measure.tolist()
    [nan, nan, 1.0, 2.0, 2.0]
    """

    class Parameters(Frozen):
        """Bounds in the series' unit (`of: rate`: unit per second); at least one of the two."""

        above: float | None = Field(default=None, allow_inf_nan=False, description="violated above this")
        below: float | None = Field(default=None, allow_inf_nan=False, description="violated below this")
        of: Literal["value", "rate"] = Field(default="value", description="the value, or its change per second")
        over: int = Field(default=1, ge=1, le=1440, description="windows that a rate is taken over")

        @model_validator(mode="after")
        def _some_bound(self) -> Threshold.Parameters:
            if self.above is None and self.below is None:
                msg = "give above or below, here or under `open`: without either the rule is always obeyed"
                raise ValueError(msg)
            if self.of == "value" and self.over > 1:
                msg = f"over = {self.over} is about a rate; give `of: rate`, or take it away"
                raise ValueError(msg)
            return self

    kind: ClassVar[str] = "threshold"
    judges: ClassVar[Literal["surprise", "measure"]] = "measure"

    def __init__(self, parameters: Parameters) -> None:
        """Keep the bounds."""
        super().__init__(parameters)
        self._above = math.inf if parameters.above is None else parameters.above
        self._below = -math.inf if parameters.below is None else parameters.below
        self._is_rate = parameters.of == "rate"
        self.warm_up = parameters.over if self._is_rate else 0

    def opens(self) -> Condition:
        """Open at the bounds, at once."""
        return Condition(above=self.parameters.above, below=self.parameters.below)

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep for a rate the last values with their times, in a ring, and where in it the oldest stands."""
        if not self._is_rate:
            return {}
        shape = (self.parameters.over,)
        return {
            "values": StateArray(shape=shape, fill=math.nan),
            "times": StateArray("int64", shape),
            "oldest": StateArray("int32"),
        }

    def step(self, state: Rows, step: Step) -> Scores:
        """Compare with the bounds."""
        measure = self._rate(state, step) if self._is_rate else step.values
        violated = (measure > self._above) | (measure < self._below)
        surprise = np.where(violated, MAX_SURPRISE, 0.0)
        surprise[np.isnan(measure)] = np.nan
        if self._is_rate:
            return Scores(surprise, measure=measure)
        full = np.full_like
        return Scores(surprise, full(measure, self._below), full(measure, self._above), measure)

    def _rate(self, state: Rows, step: Step) -> NDArray[np.float64]:
        rows, oldest = np.arange(len(step.values)), state["oldest"]
        before, since = state["values"][rows, oldest], state["times"][rows, oldest]
        seconds = (step.times - since) / 1000.0
        with np.errstate(all="ignore"):
            rate = np.where(seconds > 0, (step.values - before) / seconds, np.nan)
        known = np.flatnonzero(np.isfinite(step.values))
        state["values"][known, oldest[known]] = step.values[known]
        state["times"][known, oldest[known]] = step.times[known]
        oldest[known] = (oldest[known] + 1) % self.parameters.over
        return rate

    def words(self, step: Step, scores: Scores, row: int) -> str:
        """Say how fast the value changes, where that is what is judged."""
        del step
        if not self._is_rate or scores.measure is None:
            return ""
        return f"it changes by {scores.measure[row]:.4g} a second"
