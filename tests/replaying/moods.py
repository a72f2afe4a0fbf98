"""Detectors as others might write them, of which three are not deterministic."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

import numpy as np

from mendline.detectors import NoParameters
from mendline.detectors.base import Detector, Rows, Scores, StateArray, Step


class Steady(Detector):
    """Finds nothing, and counts windows."""

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep one number."""
        return {"number": StateArray()}

    def step(self, state: Rows, step: Step) -> Scores:
        """Note what there is to note."""
        state["number"] += self.noted()
        return Scores(self.surprise(step))

    def noted(self) -> float:
        """Return what is added to the number."""
        return 1.0

    def surprise(self, step: Step) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return no surprise."""
        return np.zeros(len(step.values))


class Limit(Steady):
    """Is surprised by what is above a limit."""

    limit = 50.0

    def surprise(self, step: Step) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return much above the limit."""
        return np.where(step.values > self.limit, 10.0, 0.0)


class Clock(Steady):
    """Looks at a clock and says nothing of it."""

    def noted(self) -> float:
        """Return the time."""
        return time.perf_counter()


class Chance(Steady):
    """Is surprised by chance, every other time."""

    def surprise(self, step: Step) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return much or nothing."""
        return np.array([float(random.choice((0, 10))) for _ in step.values])


class Whim(Steady):
    """Is surprised a little, by chance, and never enough for a fault."""

    def surprise(self, step: Step) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return next to nothing."""
        return np.array([random.random() for _ in step.values])


class Change:
    """Per series: surprised by how much the value changed."""

    Parameters, warm_up, state_bytes = NoParameters, 1, 40

    def __init__(self, parameters: NoParameters) -> None:
        """Begin without a value."""
        self.before: float | None = None

    def score(self, value: float, time: int) -> float:
        """Return the change."""
        return float("nan") if self.before is None else abs(value - self.before)

    def learn(self, value: float, time: int) -> None:
        """Remember the value."""
        self.before = value

    def dump(self) -> dict[str, float | None]:
        """Return the value."""
        return {"before": self.before}

    def load(self, state: Mapping[str, float | None]) -> None:
        """Take the value."""
        self.before = state["before"]
