"""The step of a detector, made from the windows or rounds of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.detectors.base import Step
from mendline.detectors.entries import VALUE, Entries
from mendline.detectors.pools import Pool
from mendline.detectors.rows import RATE, Chunk, Columns
from mendline.schemas.quantities import per_second

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.series import Series


class Wave(NamedTuple):
    """Entries of a pool, each source once, in ascending order of their slots."""

    pool: Pool
    entries: Entries
    order: NDArray[np.intp]
    slots: NDArray[np.intp]


class _Statistics(Mapping[str, "NDArray[np.float64]"]):
    """The other statistics of a step's windows, made when asked for."""

    def __init__(self, columns: Columns, entries: Entries, order: NDArray[np.intp]) -> None:
        self._columns, self._entries, self._order = columns, entries, order

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        if not any(name in statistics for statistics, _ in self._entries.parts):
            raise KeyError(name)
        return self._columns.pick(self._entries.statistic(name), self._order)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries.parts[0][0])

    def __len__(self) -> int:
        return len(self._entries.parts[0][0])


@dataclass(frozen=True, slots=True)
class StepMaker:
    """Makes steps of windows, or of single rounds where `window` is 0, with the statistic that the settings chose."""

    window: int
    statistic: str

    @property
    def needs_rates(self) -> bool:
        """Whether the rates of counters have to be worked out from round to round."""
        return self.window == 0 and self.statistic in {"auto", "rate"}

    def unit_of(self, series: Series) -> str:
        """Return the unit of the values that are made of a series: of a rate per second, in UCUM."""
        if self.statistic == "rate" or (self.statistic == "auto" and series.kind == "counter"):
            return per_second(series.unit)
        return "1" if self.statistic == "count" else series.unit

    def make(self, wave: Wave, chunk: Chunk, faulty: NDArray[np.bool_]) -> Step:
        """Return the step of the wave, whose rows are those of the chunk; `faulty` are those that have a fault."""
        columns, entries = chunk.store.columns, wave.entries
        width = len(columns)
        times = np.repeat(entries.starts[wave.order], width)
        if entries.width:
            values = self._statistic(columns, entries, wave.order)
        else:
            counters, _ = columns.tiled(len(wave.order))
            values = self._of_rounds(columns.pick(entries.statistic(VALUE), wave.order), times, counters, chunk)
        others = self._others(columns, entries, wave.order, values)
        return _step(wave, columns, values, times, others, faulty)

    @staticmethod
    def missing(wave: Wave, columns: Columns, faulty: NDArray[np.bool_]) -> Step:
        """Return a step of the wave's windows for series that are not in them."""
        times = np.repeat(wave.entries.starts[wave.order], len(columns))
        return _step(wave, columns, np.full(len(times), np.nan), times, {}, faulty)

    def _others(
        self, columns: Columns, entries: Entries, order: NDArray[np.intp], values: NDArray[np.float64]
    ) -> Mapping[str, NDArray[np.float64]]:
        if entries.width:
            return _Statistics(columns, entries, order)
        return dict.fromkeys(("mean", "min", "max", "last", "sum"), values)

    def _statistic(self, columns: Columns, entries: Entries, order: NDArray[np.intp]) -> NDArray[np.float64]:
        name = self.statistic
        if name != "auto":
            return columns.pick(entries.statistic(name), order)
        if not columns.counters.any():
            return columns.pick(entries.statistic("mean"), order)
        rates = columns.pick(entries.statistic("rate"), order)
        if columns.counters.all():
            return rates
        means = columns.pick(entries.statistic("mean"), order)
        return np.where(columns.tiled(len(order))[0], rates, means)

    def _of_rounds(
        self, values: NDArray[np.float64], times: NDArray[np.int64], counters: NDArray[np.bool_], chunk: Chunk
    ) -> NDArray[np.float64]:
        """Return the statistic of single rounds: the value itself, or its rate since the round before."""
        name = self.statistic
        if name == "count":
            return np.isfinite(values).astype(np.float64)
        if name == "std":
            return np.where(np.isfinite(values), 0.0, np.nan)
        if not self.needs_rates or not (name == "rate" or counters.any()):
            return values
        rates = np.full(len(values), np.nan)
        before = chunk.rows(RATE)
        if before:
            rates = _rates(before, values, times)
            chunk.put_back(RATE, before)
        return rates if name == "rate" else np.where(counters, rates, values)


def _step(
    wave: Wave,
    columns: Columns,
    values: NDArray[np.float64],
    times: NDArray[np.int64],
    others: Mapping[str, NDArray[np.float64]],
    faulty: NDArray[np.bool_],
) -> Step:
    rounds = np.repeat(wave.entries.rounds[wave.order], len(columns))
    counters, grains = columns.tiled(len(wave.order))
    for array in (values, times, rounds):
        array.setflags(write=False)
    return Step(values, times, wave.entries.width, counters, rounds, others, grains, columns.series, faulty)


def _rates(
    before: Mapping[str, NDArray[np.float64]], values: NDArray[np.float64], times: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the change per second since the values before, NaN where a counter went back; then remember the values."""
    seconds = (times - before["time"]) / 1000.0
    with np.errstate(all="ignore"):
        rates = (values - before["value"]) / seconds
        rates[~((seconds > 0) & (rates >= 0))] = np.nan
    finite = np.isfinite(values)
    np.copyto(before["value"], values, where=finite)
    np.copyto(before["time"], times, where=finite)
    return rates
