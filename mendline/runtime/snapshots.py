"""Snapshots: a stage's state on the state topic, and the way back.

A snapshot is a run of records on one partition of the state topic, one for each block of the stage's state. Where it
stands is kept beside the group's committed offset (`Committed.metadata`, as `PARTITION:FIRST:LAST`), so that the way
back is one short read and needs no search.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mendline.schemas.base import UnreadableRecordError, record_id
from mendline.schemas.columnar import decode_snapshot, encode_snapshot
from mendline.schemas.records import Snapshot
from mendline.schemas.stream import SNAPSHOT_HEADERS, NewRecord, Partition, StateBlock

if TYPE_CHECKING:
    from mendline.logs.base import Log, Position
    from mendline.runtime.logtime import LogClock

READ_TIMEOUT_S = 10.0
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


def write_snapshot(head: SnapshotHead, blocks: Iterable[StateBlock], topic: str) -> list[NewRecord]:
    """Return the records of a snapshot for the state `topic`; at least one, even when there is no state."""
    whole = list(blocks) or [NO_STATE]
    key = f"{head.stage}/{head.input.topic}/{head.input.number}".encode()
    records = []
    for number, block in enumerate(whole):
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
            blocks=len(whole),
            sources=tuple(block.sources),
            values=block.values,
        )
        records.append(NewRecord(topic, encode_snapshot(snapshot, block.arrays), key, headers=SNAPSHOT_HEADERS))
    return records


@dataclass(frozen=True, slots=True)
class Restored:
    """A snapshot read back."""

    offset: int
    log_time: int
    append_time: int
    config: str
    blocks: tuple[StateBlock, ...]


def read_snapshot(log: Log, topic: str, place: SnapshotPlace, stage: str, source: Partition) -> Restored | None:
    """Return the snapshot at `place`, or None when retention or damage left less than all of it."""
    partition = Partition(topic, place.partition)
    consumer = log.consumer(f"restore-{stage}-{source.number}")
    try:
        consumer.assign([partition])
        if consumer.beginning_offset(partition) > place.first or consumer.end_offset(partition) <= place.last:
            return None
        consumer.start(partition, place.first)
        values: list[bytes] = []
        while len(values) <= place.last - place.first:
            batches = consumer.poll(READ_TIMEOUT_S).batches
            if not batches:
                return None
            values.extend(value for batch in batches for value in batch.values)
    finally:
        consumer.close()
    return _assemble(values[: place.last - place.first + 1], stage, source)


def _assemble(values: Iterable[bytes], stage: str, source: Partition) -> Restored | None:
    heads: list[Snapshot] = []
    blocks: list[StateBlock] = []
    for value in values:
        try:
            head, arrays = decode_snapshot(value)
        except UnreadableRecordError:
            return None
        # Several members may snapshot into one partition of the state topic at once.
        if (head.stage, head.topic, head.partition) == (stage, source.topic, source.number):
            heads.append(head)
            blocks.append(StateBlock(head.sources, arrays, head.values))
    if blocks == [NO_STATE]:
        blocks = []
    if not heads or [head.block for head in heads] != list(range(heads[0].blocks)):
        return None
    one = heads[0]
    return Restored(one.offset, one.log_time, one.append_time, one.config, tuple(blocks))
