"""Scores successive rows of one series with a detector, bounds and the life of a fault, as the pipeline has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from mendline.detectors.answers import checked, judged_by
from mendline.detectors.bank import GAP_WINDOWS
from mendline.detectors.base import Step
from mendline.detectors.configuring import Configured, configure
from mendline.detectors.grains import UNKNOWN
from mendline.detectors.lifecycle import ARRAYS, Lifecycle
from mendline.schemas.settings import DetectorSettings, FaultSettings, Settings, WindowSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_ONCE = 65_536
"""So many rows are scored at once, which bounds the memory of a detector that looks at many windows in one go."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The answers for n rows, in their order.

    `surprise`, `low` and `high` (n,) float64 are the detector's, NaN where it gave none; `fault` (n,) bool says on
    which rows a fault is open, the one that opens it among them.
    """

    surprise: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    fault: NDArray[np.bool_]

    @staticmethod
    def joined(parts: list[Scored]) -> Scored:
        """Return the parts as one."""
        empty = Scored(np.empty(0), np.empty(0), np.empty(0), np.empty(0, dtype=bool))
        every = [empty, *parts]
        return Scored(
            np.concatenate([part.surprise for part in every]),
            np.concatenate([part.low for part in every]),
            np.concatenate([part.high for part in every]),
            np.concatenate([part.fault for part in every]),
        )


@dataclass
class Scorer:
    """One series, fed in blocks of any size; the answers do not depend on where the blocks end.

    Rows count in the order in which they come. A time that goes back, or stands still, is taken as the latest one so
    far; nothing is sorted, because sorting would look ahead. A row without a value (NaN) has no surprise, and leaves
    the fault as it is.

    The interval of the series is the first step of time that is greater than 0: known from the second row on, and
    kept, whatever comes later. Before it is known a row is a single round (`width_ms` 0). `interval_ms` states it
    instead. From it follows when a fault opens: `budget` false faults a day, for this one series. Unlike
    in a pipeline a fault has no maximum age.
    """

    use: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    interval_ms: int = 0
    budget: float = 1.0
    _configured: Configured = field(init=False)
    _lifecycle: Lifecycle = field(init=False)
    _state: dict[str, NDArray[Any]] = field(init=False)
    _life: dict[str, NDArray[Any]] = field(init=False)
    _latest: int | None = None

    def __post_init__(self) -> None:
        """Make the detector, and state for one series.

        Raises DetectorError.
        """
        self.set_interval(self.interval_ms)
        self._state = {name: array.rows(1) for name, array in self._configured.detector.arrays().items()}
        self._life = {name: array.rows(1) for name, array in ARRAYS.items()}

    @property
    def configured(self) -> Configured:
        """The detector with the bounds of its faults, as the interval known so far has it."""
        return self._configured

    def set_interval(self, interval_ms: int) -> None:
        """State the interval, from which the bounds of faults follow."""
        self.interval_ms = interval_ms
        settings = DetectorSettings(name="score", use=self.use, window=interval_ms, parameters=dict(self.parameters))
        pane = interval_ms or WindowSettings().pane
        windows = WindowSettings(pane=pane, widths=(pane,))
        self._configured = configure(settings, Settings(windows=windows, series=1, budget=self.budget))
        # None ages: what is stale is learned anew, and that cannot be done in the middle of a block.
        self._lifecycle = Lifecycle.of(self._configured.bounds, GAP_WINDOWS * interval_ms, FaultSettings(), ages=False)

    def score(self, times: NDArray[np.int64], values: NDArray[np.float64]) -> Scored:
        """Score n rows, then learn from them: `times` (n,) in ms since the Unix epoch, UTC; `values` (n,).

        Raises what the detector raises, BadScoresError.
        """
        if not len(times):
            return Scored.joined([])
        latest = int(times[0]) if self._latest is None else self._latest
        times = np.maximum.accumulate(np.maximum(times, latest))
        self._latest = int(times[-1])
        if self.interval_ms:
            return self._in_parts(times, values)
        known = int(np.searchsorted(times, latest, "right"))
        before = self._in_parts(times[:known], values[:known])
        if known == len(times):
            return before
        self.set_interval(int(times[known]) - latest)
        return Scored.joined([before, self._in_parts(times[known:], values[known:])])

    def _in_parts(self, times: NDArray[np.int64], values: NDArray[np.float64]) -> Scored:
        places = range(0, len(times), AT_ONCE)
        return Scored.joined(
            [self._score(times[place : place + AT_ONCE], values[place : place + AT_ONCE]) for place in places]
        )

    def _score(self, times: NDArray[np.int64], values: NDArray[np.float64]) -> Scored:
        detector = self._configured.detector
        scores = checked(detector, detector.follow(self._state, windows(times, values, self.interval_ms)), values)
        judged = judged_by(detector, scores)
        fault = self._lifecycle.follow(self._life, judged, scores.surprise, times, self.interval_ms)
        return Scored(scores.surprise, _or_nan(scores.low, values), _or_nan(scores.high, values), fault)


def windows(times: NDArray[np.int64], values: NDArray[np.float64], width_ms: int) -> Step:
    """Return the rows as windows that hold one value each, of a gauge with a unit of which nothing is known."""
    times, values = times.view(), values.view()
    rounds = np.ones(len(times), dtype=np.int64)
    counters, grains = np.zeros(len(times), dtype=bool), np.full(len(times), UNKNOWN)
    for array in (times, values, counters, rounds, grains):
        array.setflags(write=False)
    statistics = MappingProxyType(dict.fromkeys(("mean", "min", "max", "last", "sum"), values))
    return Step(values, times, width_ms, counters, rounds, statistics, grains)


def _or_nan(bound: NDArray[np.float64] | None, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.full(len(values), np.nan) if bound is None else bound
