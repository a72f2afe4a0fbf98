"""What a model is trained on, kept so that it can be trained again to the last bit, and when that is due."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.base import Rows, StateArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

COMPARED = 64
"""So many scores of late are compared with as many of right after training: a KS distance of 0.2 is then usual."""


class Training:
    """A ring of feature vectors to learn from, the vectors the present model was trained on, and its scores.

    A model is due when a series has `ready` vectors; then after `every` more (up to a quarter earlier, by its own data,
    so that series that began together do not train together); and when scores of late are distributed otherwise than
    those of right after training, by the two-sample test of Kolmogorov and Smirnov at significance `drift`
    (N. Smirnov, "Table for estimating the goodness of fit of empirical distributions", Ann. Math. Stat. 19(2), 1948).

    The model itself is no state: whoever could write one to the log could run code here. `digest` stands for it.
    Memory: 16 bytes x `windows` x `width` + 8 bytes x `windows` + 1.1 kB a series.
    """

    def __init__(self, windows: int, ready: int, every: int, drift: float, width: int) -> None:
        """Keep the sizes, in windows; `width` is the length of a vector. With a full ring it is ready at the latest."""
        self.windows, self.ready, self.every, self._width = windows, min(ready, windows), every, width
        self._farthest = math.sqrt(-math.log(drift / 2.0) / COMPARED) if drift else math.inf

    def arrays(self) -> Mapping[str, StateArray]:
        """Return the state of a series; `begin` and `end` of the training range are event times in ms."""
        ring = (self.windows, self._width)
        return {
            "ring": StateArray(shape=ring),
            "times": StateArray("int64", (self.windows,)),
            "learned": StateArray("int64"),
            "trained": StateArray(shape=ring),
            "held": StateArray("int32"),
            "begin": StateArray("int64"),
            "end": StateArray("int64"),
            "version": StateArray("int32"),
            "digest": StateArray("int64"),
            "age": StateArray("int64"),
            "reference": StateArray(shape=(COMPARED,)),
            "recent": StateArray(shape=(COMPARED,)),
            "scored": StateArray("int64"),
        }

    def learn(
        self,
        state: Rows,
        rows: NDArray[np.intp],
        vectors: NDArray[np.float64],
        times: NDArray[np.int64],
        scores: NDArray[np.float64],
    ) -> None:
        """Take in the vectors (n, width) of the windows of `rows`, and the model's scores (n,) of them where it has."""
        place = state["learned"][rows] % self.windows
        state["ring"][rows, place], state["times"][rows, place] = vectors, times
        state["learned"][rows] += 1
        state["age"][rows] += 1
        known = ~np.isnan(scores)
        some = rows[known]
        count = state["scored"][some]
        first = count < COMPARED
        state["reference"][some[first], count[first]] = scores[known][first]
        state["recent"][some, count % COMPARED] = scores[known]
        state["scored"][some] += 1

    def due(self, state: Rows, rows: NDArray[np.intp]) -> list[int]:
        """Return those of the rows, which have just learned, that are to be trained."""
        fresh = (state["version"][rows] == 0) & (state["learned"][rows] >= self.ready)
        early = state["digest"][rows] % (self.every // 4 + 1)
        old = (state["version"][rows] > 0) & (state["age"][rows] >= self.every - early)
        count = state["scored"][rows]
        asked = (count >= 2 * COMPARED) & (count % COMPARED == 0)
        asked[asked] = [self._has_drifted(state, row) for row in rows[asked].tolist()]
        due: list[int] = rows[fresh | old | asked].tolist()
        return due

    def _has_drifted(self, state: Rows, row: int) -> bool:
        return distance(state["reference"][row], state["recent"][row]) > self._farthest

    def train(self, state: Rows, row: int, width_ms: int) -> None:
        """Make what the ring holds, in order, the training data of the next version; `width_ms`: length of a window."""
        size = min(int(state["learned"][row]), self.windows)
        shift = -int(state["learned"][row] % self.windows) if size == self.windows else 0
        state["trained"][row] = np.roll(state["ring"][row], shift, axis=0)
        times = state["times"][row, :size]
        state["held"][row], state["begin"][row], state["end"][row] = size, times.min(), times.max() + width_ms
        digest = hashlib.blake2b(self.vectors(state, row).tobytes(), digest_size=8).digest()
        state["digest"][row] = int.from_bytes(digest, "big", signed=True)
        state["version"][row] += 1
        state["age"][row] = state["scored"][row] = 0

    @staticmethod
    def vectors(state: Rows, row: int) -> NDArray[np.float64]:
        """Return the vectors (windows, width) that the row's present model is trained on, in order."""
        trained: NDArray[np.float64] = state["trained"][row, : int(state["held"][row])]
        return trained


def distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the largest difference between the distribution functions of two samples (Kolmogorov and Smirnov).

    >>> distance(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 4.0, 5.0, 6.0]))
    0.5
    """
    places = np.concatenate([one, other])
    shares = [np.searchsorted(np.sort(some), places, side="right") / len(some) for some in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())
