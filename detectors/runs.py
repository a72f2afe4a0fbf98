"""How long a run of windows lasts, judged against the runs that a series had before: for `flat_line` and `stuck`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from mendline.detectors.base import Detector, Rows, Scores, StateArray, Step
from mendline.schemas.base import Frozen
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray


LONGEST = 2**31 - 2
REACH = 3.0
"""A run is taken for no longer than this many times the longest: of few runs nothing rarer can be known."""


class RunParameters(Frozen):
    """How much of its past a series is judged by, and which runs are nothing."""

    memory: int = Field(
        default=8640,
        ge=30,
        le=10_000_000,
        description="runs of a generation; one to two of them are known: a day or two where windows of 10 s mostly "
        "move, so that the nights are among it",
    )
    least: int = Field(
        default=6, ge=1, description="windows that a run may last in any series: a minute of windows of 10 s"
    )
    ready: int = Field(default=30, ge=2, description="windows before the first score")


class Runs(Detector):
    """A window *stands* or it moves; a run of length L is L standing windows after one that moves.

    The surprise of a run is log10(n + 1) L / max(longest, `least`), where n counts the runs known (a window that moves
    ends one, mostly of length 0) and `longest` is the longest of them. At L = `longest` that is the rank of the run
    among those known: of n + 1 runs that are alike each is the longest with probability 1/(n + 1), whatever their
    distribution (V. Vovk, A. Gammerman, G. Shafer, *Algorithmic Learning in a Random World*, 2005, chapter 2). Beyond,
    it goes on as an exponential tail that begins there: for memoryless runs the longest of n is near to their mean
    length times ln n, so that the tail is right; where long runs come in bursts the longest carries it. It ends at
    `REACH` times the longest, with surprise 3 log10(n + 1). A series that never moved, or seldom, knows few runs,
    and nothing in it is surprising.

    Runs are known for one to two generations of `memory` runs, of which the older is dropped whole, and none while
    a run lasts: a series that stands for good is not usual after a day. Afterwards that run is known too, so the next
    one of its length is surprising only when it has been forgotten. Windows without a finite value neither end a run
    nor prolong it.

    Cost: some 20 ns a series. Memory: 24 bytes a series, and what the kind of run needs.
    """

    Parameters: ClassVar[type[Frozen]] = RunParameters
    what: ClassVar[str] = "it has stood still"

    def __init__(self, parameters: RunParameters) -> None:
        """Keep the parameters."""
        super().__init__(parameters)
        self.warm_up = parameters.ready

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the run at hand, and longest and number of the runs of this generation and the one before."""
        names = ("run", "windows", "longest", "longest_before", "runs", "runs_before")
        return {name: StateArray("int32") for name in names}

    @abstractmethod
    def stands(self, state: Rows, step: Step) -> NDArray[np.bool_]:
        """Say which windows stand still; what is kept for it is brought up to date."""

    def step(self, state: Rows, step: Step) -> Scores:
        """Score the run that the window is part of; a run that has ended is learned."""
        known = np.isfinite(step.values)
        stands = self.stands(state, step) & known
        ended = known & ~stands
        length = np.where(stands, state["run"] + 1, 0)
        surprise = self._surprise(state, length)
        surprise[~known | (state["windows"] < self.parameters.ready)] = np.nan
        learn_runs(state, ended, state["run"], self.parameters.memory)
        np.copyto(state["run"], np.minimum(length, LONGEST), where=known)
        np.copyto(state["windows"], np.minimum(state["windows"] + 1, self.parameters.ready), where=known)
        return Scores(surprise, measure=length.astype(np.float64))

    def _surprise(self, state: Rows, length: NDArray[np.int64]) -> NDArray[np.float64]:
        longest = np.maximum(longest_run(state), self.parameters.least)
        surprise: NDArray[np.float64] = np.log10(runs_known(state) + 1.0) * np.minimum(length / longest, REACH)
        return surprise

    def words(self, step: Step, scores: Scores, row: int) -> str:
        """Say for how long it has stood still."""
        length = 0 if scores.measure is None else int(scores.measure[row])
        if not length:
            return ""
        lasted = f"{length * step.width_ms / 1000:g} s" if step.width_ms else counted(length, "rounds")
        return f"{self.what} for {lasted}"


def runs_known(state: Rows) -> NDArray[np.int32]:
    """Return how many runs are known of each series."""
    known: NDArray[np.int32] = state["runs"] + state["runs_before"]
    return known


def longest_run(state: Rows) -> NDArray[np.int32]:
    """Return the longest run that is known of each series."""
    longest: NDArray[np.int32] = np.maximum(state["longest"], state["longest_before"])
    return longest


def learn_runs(state: Rows, ended: NDArray[np.bool_], length: NDArray[np.integer[Any]], memory: int) -> None:
    """Learn the lengths of runs that have ended; a generation of `memory` takes the place of the one before."""
    state["longest"][ended] = np.maximum(state["longest"][ended], length[ended])
    state["runs"][ended] += 1
    full = np.flatnonzero(ended & (state["runs"] >= memory))
    for name in ("longest", "runs"):
        state[f"{name}_before"][full] = state[name][full]
        state[name][full] = 0
