"""N of M: a rule that allows for single outliers: so many of the last windows beyond a bound."""

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

ONE = np.uint64(1)


class NOfM(Detector):
    """Violated where at least `n` of the last `m` windows with a value lie above `high` or below `low`.

    The run rule of control charts (Western Electric, *Statistical Quality Control Handbook*, 1956: two of three beyond
    two sigma), and "datapoints to alarm" of monitoring services. A hold (`open: {for: …}`) asks for a run without a
    break, which one good window ends; this one does not. The measure is the number of windows beyond the bounds, so
    `clear: {below: 2}` keeps a fault open until at most one is left.

    Defaults: 3 of 5, more than half, so that a value which is alternately good and bad violates and single ones do
    not. Windows without a value count neither way: they are passed over, and the last `m` that had one decide.

    Cost: some 20 ns a series. Memory: 8 bytes a series, a bit for each window and one above them.

    >>> from mendline.testing.detectors import run
    >>> scores = run(NOfM, {"high": 9.0, "n": 2, "m": 3}, [5.0, 10.0, 5.0, 10.0, 5.0, 5.0, 10.0])
    >>> scores.measure.tolist(), scores.surprise.tolist()
    ([nan, nan, 1.0, 2.0, 1.0, 1.0, 1.0], [nan, nan, 0.0, 300.0, 0.0, 0.0, 0.0])
    """

    class Parameters(Frozen):
        """Bounds in the series' unit, at least one of the two, and how many windows must lie beyond."""

        high: float | None = Field(default=None, allow_inf_nan=False, description="a window above this counts")
        low: float | None = Field(default=None, allow_inf_nan=False, description="a window below this counts")
        n: int = Field(default=3, ge=1, le=63, description="so many of them")
        m: int = Field(default=5, ge=1, le=63, description="of so many")

        @model_validator(mode="after")
        def _possible(self) -> NOfM.Parameters:
            if self.high is None and self.low is None:
                msg = "give high or low: without either the rule is always obeyed"
                raise ValueError(msg)
            if self.n > self.m:
                msg = f"n = {self.n} of m = {self.m} windows can never be; give n at most m"
                raise ValueError(msg)
            return self

    kind: ClassVar[str] = "threshold"
    judges: ClassVar[Literal["surprise", "measure"]] = "measure"

    def __init__(self, parameters: Parameters) -> None:
        """Keep the bounds."""
        super().__init__(parameters)
        self._high = math.inf if parameters.high is None else parameters.high
        self._low = -math.inf if parameters.low is None else parameters.low
        self._full = np.uint64(1 << parameters.m)
        self.warm_up = parameters.m - 1

    def opens(self) -> Condition:
        """Open at `n` windows."""
        return Condition(above=self.parameters.n - 0.5)

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep a bit for each window, the last one lowest; above them a bit that is always set, so that they count."""
        return {"bits": StateArray("uint64", fill=1)}

    def step(self, state: Rows, step: Step) -> Scores:
        """Count the windows beyond the bounds."""
        known, beyond = ~np.isnan(step.values), (step.values > self._high) | (step.values < self._low)
        bits = (state["bits"] << ONE) | beyond
        ready = bits >= self._full
        bits[ready] = (bits[ready] & (self._full - ONE)) | self._full
        np.copyto(state["bits"], bits, where=known)
        count = _bits_set(bits) - 1.0
        count[~(known & ready)] = np.nan
        surprise = np.where(count >= self.parameters.n, MAX_SURPRISE, 0.0)
        surprise[np.isnan(count)] = np.nan
        full = np.full_like
        return Scores(surprise, full(count, self._low), full(count, self._high), count)

    def words(self, step: Step, scores: Scores, row: int) -> str:
        """Say how many windows lie beyond the bounds."""
        del step
        count = math.nan if scores.measure is None else scores.measure[row]
        return f"{count:.0f} of the last {self.parameters.m} windows lie beyond"


def _bits_set(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return how many bits of each word are set (`numpy.bitwise_count` came with numpy 2)."""
    octets = np.ascontiguousarray(words).view(np.uint8).reshape(len(words), 8)
    count: NDArray[np.float64] = _OF_OCTET[octets].sum(axis=1, dtype=np.float64)
    return count


_OF_OCTET = np.array([octet.bit_count() for octet in range(256)], dtype=np.uint8)
