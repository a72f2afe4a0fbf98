"""Which panes close now, and in which order they are worked on.

Panes are worked on in *phases*: in each, a source has panes of one table only. Within a phase they stand in order of
*rank*: the first of each source, then the second of each; so panes of a rank can go into windows all at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.processors.order import Arrivals, firsts
from mendline.processors.pending import Chunk, Waiting, selected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.columnar import RoundBlock
    from mendline.schemas.series import SeriesTable

    Ints = NDArray[np.int64]


class Group(NamedTuple):
    """Panes of one table by rank; `ranks` are the places where each rank begins, and the end."""

    table: SeriesTable
    waiting: Waiting
    ranks: Sequence[int]

    def parts(self, most: int) -> Iterator[Group]:
        """Yield the panes of at most `most` sources at a time."""
        sources = self.waiting.source[: self.ranks[1]]
        if len(sources) <= most:
            yield self
            return
        for begin in range(0, len(sources), most):
            some = sources[begin : begin + most]
            inside = (self.waiting.source >= some[0]) & (self.waiting.source <= some[-1])
            ranks = np.append(0, np.cumsum(inside))[self.ranks]
            yield Group(self.table, selected(self.waiting, np.flatnonzero(inside)), np.unique(ranks).tolist())


class Taken(NamedTuple):
    """The rounds that were let in, by source and time, and the blocks that hold their values, one for each table."""

    rounds: Arrivals
    pane: Ints
    blocks: Sequence[RoundBlock]


class Segments(NamedTuple):
    """Neighbours among the rounds let in that share source, pane and table; `end` is after the last. Each (G,)."""

    source: Ints
    pane: Ints
    begin: Ints
    end: Ints

    @staticmethod
    def of(taken: Taken) -> Segments:
        """Return the segments of the rounds."""
        rounds = taken.rounds
        begin = np.flatnonzero(firsts(rounds.source) | firsts(taken.pane) | firsts(rounds.block))
        return Segments(rounds.source[begin], taken.pane[begin], begin, np.append(begin[1:], len(taken.pane)))

    def whole(self) -> NDArray[np.bool_]:
        """Say of each whether no neighbour has the same source and pane."""
        same = ~(firsts(self.source) | firsts(self.pane))
        alone = ~same
        alone[:-1] &= ~same[1:]
        return alone


def closing(
    taken: Taken, segments: Segments, direct: NDArray[np.bool_], ready: Sequence[tuple[int, int, Chunk]]
) -> list[list[Group]]:
    """Return the panes that close, by phase: `direct` segments, and those `ready` that waited."""
    begin = segments.begin[direct]
    many = len(begin)
    if not many and not ready:
        return []
    tables = [taken.blocks[block].table for block in taken.rounds.block[begin].tolist()]
    tables += [chunk.table for _, _, chunk in ready]
    both = Waiting(
        np.append(segments.source[direct], np.array([source for source, _, _ in ready], np.int64)),
        np.append(segments.pane[direct], np.array([pane for _, pane, _ in ready], np.int64)),
        np.append(segments.end[direct] - begin, np.array([len(chunk.times) for _, _, chunk in ready], np.int64)),
        np.append(begin, np.full(len(ready), -1)),
        {many + place: chunk for place, (_, _, chunk) in enumerate(ready)},
    )
    by_source = np.lexsort((both.pane, both.source))
    numbers: dict[int, int] = {}
    kind = np.array([numbers.setdefault(table.digest, len(numbers)) for table in tables])[by_source]
    if len(numbers) == 1:
        return [[_by_rank(tables[0], both, by_source)]]
    phase = _phases(both.source[by_source], kind)
    return [
        [
            _by_rank(tables[int(by_source[mine[0]])], both, by_source[mine])
            for one in range(len(numbers))
            if len(mine := np.flatnonzero((phase == number) & (kind == one)))
        ]
        for number in range(int(phase.max()) + 1)
    ]


def _phases(source: Ints, table: Ints) -> Ints:
    """Return how often the table of the same source has changed before each pane.

    >>> _phases(np.array([1, 1, 1, 2]), np.array([0, 5, 0, 5])).tolist()
    [0, 1, 2, 0]
    """
    new = firsts(source)
    changes = np.cumsum(firsts(table) & ~new)
    phases: Ints = changes - changes[new][np.cumsum(new) - 1]
    return phases


def _by_rank(table: SeriesTable, waiting: Waiting, by_source: Ints) -> Group:
    source = waiting.source[by_source]
    new = np.flatnonzero(firsts(source))
    rank = np.arange(len(source)) - np.repeat(new, np.diff(new, append=len(source)))
    chosen = np.lexsort((source, rank))
    begins = np.flatnonzero(firsts(rank[chosen])).tolist()
    return Group(table, selected(waiting, by_source[chosen]), [*begins, len(chosen)])
