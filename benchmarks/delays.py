"""How soon detectors find faults of known sizes, each at the bound at which it raises so many false faults a day.

python -m benchmarks.delays [--detector NAME]… [--population NAME]… [--kind NAME]… [--hours H] [--keep FOLDER]
                            [--table] [--json]

Healthy series of several kinds are made of measured host metrics (`benchmarks.injected` has kinds and sizes). First
10,000 of each kind run for `--hours` after a warm-up. The surprise that 10,000 such series would reach `--false-faults`
times a day is the detector's bound: all are compared at the same rate of false faults, whatever their surprise means.
So rare a surprise is beyond what the run shows: it is extrapolated from the largest ones, one of each series, by
I. Weissman's estimator ("Estimation of parameters and large quantiles based on the k largest observations", JASA 73,
1978), in which p has a power tail, so surprise an exponential one; a detector that would need more than the largest
surprise there is has no bound, and finds nothing. Then faults are put into other series:

    shift      the level is higher, and stays
    relapse    the same, and it was as high for 5 minutes before, which were over for 5
    return     the same, and it was as high for 5 minutes before, which were over for 15
    spike      one window is higher
    drift      the level grows by so much an hour
    variance   deviations from the median are so many times larger
    silence    the value stands still
    season     the waves of the day, of that amplitude, come six hours late (windows of 10 min, after ten days)

For each fault: the share of series in which the surprise reached the bound within `--patience` windows, and the median
delay in windows (0: at once) of those. A surprise that did not fall below the bound since the earlier half of a relapse
has found nothing new. `dominated` names the detectors that another one beats: it finds more of some fault in time, and
nowhere less, over all kinds of series and faults, where in time is at once, within a minute, ten or an hour.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.common import report
from benchmarks.delay_tables import Measured, Store, markdown
from benchmarks.false_alarms import CALIBRATED, STATISTICS
from benchmarks.host_metrics import WIDTH_MS, Bootstrap
from benchmarks.injected import HOUR, POPULATIONS, Population, Trial, source_of, usual_here, usual_of
from mendline.detectors import find
from mendline.detectors.base import MAX_SURPRISE, Step
from mendline.testing.detectors import Player, make_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

BARE = (*STATISTICS, "change_point", "seasonal", "flat_line")
OVERRATED = ("zscore", "ewma", "mad", "seasonal")
"""Those of which a bare surprise says too much on what bursts."""
DETECTORS = ("auto", *BARE, *(CALIBRATED + name for name in OVERRATED))
CONDITIONS = ("kind", "faults", "false_faults", "hours", "warm_up", "patience")
"""Arguments without which figures mean nothing; of how many series a bound was told says only how exact it is."""
FLEET = 10_000
"""Series over which false faults are counted."""
LARGEST = 0.01
"""This share of the series, those with the largest surprises, tells the tail."""
SIZES = (1.0, 3.0, 10.0, 30.0)
KINDS = ("shift", "relapse", "return", "spike", "drift", "variance")
SILENCE, SEASON = "silence", "season"
TRIALS = (
    *(Trial(kind, size) for kind in KINDS for size in SIZES if (kind, size) != ("variance", 1.0)),
    Trial(SILENCE, 0.0),
)
TEN_MINUTES_MS = 600_000
DAY = 144
"""Windows of ten minutes."""
IN_TIME = (0, 5, 59, HOUR - 1)
"""Delays (windows) by which detectors are compared."""
LEAST = 3.0
"""A bound is no lower: what a single series opens at, where none of the healthy ones shows anything."""
MATTERS = 0.02
"""Shares that differ by less do not differ."""


class Setting(NamedTuple):
    """What is measured: a detector on a kind of series."""

    population: Population
    name: str


def player_of(name: str, series: int) -> Player:
    """Return a detector, or a calibrated one."""
    other = name.removeprefix(CALIBRATED)
    use, parameters = (name, {}) if other == name else (CALIBRATED.strip(), {"detector": other})
    return Player(find(use), parameters, series)


def steps(source: Bootstrap, windows: int) -> Iterator[Step]:
    """Yield so many windows of healthy series."""
    for window in range(windows):
        yield replace(make_step(source.step(), window), grains=source.grains)


def bound_of(name: str, source: Bootstrap, series: int, warm_up: int, windows: int, expected: float) -> float:
    """Return the surprise that so many of the healthy series are expected to reach in so many windows after warm-up."""
    player, highest = player_of(name, series), np.zeros(series)
    for window, step in enumerate(steps(source, warm_up + windows)):
        surprise = player.detector.step(player.state, step).surprise
        if window >= warm_up:
            np.fmax(highest, surprise, out=highest)
    bound = max(extrapolated(highest, expected), LEAST)
    return bound if bound < MAX_SURPRISE else math.inf


def extrapolated(highest: NDArray[np.float64], expected: float) -> float:
    """Return what so many (mostly less than one) of these are expected to reach, by the tail of the largest.

    >>> surprises = -np.log10(np.arange(1, 10001) / 10000)
    >>> round(extrapolated(surprises, 0.01), 1)
    5.9
    """
    number = round(LARGEST * len(highest))
    largest = np.sort(highest)[-number - 1 :]
    decays = float((largest[1:] - largest[0]).mean())
    return float(largest[0]) + decays * math.log(number / expected)


class Watch:
    """Notes when the surprise of each series reached the bound first: `found` (series,) in windows, NaN: never."""

    def __init__(self, series: int, bound: float) -> None:
        """Begin before the fault."""
        self.found, self._bound, self._armed = np.full(series, np.nan), bound, np.ones(series, dtype=bool)

    def look(self, surprise: NDArray[np.float64], since: int) -> None:
        """Look at a window `since` windows after the fault began; before it, what is at the bound is old news."""
        reached = surprise >= self._bound
        if since >= 0:
            self.found[np.isnan(self.found) & reached & self._armed] = since
        self._armed = ~reached if since < 0 else self._armed | ~reached


def delays(
    setting: Setting, trials: Sequence[Trial], bound: float, series: int, warm_up: int, patience: int
) -> NDArray[np.float64]:
    """Return the delays in windows (trials, series), NaN where the fault was not found: each series has each fault."""
    source, watch = source_of(setting.population, series, 2), Watch(len(trials) * series, bound)
    player, usual = player_of(setting.name, len(trials) * series), usual_of(source.values)
    grains, began = np.tile(source.grains, len(trials)), np.empty(series)
    for window in range(warm_up + patience):
        healthy, since = source.step(), window - warm_up
        began, here = healthy if since <= 0 else began, usual_here(source, usual)
        values = np.concatenate([trial.changed(healthy, since, here, began) for trial in trials])
        step = replace(make_step(values, window), grains=grains)
        watch.look(player.detector.step(player.state, step).surprise, since)
    return watch.found.reshape(len(trials), series)


def season_delays(setting: Setting, bound: float, series: int, patience: int) -> NDArray[np.float64]:
    """Return the delays in windows of ten minutes (sizes, series) of a daily wave that comes six hours late."""
    source, watch = source_of(setting.population, series, 3), Watch(len(SIZES) * series, bound)
    player, begin = player_of(setting.name, len(SIZES) * series), 10 * DAY
    amplitude, grains = usual_of(source.values).deviations, np.tile(source.grains, len(SIZES))
    for window in range(begin + patience):
        healthy, late = source.step(), DAY // 4 if window >= begin else 0
        wave = amplitude * np.sin((window - late) * (2.0 * np.pi / DAY))
        values = np.concatenate([healthy + size * wave for size in SIZES])
        step = replace(make_step(values, window, (), TEN_MINUTES_MS), grains=grains)
        watch.look(player.detector.step(player.state, step).surprise, window - begin)
    return watch.found.reshape(len(SIZES), series)


def told(found: NDArray[np.float64]) -> list[float | None]:
    """Return the share that was found, and the median delay of those."""
    share = float(np.isfinite(found).mean())
    return [round(share, 2), float(np.nanmedian(found)) if share else None]


def in_time(found: NDArray[np.float64]) -> list[float]:
    """Return the shares that were found with each of the delays that are compared, or less."""
    with np.errstate(invalid="ignore"):
        return [float((found <= delay).mean()) for delay in IN_TIME]


def dominated(shares: Mapping[str, Sequence[float]]) -> dict[str, list[str]]:
    """Return who is dominated by whom: whose shares are nowhere noticeably less, and somewhere more.

    >>> dominated({"a": [0.5, 0.1], "b": [0.49, 0.2], "c": [0.0, 0.3]})
    {'a': ['b']}
    """
    tables = {name: np.array(row) for name, row in shares.items()}
    better = {
        name: [other for other, row in tables.items() if (row >= own - MATTERS).all() and (row > own + MATTERS).any()]
        for name, own in tables.items()
    }
    return {name: others for name, others in better.items() if others}


def found_of(given: argparse.Namespace, setting: Setting, bound: float, warm_up: int) -> dict[str, NDArray[np.float64]]:
    """Return the delays of each fault."""
    found = dict[str, "NDArray[np.float64]"]()
    trials = [trial for trial in TRIALS if trial.kind in given.kind]
    if trials:
        each = delays(setting, trials, bound, given.faults, warm_up, given.patience)
        found |= zip(map(str, trials), each, strict=True)
    if SEASON in given.kind:
        each = season_delays(setting, bound, given.faults, given.patience)
        found |= zip((f"{SEASON}_{size:g}" for size in SIZES), each, strict=True)
    return found


def measure(given: argparse.Namespace, setting: Setting) -> Measured:
    """Return what a detector makes of a kind of series."""
    warm_up = round(given.warm_up * HOUR)
    expected = given.false_faults * given.hours / 24.0 * given.series / FLEET
    healthy = source_of(setting.population, given.series, 1)
    bound = bound_of(setting.name, healthy, given.series, warm_up, round(given.hours * HOUR), expected)
    found = found_of(given, setting, bound, warm_up)
    shown = round(bound, 2) if math.isfinite(bound) else None
    table: dict[str, Any] = {"bound": shown, **{key: told(one) for key, one in found.items()}}
    return Measured(table, [share for one in found.values() for share in in_time(one)])


def arguments() -> argparse.Namespace:
    """Return what was given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--detector",
        action="append",
        help="name, or 'calibrated NAME'; repeatable; default: those that the tables tell of",
    )
    parser.add_argument("--population", action="append", choices=POPULATIONS, help="repeatable; default: all")
    kinds = (*KINDS, SILENCE, SEASON)
    parser.add_argument("--kind", action="append", choices=kinds, help="of faults; repeatable; default: all")
    parser.add_argument("--series", type=int, default=10_000, help="healthy ones")
    parser.add_argument("--faults", type=int, default=300, help="series with a fault, for each of its sizes")
    parser.add_argument("--false-faults", type=float, default=1.0, help="a day, of 10,000 series")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--warm-up", type=float, default=6.0, help="hours")
    parser.add_argument("--patience", type=int, default=HOUR, help="windows within which a fault is to be found")
    parser.add_argument("--processes", type=int, default=2, help="detectors at a time")
    parser.add_argument("--keep", type=Path, help="folder of what was measured before: that is not measured again")
    parser.add_argument("--table", action="store_true", help="print tables in Markdown before the JSON object")
    parser.add_argument("--json", action="store_true", help="print the JSON object only")
    given = parser.parse_args()
    given.kind = given.kind or list(kinds)
    return given


