"""Windows said again, matched with those that were recorded: each source's row of each width, bit by bit.

One record holds the windows that one poll closed, so where records begin and end is chance; their rows are not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.replaying.matching import NOT_RECORDED, NOT_SAID, Differences, Matcher
from mendline.schemas.base import UnreadableRecordError
from mendline.schemas.columnar import WINDOWS_MAGIC, WindowBlock, decode_windows
from mendline.words import date

if TYPE_CHECKING:
    from mendline.schemas.series import SeriesTable
    from mendline.schemas.stream import Batch, NewRecord, Partition


Newest = dict[tuple[str, int], int]
NEVER = -(2**63)


class WindowKey(NamedTuple):
    """A window: source, width and start (ms)."""

    source: str
    width_ms: int
    start: int


@dataclass(frozen=True, slots=True)
class Row:
    """A window's content: its table, rounds, late ones, and its statistics' values, series by series, as bytes."""

    digest: int
    rounds: int
    late: int
    names: tuple[str, ...]
    values: bytes
    table: SeriesTable = field(compare=False)


class WindowMatcher(Matcher[WindowKey, Row]):
    """Matches the windows of one partition; those of `sources` only, if any are named."""

    def __init__(self, partition: Partition, sources: Collection[str], differences: Differences) -> None:
        """Add to `differences` what is found in `partition` of the windows."""
        super().__init__(f"{partition.topic} partition {partition.number}", differences)
        self._sources = sources
        self._newest: tuple[Newest, Newest] = (defaultdict(lambda: NEVER), defaultdict(lambda: NEVER))

    def take_recorded(self, batch: Batch) -> None:
        """Take recorded windows."""
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            if value[:4] == WINDOWS_MAGIC:
                for key, row in self._new(_blocks(value), self._newest[0]):
                    self.record(key, row, offset)

    def take_replayed(self, batch: Batch, said: Sequence[NewRecord]) -> None:
        """Take what the stage says of a batch of rounds."""
        for record in said:
            if record.value[:4] == WINDOWS_MAGIC:
                for key, row in self._new(decode_windows(record.value, 0), self._newest[1]):
                    self.replay(key, row, batch.next_offset)

    def lane(self, key: WindowKey) -> tuple[str, int]:
        """Return the source and width: the order of these in a record depends on where batches end."""
        return key[:2]

    def kind(self, _: WindowKey) -> str:
        """Return what is counted."""
        return "windows"

    def name(self, key: WindowKey) -> str:
        """Return in words which window it is."""
        return f"the window of {key.source} from {date(key.start)} UTC over {key.width_ms / 1000:g} s"

    def explain(self, recorded: Row | None, replayed: Row | None) -> str:
        """Return how two windows differ, or what it means that one of them is not there."""
        if recorded is None or replayed is None:
            return NOT_RECORDED if recorded is None else NOT_SAID
        if recorded.digest != replayed.digest or recorded.names != replayed.names:
            return "its series or statistics are others"
        if (recorded.rounds, recorded.late) != (replayed.rounds, replayed.late):
            before, after = ((row.rounds, row.late) for row in (recorded, replayed))
            return f"rounds in it and late ones were recorded as {before} and follow as {after}"
        return _first_value(recorded, replayed)

    def _new(self, blocks: list[WindowBlock], newest: Newest) -> Iterator[tuple[WindowKey, Row]]:
        """Yield the windows of a record, without repeats: those that start no later than one before."""
        for block in blocks:
            for key, row in rows_of(block):
                if key.start > newest[key[:2]] and (not self._sources or key.source in self._sources):
                    newest[key[:2]] = key.start
                    yield key, row


def _blocks(value: bytes) -> list[WindowBlock]:
    try:
        return decode_windows(value, 0)
    except UnreadableRecordError:
        return []  # altered: what stood there will be missed


def rows_of(block: WindowBlock) -> Iterator[tuple[WindowKey, Row]]:
    """Yield the windows of a block."""
    names = tuple(block.statistics)
    packed = np.stack([block.statistics[name] for name in names], axis=1)
    counts = zip(block.starts.tolist(), block.rounds.tolist(), block.late.tolist(), strict=True)
    for entry, (source, (start, rounds, late)) in enumerate(zip(block.sources, counts, strict=True)):
        row = Row(block.table.digest, rounds, late, names, packed[entry].tobytes(), block.table)
        yield WindowKey(source, block.width_ms, start), row


def _first_value(recorded: Row, replayed: Row) -> str:
    before, after = (np.frombuffer(row.values, np.float64) for row in (recorded, replayed))
    place = int(np.flatnonzero(before.view(np.int64) != after.view(np.int64))[0])
    statistic, series = divmod(place, len(recorded.table))
    label = recorded.table.series[series].label
    told = (float(before[place]), float(after[place]))
    return f"{recorded.names[statistic]} of {label} was recorded as {told[0]!r} and follows as {told[1]!r}"
