"""Where the state of each source lies: a pool for each width and table, with one slot for each source.

A slot is a run of rows, one for each series of the table, in the arrays of every detector: so a step over
neighbouring slots works on a slice of the arrays and copies nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.series import SeriesTable

FORGET_MS = 86_400_000
"""A source without a window for this long (log time) is forgotten: its rows are as at first."""

VANISHED_MS = 600_000
"""A fault of a series that its source does not measure any more, but others, is orphaned after this (log time)."""

SWEEP_MS = 60_000
MOST_TABLES = 8
"""A source whose series change all the time keeps the state of this many layouts, the newest ones."""

MOST_PAIRS = 10_000
FIRST_CAPACITY = 4
BEFORE_ALL = -(1 << 62)


@dataclass(slots=True)
class Pool:
    """The slots of one width and table. `last` is the start of a slot's newest window, `seen` its log time, in ms."""

    table: SeriesTable
    width: int
    slots: dict[str, int] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    last: NDArray[np.int64] = field(default_factory=lambda: np.full(FIRST_CAPACITY, BEFORE_ALL))
    seen: NDArray[np.int64] = field(default_factory=lambda: np.zeros(FIRST_CAPACITY, np.int64))

    @property
    def capacity(self) -> int:
        """For how many slots there is room."""
        return len(self.last)

    def take_slot(self, source: str, log_time: int) -> int:
        """Return a fresh slot for the source."""
        slot = self.free.pop() if self.free else len(self.slots)
        if slot >= self.capacity:
            more = self.capacity // 2 + FIRST_CAPACITY  # an array of many series is large: not twice as long
            self.last = np.concatenate([self.last, np.full(more, BEFORE_ALL)])
            self.seen = np.concatenate([self.seen, np.zeros(more, np.int64)])
        self.slots[source] = slot
        self.last[slot], self.seen[slot] = BEFORE_ALL, log_time
        return slot

    def release(self, source: str) -> int:
        """Take the source's slot away from it and return it."""
        slot = self.slots.pop(source)
        self.free.append(slot)
        return slot

    def long_gone(self, log_time: int) -> list[str]:
        """Return the sources that were not seen for `FORGET_MS`."""
        if not self.slots:
            return []
        names = list(self.slots)
        seen = self.seen[[self.slots[name] for name in names]]
        return [names[place] for place in np.flatnonzero(log_time - seen > FORGET_MS).tolist()]


@dataclass(slots=True)
class Pools:
    """All pools of a stage. `layouts` names, for each width and source, the tables it has a slot for, last used last.

    A series of a source lives in one table at a time: where layouts share series, their rows move with each change
    from one to the other. Layouts that share none (a client that writes its series in turns) do not touch.
    """

    by_table: dict[tuple[int, int], Pool] = field(default_factory=dict)
    layouts: dict[tuple[int, str], list[int]] = field(default_factory=dict)
    _overlaps: dict[tuple[int, int], bool] = field(default_factory=dict)

    def pool(self, width: int, table: SeriesTable) -> Pool:
        """Return the pool, made if need be."""
        key = (width, table.digest)
        found = self.by_table.get(key)
        if found is None:
            found = self.by_table[key] = Pool(table, width)
        return found

    def overlap(self, one: SeriesTable, other: SeriesTable) -> bool:
        """Say whether two tables share a series."""
        key = (one.digest, other.digest)
        known = self._overlaps.get(key)
        if known is None:
            if len(self._overlaps) >= MOST_PAIRS:
                self._overlaps.clear()
            labels = {series.label for series in one.series}
            known = self._overlaps[key] = any(series.label in labels for series in other.series)
        return known

    def taken_over(self, pool: Pool, source: str, log_time: int) -> list[Pool]:
        """Return the pools from which `pool` takes series over when the source turns to it: in order of their use.

        They were used since `pool` was, share series with it, and are young enough to build on.
        """
        layouts = self.layouts.get((pool.width, source), [])
        since = layouts.index(pool.table.digest) + 1 if pool.table.digest in layouts else 0
        others = [self.by_table[pool.width, digest] for digest in layouts[since:]]
        return [
            other
            for other in others
            if self.overlap(pool.table, other.table) and log_time - other.seen[other.slots[source]] <= FORGET_MS
        ]

    def use(self, pool: Pool, source: str, log_time: int) -> Pool | None:
        """Make `pool` the one that the source used last; return a pool that it may keep no longer."""
        if source not in pool.slots:
            pool.take_slot(source, log_time)
        layouts = self.layouts.setdefault((pool.width, source), [])
        if pool.table.digest in layouts:
            layouts.remove(pool.table.digest)
        layouts.append(pool.table.digest)
        return self.by_table[pool.width, layouts[0]] if len(layouts) > MOST_TABLES else None

    def release(self, pool: Pool, source: str) -> int:
        """Take the source's slot in the pool away from it and return it."""
        layouts = self.layouts[pool.width, source]
        layouts.remove(pool.table.digest)
        if not layouts:
            del self.layouts[pool.width, source]
        return pool.release(source)
