"""Exponentially weighted means that advance by many windows at once as they do by one, to the bit.

A mean m_t = m_{t-1} + a_t (x_t - m_{t-1}) is kept as base, sum and left: with left_t = prod(1 - a_j) and
sum_t = sum(x_j a_j / left_j) over the windows since the last `rebase`, m_t = (base + sum_t) left_t. Both are plain
running products and sums, which numpy works out from left to right, so many windows of one series give the bits that
one window at a time gives. A window without a value has weight 0, and changes nothing. Rebase every hundred windows or
so: `left` shrinks by (1 - a) with each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mendline.detectors.base import StateArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.detectors.base import Rows


@dataclass(frozen=True, slots=True)
class Track:
    """What one mean does: `weight` is that of a new value.

    One that is `warm` begins with the first value and gives the next ones 1 / (n + 1), so that it is the plain mean at
    first; one that is not begins at 0.
    """

    weight: float
    warm: bool = True


def arrays(tracks: int) -> dict[str, StateArray]:
    """Return the state of a series with so many means."""
    return {
        "base": StateArray(shape=(tracks,)),
        "sum": StateArray(shape=(tracks,)),
        "left": StateArray(shape=(tracks,), fill=1),
        "seen": StateArray("int64", (tracks,)),
    }


class Group:
    """Means that advance together: `tracks`, in the columns of the state's arrays from `first` on."""

    def __init__(self, first: int, *tracks: Track) -> None:
        """Keep what does not change."""
        self.columns = slice(first, first + len(tracks))
        self._weights = np.array([one.weight for one in tracks])[:, np.newaxis, np.newaxis]
        self._warm = np.array([one.warm for one in tracks])[:, np.newaxis, np.newaxis]

    def seen(self, state: Rows, valid: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return how many values stood before each window: (means, windows, series)."""
        before = np.repeat(self._columns(state, "seen"), valid.shape[1], axis=1)
        return before if valid.shape[1] == 1 else before + np.add.accumulate(valid, axis=1, dtype=np.int64) - valid

    def at_base(self, state: Rows) -> NDArray[np.float64]:
        """Return what the means were when they were rebased last, (means, 1, series): they hold still in a block."""
        return self._columns(state, "base")

    def _columns(self, state: Rows, name: str) -> NDArray[Any]:
        """Return these means' part of an array, (means, 1, series): long rows, which numpy goes through at once."""
        return np.ascontiguousarray(state[name][:, self.columns].T)[:, np.newaxis]

    def advance(
        self, state: Rows, values: NDArray[np.float64], valid: NDArray[np.bool_], seen: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Take values in, (means, windows, series); return the means before the first and after each: windows + 1."""
        self._begin(state, values, valid)
        weight = np.where(self._warm, np.maximum(self._weights, 1.0 / (seen + 2.0)), self._weights) * valid
        left = accumulated(np.multiply, self._columns(state, "left"), 1.0 - weight)
        added = np.where(valid, values, 0.0) * weight / left[:, 1:]
        sums = accumulated(np.add, self._columns(state, "sum"), added)
        state["left"][:, self.columns], state["sum"][:, self.columns] = left[:, -1].T, sums[:, -1].T
        state["seen"][:, self.columns] = (seen[:, -1] + valid[:, -1]).T
        means: NDArray[np.float64] = (self.at_base(state) + sums) * left
        return means

    def _begin(self, state: Rows, values: NDArray[np.float64], valid: NDArray[np.bool_]) -> None:
        """Let warm means that have seen nothing begin with their first value."""
        fresh = (state["seen"][:, self.columns] == 0) & self._warm[:, 0, 0]
        rows, columns = np.nonzero(fresh & valid.any(axis=1).T) if fresh.any() else (_NONE, _NONE)
        if len(rows):
            first = valid[columns, :, rows].argmax(axis=1)
            state["base"][rows, columns + self.columns.start] = values[columns, first, rows]


def rebase(state: Rows, rows: NDArray[np.intp]) -> None:
    """Begin a new block for the rows: the means stay what they are."""
    state["base"][rows] = (state["base"][rows] + state["sum"][rows]) * state["left"][rows]
    state["sum"][rows], state["left"][rows] = 0.0, 1.0


def accumulated(how: np.ufunc, begin: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `begin` (…, 1, series) and, after each of the values (…, windows, series), what has come of it."""
    both = np.concatenate([begin, values], axis=1)
    if values.shape[1] == 1:  # accumulating costs some ten times as much as the one step that there is
        how(both[:, 0], both[:, 1], out=both[:, 1])
        return both
    found: NDArray[np.float64] = how.accumulate(both, axis=1)
    return found


_NONE = np.empty(0, dtype=np.intp)
