"""The rows of one detector in one pool: its arrays, those of the lifecycle, and which series they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from mendline.detectors.base import Rows, StateArray
from mendline.detectors.grains import grain
from mendline.detectors.lifecycle import ARRAYS as LIFECYCLE_ARRAYS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.series import Series, SeriesTable
    from mendline.schemas.settings import MatchSettings

LIFE = "life/"
RATE = "rate/"
PACE = "pace/"
OWN = "own/"

RATE_ARRAYS: Mapping[str, StateArray] = MappingProxyType({
    "value": StateArray(fill=np.nan),
    "time": StateArray("int64"),
})  # fmt: skip

ROWS_A_RUN = 1000
"""Gathering this many rows costs about as much as one more step of a detector."""
MOST_ROWS = 1 << 16
"""Rows in one step, but for sources with more: each array of it takes half a megabyte, and there are dozens."""


_NO_BREAKS = np.empty(0, dtype=np.intp)


def matches(match: MatchSettings, series: Series) -> bool:
    """Say whether a detector looks at the series."""
    return (
        fnmatchcase(series.metric, match.metric)
        and fnmatchcase(series.service, match.service)
        and all(fnmatchcase(series.attributes.get(name, ""), pattern) for name, pattern in match.attributes.items())
    )


@dataclass(frozen=True, slots=True)
class Columns:
    """Which series of a table a detector looks at: places, labels, the counters, and the grains of their units."""

    places: NDArray[np.intp]
    series: tuple[Series, ...]
    counters: NDArray[np.bool_]
    grains: NDArray[np.float64]
    labels: Mapping[str, int]
    all_of_table: bool
    _tiled: dict[int, tuple[NDArray[np.bool_], NDArray[np.float64]]] = field(default_factory=dict)

    @staticmethod
    def of(match: MatchSettings, table: SeriesTable, looks_at: Callable[[Series], bool]) -> Columns:
        """Return the series of the table that match and are looked at; of two with one label, the first."""
        first: dict[str, int] = {}
        for place, series in enumerate(table.series):
            if matches(match, series) and looks_at(series):
                first.setdefault(series.label, place)
        places = list(first.values())
        found = tuple(table.series[place] for place in places)
        return Columns(
            np.array(places, dtype=np.intp),
            found,
            np.array([series.kind == "counter" for series in found], dtype=bool),
            np.array([grain(series) for series in found], dtype=np.float64),
            {label: column for column, label in enumerate(first)},
            len(places) == len(table),
        )

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self.series)

    def tiled(self, many: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return which rows of so many slots are of counters, and their grains; read-only, the last ones kept."""
        known = self._tiled.get(many)
        if known is None:
            known = np.tile(self.counters, many), np.tile(self.grains, many)
            for array in known:
                array.setflags(write=False)
            self._tiled.clear()
            self._tiled[many] = known
        return known

    def pick(self, statistic: NDArray[np.float64], order: NDArray[np.intp] | slice) -> NDArray[np.float64]:
        """Return the values of these series in the entries `order`, one after the other, read-only."""
        values = statistic[order]
        flat = (values if self.all_of_table else values[:, self.places]).reshape(-1)
        flat = flat.view()
        flat.setflags(write=False)
        return flat


@dataclass(slots=True)
class Store:
    """All arrays, by name, each (capacity, series, ...); `declared` says what is in them."""

    columns: Columns
    declared: Mapping[str, StateArray]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    _capacity: int = 0
    _names: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def named(self, prefix: str) -> list[tuple[str, str]]:
        """Return the arrays whose names begin with `prefix`: their names without it, and with it."""
        found = self._names.get(prefix)
        if found is None:
            found = [(name.removeprefix(prefix), name) for name in self.declared if name.startswith(prefix)]
            self._names[prefix] = found
        return found

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` slots."""
        if capacity <= self._capacity:
            return
        self._capacity = capacity
        for name, array in self.declared.items():
            had = self.arrays.get(name)
            length = 0 if had is None else len(had)
            if length < capacity:
                self.arrays[name] = array.rows(capacity, len(self.columns))
                if had is not None:
                    self.arrays[name][:length] = had

    def reset(self, slot: int) -> None:
        """Make the slot's rows as at first."""
        for name, array in self.declared.items():
            self.arrays[name][slot] = array.rows(len(self.columns))

    def reset_life(self, slot: int, columns: list[int]) -> None:
        """Make the lifecycle of some of the slot's rows as at first."""
        for name, array in LIFECYCLE_ARRAYS.items():
            self.arrays[LIFE + name][slot, columns] = array.fill

    def reset_own(self, slot: int, column: int) -> None:
        """Let the detector learn a row anew; its lifecycle goes on."""
        for name, array in self.declared.items():
            if name.startswith(OWN):
                self.arrays[name][slot, column] = array.rows(1)[0]

    def move(self, slot: int, other: Store, other_slot: int) -> list[str]:
        """Take the rows of the series that both have over from another store; return the labels of those."""
        before = {series.label: series for series in other.columns.series}
        shared = [series.label for series in self.columns.series if before.get(series.label) == series]
        mine = [self.columns.labels[label] for label in shared]
        theirs = [other.columns.labels[label] for label in shared]
        for name in self.arrays.keys() & other.arrays.keys():
            self.arrays[name][slot, mine] = other.arrays[name][other_slot, theirs]
            other.arrays[name][other_slot, theirs] = other.declared[name].fill
        return shared

    def chunks(self, slots: NDArray[np.intp]) -> Iterator[tuple[slice, Chunk]]:
        """Yield the rows of the slots (ascending) in a few chunks, each with its place among the slots.

        Neighbouring slots are slices of the arrays; where there are many small runs of them, the rows are copied out,
        and back after the step. A chunk has at most `MOST_ROWS` rows, or those of one slot.
        """
        if int(slots[-1]) - int(slots[0]) == len(slots) - 1:
            breaks = _NO_BREAKS
        else:
            breaks = np.flatnonzero(np.diff(slots) != 1) + 1
        scattered = (len(breaks) + 1) * ROWS_A_RUN > len(slots) * len(self.columns) and len(breaks) > 0
        ends = [len(slots)] if scattered else [*breaks.tolist(), len(slots)]
        at_once = max(1, MOST_ROWS // max(1, len(self.columns)))
        for first, end in pairwise([0, *ends]):
            for begin in range(first, end, at_once):
                part = slice(begin, min(begin + at_once, end))
                mine = slots[part]
                yield part, Chunk(self, mine if scattered else slice(int(mine[0]), int(mine[-1]) + 1))


@dataclass(slots=True)
class Chunk:
    """The rows of some slots, as one array a name with a row for each series."""

    store: Store
    where: slice | NDArray[np.intp]

    def rows(self, prefix: str) -> Rows:
        """Return the arrays whose names begin with `prefix`, without it: views of a slice, copies of gathered rows."""
        arrays, where = self.store.arrays, self.where
        taken = [(short, arrays[name][where]) for short, name in self.store.named(prefix)]
        return {short: array.reshape(-1, *array.shape[2:]) for short, array in taken}

    def put_back(self, prefix: str, rows: Rows) -> None:
        """Write gathered rows back."""
        if isinstance(self.where, slice):
            return
        for name, changed in rows.items():
            array = self.store.arrays[prefix + name]
            array[self.where] = changed.reshape(len(self.where), *array.shape[1:])
