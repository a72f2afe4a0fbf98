"""Snapshots: a stage's state on the state topic, and the way back.

A snapshot is a run of records on one partition of the state topic, one for each block of the stage's state. Where it
stands is kept beside the group's committed offset (`Committed.metadata`, as `PARTITION:FIRST:LAST`), so that the way
back is one short read and needs no search.

State may be as large as memory allows, so a snapshot is made and read block by block: only the last block tells how
many there are. Within its run there may be blocks of other snapshots, and blocks twice, where the log did not answer.

Each is whole, so those before it are of no use once its place is committed, and let go then: never before, for until
then they are what a restart would go on from. So that a log can do that by key, each block has a key of its own, which
begins with the stage and its input (`name_of`), the life of the member, and the offset: nobody else writes under it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, NamedTuple

from mendline.logs.partitioner import partition_of
from mendline.schemas.base import UnreadableRecordError, record_id
from mendline.schemas.columnar import decode_snapshot, encode_snapshot
from mendline.schemas.records import Snapshot
from mendline.schemas.stream import SNAPSHOT_HEADERS, Batch, NewRecord, Partition, StateBlock

if TYPE_CHECKING:
    from mendline.logs.base import Consumer, Log, Position
    from mendline.runtime.logtime import LogClock

READ_TIMEOUT_S = 10.0
PORTION_BYTES = 4 << 20
"""What of a snapshot is appended at once, and so held in memory."""
UNKNOWN = 0
"""How many blocks there are, in all blocks but the last."""
NO_STATE = StateBlock(sources=())
KEPT = b"kept/"
"""What the keys of snapshots begin with that stay, for replays to begin with."""


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
class Written:
    """The records of a snapshot: what their keys begin with, and how many there are."""

    begin: bytes
    count: int

    @property
    def keys(self) -> list[bytes]:
        """Their keys."""
        return [b"%b/%d" % (self.begin, number) for number in range(self.count)]


def name_of(stage: str, source: Partition) -> bytes:
    """Return what the keys of a stage's snapshots of an input partition begin with: all are in one partition by it."""
    return f"{stage}/{source.topic}/{source.number}".encode()


def is_under(name: bytes, key: bytes | None) -> bool:
    """Say whether a key is of one of the snapshots of that name."""
    mine = (key or b"").removeprefix(KEPT)
    return mine == name or mine.startswith(name + b"/")


@dataclass(frozen=True, slots=True)
class SnapshotHead:
    """Whose snapshot it is, and of when: `offset` is the next one to read from the input partition.

    `life` is the name of one run of a member, unlike all others. What is `kept` does not go with those before it.
    """

    stage: str
    input: Partition
    offset: int
    clock: LogClock
    config: str
    life: str = ""
    kept: bool = False

    @property
    def begin(self) -> bytes:
        """What the keys of its records begin with."""
        name = name_of(self.stage, self.input)
        return b"%b%b/%b/%d" % (KEPT if self.kept else b"", name, self.life.encode(), self.offset)


def write_snapshot(
    head: SnapshotHead, blocks: Iterable[StateBlock], topic: str, partitions: int = 1
) -> Iterator[NewRecord]:
    """Yield the records of a snapshot for the state `topic`; at least one, even when there is no state.

    All go to one of its `partitions`.
    """
    where = Partition(topic, partition_of(name_of(head.stage, head.input), partitions))
    following = iter(blocks)
    first = next(following, NO_STATE)
    for number, (block, after) in enumerate(pairwise(chain((first,), following, (None,)))):
        if block is not None:
            yield _record(head, block, number, UNKNOWN if after else number + 1, where)


def _record(head: SnapshotHead, block: StateBlock, number: int, blocks: int, where: Partition) -> NewRecord:
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
    key = b"%b/%d" % (head.begin, number)
    return NewRecord(where.topic, encode_snapshot(snapshot, block.arrays), key, where.number, SNAPSHOT_HEADERS)


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
    written: Written

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
        parts = _read(consumer, place.last, stage, source)
    finally:
        consumer.close()
    return assemble(parts, name_of(stage, source))


class Part(NamedTuple):
    """A block as it was read: its head, itself, and what the keys of its snapshot begin with."""

    head: Snapshot
    block: StateBlock
    begin: bytes


def _read(consumer: Consumer, last: int, stage: str, source: Partition) -> list[Part]:
    """Return the blocks of the stage and partition up to offset `last`; none when one is missing or damaged."""
    parts: list[Part] = []
    reached = -1
    while reached < last:
        batches = consumer.poll(READ_TIMEOUT_S).batches
        if not batches:
            return []
        try:
            parts += [part for batch in batches for part in _parts(batch, last, (stage, *source))]
        except UnreadableRecordError:
            return []
        reached = batches[-1].offsets[-1]
    return parts


def _parts(batch: Batch, last: int, whose: tuple[str, str, int]) -> Iterator[Part]:
    """Yield the blocks of one stage on one partition. Raises UnreadableRecordError.

    Several members may snapshot into one partition of the state topic at once. What was let go is not there, or empty.
    """
    for offset, key, value in zip(batch.offsets, batch.keys, batch.values, strict=True):
        if value and offset <= last:
            part = part_of(key, value)
            if (part.head.stage, part.head.topic, part.head.partition) == whose:
                yield part


def part_of(key: bytes | None, value: bytes) -> Part:
    """Return the block that is in a record of the state topic. Raises UnreadableRecordError."""
    head, arrays = decode_snapshot(value)
    return Part(head, StateBlock(head.sources, arrays, head.values), (key or b"").rpartition(b"/")[0])


def assemble(parts: Sequence[Part], name: bytes) -> Restored | None:
    """Return the snapshot that the last block ends, or None when one of its blocks is not there."""
    if not parts:
        return None
    one, _, begin = parts[-1]
    blocks = {head.block: block for head, block, run in parts if (head.offset, run) == (one.offset, begin)}
    if blocks.keys() != set(range(one.blocks)):
        return None
    whole = deque(blocks[number] for number in range(one.blocks))
    if one.blocks == 1 and whole[0] == NO_STATE:
        whole.clear()
    # What is kept does not go; and before keys had a number each, all of a stage's were `name` itself.
    written = Written(begin, one.blocks if begin.startswith(name + b"/") else 0)
    return Restored(one.offset, one.log_time, one.append_time, one.config, whole, written)
