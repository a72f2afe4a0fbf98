"""A sample of measured host metrics, and any number of healthy series made of it by block bootstrap.

python -m benchmarks.host_metrics LOG_URL    writes the sample anew, from the windows of a host that has run for hours

The sample holds the windows of one host, as its own agent measured them (mean of gauges, rate of counters), without
names, and of each series what differences do not matter in its unit (`grains`). The host had two cores and changing
work to do all the time; nothing was wrong with it. Series that never moved are left out: nobody needs a benchmark to
see that they open nothing.

A made series is a sequence of blocks of one measured series, begun at random places, with lengths that are geometric
(D. N. Politis, J. P. Romano, "The stationary bootstrap", JASA 89, 1994): within a block values depend on each other
as they do in fact, are as skewed and as bursty. Its tail ends where that of the sample does, and between blocks it
may jump, as between two states of a host.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.detectors.grains import grain
from mendline.logs import open_log
from mendline.reading import read_batches
from mendline.schemas.decode import decode
from mendline.schemas.stream import Partition

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.logs.base import Log
    from mendline.schemas.columnar import WindowBlock

FILE = Path(__file__).with_name("host_metrics.npz")
TOPIC = "mendline.windows"
WIDTH_MS = 10_000
LEAST_SHARE = 0.9
"""A series belongs to the sample if it has a value in this share of the windows."""
MEAN_BLOCK = 30


class Sample(NamedTuple):
    """Measured `values` (series, windows) and the `grains` (series,) of their units."""

    values: NDArray[np.float64]
    grains: NDArray[np.float64]


def sample() -> Sample:
    """Return the sample."""
    with np.load(FILE) as file:
        return Sample(file["values"].astype(np.float64), file["grains"])


class Bootstrap:
    """Makes windows of healthy series, one step of all after the other."""

    def __init__(self, series: int, seed: int, among: NDArray[np.intp] | None = None) -> None:
        """Choose of which measured series each is made; `among`: the numbers of those that may be chosen."""
        self._values, grains = sample()
        self._draw = np.random.default_rng(seed)
        chosen = np.arange(len(self._values)) if among is None else among
        self._which = chosen[self._draw.integers(len(chosen), size=series)]
        self._place = self._draw.integers(self._values.shape[1], size=series)
        self.grains = grains[self._which]

    @property
    def values(self) -> NDArray[np.float64]:
        """The measured series of which each is made, (series, windows)."""
        return self._values[self._which]

    def step(self) -> NDArray[np.float64]:
        """Return the next window of each series, (series,)."""
        size = len(self._which)
        begins = self._draw.random(size) < 1.0 / MEAN_BLOCK
        self._place += 1
        self._place[begins] = self._draw.integers(self._values.shape[1], size=int(begins.sum()))
        self._place %= self._values.shape[1]
        found: NDArray[np.float64] = self._values[self._which, self._place]
        return found


def measured(url: str) -> Sample:
    """Return what the windows on a log say; a missing value is the one before."""
    grains: dict[str, float] = {}
    with open_log(url) as log:
        found = dict(_windows(log, grains))
    windows = [window for _, window in sorted(found.items())]
    table = np.array([[window.get(name, np.nan) for window in windows] for name in grains])
    filled = _filled(table)
    kept = (np.isfinite(table).mean(axis=1) >= LEAST_SHARE) & (np.ptp(filled, axis=1) > 0.0)
    return Sample(filled[kept], np.array(list(grains.values()))[kept])


def _windows(log: Log, grains: dict[str, float]) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield begin and values of each window; note the grain of each series."""
    for number in range(log.topics()[TOPIC]):
        for batch in read_batches(log, Partition(TOPIC, number)):
            for block in decode(batch).windows:
                if block.width_ms == WIDTH_MS:
                    grains.update((series.label, grain(series)) for series in block.table.series)
                    yield from _of_block(block)


def _of_block(block: WindowBlock) -> Iterator[tuple[int, dict[str, float]]]:
    names = [series.label for series in block.table.series]
    counters = np.array([series.kind == "counter" for series in block.table.series])
    values = np.where(counters, block.statistics["rate"], block.statistics["mean"])
    for start, row in zip(block.starts.tolist(), values.tolist(), strict=True):
        yield start, dict(zip(names, row, strict=True))


def _filled(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the table with the value before, or else the first one, where one is missing."""
    places = np.where(np.isfinite(table), np.arange(table.shape[1]), -1)
    before = np.maximum.accumulate(places, axis=1)
    first = np.argmax(np.isfinite(table), axis=1)[:, np.newaxis]
    filled: NDArray[np.float64] = np.take_along_axis(table, np.where(before < 0, first, before), axis=1)
    return filled


def main() -> None:
    """Write the sample."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", help="URL of the log of a host that has run for hours")
    given = parser.parse_args()
    values, grains = measured(given.log)
    np.savez_compressed(FILE, values=values.astype(np.float32), grains=grains)
    print(f"{values.shape[0]} series of {values.shape[1]} windows, {FILE.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
