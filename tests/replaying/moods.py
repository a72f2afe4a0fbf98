"""Detectors as others might write them, of which three are not deterministic."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

import numpy as np

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
