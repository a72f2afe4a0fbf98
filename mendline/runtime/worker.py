"""One partition in a member's hands: decode, log time, fold, and how far its outputs are acknowledged."""

from __future__ import annotations

import base64
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from mendline.logs.base import Committed
from mendline.runtime.logtime import LogClock
from mendline.runtime.snapshots import SnapshotHead, SnapshotPlace
from mendline.schemas.base import record_id
from mendline.schemas.decode import decode
from mendline.schemas.records import DeadLetter, Progress, Tick, encode_record
from mendline.schemas.stream import Batch, Input, NewRecord, Partition, Stage, Tallying

if TYPE_CHECKING:
    from mendline.runtime.metrics import Metrics
    from mendline.runtime.spec import StageSpec

MOST_DEAD_LETTER_BYTES = 500_000
MOST_KEY_BYTES = 1_000


@dataclass(slots=True)
class Worker:
    """A stage at work on one partition.

    `position` is the next offset to fold, `muted_until` the offset below which outputs were acknowledged in an
    earlier life, `acknowledged` the offset up to which they are now, `snapshot` where the newest usable one stands.
    """

    spec: StageSpec
    partition: Partition
    stage: Stage
    position: int
    muted_until: int
    metrics: Metrics
    dead_letters: str
    clock: LogClock = field(default_factory=LogClock)
    acknowledged: int = 0
    committed: int = 0
    snapshot: SnapshotPlace | None = None
    quiet_since: float = 0.0
    tick_at: float = 0.0
    snapshot_at: float = 0.0
    snapshot_offset: int = -1

    def fold(self, batch: Batch, *, caught_up: bool) -> list[NewRecord]:
        """Fold a batch and return its outputs, dead letters included; nothing for what is muted."""
        outputs: list[NewRecord] = []
        for part, muted in self._split(batch):
            said = self._fold_part(part, caught_up=caught_up, muted=muted)
            if not muted:
                outputs.extend(said)
        self.position = batch.next_offset
        return outputs

    def _split(self, batch: Batch) -> Iterator[tuple[Batch, bool]]:
        at = bisect_left(batch.offsets, self.muted_until)
        if at == 0:
            yield batch, False
        elif at == len(batch):
            yield batch, True
        else:
            yield cut(batch, 0, at), True
            yield cut(batch, at, len(batch)), False

    def _fold_part(self, batch: Batch, *, caught_up: bool, muted: bool) -> list[NewRecord]:
        began = perf_counter()
        log_times = self.clock.advance(batch.timestamps)
        decoded = decode(batch)
        outputs = list(
            self.stage.fold(
                Input(
                    partition=self.partition,
                    offsets=batch.offsets,
                    append_times=decoded.append_times,
                    log_times=log_times,
                    rounds=decoded.rounds,
                    windows=decoded.windows,
                    records=decoded.records,
                    caught_up=caught_up,
                    muted=muted,
                )
            )
        )
        if decoded.unreadable and self.spec.dead_letters and not muted:
            outputs.extend(self._dead(batch, index, reason) for index, reason in decoded.unreadable)
        self._count(batch, len(decoded.unreadable), perf_counter() - began)
        return outputs

    def _count(self, batch: Batch, unreadable: int, seconds: float) -> None:
        stage, number = self.spec.name, str(self.partition.number)
        self.metrics.add("mendline_records_consumed", stage, number, len(batch))
        self.metrics.add("mendline_batches", stage, number)
        self.metrics.add("mendline_fold_seconds", stage, number, seconds)
        self.metrics.set("mendline_input_timestamp_seconds", stage, number, batch.timestamps[-1] / 1000)
        if unreadable:
            self.metrics.add("mendline_records_dead", stage, number, unreadable)

    def _dead(self, batch: Batch, index: int, reason: str) -> NewRecord:
        key, value = batch.keys[index], batch.values[index]
        letter = DeadLetter(
            id=record_id("deadletter", *self.partition, batch.offsets[index]),
            source=self.spec.name,
            time=batch.timestamps[index],
            topic=self.partition.topic,
            partition=self.partition.number,
            offset=batch.offsets[index],
            stage=self.spec.name,
            reason=reason,
            key=None if key is None else _kept(key, MOST_KEY_BYTES),
            value=_kept(value, MOST_DEAD_LETTER_BYTES),
            headers=tuple((name[:100], _kept(content, MOST_KEY_BYTES)) for name, content in batch.headers[index][:20]),
        )
        return NewRecord(self.dead_letters, encode_record(letter), key if key and len(key) <= MOST_KEY_BYTES else None)

    def tell_tallies(self) -> None:
        """Tell the metrics what the stage has set aside; too costly to be done for each batch."""
        if isinstance(self.stage, Tallying):
            self.metrics.tally(self.spec.name, str(self.partition.number), self.stage.tallies())

    def head(self) -> SnapshotHead:
        """Return whose state this is, and of when, for a snapshot made now."""
        clock = LogClock(self.clock.now, self.clock.append_time)
        return SnapshotHead(self.spec.name, self.partition, self.position, clock, self.spec.config)

    def place(self) -> Committed:
        """Return what is to be committed now."""
        return Committed(self.acknowledged, self.snapshot.text() if self.snapshot else "")

    def progress(self, member: str, now_ms: int, lag: int) -> Progress:
        """Return how far this partition is, for the journal."""
        return Progress(
            id=record_id("progress", self.spec.name, *self.partition, self.position, self.clock.now),
            source=member,
            time=now_ms,
            stage=self.spec.name,
            topic=self.partition.topic,
            partition=self.partition.number,
            log_time=self.clock.now,
            offset=self.position,
            lag=lag,
            config=self.spec.config,
        )

    def tick(self, member: str, now_ms: int) -> NewRecord:
        """Return a tick for the input partition."""
        record = Tick(source=member, time=now_ms)
        return NewRecord(self.partition.topic, encode_record(record), partition=self.partition.number)


def _kept(content: bytes, most: int) -> str:
    """Return as much of `content` as a dead letter holds, in base64."""
    return base64.b64encode(content[:most]).decode()


def cut(batch: Batch, begin: int, end: int) -> Batch:
    """Return the records from position `begin` up to, not including, `end`."""
    return Batch(
        batch.partition,
        batch.offsets[begin:end],
        batch.timestamps[begin:end],
        batch.keys[begin:end],
        batch.values[begin:end],
        batch.headers[begin:end],
    )
