"""Series that a source had and has no more: where their rows lie, and which of its windows show that they are missing.

A source lives under several layouts (`pools.Pools`). One that shares series with a later one is *superseded*: the rows
of what both have moved on, and what is left behind are the series that vanished. Its *heir* is the layout in use that
followed from it, over others perhaps; of several, as of a client that writes in turns, the one with the least digest,
so that each window of the source counts once. A layout that shares no series with a later one is not superseded: it is
another client's, and may come again at any time.

Which layouts are superseded changes only where a batch is cut (`layouts`), so nothing depends on where it ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.pools import FORGET_MS, MOST_PAIRS
from mendline.detectors.steps import Wave

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.detectors.pools import Pool, Pools


@dataclass(slots=True)
class Vanished:
    """Finds the rows of vanished series in the pools."""

    pools: Pools
    _known: dict[tuple[int, ...], Mapping[int, Sequence[int]]] = field(default_factory=dict)

    def waves(self, wave: Wave, log_clock: NDArray[np.int64]) -> Iterator[Wave]:
        """Yield the wave's entries anew for each pool in which their sources left series behind.

        Rows that were not seen for `FORGET_MS` of log time are passed over: they may be freed at any time.
        """
        width, mine = wave.pool.width, wave.pool.table.digest
        places: dict[int, list[int]] = {}
        for place, entry in enumerate(wave.order.tolist()):
            layouts = self.pools.layouts[width, wave.entries.sources[entry]]
            if len(layouts) > 1:
                for digest in self._left_behind(width, tuple(layouts)).get(mine, ()):
                    places.setdefault(digest, []).append(place)
        for digest in sorted(places):
            some = _moved(wave, self.pools.by_table[width, digest], places[digest], log_clock)
            if len(some.order):
                yield some

    def _left_behind(self, width: int, layouts: tuple[int, ...]) -> Mapping[int, Sequence[int]]:
        """Return for each heir the layouts that it followed."""
        known = self._known.get(layouts)
        if known is None:
            if len(self._known) >= MOST_PAIRS:
                self._known.clear()
            known = self._known[layouts] = self._by_heir(width, layouts)
        return known

    def _by_heir(self, width: int, layouts: tuple[int, ...]) -> Mapping[int, Sequence[int]]:
        tables = [self.pools.by_table[width, digest].table for digest in layouts]
        heirs: dict[int, int] = {}
        for place in reversed(range(len(layouts))):
            later = range(place + 1, len(layouts))
            followed = [heirs[layouts[one]] for one in later if self.pools.overlap(tables[place], tables[one])]
            heirs[layouts[place]] = min(followed, default=layouts[place])
        by_heir: dict[int, list[int]] = {}
        for digest, heir in heirs.items():
            if heir != digest:
                by_heir.setdefault(heir, []).append(digest)
        return by_heir


def _moved(wave: Wave, pool: Pool, places: Sequence[int], log_clock: NDArray[np.int64]) -> Wave:
    """Return the entries at these places of the wave as one over the slots that their sources have in another pool."""
    order = wave.order[list(places)]
    slots = np.array([pool.slots[wave.entries.sources[entry]] for entry in order.tolist()], dtype=np.intp)
    young = np.flatnonzero(log_clock[wave.entries.index[order]] - pool.seen[slots] <= FORGET_MS)
    young = young[np.argsort(slots[young])]
    return Wave(pool, wave.entries, order[young], slots[young])
