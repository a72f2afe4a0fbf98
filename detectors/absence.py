"""Absence: a series that was regularly there is missing, while its source lives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from mendline.detectors.base import MAX_SURPRISE, Detector, Rows, Scores, StateArray, Step
from mendline.detectors.runs import LONGEST, learn_runs, longest_run, runs_known
from mendline.schemas.base import Frozen
from mendline.schemas.quantities import counted
from mendline.schemas.settings import Condition

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Missed(Scores):
    """Scores with the windows since the last value, and the usual interval in windows."""

    missing: NDArray[np.float64] | None = None
    usual: NDArray[np.float64] | None = None


class Absence(Detector):
    """The measure is for how long a series has had no value, in its own usual intervals; violated above `above`.

    The usual interval is the longest between two values among the last one to two generations of `memory` intervals: a
    series that comes with every window has 1, one of a probe that runs each minute 6 windows of 10 s, and one that
    comes only when there is something to tell, such as a count of errors, the longest pause it made. So nothing need be
    known of how regular it is: what is irregular is missed late. For memoryless arrivals the longest of n intervals is
    near their mean times ln n, and one `above` times as long has probability n^-above: with 360 and 3 once in 5 x 10^7.

    Time is counted in windows in which the source was heard of. A source that is silent, that left on purpose, or that
    the log could not hear of, is no absence of its series: whether a source lives is asked by liveness. A series is
    known to be missing when its value is NaN, and when the source's later layouts are without it while they go on with
    others of its series; if it stays away for a day, its source is as it is, and the fault is orphaned. The same
    happens when it was taken away on purpose: nobody can tell the two apart.

    An interval that was a fault is learned as one of `above` usual ones, so that after an outage the next is not missed
    much later, and a series that comes less often from now on is known as such after a few.

    Defaults: above 3, two values in a row may be lost; 360 intervals, an hour of windows of 10 s; ready after 30.

    Cost: some 50 ns a series. Memory: 28 bytes a series.

    >>> from mendline.testing.detectors import run
    >>> nan = float("nan")
    >>> scores = run(Absence, {"ready": 4}, [1.0, nan] * 8 + [nan] * 6 + [1.0])
    >>> scores.measure[12:].tolist(), scores.surprise[19:].tolist()
    ([0.0, 0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 0.0], [0.0, 0.0, 300.0, 0.0])
    """

    class Parameters(Frozen):
        """How long a series may be missing, and how much of its past tells what is usual."""

        above: float = Field(
            default=3.0, ge=1, allow_inf_nan=False, description="violated above so many usual intervals"
        )
        memory: int = Field(
            default=360, ge=2, le=1_000_000, description="intervals of a generation; one to two are known"
        )
        ready: int = Field(default=30, ge=1, le=1_000_000, description="intervals before the first score")

    kind: ClassVar[str] = "absent"
    judges: ClassVar[Literal["surprise", "measure"]] = "measure"
    judges_missing: ClassVar[bool] = True

    def __init__(self, parameters: Parameters) -> None:
        """Keep the parameters."""
        super().__init__(parameters)
        self.warm_up = parameters.ready + 1

    def opens(self) -> Condition:
        """Open at the bound, at once."""
        return Condition(above=self.parameters.above)

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the interval at hand (-1 before any value), when it grew last, and the longest of the known ones."""
        names = ("longest", "longest_before", "runs", "runs_before")
        counts = {name: StateArray("int32") for name in names}
        return counts | {"missing": StateArray("int32", fill=-1), "time": StateArray("int64")}

    def step(self, state: Rows, step: Step) -> Missed:
        """Count the windows without a value; with one, learn the interval that it ends."""
        there, known = _is_there(step), state["missing"] >= 0
        # A source that changes its layout within a window has two of one start: it passed once.
        passed = known & (step.times != state["time"])
        gone = np.minimum(state["missing"] + passed, LONGEST)
        missing = np.where(there, 0, gone)
        usual = np.maximum(longest_run(state), 1)
        is_ready = known & (runs_known(state) >= self.parameters.ready)
        self._learn(state, there & passed, np.where(is_ready, np.minimum(gone, self._most(usual)), gone))
        state["missing"][:] = np.where(known | there, missing, -1)
        state["time"][:] = step.times
        measure = np.where(is_ready, missing / usual, np.nan)
        surprise = np.where(measure > self.parameters.above, MAX_SURPRISE, 0.0)
        surprise[~is_ready] = np.nan
        return Missed(surprise, None, None, measure, missing.astype(np.float64), usual.astype(np.float64))

    def _most(self, usual: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the longest interval that is learned."""
        most: NDArray[np.int64] = np.minimum(np.ceil(usual * self.parameters.above), LONGEST).astype(np.int64)
        return most

    def _learn(self, state: Rows, ended: NDArray[np.bool_], length: NDArray[np.int64]) -> None:
        learn_runs(state, ended, length, max(self.parameters.memory, self.parameters.ready))

    def words(self, step: Step, scores: Scores, row: int) -> str:
        """Say for how long it has been missing, and how often it came before."""
        if not isinstance(scores, Missed) or scores.missing is None or scores.usual is None or not scores.missing[row]:
            return ""
        missing, usual = (_lasted(float(counted[row]), step) for counted in (scores.missing, scores.usual))
        return f"it has been missing for {missing} of its source's life, and came every {usual} or more often"


def _is_there(step: Step) -> NDArray[np.bool_]:
    """Say of which series the windows hold a value; the first of a counter has no rate, but is there."""
    there: NDArray[np.bool_] = ~(np.isnan(step.values) & np.isnan(step.statistics.get("last", step.values)))
    return there


def _lasted(windows: float, step: Step) -> str:
    if step.width_ms:
        return f"{windows * step.width_ms / 1000:g} s"
    return counted(int(windows), "rounds") if windows.is_integer() else f"{windows:g} rounds"
