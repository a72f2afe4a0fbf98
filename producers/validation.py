"""Values are checked where they arise: finite, in the metric's range, counters that only grow.

A counter may begin anew (its process or the host was started again): a value below half of the last one is taken as a
reset. One that steps back less is a glitch, such as the kernel's counters of idle time make, and is rejected, unless
it stays there for more rounds than any glitch: then it was a reset after all.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from mendline.producers.base import NO_VALUE
from mendline.producers.metrics import bounds
from mendline.schemas.series import Series

MOST_STEPS_BACK = 3

NOT_FINITE = "not_finite"
OUT_OF_RANGE = "out_of_range"
STEPPED_BACK = "stepped_back"


class Validation:
    """Checks the values of one layout after the other; NaN is "no value" and passes.

    >>> check = Validation()
    >>> check.begin([Series(metric="system.cpu.utilization")])
    >>> check.check([1.5]), check.rejected["out_of_range"]
    ([nan], 1)
    """

    def __init__(self) -> None:
        """Begin without any series."""
        self.rejected = {NOT_FINITE: 0, OUT_OF_RANGE: 0, STEPPED_BACK: 0}
        self.resets = 0
        self._low: list[float] = []
        self._high: list[float] = []
        self._counters: list[int] = []
        self._labels: list[str] = []
        self._highest: list[float] = []
        self._steps_back: dict[int, int] = {}

    def begin(self, series: Sequence[Series]) -> None:
        """Check values of these series from now on; counters that were there before are remembered."""
        known = dict(zip(self._labels, self._highest, strict=True))
        limits = [bounds(one) for one in series]
        largest = sys.float_info.max  # so that one comparison also finds what is infinite
        self._low = [max(low, -largest) for low, _ in limits]
        self._high = [min(high, largest) for _, high in limits]
        self._labels = [one.label for one in series]
        self._counters = [index for index, one in enumerate(series) if one.kind == "counter"]
        self._highest = [known.get(label, -math.inf) for label in self._labels]
        self._steps_back = {}

    def check(self, values: list[float]) -> list[float]:
        """Replace what is not valid by NaN, in place, count it, and return the list."""
        wrong = [
            index
            for index, (low, value, high) in enumerate(zip(self._low, values, self._high, strict=True))
            if not low <= value <= high and value == value  # noqa: PLR0124 - false for NaN alone, at a third of the cost
        ]
        for index in wrong:
            self.rejected[OUT_OF_RANGE if math.isfinite(values[index]) else NOT_FINITE] += 1
            values[index] = NO_VALUE
        highest = self._highest
        for index in self._counters:
            value = values[index]
            if value >= highest[index]:
                highest[index] = value
            elif value < highest[index]:
                values[index] = self._stepped_back(index, value)
        if self._steps_back:
            self._steps_back = {i: n for i, n in self._steps_back.items() if values[i] != values[i]}
        return values

    def _stepped_back(self, index: int, value: float) -> float:
        steps = self._steps_back.get(index, 0) + 1
        if value < self._highest[index] / 2 or steps > MOST_STEPS_BACK:
            self.resets += 1
            self._highest[index] = value
            return value
        self._steps_back[index] = steps
        self.rejected[STEPPED_BACK] += 1
        return NO_VALUE