def kept(given: argparse.Namespace, settings: Sequence[Setting]) -> dict[Setting, Measured]:
    """Return what becomes of each setting, from the folder of earlier runs where that holds it."""
    conditions = {name: getattr(given, name) for name in CONDITIONS}
    store = Store(given.keep, conditions)
    known = {setting: one for setting in settings if (one := store.read(*setting)) is not None}
    new = [setting for setting in settings if setting not in known]
    with ProcessPoolExecutor(given.processes) as pool:
        for setting, one in zip(new, pool.map(partial(measure, given), new), strict=True):
            store.write(*setting, one)
            known[setting] = one
    return known


def main() -> None:
    """Measure and print."""
    given = arguments()
    names: Sequence[str] = given.detector or DETECTORS
    populations: Sequence[Population] = given.population or POPULATIONS
    settings = [Setting(population, name) for population in populations for name in names]
    measured = kept(given, settings)
    result: dict[str, Any] = {"window_ms": WIDTH_MS, "hours": given.hours, "series": given.series}
    for population in populations:
        result[population] = {name: measured[Setting(population, name)].table for name in names}
    shares = {name: [one for kind in populations for one in measured[Setting(kind, name)].shares] for name in names}
    if given.table:
        print("\n".join(line for one in populations for line in markdown(one, result[one])))
    report(result | {"dominated": dominated(shares)}, given.json)


if __name__ == "__main__":
    main()
