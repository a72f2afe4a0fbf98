"""The windows (or rounds) of a batch, put together by width and table, and cut into waves.

A *wave* holds each source at most once, so that one step of a detector can take all of it; the k-th wave holds the
k-th window of each source in the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.columnar import RoundBlock, WindowBlock
    from mendline.schemas.series import SeriesTable

VALUE = ""
"""Name under which the values of rounds stand among the statistics."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Windows of one width whose sources share one table; fields as in `WindowBlock`."""

    table: SeriesTable
    width: int
    index: NDArray[np.int64]
    sources: Sequence[str]
    starts: NDArray[np.int64]
    rounds: NDArray[np.int64]
    parts: Sequence[tuple[Mapping[str, NDArray[np.float64]], NDArray[np.intp] | None]]
    _made: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.sources)

    def statistic(self, name: str) -> NDArray[np.float64]:
        """Return a statistic of all entries as (E, S); NaN where a block has it not."""
        made = self._made.get(name)
        if made is None:
            pieces = [self._piece(statistics, chosen, name) for statistics, chosen in self.parts]
            made = self._made[name] = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return made

    def _piece(
        self, statistics: Mapping[str, NDArray[np.float64]], chosen: NDArray[np.intp] | None, name: str
    ) -> NDArray[np.float64]:
        found = statistics.get(name)
        if found is None:
            length = len(next(iter(statistics.values()))) if chosen is None else len(chosen)
            return np.full((length, len(self.table)), np.nan)
        return found if chosen is None else found[chosen]


@dataclass(frozen=True, slots=True)
class Part:
    """A block of the batch, and which of its entries count (None: all)."""

    table: SeriesTable
    width: int
    index: NDArray[np.int64]
    sources: Sequence[str]
    starts: NDArray[np.int64]
    rounds: NDArray[np.int64]
    statistics: Mapping[str, NDArray[np.float64]]
    chosen: NDArray[np.intp] | None = None

    @staticmethod
    def of_windows(block: WindowBlock) -> Part:
        """Return the block of windows as a part."""
        return Part(
            block.table, block.width_ms, block.index, block.sources, block.starts, block.rounds, block.statistics
        )

    @staticmethod
    def of_rounds(block: RoundBlock, chosen: NDArray[np.intp] | None) -> Part:
        """Return the chosen rounds of a block as windows of count 1."""
        part = Part(
            block.table,
            0,
            block.index,
            block.sources,
            block.times,
            np.ones(len(block.times), np.int64),
            {VALUE: block.values},
        )
        return part if chosen is None else part.choose(chosen)

    def choose(self, chosen: NDArray[np.intp]) -> Part:
        """Return the part with only these entries."""
        inner = chosen if self.chosen is None else self.chosen[chosen]
        return Part(
            self.table,
            self.width,
            self.index[chosen],
            [self.sources[entry] for entry in chosen.tolist()],
            self.starts[chosen],
            self.rounds[chosen],
            self.statistics,
            inner,
        )

    def between(self, first: int, end: int) -> Part | None:
        """Return the part's entries whose records lie at positions from `first` up to, not including, `end`."""
        inside = (self.index >= first) & (self.index < end)
        if inside.all():
            return self if len(inside) else None
        chosen = np.flatnonzero(inside)
        return self.choose(chosen) if len(chosen) else None


def join(parts: Sequence[Part]) -> list[Entries]:
    """Return the parts put together by width and table, in that order."""
    groups: dict[tuple[int, int], list[Part]] = {}
    for part in parts:
        if len(part.sources):
            groups.setdefault((part.width, part.table.digest), []).append(part)
    return [_join(groups[key]) for key in sorted(groups)]


def _join(parts: Sequence[Part]) -> Entries:
    one = parts[0]
    many = len(parts) > 1
    return Entries(
        one.table,
        one.width,
        np.concatenate([part.index for part in parts]) if many else one.index,
        [source for part in parts for source in part.sources] if many else one.sources,
        np.concatenate([part.starts for part in parts]) if many else one.starts,
        np.concatenate([part.rounds for part in parts]) if many else one.rounds,
        [(part.statistics, part.chosen) for part in parts],
    )


def waves(slots: NDArray[np.intp], index: NDArray[np.int64]) -> Iterator[NDArray[np.intp]]:
    """Yield which entries make up each wave, in order of slots, which say whose entry each is.

    >>> [wave.tolist() for wave in waves(np.array([2, 0, 2]), np.array([5, 6, 9]))]
    [[1, 0], [2]]
    """
    order = np.lexsort((index, slots))
    sorted_slots = slots[order]
    new = np.ones(len(order), bool)
    new[1:] = sorted_slots[1:] != sorted_slots[:-1]
    if new.all():
        yield order
        return
    first = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    rank = np.arange(len(order)) - first
    for wave in range(int(rank.max()) + 1):
        yield order[rank == wave]
