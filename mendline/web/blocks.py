"""Rounds and windows of hosts, read from the log within a span of time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from mendline.logs.partitioner import partition_of
from mendline.reading import offset_at, read_batches
from mendline.schemas.columnar import WindowBlock
from mendline.schemas.decode import decode
from mendline.schemas.stream import Partition

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.schemas.columnar import RoundBlock
    from mendline.schemas.stream import Batch

    Block = RoundBlock | WindowBlock

MOST_RECORDS = 50_000
"""So many rounds or windows, of whatever host, are read for one answer."""
LATE_MS = 30_000
"""What was measured in time may reach the log so much later."""


class Span(NamedTuple):
    """What is looked for: series of a source over event time [begin, end) in ms."""

    source: str
    begin: int
    end: int


def place_of(log: Log, topic: str, source: str) -> Partition | None:
    """Return the partition in which a host's records stand, None when there is no such topic."""
    count = log.topics().get(topic, 0)
    return Partition(topic, partition_of(source.encode(), count)) if count else None


def batches(log: Log, place: Partition, begin: int, end: int | None = None) -> Iterator[Batch]:
    """Yield what was appended from `begin` on, until some time after `end` (ms). Raises as `read_batches`."""
    for batch in read_batches(log, place, offset_at(log, place, begin)):
        yield batch
        if end is not None and batch.timestamps[-1] > end + LATE_MS:
            return


def blocks(log: Log, place: Partition, begin: int, end: int | None = None) -> Iterator[Block]:
    """Yield the rounds or windows of such batches."""
    for batch in batches(log, place, begin, end):
        decoded = decode(batch)
        yield from decoded.rounds
        yield from decoded.windows


def rows(block: Block, span: Span) -> Iterator[tuple[int, int]]:
    """Yield the rows that are of the source and in time, with their event time: of a window, its end."""
    times = (block.starts + block.width_ms if isinstance(block, WindowBlock) else block.times).tolist()
    for row, (source, time) in enumerate(zip(block.sources, times, strict=True)):
        if source == span.source and span.begin <= time < span.end:
            yield row, time
