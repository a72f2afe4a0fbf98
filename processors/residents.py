"""Which source lives in which home, and what becomes of its open windows when its table changes.

A source lives in the home of the table of its newest closed pane. When that changes, its open windows stay behind as
*runs*, to be put together with what follows them when the window closes, in a table that holds the series of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.processors.homes import NONE, Closed, Home, Kind
from mendline.processors.panes import COUNT, EMPTY, LEAST, MOST, ROWS, merge
from mendline.processors.tables import fitting, move, union

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.series import SeriesTable

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

NOWHERE = -1


class Run(NamedTuple):
    """Part of a window: panes of one table that followed each other; `kept` (ROWS, S)."""

    table: SeriesTable
    rounds: int
    late: int
    kept: Floats


Runs = dict[tuple[Kind, int], list[Run]]
"""Runs of one source, by kind and start of the window."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Windows that closed, of one table and kind; `joined`: a single one, put together of runs."""

    table: SeriesTable
    kind: Kind
    closed: Closed
    joined: bool = False


class Residents:
    """All homes and who lives where."""

    def __init__(self, kinds: Sequence[Kind], statistics: int) -> None:
        """Begin with no home; `kinds` are those of wider windows, each of so many `statistics`."""
        self.kinds = kinds
        self.runs: dict[int, Runs] = {}
        self._statistics = statistics
        self._homes: dict[int, Home] = {}
        self._by_number: dict[int, Home] = {}
        self._next = 0
        self._home_of = np.full(16, NOWHERE, np.int64)
        self._slot_of = np.full(16, NOWHERE, np.int64)

    def home_of(self, source: int) -> tuple[Home, int] | None:
        """Return where the source lives: its home and slot."""
        if source >= len(self._home_of) or self._home_of[source] == NOWHERE:
            return None
        return self._by_number[int(self._home_of[source])], int(self._slot_of[source])

    def home(self, table: SeriesTable) -> Home:
        """Return the home of the table."""
        found = self._homes.get(table.digest)
        if found is None:
            found = self._homes[table.digest] = Home(table, self._next, self.kinds)
            self._by_number[self._next] = found
            self._next += 1
        return found

    def at_home(self, home: Home, sources: Ints) -> NDArray[np.bool_]:
        """Say of each source whether it lives in this home."""
        highest = int(sources.max())
        if highest >= len(self._home_of):
            more = np.full(2 * highest, NOWHERE, np.int64)
            self._home_of, self._slot_of = np.append(self._home_of, more), np.append(self._slot_of, more)
        there: NDArray[np.bool_] = self._home_of[sources] == home.number
        return there

    def settle(self, home: Home, sources: Ints) -> None:
        """Have the sources live in this home, and move out of another."""
        for source in sources[~self.at_home(home, sources)].tolist():
            self._move_in(home, source)

    def slots(self, sources: Ints) -> Ints:
        """Return the slots of sources that live somewhere."""
        slots: Ints = self._slot_of[sources]
        return slots

    def _move_in(self, home: Home, source: int) -> None:
        slot = home.admit(source)
        old = self.home_of(source)
        if old:
            self._leave(old[0], old[1], source)
            for name in ("last", "last_time"):
                everything = np.full(len(old[0].table), np.nan)
                everything[old[0].counters] = getattr(old[0], name)[old[1]]
                getattr(home, name)[slot] = move(everything, old[0].table, home.table)[home.counters]
            self._release(*old)
        self._home_of[source], self._slot_of[source] = home.number, slot

    def _leave(self, home: Home, slot: int, source: int) -> None:
        for cells in home.cells:
            mine = cells.of(np.array([slot]))
            there = mine[cells.start[mine] != NONE]
            for start, rounds, late, kept in _each(cells.take(there, there)):
                runs = self.runs.setdefault(source, {}).setdefault((cells.kind, start), [])
                runs.append(Run(home.table, rounds, late, kept))

    def _release(self, home: Home, slot: int) -> None:
        home.release(slot)
        if home.empty:
            del self._homes[home.table.digest], self._by_number[home.number]

    def drop(self, source: int) -> None:
        """Forget the source."""
        self.runs.pop(source, None)
        where = self.home_of(source)
        if where:
            self._release(*where)
            self._home_of[source] = NOWHERE

    def close(self, sources: Ints, until: Ints) -> Iterator[Ended]:
        """Yield the windows of the sources that end at or before `until` (ms, one for each source)."""
        there = np.flatnonzero(sources < len(self._home_of))
        sources, until = sources[there], until[there]
        homes = self._home_of[sources]
        for number in np.unique(homes).tolist():
            if number != NOWHERE:
                mine = homes == number
                yield from self.close_at(self._by_number[number], sources[mine], until[mine])
        if self.runs:
            for source, end in zip(sources.tolist(), until.tolist(), strict=True):
                for kind, start in sorted(self.runs.get(source, ())):
                    if start + kind.width <= end:
                        yield self._joined(source, kind, start, self._runs(source, kind, start))

    def close_at(self, home: Home, sources: Ints, until: Ints) -> Iterator[Ended]:
        """Yield those of sources that live in this home."""
        for kind, closed in home.close(self._slot_of[sources], sources, until):
            if not self.runs:
                yield Ended(home.table, kind, closed)
                continue
            pairs = zip(closed.source.tolist(), closed.start.tolist(), strict=True)
            split = np.array([(kind, start) in self.runs.get(source, ()) for source, start in pairs])
            if not split.all():
                yield Ended(home.table, kind, _pick(closed, ~split))
            mine = _pick(closed, split)
            for source, (start, rounds, late, kept) in zip(mine.source.tolist(), _each(mine), strict=True):
                runs = [*self._runs(source, kind, start), Run(home.table, rounds, late, kept)]
                yield self._joined(source, kind, start, runs)

    def _runs(self, source: int, kind: Kind, start: int) -> list[Run]:
        mine = self.runs[source]
        found = mine.pop((kind, start))
        if not mine:
            del self.runs[source]
        return found

    def _joined(self, source: int, kind: Kind, start: int, runs: Sequence[Run]) -> Ended:
        """Return the window that the runs make up, in a table that holds the series of all of them."""
        tables = {run.table.digest: run.table for run in reversed(runs)}
        table = fitting(union(tuple(tables.values())[::-1]), self._statistics)
        kept = np.broadcast_to(EMPTY, (ROWS, 1, len(table))).copy()
        for run in runs:
            merge(kept, _laid_out(run, table)[:, None])
        sums = (sum(run.rounds for run in runs), sum(run.late for run in runs))
        columns = [np.array([number], dtype=np.int64) for number in (source, start, *sums)]
        return Ended(table, kind, Closed(columns[0], columns[1], columns[2], columns[3], kept), joined=True)


def _laid_out(run: Run, table: SeriesTable) -> Floats:
    kept = move(run.kept, run.table, table, 0.0)
    if kept is not run.kept:
        nothing = kept[COUNT] == 0
        kept[LEAST, nothing], kept[MOST, nothing] = np.inf, -np.inf
    return kept


def _each(closed: Closed) -> Iterator[tuple[int, int, int, Floats]]:
    numbers = zip(closed.start.tolist(), closed.rounds.tolist(), closed.late.tolist(), strict=True)
    for place, (start, rounds, late) in enumerate(numbers):
        yield start, rounds, late, closed.kept[:, place]


def _pick(closed: Closed, which: NDArray[np.bool_]) -> Closed:
    columns = (closed.source[which], closed.start[which], closed.rounds[which], closed.late[which])
    return Closed(*columns, closed.kept[:, which])
