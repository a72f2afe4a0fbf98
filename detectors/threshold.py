"""Threshold: a rule on the value itself, or on how fast it changes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from mendline.detectors.base import MAX_SURPRISE, Detector, Rows, Scores, StateArray, Step
from mendline.schemas.base import Frozen
from mendline.schemas.settings import Condition


class Threshold(Detector):
    """Violated where the value is above `above` or below `below`; on the bound it is obeyed.

    A rule does not learn: what it says of a value does not depend on what came before (`of: rate`: on the value
    before). Holds, and the clear condition, which may lie at other bounds, are those of the settings' `open` and
    `clear`, compared with the value; the bounds are taken from `open` unless they are given as parameters. `of: rate`
    looks at the change per second since the value before, in the series' unit per second: for gauges; the windows of
    counters have their rate as a statistic already. Cost: two comparisons a series. Memory: none, or 16 bytes for a
    rate.

    >>> from mendline.testing.detectors import run
    >>> run(Threshold, {"above": 0.9}, [0.5, 0.9, 0.91, float("nan")]).surprise.tolist()
    [0.0, 0.0, 300.0, nan]
    """

    class Parameters(Frozen):
        """Bounds in the series' unit (`of: rate`: unit per second); at least one of the two."""

        above: float | None = Field(default=None, allow_inf_nan=False, description="violated above this")
        below: float | None = Field(default=None, allow_inf_nan=False, description="violated below this")
        of: Literal["value", "rate"] = Field(default="value", description="the value, or its change per second")

        @model_validator(mode="after")
        def _some_bound(self) -> Threshold.Parameters:
            if self.above is None and self.below is None:
                msg = "give above or below, here or under `open`: without either the rule is always obeyed"
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
        self.warm_up = 1 if self._is_rate else 0

    def opens(self) -> Condition:
        """Open at the bounds, at once."""
        return Condition(above=self.parameters.above, below=self.parameters.below)

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the value before and its time, for a rate."""
        return {"value": StateArray(fill=math.nan), "time": StateArray("int64")} if self._is_rate else {}

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

    @staticmethod
    def _rate(state: Rows, step: Step) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        seconds = (step.times - state["time"]) / 1000.0
        with np.errstate(all="ignore"):
            rate = np.where(seconds > 0, (step.values - state["value"]) / seconds, np.nan)
        finite = np.isfinite(step.values)
        np.copyto(state["value"], step.values, where=finite)
        np.copyto(state["time"], step.times, where=finite)
        return rate
