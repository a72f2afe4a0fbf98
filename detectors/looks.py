"""What a detector made of one series, for whoever wants to know: the score of a window, and what is remembered then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mendline.detectors.answers import judged_by
from mendline.detectors.transitions import State

if TYPE_CHECKING:
    from mendline.detectors.base import Detector, Rows, Scores, Step
    from mendline.detectors.faults import Moments
    from mendline.detectors.rows import Columns
    from mendline.detectors.steps import Wave

BY_CHANCE = "it is not deterministic: two passes over the same records differ, as by a clock or by chance"
"""What is told of a detector that answers otherwise the second time."""


class Seen(NamedTuple):
    """One window (or round) of a series as its detector scored it; NaN stands where it gave no number.

    `offset` is that of the record, `start` and `width_ms` in ms of event time; `judged` is what the bounds of a fault
    are about. `state` is the lifecycle's after it, `learned` what the detector remembers after it, by name.
    """

    offset: int
    start: int
    width_ms: int
    value: float
    surprise: float
    low: float
    high: float
    judged: float
    state: State
    learned: dict[str, Any]


class Look(NamedTuple):
    """A step of a detector: its wave and columns, what it answered, and the rows it has learned, with their life."""

    moments: Moments
    wave: Wave
    columns: Columns
    detector: Detector
    step: Step
    scores: Scores
    rows: Rows
    life: Rows

    def answered(self) -> list[bytes]:
        """Return all that the detector answered, to the bit."""
        scores = self.scores
        given = (scores.surprise, scores.low, scores.high, scores.measure)
        return [one.tobytes() for one in given if one is not None]

    def of(self, source: str, label: str) -> Iterator[Seen]:
        """Yield what was made of a series of a source in this step; at most one."""
        column = self.columns.labels.get(label)
        for place, entry in enumerate(self.wave.order.tolist()):
            if column is not None and self.wave.entries.sources[entry] == source:
                yield self._seen(place * len(self.columns) + column, int(self.wave.entries.index[entry]))

    def _seen(self, row: int, index: int) -> Seen:
        scores = self.scores
        return Seen(
            self.moments.offsets[index],
            int(self.step.times[row]),
            self.step.width_ms,
            float(self.step.values[row]),
            float(scores.surprise[row]),
            np.nan if scores.low is None else float(scores.low[row]),
            np.nan if scores.high is None else float(scores.high[row]),
            float(judged_by(self.detector, scores)[row]),
            State(int(self.life["state"][row])),
            self._learned(row),
        )

    def _learned(self, row: int) -> dict[str, Any]:
        """Return what the detector remembers of a row; of an object (`PerSeries`) what it dumps."""
        found: dict[str, Any] = {}
        for name, array in self.rows.items():
            if array.dtype != object:
                found[name] = array[row].tolist()
            elif array[row] is not None:
                found |= array[row].dump()
        return found


Watch = Callable[[Look], None]
"""Takes what a detector makes of each step."""
