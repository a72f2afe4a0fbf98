"""For authors who think in one series: a class with `score` and `learn`, and the wrapper that runs it on many.

A row costs a call of Python here, some microseconds, against nanoseconds in a vectorised detector.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from mendline.detectors.base import MAX_SURPRISE, Detector, Rows, Scores, StateArray, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.base import Frozen

STATE = "state"


class SeriesDetector(Protocol):
    """What is known of one series. Made with the parameters (an instance of the class's `Parameters`) as argument.

    The class also says `Parameters`, `warm_up` (windows until it is ready) and `state_bytes`, the most bytes that
    `dump` takes as JSON: its declared memory.
    """

    Parameters: ClassVar[type[Frozen]]
    warm_up: ClassVar[int]
    state_bytes: ClassVar[int]

    def score(self, value: float, time: int) -> float:
        """Return the surprise of a finite value at `time` (ms), without learning from it; NaN while not ready."""

    def learn(self, value: float, time: int) -> None:
        """Take the value into account; called after `score` with the same value."""

    def dump(self) -> Mapping[str, Any]:
        """Return all that was learned, as what JSON can hold (floats come back to the last bit)."""

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `dump` returned; called on a fresh instance."""


class PerSeries(Detector):
    """Runs a per-series class as a detector: one instance for each series, a loop for each step."""

    series: ClassVar[Callable[[Any], SeriesDetector]]
    state_bytes: ClassVar[int]

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep one instance a series, made when its first value comes."""
        return {STATE: StateArray("object", fill=None)}

    def step(self, state: Rows, step: Step) -> Scores:
        """Score, then learn, one series after the other; values that are no finite numbers are passed over."""
        rows = state[STATE]
        surprise = np.full(len(step.values), np.nan)
        for row, (value, time) in enumerate(zip(step.values.tolist(), step.times.tolist(), strict=True)):
            if not math.isfinite(value):
                continue
            if rows[row] is None:
                rows[row] = type(self).series(self.parameters)
            surprise[row] = min(max(rows[row].score(value, time), 0.0), MAX_SURPRISE)
            rows[row].learn(value, time)
        return Scores(surprise)

    def pack(self, name: str, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the dumps as rows of bytes, padded with zeros to the longest; zeros alone mean no instance.

        Raises ValueError for a series that dumps more than `state_bytes`.
        """
        dumps = [b"" if one is None else json.dumps(one.dump(), separators=(",", ":")).encode() for one in rows.flat]
        longest = max(map(len, dumps), default=0)
        if longest > self.state_bytes:
            msg = f"{type(self).__name__}: {name} takes {longest} bytes, more than the declared {self.state_bytes}"
            raise ValueError(msg)
        text = b"".join(dump.ljust(longest, b"\0") for dump in dumps)
        return np.frombuffer(text, dtype=np.uint8).reshape(*rows.shape, longest)

    def unpack(self, name: str, rows: NDArray[Any]) -> NDArray[Any]:
        """Return instances as `pack` was given them."""
        del name
        instances: NDArray[Any] = np.full(rows.shape[:-1], None, dtype=object)
        for where in np.ndindex(instances.shape):
            text = rows[where].tobytes().rstrip(b"\0")
            if text:
                instance = type(self).series(self.parameters)
                instance.load(json.loads(text))
                instances[where] = instance
        return instances


def per_series(cls: type[Any]) -> type[PerSeries]:
    """Return a detector that runs the per-series class `cls` on each series.

    >>> from mendline.detectors.base import NoParameters
    >>> class Highest:
    ...     Parameters, warm_up, state_bytes = NoParameters, 1, 64
    ...     def __init__(self, parameters): self.highest = None
    ...     def score(self, value, time): return float("nan") if self.highest is None else 3.0 * (value > self.highest)
    ...     def learn(self, value, time): self.highest = max(value, self.highest or value)
    ...     def dump(self): return {"highest": self.highest}
    ...     def load(self, state): self.highest = state["highest"]
    >>> per_series(Highest)(NoParameters()).arrays()["state"].dtype
    'object'
    """
    body = {
        "__doc__": cls.__doc__,
        "__module__": cls.__module__,
        "Parameters": cls.Parameters,
        "kind": getattr(cls, "kind", Detector.kind),
        "warm_up": cls.warm_up,
        "state_bytes": cls.state_bytes,
        "series": staticmethod(cls),
    }
    return type(cls.__name__, (PerSeries,), body)
