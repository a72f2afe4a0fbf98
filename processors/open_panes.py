"""Rounds of panes that have not closed yet, all sources together in columns.

Where each round belongs and where its values are stands in arrays with one entry per round, in order of arrival; the
values stay together as they came, in *stores*. So nothing is done once for each round or source, and what is looked
for among all that wait costs a pass over a few integers. A store gives back what its rounds leave once more than half
of it is unused: a source whose pane never closes must not hold what came with its rounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.processors import order
from mendline.processors.order import NEVER, firsts
from mendline.processors.pending import Chunk, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.processors.phases import Segments, Taken
    from mendline.schemas.series import SeriesTable

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

NONE_OPEN = 2**62
SMALL_BYTES = 4096
"""A store below this is not worth the copy that would make it smaller."""

Ready = tuple[int, int, Chunk]
"""A source, the number of a pane, and rounds of it."""


class Places(NamedTuple):
    """Rounds that wait, in order of arrival: `row` of `store` has the values. Each (N,) int64, `time` in ms."""

    source: Ints
    pane: Ints
    time: Ints
    store: Ints
    row: Ints

    def pick(self, which: NDArray[np.bool_] | Ints) -> Places:
        """Return some of them."""
        return Places(*(column[which] for column in self))


@dataclass(slots=True)
class _Store:
    """Rounds of one table that came together: `values` (n, S); `left` of them still wait."""

    table: SeriesTable
    values: Floats
    left: int


class OpenPanes:
    """What waits. Of each source, by number: the oldest and newest pane (`NONE_OPEN` without any), and all rounds."""

    def __init__(self) -> None:
        """Begin with none."""
        self._places = Places(*(np.empty(0, np.int64) for _ in Places._fields))
        self._stores: dict[int, _Store] = {}
        self._next_store = 0
        self._oldest = np.empty(0, np.int64)
        self._newest = np.empty(0, np.int64)
        self._rounds = np.empty(0, np.int64)

    def counts(self) -> OpenCounts:
        """Return how many rounds each pane has, to be counted on."""
        return OpenCounts(self._places)

    def put(self, ready: Sequence[Ready]) -> None:
        """Take in rounds of panes, those of each pane in order of arrival."""
        if ready:
            chunks = [chunk for _, _, chunk in ready]
            named = [(source, pane, self._store(chunk.table, chunk.values)) for source, pane, chunk in ready]
            sizes = [len(chunk.times) for chunk in chunks]
            source, pane, store = np.repeat(np.array(named, np.int64), sizes, axis=0).T
            row = np.concatenate([np.arange(size) for size in sizes])
            self._append(Places(source, pane, np.concatenate([chunk.times for chunk in chunks]), store, row))

    def drop(self, source: int) -> None:
        """Forget the source's panes."""
        if source < len(self._rounds) and self._rounds[source]:
            self._remove(self._places.source == source)

    def keep(self, taken: Taken, segments: Segments, which: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
        """Take in the rounds of some segments; yield (source, rounds) for which a pane had no room."""
        if not which.any():
            return
        chosen = np.repeat(which, segments.end - segments.begin)
        rounds, panes = taken.rounds.pick(chosen), taken.pane[chosen]
        store, row = np.empty_like(panes), np.empty_like(panes)
        for number, block in enumerate(taken.blocks):
            mine = np.flatnonzero(rounds.block == number)
            if len(mine):
                # A copy of their own: a slice would keep all rounds of the batch.
                store[mine] = self._store(block.table, block.values[rounds.row[mine]])
                row[mine] = np.arange(len(mine))
        # All at once: what came first counts across the tables too.
        self._append(Places(rounds.source, panes, rounds.time, store, row))
        full = np.unique(rounds.source[self._rounds[rounds.source] > order.MOST_ROUNDS])
        for source in full.tolist():
            yield from self._cut(source)

    def absent(self, sources: Ints, panes: Ints) -> NDArray[np.bool_]:
        """Say of each pane of a source that it has no rounds here yet."""
        if not len(sources):
            return np.empty(0, bool)
        self._make_room(int(sources.max()))
        oldest, newest = self._oldest[sources], self._newest[sources]
        absent: NDArray[np.bool_] = (panes > newest) | (panes < oldest)
        counts = self.counts()
        for place in np.flatnonzero((panes > oldest) & (panes < newest)).tolist():
            absent[place] = int(panes[place]) not in counts[int(sources[place])]
        return absent

    def take(self, sources: Ints, before: Ints) -> list[Ready]:
        """Return, and forget, the panes of the sources whose numbers are below `before`, by source and pane.

        The rounds of each are in order of event time, then arrival, in a table that holds the series of all.
        """
        if not len(sources):
            return []
        self._make_room(int(sources.max()))
        if not (self._oldest[sources] < before).any():
            return []
        limits = np.full(len(self._oldest), NEVER)
        limits[sources] = before
        due = self._places.pane < limits[self._places.source]
        ready = self._whole(self._places.pick(due))
        self._remove(due)
        return ready

    def waiting(self) -> dict[int, list[tuple[int, Chunk]]]:
        """Return all by source: panes by number, the rounds of each in order of arrival."""
        found: dict[int, list[tuple[int, Chunk]]] = {}
        by_pane = np.lexsort((self._places.pane, self._places.source))
        for source, pane, chunk in self._chunks(self._places.pick(by_pane)):
            found.setdefault(source, []).append((pane, chunk))
        return found

    # Taking in -------------------------------------------------------------------------------------------------------

    def _store(self, table: SeriesTable, values: Floats) -> int:
        number, self._next_store = self._next_store, self._next_store + 1
        self._stores[number] = _Store(table, values, len(values))
        return number

    def _append(self, new: Places) -> None:
        self._places = Places(*(np.concatenate(pair) for pair in zip(self._places, new, strict=True)))
        self._make_room(int(new.source.max()))
        np.add.at(self._rounds, new.source, 1)
        self._span(new)

    def _span(self, places: Places) -> None:
        np.minimum.at(self._oldest, places.source, places.pane)
        np.maximum.at(self._newest, places.source, places.pane)

    def _cut(self, source: int) -> Iterator[tuple[int, int]]:
        """Let go what came last of panes that are too full."""
        mine = np.flatnonzero(self._places.source == source)
        excess = np.zeros(len(self._places.source), bool)
        for pane in np.unique(self._places.pane[mine]).tolist():
            excess[mine[self._places.pane[mine] == pane][order.MOST_ROUNDS :]] = True
        if many := int(np.count_nonzero(excess)):
            self._remove(excess)
            yield source, many

    def _make_room(self, source: int) -> None:
        """Let the arrays reach to the source."""
        more = source + 1 - len(self._oldest)
        if more > 0:
            more += source // 2
            self._oldest = np.append(self._oldest, np.full(more, NONE_OPEN))
            self._newest = np.append(self._newest, np.full(more, NEVER))
            self._rounds = np.append(self._rounds, np.zeros(more, np.int64))

    # Letting go ------------------------------------------------------------------------------------------------------

    def _remove(self, which: NDArray[np.bool_]) -> None:
        gone, self._places = self._places.pick(which), self._places.pick(~which)
        np.subtract.at(self._rounds, gone.source, 1)
        self._oldest[gone.source], self._newest[gone.source] = NONE_OPEN, NEVER
        changed = np.zeros(len(self._oldest), bool)
        changed[gone.source] = True
        self._span(self._places.pick(changed[self._places.source]))
        for number, many in zip(*(column.tolist() for column in np.unique_counts(gone.store)), strict=True):
            self._shrink(number, many)

    def _shrink(self, number: int, many: int) -> None:
        store = self._stores[number]
        store.left -= many
        if not store.left:
            del self._stores[number]
        elif 2 * store.left < len(store.values) and store.values.nbytes > SMALL_BYTES:
            mine = self._places.store == number
            store.values = store.values[self._places.row[mine]]
            self._places.row[mine] = np.arange(store.left)

    # Putting together ------------------------------------------------------------------------------------------------

    def _whole(self, due: Places) -> list[Ready]:
        """Return the panes of these rounds, each whole."""
        found = self._chunks(due.pick(np.lexsort((due.time, due.pane, due.source))))
        panes = {(source, pane) for source, pane, _ in found}
        if len(panes) == len(found):
            return found
        # A source that changed its table within a pane: which comes first is told by arrival.
        parts: dict[tuple[int, int], list[Chunk]] = {}
        for source, pane, chunk in self._chunks(due.pick(np.lexsort((due.pane, due.source)))):
            parts.setdefault((source, pane), []).append(chunk)
        return [(source, pane, whole(chunks)) for (source, pane), chunks in parts.items()]

    def _chunks(self, places: Places) -> list[Ready]:
        """Return neighbours that share source, pane and table as one."""
        if not len(places.source):
            return []
        tables, kind, row, values = self._gathered(places)
        begins = np.flatnonzero(firsts(places.source) | firsts(places.pane) | firsts(kind))
        ends = np.append(begins[1:], len(kind))
        columns = (column.tolist() for column in (places.source[begins], places.pane[begins], kind[begins]))
        spans = zip(begins.tolist(), ends.tolist(), row[begins].tolist(), strict=True)
        return [
            (source, pane, Chunk(tables[table], places.time[begin:end], values[table][at : at + end - begin]))
            for source, pane, table, (begin, end, at) in zip(*columns, spans, strict=True)
        ]

    def _gathered(self, places: Places) -> tuple[Sequence[SeriesTable], Ints, Ints, Sequence[Floats]]:
        """Return the tables, of each round which one it has and its row there, and each table's values (n, S)."""
        stores, which = np.unique(places.store, return_inverse=True)
        numbers: dict[int, int] = {}
        found = [self._stores[number] for number in stores.tolist()]
        kinds = np.array([numbers.setdefault(one.table.digest, len(numbers)) for one in found], np.int64)
        tables = list({one.table.digest: one.table for one in found}.values())
        kind, row = kinds[which], np.empty(len(which), np.int64)
        by_kind = np.argsort(kind, kind="stable")
        sizes = np.bincount(kind, minlength=len(tables))
        row[by_kind] = np.arange(len(kind)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        values = [np.empty((size, len(table))) for size, table in zip(sizes.tolist(), tables, strict=True)]
        by_store = np.argsort(which, kind="stable")
        ends = np.cumsum(np.bincount(which, minlength=len(found)))
        for store, table, mine in zip(found, kinds.tolist(), np.split(by_store, ends[:-1]), strict=True):
            values[table][row[mine]] = store.values[places.row[mine]]
        return tables, kind, row, values


class OpenCounts(dict[int, dict[int, int]]):
    """Numbers of rounds by source and pane, looked up when asked for."""

    def __init__(self, places: Places) -> None:
        """Count these rounds."""
        super().__init__()
        self._places = places
        self._by_source: Places | None = None

    def __missing__(self, source: int) -> dict[int, int]:
        if self._by_source is None:
            self._by_source = self._places.pick(np.argsort(self._places.source, kind="stable"))
        begin, end = np.searchsorted(self._by_source.source, [source, source + 1])
        panes, many = np.unique_counts(self._by_source.pane[begin:end])
        counts = self[source] = dict(zip(panes.tolist(), many.tolist(), strict=True))
        return counts
