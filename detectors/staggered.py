"""A ring of values whose summary is made anew now and then: each series at windows of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.base import Detector, Rows, Scores, StateArray, Step, joined
from mendline.detectors.floors import LARGEST

if TYPE_CHECKING:
    from numpy.typing import NDArray


class StaggeredRing:
    """The last `windows` values of each series, and when a summary that costs much is due.

    A summary is due when a series has `ready` values and then after every `every` more, at a phase that follows from
    the bits of its first value: so that series that began together do not all come due in one step, and when one
    comes due depends on nothing but its own values. Memory: 8 bytes x `windows` + 5 bytes a series.
    """

    def __init__(self, windows: int, ready: int, every: int) -> None:
        """Keep the sizes; with a full ring a summary is due at the latest."""
        self.windows = windows
        self.ready = min(ready, windows)
        self.every = min(every, windows, 128)
        # A full turn of both the ring and the phase may be taken off the count.
        self._turn = windows * self.every

    def arrays(self) -> Mapping[str, StateArray]:
        """Return the state of a series: the ring, at first NaN, how many values it was given, and its phase."""
        return {
            "ring": StateArray(shape=(self.windows,), fill=float("nan")),
            "count": StateArray("int32"),
            "phase": StateArray("uint8"),
        }

    def learn(self, state: Rows, values: NDArray[np.float64]) -> NDArray[np.intp]:
        """Put the finite ones of the values (n,) into the ring; return the rows whose summary is due."""
        count, rows = state["count"], np.flatnonzero(np.isfinite(values))
        learned = np.clip(values[rows], -LARGEST, LARGEST)
        first = rows[count[rows] == 0]
        if len(first):
            state["phase"][first] = scattered(values[first]) % self.every
        state["ring"][rows, count[rows] % self.windows] = learned
        count[rows] += 1
        count[count >= 2 * self._turn] -= self._turn
        counts = count[rows]
        at_phase = (counts + state["phase"][rows]) % self.every == 0
        due: NDArray[np.intp] = rows[(counts == self.ready) | ((counts > self.ready) & at_phase)]
        return due

    def calm(self, state: Rows, values: NDArray[np.float64]) -> int:
        """Return how many of the values of one series, `every` at most, come before a summary is due."""
        if state["count"][0] == 0:
            return 0
        values = values[: self.every]
        counts = int(state["count"][0]) + np.cumsum(np.isfinite(values))
        at_phase = (counts + int(state["phase"][0])) % self.every == 0
        due = np.flatnonzero((counts == self.ready) | ((counts > self.ready) & at_phase))
        return int(due[0]) if len(due) else len(values)

    def learn_calm(self, state: Rows, values: NDArray[np.float64]) -> None:
        """Put so many values of one series into its ring at once as `calm` said, or fewer."""
        learned = np.clip(values[np.isfinite(values)], -LARGEST, LARGEST)
        count = state["count"]
        state["ring"][0, (int(count[0]) + np.arange(len(learned))) % self.windows] = learned
        count += len(learned)
        count[count >= 2 * self._turn] -= self._turn

    def follow(self, detector: Detector, state: Rows, windows: Step) -> Scores:
        """Score many windows of one series: those between two summaries at once, as all see the same one."""
        parts, at = [], 0
        while at < len(windows.values):
            calm = self.calm(state, windows.values[at:])
            part = windows.part(slice(at, at + max(calm, 1)))
            if calm > 1:
                # Each row learns one value, for nothing: what is learned of them all goes into the ring below.
                rows = {name: np.repeat(array, calm, axis=0) for name, array in state.items()}
                parts.append(detector.step(rows, part))
                self.learn_calm(state, part.values)
            else:
                parts.append(detector.step(state, part))
            at += len(part.values)
        return joined(parts)


def scattered(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return numbers that look random and follow from the values: Fibonacci hashing of their bits (Knuth, vol. 3)."""
    hashed: NDArray[np.uint64] = (values.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    return hashed


def middle(ordered: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the median of the first `sizes` (n,) values of each row of `ordered`, which is sorted."""
    rows = np.arange(len(ordered))
    median: NDArray[np.float64] = 0.5 * ordered[rows, (sizes - 1) // 2] + 0.5 * ordered[rows, sizes // 2]
    return median
