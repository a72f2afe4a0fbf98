"""Predictions of a value by its level and a season, each with how far off it usually is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.base import Rows, StateArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

WILD = 5.0
"""What is further off than so many mean absolute errors is learned as if it were not: a fault is no habit."""
SETTLED = 1_000_000
"""Values are counted up to here; by then the share of a new one follows from the half-life alone."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The level of what is left of the values of each series without a season, and the mean absolute error of both.

    Both are faded means: a new value has `share`, and the first ones 1 / n. The error is trusted after `ready` values.
    Memory: 20 bytes a series.
    """

    name: str
    share: float
    ready: int

    def arrays(self) -> Mapping[str, StateArray]:
        """Return the state of a series: level, error and number of values."""
        declared = (StateArray(), StateArray(), StateArray("int32"))
        return dict(zip(self.names(), declared, strict=True))

    def names(self) -> tuple[str, str, str]:
        """Return the names of level, error and number of values."""
        return f"{self.name}/level", f"{self.name}/error", f"{self.name}/seen"

    def expected(self, state: Rows, season: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Return what to expect (n,): the level, and the season on it, which is NaN where there is none.

        The level is that in `state` itself: it changes when something is learned.
        """
        level: NDArray[np.float64] = state[f"{self.name}/level"]
        return level if season is None else season + level

    def error(self, state: Rows) -> NDArray[np.float64]:
        """Return the mean absolute error (n,)."""
        found: NDArray[np.float64] = state[f"{self.name}/error"]
        return found

    def is_usable(self, state: Rows) -> NDArray[np.bool_]:
        """Say where the error is known well enough (n,)."""
        usable: NDArray[np.bool_] = state[f"{self.name}/seen"] >= self.ready
        return usable

    def learn(
        self, state: Rows, values: NDArray[np.float64], expected: NDArray[np.float64], known: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Learn the values (n,) of which something was expected and is `known`; return what is left for the season.

        That is the value, or what was learned of it where it is wild, less the level, which a season need not follow.
        """
        level, error, seen = (state[name] for name in self.names())
        if not known.any():
            return values - level
        unknown = None if known.all() else ~known
        away = self._away(state, values - expected, unknown)
        left: NDArray[np.float64] = expected + away
        _put(left, values, unknown)
        left -= level
        gain, error_gain = self._gains(seen)
        further = np.abs(away)
        further -= error
        further *= error_gain
        _put(further, 0.0, ~known | (seen == 0) if seen.min() == 0 else unknown)
        error += further
        away *= gain
        level += away
        seen += known & (seen < SETTLED)
        return left

    def _away(self, state: Rows, away: NDArray[np.float64], unknown: NDArray[np.bool_] | None) -> NDArray[np.float64]:
        """Return what was off (n,) as it is learned: 0 where it is not known, and no more than wild."""
        error, farthest = self.error(state), WILD * self.error(state)
        if error.min() <= 0.0 or not self.is_usable(state).all():
            np.copyto(farthest, np.inf, where=~self.is_usable(state) | (error <= 0.0))
        _put(away, 0.0, unknown)
        return np.clip(away, -farthest, farthest, out=away)

    def _gains(self, seen: NDArray[np.int32]) -> tuple[NDArray[np.float64] | float, NDArray[np.float64] | float]:
        """Return the shares of a new value in the level, and of its error, which is known from the second value on."""
        if seen.min() * self.share >= 1.0:
            return self.share, self.share
        return np.maximum(1.0 / (seen + 1.0), self.share), np.maximum(1.0 / np.maximum(seen, 1), self.share)


class OnePrediction:
    """A prediction for one series, in plain numbers: what many windows cost less by, the same to the last bit."""

    __slots__ = ("_names", "_of", "error", "level", "seen")

    def __init__(self, of: Prediction, state: Rows) -> None:
        """Take over the state of the only series."""
        self._of, self._names = of, of.names()
        level, error, seen = (state[name][0] for name in self._names)
        self.level, self.error, self.seen = float(level), float(error), int(seen)

    @property
    def is_usable(self) -> bool:
        """Whether the error is known well enough."""
        return bool(self.seen >= self._of.ready)

    def learn(self, value: float, expected: float) -> float:
        """Learn a value of which that was expected; return what is left for the season."""
        away, share, level = value - expected, self._of.share, self.level
        if self.seen >= self._of.ready and self.error > 0.0:
            farthest = WILD * self.error
            away = min(max(away, -farthest), farthest)
        if self.seen:
            self.error += (abs(away) - self.error) * max(1.0 / self.seen, share)
        self.level += away * max(1.0 / (self.seen + 1.0), share)
        self.seen += self.seen < SETTLED
        return (expected + away) - level

    def put(self, state: Rows) -> None:
        """Make this the state of the only series."""
        for name, number in zip(self._names, (self.level, self.error, self.seen), strict=True):
            state[name][0] = number


def _put(array: NDArray[np.float64], values: NDArray[np.float64] | float, where: NDArray[np.bool_] | None) -> None:
    """Put the values there; None: nowhere, which is mostly so, and spares a pass."""
    if where is not None:
        np.copyto(array, values, where=where)
