"""How soon detectors find faults of known sizes, each at the bound at which it raises so many false faults a day.

python -m benchmarks.delays [--detector NAME]… [--hours H] [--json]

Healthy series are made of measured host metrics (`benchmarks.host_metrics`). First 10,000 of them run for `--hours`
after a warm-up. The surprise that 10,000 such series would reach `--false-faults` times a day is the detector's bound:
all are compared at the same rate of false faults, whatever their surprise means. So rare a surprise is beyond what the
run shows: it is extrapolated from the largest ones, one of each series, by I. Weissman's estimator ("Estimation of
parameters and large quantiles based on the k largest observations", JASA 73, 1978), in which p has a power tail, so
surprise an exponential one; a detector that would need more than the largest surprise there is has no bound, and finds
nothing. Then faults are put into other series, in units of how much each usually varies (half of
what holds the middle two thirds of its values, and a quarter of the standard deviation at least):

    shift      the level is higher, and stays
    spike      one window is higher
    drift      the level grows by so much an hour
    variance   deviations from the median are so many times larger
    silence    the value stands still
    season     the waves of the day, of that amplitude, come six hours late (windows of 10 min, after ten days)

For each fault: the share of series in which the surprise reached the bound within `--patience` windows, and the median
delay in windows (0: at once) of those. `dominated` names the detectors that find no fault more often than another one
that finds some more often.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.common import report
from benchmarks.false_alarms import ALL, CALIBRATED, HOUR
from benchmarks.host_metrics import WIDTH_MS, Bootstrap
from mendline.detectors import find
from mendline.detectors.base import MAX_SURPRISE, Step
from mendline.testing.detectors import Player, make_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

DETECTORS = (*ALL, "change_point", "seasonal")
FLEET = 10_000
"""Series over which false faults are counted."""
LARGEST = 100
"""So many of the largest surprises tell the tail."""
SIZES = (3.0, 10.0, 30.0)
KINDS = ("shift", "spike", "drift", "variance")
SEASON = "season"
TEN_MINUTES_MS = 600_000
DAY = 144
"""Windows of ten minutes."""


class Trial(NamedTuple):
    """One fault: its kind and its size, in what the series usually varies."""

    kind: str
    size: float

    def __str__(self) -> str:
        """Return it as a key of the table."""
        return self.kind if self.kind == "silence" else f"{self.kind}_{self.size:g}"

    def changed(self, values: NDArray[np.float64], since: int, usual: Usual) -> NDArray[np.float64]:
        """Return the values (series,) of the window that is `since` windows after the fault began."""
        scale = usual.deviations * self.size
        if self.kind == "shift" or (self.kind == "spike" and since == 0):
            return values + scale
        if self.kind == "drift":
            return values + scale * since / HOUR
        if self.kind == "variance":
            return usual.medians + (values - usual.medians) * self.size
        return usual.medians if self.kind == "silence" else values


class Usual(NamedTuple):
    """Medians of series, and how much they usually vary, each (series,)."""

    medians: NDArray[np.float64]
    deviations: NDArray[np.float64]


def usual_of(source: Bootstrap) -> Usual:
    """Return what is usual for the series of a source."""
    low, middle, high = np.quantile(source.values, [1 / 6, 1 / 2, 5 / 6], axis=1)
    return Usual(middle, np.maximum((high - low) / 2.0, source.values.std(axis=1) / 4.0))


def player_of(name: str, series: int) -> Player:
    """Return a detector, or a calibrated one."""
    other = name.removeprefix(CALIBRATED)
    use, parameters = (name, {}) if other == name else (CALIBRATED.strip(), {"detector": other})
    return Player(find(use), parameters, series)


def steps(source: Bootstrap, windows: int) -> Iterator[Step]:
    """Yield so many windows of healthy series."""
    for window in range(windows):
        yield replace(make_step(source.step(), window), grains=source.grains)


def bound_of(name: str, series: int, warm_up: int, windows: int, expected: float) -> float:
    """Return the surprise that so many of the healthy series are expected to reach in so many windows after warm-up."""
    player, highest = player_of(name, series), np.zeros(series)
    for window, step in enumerate(steps(Bootstrap(series, 1), warm_up + windows)):
        surprise = player.detector.step(player.state, step).surprise
        if window >= warm_up:
            np.fmax(highest, surprise, out=highest)
    bound = extrapolated(highest, expected)
    return bound if bound < MAX_SURPRISE else math.inf


def extrapolated(highest: NDArray[np.float64], expected: float) -> float:
    """Return what so many (mostly less than one) of these are expected to reach, by the tail of the largest.

    >>> surprises = -np.log10(np.arange(1, 1001) / 1000)
    >>> round(extrapolated(surprises, 0.01), 1)
    4.9
    """
    largest = np.sort(highest)[-LARGEST - 1 :]
    decays = float((largest[1:] - largest[0]).mean())
    return float(largest[0]) + decays * math.log(LARGEST / expected)


def delays(name: str, trial: Trial, bound: float, series: int, warm_up: int, patience: int) -> NDArray[np.float64]:
    """Return the delay in windows of each series, NaN where the fault was not found."""
    player, source = player_of(name, series), Bootstrap(series, 2)
    usual, found = usual_of(source), np.full(series, np.nan)
    for window, step in enumerate(steps(source, warm_up + patience)):
        since = window - warm_up
        values = step.values if since < 0 else trial.changed(step.values, since, usual)
        surprise = player.detector.step(player.state, replace(step, values=values)).surprise
        if since >= 0:
            found[np.isnan(found) & (surprise >= bound)] = since
    return found


def season_delays(name: str, size: float, bound: float, series: int, patience: int) -> NDArray[np.float64]:
    """Return the delays in windows of ten minutes of a daily wave that comes six hours late."""
    player, source, found = player_of(name, series), Bootstrap(series, 3), np.full(series, np.nan)
    amplitude, begin = size * usual_of(source).deviations, 10 * DAY
    for window, step in enumerate(steps(source, begin + patience)):
        late = DAY // 4 if window >= begin else 0
        values = step.values + amplitude * np.sin((window - late) * (2.0 * np.pi / DAY))
        times = np.full(series, window * TEN_MINUTES_MS, dtype=np.int64)
        step_here = replace(step, values=values, times=times, width_ms=TEN_MINUTES_MS)
        surprise = player.detector.step(player.state, step_here).surprise
        if window >= begin:
            found[np.isnan(found) & (surprise >= bound)] = window - begin
    return found


def told(found: NDArray[np.float64]) -> list[float | None]:
    """Return the share that was found, and the median delay of those."""
    share = float(np.isfinite(found).mean())
    return [round(share, 2), float(np.nanmedian(found)) if share else None]


def dominated(shares: Mapping[str, Sequence[float]]) -> dict[str, list[str]]:
    """Return who is dominated by whom: whose shares are all at least as large, and one is larger.

    >>> dominated({"a": [0.5, 0.1], "b": [0.5, 0.2], "c": [0.0, 0.3]})
    {'a': ['b']}
    """
    tables = {name: np.array(row) for name, row in shares.items()}
    better = {
        name: [other for other, row in tables.items() if (row >= own).all() and (row > own).any()]
        for name, own in tables.items()
    }
    return {name: others for name, others in better.items() if others}


def measure(given: argparse.Namespace, name: str) -> dict[str, Any]:
    """Return the bound of a detector, and what it made of each fault."""
    warm_up, patience = round(given.warm_up * HOUR), given.patience
    expected = given.false_faults * given.hours / 24.0 * given.series / FLEET
    bound = bound_of(name, given.series, warm_up, round(given.hours * HOUR), expected)
    trials = [Trial(kind, size) for kind in KINDS for size in SIZES] + [Trial("silence", 0.0)]
    results = {str(trial): told(delays(name, trial, bound, given.faults, warm_up, patience)) for trial in trials}
    for size in SIZES:
        results[f"{SEASON}_{size:g}"] = told(season_delays(name, size, bound, given.faults, patience))
    return {"bound": round(bound, 2) if math.isfinite(bound) else None, **results}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", action="append", help="name, or 'calibrated NAME'; repeatable; default: all")
    parser.add_argument("--series", type=int, default=10_000, help="healthy ones")
    parser.add_argument("--faults", type=int, default=300, help="series with a fault, for each of its sizes")
    parser.add_argument("--false-faults", type=float, default=1.0, help="a day, of 10,000 series")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--warm-up", type=float, default=6.0, help="hours")
    parser.add_argument("--patience", type=int, default=HOUR, help="windows within which a fault is to be found")
    parser.add_argument("--processes", type=int, default=2, help="detectors at a time")
    parser.add_argument("--json", action="store_true", help="print the JSON object only")
    given = parser.parse_args()
    names: Sequence[str] = given.detector or DETECTORS
    with ProcessPoolExecutor(given.processes) as pool:
        tables = dict(zip(names, pool.map(partial(measure, given), names), strict=True))
    found = {name: [told[0] for key, told in table.items() if key != "bound"] for name, table in tables.items()}
    setting = {"window_ms": WIDTH_MS, "hours": given.hours, "series": given.series}
    result: dict[str, object] = {**setting, **tables, "dominated": dominated(found)}
    report(result, given.json)


if __name__ == "__main__":
    main()
