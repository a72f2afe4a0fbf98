"""Calibrated: another detector's surprise, made to mean what it says by the extremes it has shown on the series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import Field, model_validator

from mendline.detectors import maxima
from mendline.detectors.base import Detector, Rows, Scores, StateArray, Step
from mendline.detectors.registry import find
from mendline.schemas.base import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

OF = "of_"
"""Before the names of the other detector's arrays."""

LEAST = 0.05
"""Differences of less than this, in the square root of surprise, make nothing rare."""

WARM_UP = 16
"""Windows after the other one's: some blocks of two, of four, and the first of eight."""


class Calibrated(Detector):
    """The surprise s of another detector is a measure like any other; its own surprise is how rare so large an s is.

    A statistic says what it would mean if its assumptions held: that values do not depend on each other, are Gaussian,
    have no season. On what is really measured they do not, and surprise 4 comes a thousand times too often. Here the
    largest s of blocks of windows are kept, and from them follows how often a healthy series shows such an s, whatever
    the statistic assumed (`maxima` has the method, its sources and its rules, as in `auto`, which is nine views of
    this sort in one). What the other detector finds unusual all the time is no news then. It is the square root of s
    that is looked at, because the surprise of a Gaussian statistic grows as the square of the deviation, so that its
    own tail would be heavier than any that the method is made for.

    It assumes that what comes is like what was, and is ready four blocks of two windows after the other detector. `low`
    and `high` are what the other one expects.

    Cost: 120 ns a series and window, beside the other detector's. Memory: 348 bytes a series, beside it.

    >>> from mendline.testing.detectors import run
    >>> values = [10.0, 11.0, 10.5, 11.5] * 32 + [30.0]
    >>> run(Calibrated, {"detector": "ewma"}, values).surprise[[127, 128]].round(2).tolist()
    [0.2, 5.99]
    """

    class Parameters(Frozen):
        """Whose surprise."""

        detector: str = Field(default="ewma", description="a detector's registered name, or package.module:Class")
        parameters: dict[str, Any] = Field(default_factory=dict, description="that detector's own settings")

        @model_validator(mode="after")
        def _usable(self) -> Self:
            one = find(self.detector)
            if one.judges == "measure":
                msg = f"detector {self.detector} judges by its measure: there is no surprise of it to calibrate"
                raise ValueError(msg)
            one.Parameters.model_validate(self.parameters)
            return self

    def __init__(self, parameters: Parameters) -> None:
        """Make the other detector."""
        super().__init__(parameters)
        cls = find(parameters.detector)
        self._other = cls(cls.Parameters.model_validate(parameters.parameters))
        self.warm_up = self._other.warm_up + WARM_UP

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep what the other one keeps, and the extremes of its surprise."""
        return {**{OF + name: array for name, array in self._other.arrays().items()}, **maxima.arrays(1)}

    def step(self, state: Rows, step: Step) -> Scores:
        """Let the other one score and learn; then score its surprise, and learn that."""
        theirs, own = _apart(state)
        answer = self._other.step(theirs, step)
        surprise = np.full(len(step.values), np.nan)
        rows = np.flatnonzero(~np.isnan(answer.surprise))
        some = {name: array[rows] for name, array in own.items()}
        surprise[rows] = _rarity(some, answer.surprise[np.newaxis, rows])[0]
        for name, array in some.items():
            own[name][rows] = array
        return Scores(surprise, answer.low, answer.high)

    def follow(self, state: Rows, windows: Step) -> Scores:
        """Let the other one score many windows of one series; then score its surprise, block by block."""
        theirs, own = _apart(state)
        answer = self._other.follow(theirs, windows)
        surprise = np.full(len(windows.values), np.nan)
        places = np.flatnonzero(~np.isnan(answer.surprise))
        while len(places):
            left = int(own["size"][0] - own["filled"][0])
            block, places = places[:left], places[left:]
            surprise[block] = _rarity(own, answer.surprise[block, np.newaxis])[:, 0]
        return Scores(surprise, answer.low, answer.high)

    def words(self, step: Step, scores: Scores, row: int) -> str:
        """Return the other detector's name."""
        del step, scores, row
        return f"by {self.parameters.detector}, calibrated by its own extremes"


def _apart(state: Rows) -> tuple[Rows, Rows]:
    """Return the other detector's arrays, under its own names, and those of the extremes of its surprise."""
    theirs = {name.removeprefix(OF): array for name, array in state.items() if name.startswith(OF)}
    return theirs, {name: array for name, array in state.items() if not name.startswith(OF)}


def _rarity(state: Rows, surprise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how surprising these surprises (windows, n) are, and learn them; no block ends before the last window."""
    grain = np.full((1, surprise.shape[1]), LEAST)
    found: NDArray[np.float64] = maxima.surprise(state, np.sqrt(surprise)[np.newaxis], maxima.fit(state, grain))[0]
    ended = np.flatnonzero(state["filled"] == state["size"])
    if len(ended):
        maxima.end_blocks(state, ended, grain)
    return found
