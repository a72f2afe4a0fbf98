"""How many faults healthy series open, against the budget; and how often a surprise comes, against what it claims.

python -m benchmarks.false_alarms [--detector NAME]… [--series N] [--hours H] [--json]

Healthy series are made of measured host metrics (`benchmarks.host_metrics`). After `--warm-up` hours in which nothing
counts, every opening of a fault in the following hours counts, with the lifecycle and the bounds that budgets of 10 and
of 100 false faults a day give over so many series. `ratio_10` and `ratio_100` are openings against what the budget
allows in that time: 1 is right, 2 twice too many. (A budget of 1 a day asks for surprises that no sample of this size
can show: its tail ends where the data's does.) `curve` is log10 of the share of windows whose surprise was at least 1,
2 … 7: a calibrated detector has -1, -2 … -7, or less.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.common import report
from benchmarks.host_metrics import WIDTH_MS, Bootstrap
from mendline.detectors import find
from mendline.detectors.bank import GAP_WINDOWS
from mendline.detectors.conditions import open_surprise, surprise_bounds
from mendline.detectors.lifecycle import ARRAYS, Lifecycle
from mendline.detectors.transitions import Emission
from mendline.schemas.settings import Settings
from mendline.testing.detectors import Player, make_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

STATISTICS = ("zscore", "ewma", "mad", "ranks", "cusum", "extremes")
CALIBRATED = "calibrated "
ALL = ("auto", *STATISTICS, *(CALIBRATED + name for name in STATISTICS))
BUDGETS = (10.0, 100.0)
LEVELS = np.arange(1.0, 8.0)
HOUR = 3_600_000 // WIDTH_MS


class Counter:
    """Counts the faults of all series at one budget."""

    def __init__(self, series: int, budget: float) -> None:
        """Make the life of a fault for each series."""
        level = open_surprise(Settings(series=series, budget=budget), WIDTH_MS)
        self._lifecycle = Lifecycle(surprise_bounds(None, None, level), GAP_WINDOWS * WIDTH_MS)
        self._rows = {name: array.rows(series) for name, array in ARRAYS.items()}
        self.openings = 0

    def take(self, surprise: NDArray[np.float64], window: int, *, counts: bool) -> None:
        """Take one window of each series in."""
        begins = np.full(len(surprise), window * WIDTH_MS)
        happened = self._lifecycle.step(self._rows, surprise, surprise, begins, WIDTH_MS, np.zeros_like)
        if counts:
            self.openings += int(np.isin(happened.emits, (Emission.OPENED, Emission.FLAPS)).sum())


def measure(name: str, series: int, warm_up: int, windows: int, seed: int) -> dict[str, Any]:
    """Return what healthy series make of a detector in so many windows after `warm_up` others."""
    other = name.removeprefix(CALIBRATED)
    use, parameters = (name, {}) if other == name else (CALIBRATED.strip(), {"detector": other})
    source, player = Bootstrap(series, seed), Player(find(use), parameters, series)
    detector, state = player.detector, player.state
    counters = [Counter(series, budget) for budget in BUDGETS]
    reached = np.zeros(len(LEVELS), dtype=np.int64)
    for window in range(warm_up + windows):
        surprise = detector.step(state, replace(make_step(source.step(), window), grains=source.grains)).surprise
        for counter in counters:
            counter.take(surprise, window, counts=window >= warm_up)
        if window >= warm_up:
            reached += (surprise[:, np.newaxis] >= LEVELS).sum(axis=0)
    days = windows * WIDTH_MS / 86_400_000
    ratios = {
        f"ratio_{budget:.0f}": round(counter.openings / (budget * days), 2)
        for budget, counter in zip(BUDGETS, counters, strict=True)
    }
    curve = [round(math.log10(count / (windows * series)), 2) if count else None for count in reached.tolist()]
    return {**ratios, "curve": curve}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", action="append", help="name, or 'calibrated NAME'; repeatable; default: all")
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--warm-up", type=float, default=6.0, help="hours")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the JSON object only")
    given = parser.parse_args()
    windows, warm_up = round(given.hours * HOUR), round(given.warm_up * HOUR)
    result: dict[str, object] = {"series": given.series, "hours": given.hours}
    for name in given.detector or ALL:
        result[name] = measure(name, given.series, warm_up, windows, given.seed)
    report(result, given.json)


if __name__ == "__main__":
    main()
