"""Flat line: a value that always moved stands still."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from mendline.detectors.base import Rows, StateArray, Step
from mendline.detectors.runs import RunParameters, Runs

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FlatLine(Runs):
    """Surprised when a value stays what it was for longer than its history of runs makes likely (`runs.Runs`).

    A window stands when its value differs by no more than `tolerance` from that of the window the run began with, so
    that a slow creep is no standing. Finds sensors that died with their last value, exporters that repeat a cache, and
    gauges that nobody writes any more; their values lie in the usual range, so no other detector sees them.

    Assumes windows of a constant width. A series that is mostly constant (a number of processors) knows few runs that
    end, so nothing in it is surprising; one that idles each night has the night among its runs. `tolerance` is 0 by
    default because the mean of several rounds of something that is alive does hardly ever come out twice as the same
    number; where values are rounded coarsely, the runs that follow from it are learned.

    Cost: some 20 ns a series. Memory: 32 bytes a series.

    >>> from mendline.testing.detectors import run
    >>> moving = [1.0, 2.0, 3.0, 2.5] * 25
    >>> run(FlatLine, {}, moving + [4.0] * 13).surprise[[99, 100, 101, 106, 112]].round(2).tolist()
    [0.0, 0.0, 0.33, 2.01, 4.02]
    """

    class Parameters(RunParameters):
        """How much of its past a series is judged by, and what counts as standing."""

        tolerance: float = Field(
            default=0.0, ge=0, allow_inf_nan=False, description="largest difference that is none, in the series' unit"
        )

    kind: ClassVar[str] = "flat"
    what: ClassVar[str] = "it has not moved"

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the runs, and the value that the last one began with."""
        return {**super().arrays(), "value": StateArray(fill=math.nan)}

    def stands(self, state: Rows, step: Step) -> NDArray[np.bool_]:
        """Say where the value is that of the window the run began with."""
        with np.errstate(invalid="ignore", over="ignore"):
            stands: NDArray[np.bool_] = np.abs(step.values - state["value"]) <= self.parameters.tolerance
        np.copyto(state["value"], step.values, where=np.isfinite(step.values) & ~stands)
        return stands
