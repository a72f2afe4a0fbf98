"""What is usual at a time of the day and of the week: two profiles of each series, learned bin by bin.

A bin's value is learned when the series has left the bin, from the mean of what it held: so what is read of a profile
within a day does not depend on whether windows come one by one or many at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.base import StateArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.detectors.base import Rows

DAY_MS = 86_400_000
FIELDS = ("bin", "total", "windows")


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile: array `name` of `bins` over `period_ms`; what is being learned stands in column `number`.

    A bin takes `weight` of each new mean. NaN: never visited. `bins` must divide `period_ms`.
    """

    name: str
    number: int
    period_ms: int
    bins: int
    weight: float

    def bin_of(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the bin of each window, by the beginning of the window, UTC."""
        # Divisions by one number are fast, a remainder is not.
        turns = times // (self.period_ms // self.bins)
        turns -= turns // self.bins * self.bins
        return turns

    def usual(self, state: Rows, bins: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what is usual in the bins, (windows, series)."""
        found: NDArray[np.float64] = state[self.name][np.arange(bins.shape[1]), bins]
        return found

    def now(self) -> Mapping[str, StateArray]:
        """Return the state that `usual_now` needs besides: the bin that was asked for last, and what is usual there."""
        return {f"{self.name}/at": StateArray("int16", fill=-1), f"{self.name}/usual": StateArray(fill=np.nan)}

    def usual_now(self, state: Rows, bins: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what is usual in the bins (series,) of the windows that are then taken, one of each series.

        Looked up when the bin turns only: 100 places in memory for each series are far apart. What was found stays
        true meanwhile, as of all bins just those that were left are learned.
        """
        at, usual = state[f"{self.name}/at"], state[f"{self.name}/usual"]
        turned = np.flatnonzero(at != bins)
        if len(turned):
            at[turned] = bins[turned]
            usual[turned] = state[self.name][turned, bins[turned]]
        found: NDArray[np.float64] = usual
        return found

    def learn(self, state: Rows, bins: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Take values in, (windows, series): one window, or one series."""
        if len(bins) == 1:
            self.take(state, bins[0], values[0])
            return
        self._take_many(state, bins[:, 0].tolist(), values[:, 0].tolist())

    def take(
        self,
        state: Rows,
        bins: NDArray[np.int64],
        values: NDArray[np.float64],
        valid: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take one window of each series, (series,); `valid`: only of these."""
        bin_, total, windows = (state[name][:, self.number] for name in FIELDS)
        turned = (bin_ != bins) & (windows > 0)
        self._leave(state, np.flatnonzero(turned if valid is None else turned & valid))
        where = True if valid is None or valid.all() else valid
        np.copyto(bin_, bins, where=where)
        np.add(total, values, out=total, where=where)
        np.add(windows, 1, out=windows, where=where)

    def _leave(self, state: Rows, left: NDArray[np.intp]) -> None:
        """Learn the bins that the rows have left."""
        if not len(left):
            return
        column = self.number
        was = state["bin"][left, column]
        mean = state["total"][left, column] / state["windows"][left, column]
        usual = state[self.name][left, was]
        state[self.name][left, was] = np.where(np.isnan(usual), mean, usual + self.weight * (mean - usual))
        state["total"][left, column], state["windows"][left, column] = 0.0, 0

    def _take_many(self, state: Rows, bins: Sequence[int], values: Sequence[float]) -> None:
        """Take many windows of one series: plain numbers, which add up as arrays do and cost less one by one."""
        place = (0, self.number)
        bin_, total, windows = int(state["bin"][place]), float(state["total"][place]), int(state["windows"][place])
        profile = state[self.name][0]
        for at, value in zip(bins, values, strict=True):
            if at != bin_ and windows:
                usual, mean = float(profile[bin_]), total / windows
                profile[bin_] = mean if usual != usual else usual + self.weight * (mean - usual)  # noqa: PLR0124
                total, windows = 0.0, 0
            bin_, total, windows = at, total + value, windows + 1
        state["bin"][place], state["total"][place], state["windows"][place] = bin_, total, windows


def arrays(*profiles: Profile) -> dict[str, StateArray]:
    """Return the state of a series with these profiles, numbered from 0 on."""
    return {
        **{one.name: StateArray(shape=(one.bins,), fill=math.nan) for one in profiles},
        "bin": StateArray("int64", (len(profiles),), fill=-1),
        "total": StateArray(shape=(len(profiles),)),
        "windows": StateArray("int64", (len(profiles),)),
    }


class OneProfile:
    """A profile of one series, in plain numbers: what many windows cost less by, the same to the last bit."""

    __slots__ = ("_at", "_bin", "_name", "_number", "_profile", "_total", "_usual", "_weight", "_windows")

    def __init__(self, of: Profile, state: Rows) -> None:
        """Take over the state of the only series."""
        self._name, self._number, self._weight = of.name, of.number, of.weight
        self._profile: list[float] = state[of.name][0].tolist()
        self._at, self._usual = int(state[f"{of.name}/at"][0]), float(state[f"{of.name}/usual"][0])
        now, total, windows = (state[name][0, of.number] for name in FIELDS)
        self._bin, self._total, self._windows = int(now), float(total), int(windows)

    def usual_now(self, bin_: int) -> float:
        """Return what is usual in the bin of the window that is then taken, NaN where that was never visited."""
        if bin_ != self._at:
            self._at, self._usual = bin_, self._profile[bin_]
        return self._usual

    def take(self, bin_: int, value: float) -> None:
        """Take one window."""
        if bin_ != self._bin and self._windows:
            usual, mean = self._profile[self._bin], self._total / self._windows
            self._profile[self._bin] = mean if math.isnan(usual) else usual + self._weight * (mean - usual)
            self._total, self._windows = 0.0, 0
        self._bin, self._total, self._windows = bin_, self._total + value, self._windows + 1

    def put(self, state: Rows) -> None:
        """Make this the state of the only series."""
        state[self._name][0] = self._profile
        state[f"{self._name}/at"][0], state[f"{self._name}/usual"][0] = self._at, self._usual
        for name, number in zip(FIELDS, (self._bin, self._total, self._windows), strict=True):
            state[name][0, self._number] = number
