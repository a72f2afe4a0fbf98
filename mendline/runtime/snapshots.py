"""Snapshots: a stage's state on the state topic, and the way back.

A snapshot is a run of records on one partition of the state topic, one for each block of the stage's state. Where it
stands is kept beside the group's committed offset (`Committed.metadata`, as `PARTITION:FIRST:LAST`), so that the way
back is one short read and needs no search.

State may be as large as memory allows, so a snapshot is made and read block by block: only the last block tells how
many there are. Within its run there may be blocks of other snapshots, and blocks twice, where the log did not answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, NamedTuple

from mendline.schemas.base import UnreadableRecordError, record_id
from mendline.schemas.columnar import decode_snapshot, encode_snapshot
from mendline.schemas.records import Snapshot
from mendline.schemas.stream import SNAPSHOT_HEADERS, NewRecord, Partition, StateBlock

if TYPE_CHECKING:
    from mendline.logs.base import Consumer, Log, Position
    from mendline.runtime.logtime import LogClock

READ_TIMEOUT_S = 10.0
PORTION_BYTES = 4 << 20
"""What of a snapshot is appended at once, and so held in memory."""
UNKNOWN = 0
"""How many blocks there are, in all blocks but the last."""
NO_STATE = StateBlock(sources=())


class SnapshotPlace(NamedTuple):
    """Where a snapshot stands on the state topic: offsets of its first and last record."""

    partition: int
    first: int
    last: int

    def text(self) -> str:
        """Return the form that is kept beside a committed offset."""
        return f"{self.partition}:{self.first}:{self.last}"

    @staticmethod
    def parse(text: str) -> SnapshotPlace | None:
        """Return the place that `text` tells, or None when it tells none."""
        parts = text.split(":")
        if len(parts) != 3 or not (text.isascii() and all(map(str.isdigit, parts))):  # noqa: PLR2004 - partition, first, last
            return None
        return SnapshotPlace(*(int(part) for part in parts))

    @staticmethod
    def of(positions: Sequence[Position]) -> SnapshotPlace:
        """Return the place of a snapshot whose records went to `positions`."""
        return SnapshotPlace(positions[0].partition.number, positions[0].offset, positions[-1].offset)


@dataclass(frozen=True, slots=True)
class SnapshotHead:
    """Whose snapshot it is, and of when: `offset` is the next one to read from the input partition."""

    stage: str
    input: Partition
    offset: int
    clock: LogClock
    config: str


def write_snapshot(head: SnapshotHead, blocks: Iterable[StateBlock], topic: str) -> Iterator[NewRecord]:
    """Yield the records of a snapshot for the state `topic`; at least one, even when there is no state."""
    following = iter(blocks)
    first = next(following, NO_STATE)
    for number, (block, after) in enumerate(pairwise(chain((first,), following, (None,)))):
        if block is not None:
            yield _record(head, block, number, UNKNOWN if after else number + 1, topic)


def _record(head: SnapshotHead, block: StateBlock, number: int, blocks: int, topic: str) -> NewRecord:
    snapshot = Snapshot(
        id=record_id("snapshot", head.stage, head.input.topic, head.input.number, head.offset, number),
        source=head.stage,
        time=max(head.clock.append_time, 0),
        stage=head.stage,
        topic=head.input.topic,
        partition=head.input.number,
        offset=head.offset,
        log_time=head.clock.now,
        append_time=head.clock.append_time,
        config=head.config,
        block=number,
        blocks=blocks,
        sources=tuple(block.sources),
        values=block.values,
    )
    key = snapshot_key(head.stage, head.input)
    return NewRecord(topic, encode_snapshot(snapshot, block.arrays), key, headers=SNAPSHOT_HEADERS)


def snapshot_key(stage: str, source: Partition) -> bytes:
    """Return the key of a stage's snapshots, which says on which partition of the state topic they are."""
    return f"{stage}/{source.topic}/{source.number}".encode()


def in_portions(records: Iterable[NewRecord]) -> Iterator[list[NewRecord]]:
    """Yield the records in portions of about `PORTION_BYTES`; one larger than that by itself."""
    portion: list[NewRecord] = []
    size = 0
    for record in records:
        portion.append(record)
        size += len(record.value)
        if size >= PORTION_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


@dataclass(frozen=True, slots=True)
class Restored:
    """A snapshot read back."""

    offset: int
    log_time: int
    append_time: int
    config: str
    blocks: deque[StateBlock]

    def taken(self) -> Iterator[StateBlock]:
        """Yield the blocks, and forget each: what a stage has taken over need not be there twice."""
        while self.blocks:
            yield self.blocks.popleft()


def read_snapshot(log: Log, topic: str, place: SnapshotPlace, stage: str, source: Partition) -> Restored | None:
    """Return the snapshot at `place`, or None when retention or damage left less than all of it."""
    partition = Partition(topic, place.partition)
    consumer = log.consumer(f"restore-{stage}-{source.number}")
    try:
        consumer.assign([partition])
        if consumer.beginning_offset(partition) > place.first or consumer.end_offset(partition) <= place.last:
            return None
        consumer.start(partition, place.first)
        parts = _read(consumer, place.last - place.first + 1, stage, source)
    finally:
        consumer.close()
    return assemble(parts)


Part = tuple[Snapshot, StateBlock]


def _read(consumer: Consumer, count: int, stage: str, source: Partition) -> list[Part]:
    """Return the blocks of the stage and partition among the next records; none when one is missing or damaged."""
    parts: list[Part] = []
    while count > 0:
        batches = consumer.poll(READ_TIMEOUT_S).batches
        if not batches:
            return []
        for value in [value for batch in batches for value in batch.values][:count]:
            try:
                part = part_of(value)
            except UnreadableRecordError:
                return []
            # Several members may snapshot into one partition of the state topic at once.
            if (part[0].stage, part[0].topic, part[0].partition) == (stage, source.topic, source.number):
                parts.append(part)
        count -= sum(map(len, batches))
    return parts


def part_of(value: bytes) -> Part:
    """Return the block that is in a record of the state topic. Raises UnreadableRecordError."""
    head, arrays = decode_snapshot(value)
    return head, StateBlock(head.sources, arrays, head.values)


def assemble(parts: Sequence[Part]) -> Restored | None:
    """Return the snapshot that the last block ends, or None when one of its blocks is not there."""
    if not parts:
        return None
    one = parts[-1][0]
    blocks = {head.block: block for head, block in parts if head.offset == one.offset}
    if blocks.keys() != set(range(one.blocks)):
        return None
    whole = deque(blocks[number] for number in range(one.blocks))
    if one.blocks == 1 and whole[0] == NO_STATE:
        whole.clear()
    return Restored(one.offset, one.log_time, one.append_time, one.config, whole)
