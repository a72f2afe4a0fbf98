"""The fold itself: rounds of a batch into panes, panes into windows, all sources of a table together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.processors import order
from mendline.processors.homes import Closed, Home, Kind, PaneSet
from mendline.processors.open_panes import OpenPanes
from mendline.processors.order import Arrivals, Gate, Marks, firsts
from mendline.processors.panes import (
    ELAPSED,
    INCREASE,
    LONGEST_STEP_MS,
    ROWS,
    Ends,
    increases,
    quantiles,
    statistics,
    summarise,
)
from mendline.processors.pending import Cube, Waiting, cubes
from mendline.processors.phases import Group, Segments, Taken, closing
from mendline.processors.residents import Ended, Residents
from mendline.processors.tables import fitting, layout
from mendline.schemas.columnar import RoundBlock, WindowBlock
from mendline.schemas.windows import STATISTICS, quantile_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.settings import WindowSettings
    from mendline.schemas.stream import Input

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


MOST_VALUES = 1 << 16
"""Panes of so many series are made at once, or those of one source: each takes 64 bytes, twice."""


class Shape(NamedTuple):
    """What windows there are, in ms: panes, whether they are written themselves, and kinds of wider windows."""

    pane: int
    base: bool
    kinds: tuple[Kind, ...]
    grace: int
    quantiles: tuple[float, ...]

    @staticmethod
    def of(settings: WindowSettings) -> Shape:
        """Return the shape that the settings ask for."""
        kinds = {Kind(width, width) for width in settings.widths} | {Kind(*pair) for pair in settings.hopping}
        base = Kind(settings.pane, settings.pane)
        wider = tuple(sorted(kinds - {base}))
        return Shape(settings.pane, base in kinds, wider, settings.grace, settings.quantiles if base in kinds else ())

    @property
    def statistics(self) -> int:
        """How many statistics a window has at most."""
        return len(STATISTICS) + len(self.quantiles)


class Folding:
    """What is open in a partition, and the fold over it. `marks` tell how far each source has come."""

    def __init__(self, shape: Shape, forget_ms: int) -> None:
        """Begin with no source."""
        self.shape = shape
        self.marks = Marks()
        self.gate = Gate(self.marks, shape.pane, shape.grace)
        self.open = OpenPanes()
        self.residents = Residents(shape.kinds, shape.statistics)
        self._forget_ms = forget_ms

    def fold(self, blocks: Sequence[RoundBlock], batch: Input) -> Iterator[WindowBlock]:
        """Take rounds in and yield the windows they close, those of a source and width in order of start.

        All must be asked for before anything else is. What is no number, or too large for one, is told by NaN: let
        numpy ignore it.
        """
        blocks = _one_for_each_table(blocks)
        arrived = self._arrivals(blocks)
        new = firsts(arrived.source)
        self._forget_stale(arrived, new, batch)
        touched = arrived.source[new]
        before = self._closed(touched)
        rounds = self.gate.admit(arrived, batch.append_times, self.open.counts())
        phases = self._close_panes(Taken(rounds, rounds.time // self.shape.pane, blocks), touched)
        for phase in phases:
            ended: list[Ended] = []
            for group in phase:
                for part in group.parts(max(1, MOST_VALUES // len(group.table))):
                    yield from self._fold_group(part, rounds, blocks, ended)
            yield from self._blocks(ended)
        moved = touched[self._closed(touched) > before]
        yield from self._blocks(list(self.residents.close(moved, self._closed(moved) * self.shape.pane)))

    def forget(self, source: int) -> None:
        """Drop all that is open of the source, and how far it has come."""
        self.open.drop(source)
        self.residents.drop(source)
        self.gate.late = {place: count for place, count in self.gate.late.items() if place[0] != source}
        self.marks.reset(source)

    def sweep(self, before: int) -> None:
        """Drop the sources whose last round came before this log time (ms)."""
        seen = self.marks.arrays["seen"]
        for source in [number for number in self.marks.numbers.values() if seen[number] < before]:
            self.forget(source)
            self.marks.drop(source)

    def _closed(self, sources: Ints) -> Ints:
        return self.marks.closed_panes(sources, self.shape.pane, self.shape.grace)

    # Rounds ----------------------------------------------------------------------------------------------------------

    def _arrivals(self, blocks: Sequence[RoundBlock]) -> Arrivals:
        """Return all rounds by source, then arrival."""
        names = [name for block in blocks for name in block.sources] if len(blocks) > 1 else blocks[0].sources
        sizes = [len(block.sources) for block in blocks]
        epoch, sequence, time, place = (_column(blocks, name) for name in ("epoch", "sequence", "times", "index"))
        arrived = Arrivals(
            np.fromiter(map(self.marks.numbers.__getitem__, names), np.int64, len(names)),
            epoch,
            sequence,
            time,
            place,
            np.repeat(np.arange(len(blocks)), sizes),
            np.concatenate([np.arange(size) for size in sizes]),
        )
        if len(blocks) > 1:
            return arrived.pick(np.lexsort((arrived.place, arrived.source)))
        return arrived.pick(np.argsort(arrived.source, kind="stable"))

    def _forget_stale(self, arrived: Arrivals, new: NDArray[np.bool_], batch: Input) -> None:
        seen, log_times = self.marks.arrays["seen"], batch.log_times[arrived.place]
        first = arrived.source[new]
        for source in first[log_times[new] - seen[first] > self._forget_ms].tolist():
            self.forget(source)
        last = np.append(new[1:], True)
        seen[arrived.source[last]] = log_times[last]

    # Panes -----------------------------------------------------------------------------------------------------------

    def _close_panes(self, taken: Taken, touched: Ints) -> list[list[Group]]:
        """Keep the rounds of panes that are open still, and return the panes that close."""
        if not len(taken.pane):
            return []
        segments = Segments.of(taken)
        due = segments.pane < self._closed(segments.source)
        small = segments.end - segments.begin <= order.MOST_ROUNDS
        direct = due & small & segments.whole()
        direct[direct] = self.open.absent(segments.source[direct], segments.pane[direct])
        for source, excess in self.open.keep(taken, segments, ~direct):
            self.marks.arrays["excess"][source] += excess
        return closing(taken, segments, direct, self.open.take(touched, self._closed(touched)))

    def _fold_group(
        self, group: Group, rounds: Arrivals, blocks: Sequence[RoundBlock], ended: list[Ended]
    ) -> Iterator[WindowBlock]:
        """Aggregate the panes and take them into windows; yield the block of the panes themselves.

        Windows that end before a pane go to `ended`; those of sources that change their table are yielded at once.
        """
        home = self.residents.home(fitting(group.table, self.shape.statistics))
        values = next((block.values for block in blocks if block.table.digest == group.table.digest), None)
        panes, extra = self._aggregate(home, group.waiting, rounds, values)
        first = panes.slice(0, group.ranks[1])
        away = ~self.residents.at_home(home, first.source)
        if away.any():
            yield from self._blocks(list(self.residents.close(first.source[away], first.start[away])))
            self.residents.settle(home, first.source[away])
        slots = self.residents.slots(panes.source)
        for begin, end in pairwise(group.ranks):
            part, mine = panes.slice(begin, end), slots[begin:end]
            home.carry(part, mine)
            ended += self.residents.close_at(home, part.source, part.start)
            home.widen(part, mine)
        if self.shape.base:
            closed = Closed(panes.source, panes.start, panes.rounds, panes.late, panes.kept)
            block = self._block(Ended(home.table, Kind(self.shape.pane, self.shape.pane), closed))
            block.statistics.update(zip(map(quantile_name, self.shape.quantiles), extra, strict=True))
            yield block

    def _aggregate(
        self, home: Home, waiting: Waiting, rounds: Arrivals, values: Floats | None
    ) -> tuple[PaneSet, Floats]:
        """Return the panes, and their quantiles (Q, P, S)."""
        many, size, counters = len(waiting.source), len(home.table), home.counters
        kept = np.zeros((ROWS, many, size))
        extra = np.empty((len(self.shape.quantiles), many, size))
        ends = Ends(*np.empty((len(Ends._fields), many, len(counters)))) if len(counters) else None
        for cube in cubes(waiting, rounds.time, rounds.row, values, size):
            self._aggregate_cube(cube, counters, kept, extra, ends)
        starts = waiting.pane * self.shape.pane
        return PaneSet(waiting.source, starts, waiting.length, self._late(waiting), kept, ends), extra

    def _aggregate_cube(self, cube: Cube, counters: Ints, kept: Floats, extra: Floats, ends: Ends | None) -> None:
        places = cube.places
        if ends is not None:
            within = self.shape.pane <= LONGEST_STEP_MS
            grown, elapsed, mine = increases(cube.values[:, :, counters], cube.times, within=within)
            kept[INCREASE, places[:, None], counters], kept[ELAPSED, places[:, None], counters] = grown, elapsed
            for column, found in zip(ends, mine, strict=True):
                column[places] = found
        if self.shape.quantiles:
            extra[:, places] = quantiles(cube.values, self.shape.quantiles)
        out = np.empty((INCREASE, *cube.values.shape[1:]))
        summarise(cube.values, out)
        kept[:INCREASE, places] = out

    def _late(self, waiting: Waiting) -> Ints:
        late = np.zeros(len(waiting.source), np.int64)
        if self.gate.late:
            for place, one in enumerate(zip(waiting.source.tolist(), waiting.pane.tolist(), strict=True)):
                late[place] = self.gate.late.pop(one, 0)
        return late

    # Windows ---------------------------------------------------------------------------------------------------------

    def _blocks(self, ended: Sequence[Ended]) -> Iterator[WindowBlock]:
        """Yield the windows that ended: first those put together of several tables, which are the older ones."""
        older = [one for one in ended if one.joined]
        for one in sorted(older, key=lambda one: (one.kind, int(one.closed.start[0]))):
            yield self._block(one)
        groups: dict[tuple[int, Kind], list[Ended]] = {}
        for one in ended:
            if not one.joined:
                groups.setdefault((one.table.digest, one.kind), []).append(one)
        for group in groups.values():
            yield self._block(_together(group))

    def _block(self, ended: Ended) -> WindowBlock:
        closed = ended.closed
        return WindowBlock(
            table=ended.table,
            width_ms=ended.kind.width,
            index=np.full(len(closed.source), -1, dtype=np.int64),
            sources=[self.marks.names[source] for source in closed.source.tolist()],
            starts=closed.start,
            rounds=closed.rounds,
            late=closed.late,
            statistics=statistics(closed.kept, layout(ended.table).counters),
        )


def _column(blocks: Sequence[RoundBlock], name: str) -> Ints:
    columns: list[Ints] = [getattr(block, name) for block in blocks]
    return np.concatenate(columns) if len(columns) > 1 else columns[0]


def _together(group: Sequence[Ended]) -> Ended:
    if len(group) == 1:
        return group[0]
    closed = [one.closed for one in group]
    source, start, rounds, late = (np.concatenate([one[number] for one in closed]) for number in range(4))
    kept = np.concatenate([one.kept for one in closed], axis=1)
    return replace(group[0], closed=Closed(source, start, rounds, late, kept))


def _one_for_each_table(blocks: Sequence[RoundBlock]) -> Sequence[RoundBlock]:
    """Return the blocks, those of equal tables (JSON beside columnar rounds) as one."""
    groups: dict[int, list[RoundBlock]] = {}
    for block in blocks:
        groups.setdefault(block.table.digest, []).append(block)
    return blocks if len(groups) == len(blocks) else [_joined(group) for group in groups.values()]


def _joined(group: Sequence[RoundBlock]) -> RoundBlock:
    order_of_log = np.argsort(np.concatenate([block.index for block in group]))
    sources = [name for block in group for name in block.sources]
    columns = {
        name: np.concatenate([getattr(block, name) for block in group])[order_of_log]
        for name in ("index", "times", "epoch", "sequence", "values")
    }
    return RoundBlock(table=group[0].table, sources=[sources[row] for row in order_of_log.tolist()], **columns)
