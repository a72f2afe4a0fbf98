"""The stage `windows`: collection rounds in, closed windows out.

Repeats are dropped by order: of a source that counts, a round must have a higher (epoch, sequence) than any before; of
one that does not, a higher event time. A round more than `LONGEST_LEAD_MS` ahead of its append time is taken at its
append time, and counted as skewed. A source that was silent for `FORGET_MS` of log time begins anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.processors.panes import ROWS, statistics
from mendline.processors.sources import Entry, Shape, Source, counters_of
from mendline.processors.state import dump_sources, load_sources
from mendline.schemas.columnar import RoundBlock, WindowBlock, encode_windows
from mendline.schemas.stream import WINDOWS_HEADERS, Input, NewRecord, Partition, StateBlock

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.series import SeriesTable
    from mendline.schemas.settings import Settings

LONGEST_LEAD_MS = 60_000
FORGET_MS = 24 * 3_600_000


class _Run(NamedTuple):
    """Rounds of one source that share a table, neighbours in the batch but for other sources' rounds."""

    index: int
    block: RoundBlock
    rows: NDArray[np.int64]


class WindowsStage:
    """Windows of every source of one partition."""

    def __init__(self, settings: Settings, partition: Partition) -> None:
        """Make windows as `settings.windows` says, on `partition` of the metrics topic."""
        windows = settings.windows
        kinds = [(width, width) for width in windows.widths] + list(windows.hopping)
        self._shape = Shape(windows.pane, tuple(sorted(set(kinds))), windows.grace, windows.quantiles)
        self._names = [f"p{100 * quantile:g}" for quantile in windows.quantiles]
        self._topic = settings.topics.topic("windows")
        self._partition = partition
        self._sources: dict[str, Source] = {}

    def fold(self, batch: Input) -> Iterator[NewRecord]:
        """Take the rounds in and yield the windows they close."""
        closed = [
            (name, entry)
            for name, runs in _runs_by_source(batch.rounds).items()
            for entry in self._fold_source(name, runs, batch)
        ]
        if closed:
            for value in encode_windows(self._blocks(closed)):
                yield NewRecord(self._topic, value, None, self._partition.number, WINDOWS_HEADERS)

    def dump(self) -> Iterator[StateBlock]:
        """Yield what is kept, in blocks of sources."""
        return dump_sources(self._sources)

    def load(self, blocks: Iterable[StateBlock]) -> None:
        """Take over what `dump` yielded."""
        self._sources = load_sources(blocks)

    def _fold_source(self, name: str, runs: Sequence[_Run], batch: Input) -> Iterator[Entry]:
        for run in runs:
            source = self._source(name, run, batch)
            fresh = _fresh(source, run)
            if not len(fresh):
                continue
            times = run.block.times[fresh]
            appended = batch.append_times[run.block.index[fresh]]
            if (ahead := times > appended + LONGEST_LEAD_MS).any():
                source.skewed += int(np.count_nonzero(ahead))
                times = np.where(ahead, appended, times)
            if run.block.table.digest != source.table.digest:
                yield from source.close(self._shape)
            source.take(run.block.table, times, run.block.values[fresh], self._shape)
            yield from source.close(self._shape)

    def _source(self, name: str, run: _Run, batch: Input) -> Source:
        log_times = batch.log_times[run.block.index[run.rows]]
        source = self._sources.get(name)
        if source is None or log_times[0] - source.seen > FORGET_MS:
            source = self._sources[name] = Source(run.block.table)
        source.seen = int(log_times[-1])
        return source

    def _blocks(self, closed: Sequence[tuple[str, Entry]]) -> Iterator[WindowBlock]:
        groups: dict[tuple[int, int], list[tuple[str, Entry]]] = {}
        for one in closed:
            groups.setdefault((one[1].table.digest, one[1].width), []).append(one)
        for group in groups.values():
            yield self._block(group[0][1].table, group[0][1].width, group)

    def _block(self, table: SeriesTable, width: int, group: Sequence[tuple[str, Entry]]) -> WindowBlock:
        kept = np.stack([entry.kept for _, entry in group])
        values = statistics(kept, counters_of(table))
        if width == self._shape.pane:
            values |= {name: kept[:, ROWS + number] for number, name in enumerate(self._names)}
        return WindowBlock(
            table=table,
            width_ms=width,
            index=np.full(len(group), -1, dtype=np.int64),
            sources=[name for name, _ in group],
            starts=np.array([entry.start for _, entry in group], dtype=np.int64),
            rounds=np.array([entry.rounds for _, entry in group], dtype=np.int64),
            late=np.array([entry.late for _, entry in group], dtype=np.int64),
            statistics=values,
        )


def _runs_by_source(blocks: Sequence[RoundBlock]) -> dict[str, list[_Run]]:
    """Return each source's rounds in order of the batch, cut where its table changes."""
    found: dict[str, list[_Run]] = {}
    for block in blocks:
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(block.sources):
            rows.setdefault(name, []).append(row)
        for name, mine in rows.items():
            found.setdefault(name, []).append(_Run(int(block.index[mine[0]]), block, np.array(mine, dtype=np.int64)))
    for name, runs in found.items():
        if len(runs) > 1:
            found[name] = list(_interleaved(runs))
    return found


def _interleaved(runs: Sequence[_Run]) -> Iterator[_Run]:
    rows = sorted(
        (int(run.block.index[row]), number, int(row)) for number, run in enumerate(runs) for row in run.rows
    )
    for number, group in itertools.groupby(rows, key=lambda one: one[1]):
        mine = np.array([row for _, _, row in group], dtype=np.int64)
        yield _Run(int(runs[number].block.index[mine[0]]), runs[number].block, mine)


def _fresh(source: Source, run: _Run) -> NDArray[np.int64]:
    """Return the rows of the run that are no repeats, and note how far the source has come."""
    block, rows = run.block, run.rows
    epoch, sequence = block.epoch[rows], block.sequence[rows]
    if epoch[-1] == epoch[0] == source.epoch and sequence[0] > source.sequence and (np.diff(sequence) > 0).all():
        if (epoch == source.epoch).all():
            source.sequence = int(sequence[-1])
            return rows
    return np.array([row for row in rows.tolist() if _is_fresh(source, block, row)], dtype=np.int64)


def _is_fresh(source: Source, block: RoundBlock, row: int) -> bool:
    epoch, sequence = int(block.epoch[row]), int(block.sequence[row])
    if epoch < 0:
        fresh = int(block.times[row]) > source.uncounted
        source.uncounted = max(source.uncounted, int(block.times[row]))
        return fresh
    if (epoch, sequence) <= (source.epoch, source.sequence):
        return False
    source.epoch, source.sequence = epoch, sequence
    return True
