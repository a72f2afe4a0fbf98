"""Where open windows live: for each series table one `Home`, in which each of its sources has a slot.

A slot holds the counters' last values, and for each kind of window the windows that are open, as `panes.merge` takes
panes in. All sources of a home are worked on together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.processors.panes import ELAPSED, EMPTY, INCREASE, ROWS, Ends, merge, step
from mendline.processors.tables import layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.series import SeriesTable

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

NONE = -(2**62)


class Kind(NamedTuple):
    """Windows of `width` ms that begin every `hop` ms; tumbling ones hop by their width."""

    width: int
    hop: int

    @property
    def open(self) -> int:
        """How many windows of the kind can be open at once."""
        return -(-self.width // self.hop)


class Closed(NamedTuple):
    """Windows of one kind and table: `kept` (ROWS, E, S), the others (E,) int64; `source` is its number."""

    source: Ints
    start: Ints
    rounds: Ints
    late: Ints
    kept: Floats


class PaneSet(NamedTuple):
    """Panes of a home's sources, none twice; `kept` (ROWS, P, S), `ends` of the counters, the others (P,) int64."""

    source: Ints
    start: Ints
    rounds: Ints
    late: Ints
    kept: Floats
    ends: Ends | None

    def slice(self, begin: int, end: int) -> PaneSet:
        """Return the panes from `begin` up to, not including, `end`; arrays are shared."""
        part = slice(begin, end)
        ends = Ends(*(one[part] for one in self.ends)) if self.ends else None
        columns = (self.source[part], self.start[part], self.rounds[part], self.late[part])
        return PaneSet(*columns, self.kept[:, part], ends)


@dataclass(slots=True)
class Cells:
    """The open windows of one kind; the cell of the n-th open window of a slot is `slot * kind.open + n`."""

    kind: Kind
    series: int
    start: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    rounds: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    late: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    kept: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Begin with no slot."""
        self.kept = np.empty((ROWS, 0, self.series))

    def grow(self, slots: int) -> None:
        """Make room for so many slots."""
        more = slots * self.kind.open - len(self.start)
        self.start = np.append(self.start, np.full(more, NONE))
        self.rounds = np.append(self.rounds, np.zeros(more, np.int64))
        self.late = np.append(self.late, np.zeros(more, np.int64))
        self.kept = np.concatenate([self.kept, np.zeros((ROWS, more, self.series))], axis=1)

    def of(self, slots: Ints) -> Ints:
        """Return all cells of the slots, those of one slot side by side."""
        count = self.kind.open
        if count == 1:
            return slots
        cells: Ints = (slots[:, None] * count + np.arange(count)).ravel()
        return cells

    def take(self, cells: Ints, sources: Ints) -> Closed:
        """Return the windows of the cells, which are free then."""
        closed = Closed(sources, self.start[cells], self.rounds[cells], self.late[cells], self.kept[:, cells])
        self.start[cells] = NONE
        return closed

    def put(self, cells: Ints, starts: Ints, panes: PaneSet) -> None:
        """Take panes into windows of the `starts` in these cells; cells that are free begin with nothing."""
        fresh = self.start[cells] == NONE
        kept = self.kept[:, cells]
        if fresh.any():
            kept[:, fresh] = EMPTY
            self.start[cells[fresh]] = starts[fresh]
            self.rounds[cells[fresh]] = 0
            self.late[cells[fresh]] = 0
        merge(kept, panes.kept)
        self.kept[:, cells] = kept
        self.rounds[cells] += panes.rounds
        self.late[cells] += panes.late


@dataclass(slots=True)
class Home:
    """The open windows of all sources whose newest closed pane has this table.

    `last` and `last_time` (slots, C) are the counters' last values and their times (ms); NaN where there is none.
    """

    table: SeriesTable
    number: int
    kinds: Sequence[Kind]
    counters: Ints = field(init=False)
    cells: list[Cells] = field(init=False)
    last: Floats = field(init=False)
    last_time: Floats = field(init=False)
    owners: list[int] = field(default_factory=list)
    _free: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with no source."""
        self.counters = layout(self.table).counters
        self.cells = [Cells(kind, len(self.table)) for kind in self.kinds]
        self.last = self.last_time = np.empty((0, len(self.counters)))

    @property
    def empty(self) -> bool:
        """Whether no source lives here."""
        return len(self._free) == len(self.owners)

    def admit(self, source: int) -> int:
        """Return a fresh slot for the source."""
        if not self._free:
            self._grow()
        slot = self._free.pop()
        self.owners[slot] = source
        self.last[slot] = self.last_time[slot] = np.nan
        return slot

    def _grow(self) -> None:
        old = len(self.owners)
        new = old + old // 2 + 4
        self.owners += [-1] * (new - old)
        self._free += range(new - 1, old - 1, -1)
        more = np.full((new - old, len(self.counters)), np.nan)
        self.last, self.last_time = np.concatenate([self.last, more]), np.concatenate([self.last_time, more])
        for cells in self.cells:
            cells.grow(new)

    def release(self, slot: int) -> None:
        """Free the slot and its windows."""
        self.owners[slot] = -1
        self._free.append(slot)
        for cells in self.cells:
            cells.start[cells.of(np.array([slot]))] = NONE

    def carry(self, panes: PaneSet, slots: Ints) -> None:
        """Add to the panes the step from each counter's last value before them, and move on to their last values."""
        if panes.ends is None:
            return
        last, last_time = self.last[slots], self.last_time[slots]
        grown, elapsed = np.zeros_like(last), np.zeros_like(last)
        step(last, last_time, panes.ends.first, panes.ends.first_time, grown, elapsed)
        panes.kept[INCREASE][:, self.counters] += grown
        panes.kept[ELAPSED][:, self.counters] += elapsed
        there = ~np.isnan(panes.ends.last)
        self.last[slots] = np.where(there, panes.ends.last, last)
        self.last_time[slots] = np.where(there, panes.ends.last_time, last_time)

    def widen(self, panes: PaneSet, slots: Ints) -> None:
        """Take the panes into the windows they belong to; windows that ended before them must be closed."""
        for cells in self.cells:
            kind = cells.kind
            for back in range(kind.open):
                number = panes.start // kind.hop - back
                starts = number * kind.hop
                mine = slots * kind.open + number % kind.open
                inside = starts + kind.width > panes.start
                if inside.all():
                    cells.put(mine, starts, panes)
                elif inside.any():
                    cells.put(mine[inside], starts[inside], _pick(panes, inside))

    def close(self, slots: Ints, sources: Ints, until: Ints) -> Iterator[tuple[Kind, Closed]]:
        """Yield the windows that end at or before `until` (ms, one for each slot), those of a source by start."""
        for cells in self.cells:
            count = cells.kind.open
            mine = cells.of(slots)
            starts = cells.start[mine]
            due = np.flatnonzero((starts != NONE) & (starts + cells.kind.width <= np.repeat(until, count)))
            if len(due):
                due = due[np.lexsort((starts[due], due // count))] if count > 1 else due
                yield cells.kind, cells.take(mine[due], sources[due // count])


def _pick(panes: PaneSet, which: NDArray[np.bool_]) -> PaneSet:
    columns = (panes.source[which], panes.start[which], panes.rounds[which], panes.late[which])
    return PaneSet(*columns, panes.kept[:, which], None)
