"""Which panes close now, and in which order they are worked on.

Panes are worked on in *phases*: in each, a source has panes of one table only. Within a phase they stand in order of
*rank*: the first of each source, then the second of each; so panes of a rank can go into windows all at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.processors.order import NEVER, Arrivals, firsts
from mendline.processors.pending import Chunk, OpenPane, Waiting, selected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.columnar import RoundBlock
    from mendline.schemas.series import SeriesTable

    Ints = NDArray[np.int64]


NONE_OPEN = 2**62


class Group(NamedTuple):
    """Panes of one table by rank; `ranks` are the places where each rank begins, and the end."""

    table: SeriesTable
    waiting: Waiting
    ranks: Sequence[int]


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


class OpenPanes:
    """Rounds of panes that have not closed yet, by source and number of the pane.

    Most rounds close nothing and go on where the source is. So two arrays by number of the source tell for all of a
    batch at once who has to be looked at: no pane is below `_oldest` (`NONE_OPEN` without any), none above `_newest`.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.panes: dict[int, dict[int, OpenPane]] = {}
        self._oldest = np.empty(0, np.int64)
        self._newest = np.empty(0, np.int64)

    def counts(self) -> OpenCounts:
        """Return how many rounds each pane has, to be counted on."""
        return OpenCounts(self.panes)

    def pane(self, source: int, number: int) -> OpenPane:
        """Return the open pane, made if need be."""
        self._make_room(source)
        self._oldest[source] = min(number, int(self._oldest[source]))
        self._newest[source] = max(number, int(self._newest[source]))
        return self.panes.setdefault(source, {}).setdefault(number, OpenPane())

    def drop(self, source: int) -> None:
        """Forget the source's panes."""
        if self.panes.pop(source, None) is not None:
            self._oldest[source], self._newest[source] = NONE_OPEN, NEVER

    def keep(self, taken: Taken, segments: Segments, which: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
        """Take in the rounds of some segments; yield (source, rounds) for which a pane had no room."""
        times, rows, blocks = taken.rounds.time, taken.rounds.row, taken.rounds.block
        sources, numbers, begins, ends = (column[which] for column in segments)
        if not len(sources):
            return
        self._make_room(int(sources.max()))
        np.minimum.at(self._oldest, sources, numbers)
        np.maximum.at(self._newest, sources, numbers)
        of = [taken.blocks[block] for block in blocks[begins].tolist()]
        columns = (column.tolist() for column in (sources, numbers, begins, ends, rows[begins]))
        for block, source, number, begin, end, row in zip(of, *columns, strict=True):
            panes = self.panes.get(source)
            if panes is None:
                panes = self.panes[source] = {}
            pane = panes.get(number)
            if pane is None:
                pane = panes[number] = OpenPane()
            # A copy of its own: a slice would keep the rounds of all sources of the batch.
            values = block.values[row : row + 1].copy() if end == begin + 1 else block.values[rows[begin:end]]
            excess = pane.add(Chunk(block.table, times[begin:end].copy(), values))
            if excess:
                yield source, excess

    def absent(self, sources: Ints, panes: Ints) -> NDArray[np.bool_]:
        """Say of each pane of a source that it has no rounds here yet."""
        if not len(sources):
            return np.empty(0, bool)
        self._make_room(int(sources.max()))
        absent: NDArray[np.bool_] = (panes > self._newest[sources]) | (panes < self._oldest[sources])
        for place in np.flatnonzero(~absent).tolist():
            absent[place] = int(panes[place]) not in self.panes.get(int(sources[place]), ())
        return absent

    def take(self, sources: Ints, before: Ints) -> list[tuple[int, int, Chunk]]:
        """Return, and forget, the panes of the sources whose numbers are below `before`: source, pane, rounds."""
        ready: list[tuple[int, int, Chunk]] = []
        if not len(sources):
            return ready
        self._make_room(int(sources.max()))
        some = self._oldest[sources] < before
        for source, limit in zip(sources[some].tolist(), before[some].tolist(), strict=True):
            panes = self.panes[source]
            due = sorted(pane for pane in panes if pane < limit)
            ready += [(source, pane, panes.pop(pane).whole()) for pane in due]
            if panes:
                self._oldest[source] = min(panes)
            else:
                self.drop(source)
        return ready

    def _make_room(self, source: int) -> None:
        """Let the arrays reach to the source."""
        more = source + 1 - len(self._oldest)
        if more > 0:
            more += source // 2
            self._oldest = np.append(self._oldest, np.full(more, NONE_OPEN))
            self._newest = np.append(self._newest, np.full(more, NEVER))


class OpenCounts(dict[int, dict[int, int]]):
    """Numbers of rounds by source and pane, looked up when asked for."""

    def __init__(self, panes: dict[int, dict[int, OpenPane]]) -> None:
        """Count those of `panes`."""
        super().__init__()
        self._panes = panes

    def __missing__(self, source: int) -> dict[int, int]:
        counts = self[source] = {pane: one.rounds for pane, one in self._panes.get(source, {}).items()}
        return counts


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
