"""One partition in a member's hands: decode, log time, fold, and how far its outputs are acknowledged."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter
from typing import TYPE_CHECKING

from mendline.logs.base import Committed
from mendline.runtime.deadletters import FoldError, Limit, Poison, dead_letter
from mendline.runtime.logtime import LogClock
from mendline.runtime.snapshots import SnapshotHead, SnapshotPlace, Written
from mendline.schemas.base import record_id
from mendline.schemas.decode import decode
from mendline.schemas.records import Progress, Tick, encode_record
from mendline.schemas.stream import Batch, Input, NewRecord, Partition, Stage, Tallying

if TYPE_CHECKING:
    from mendline.runtime.metrics import Metrics
    from mendline.runtime.restore import Warming
    from mendline.runtime.spec import StageSpec


@dataclass(slots=True)
class Worker:
    """A stage at work on one partition.

    `position` is the next offset to fold, `muted_until` the offset below which outputs were acknowledged in an
    earlier life, `acknowledged` the offset up to which they are now, `snapshot` where the newest usable one stands and
    `written` its records; `replaced` are those of older and unfinished ones that may still be there, `let_go` is up to
    where they are not. `unsaved_s` is how long it took to fold what came after the newest snapshot, `saved_ms` of what
    append time that is.
    `warming` takes the records before its end in the stage's place, and then joins it.
    """

    spec: StageSpec
    partition: Partition
    stage: Stage
    position: int
    muted_until: int
    metrics: Metrics
    dead_letters: str
    limit: Limit
    poison: Poison
    clock: LogClock = field(default_factory=LogClock)
    acknowledged: int = 0
    committed: int = 0
    snapshot: SnapshotPlace | None = None
    written: Written | None = None
    replaced: list[Written] = field(default_factory=list)
    let_go: int = 0
    unsaved_s: float = 0.0
    saved_ms: int = -1
    quiet_since: float = 0.0
    tick_at: float = 0.0
    snapshot_at: float = 0.0
    snapshot_by: float = 0.0
    snapshot_offset: int = -1
    warming: Warming | None = None

    def fold(self, batch: Batch, *, caught_up: bool) -> list[NewRecord]:
        """Fold a batch and return its outputs, dead letters included; nothing for what is muted.

        Raises FoldError when the stage fails: this worker is of no more use then. Raises StageStoppedError.
        """
        outputs: list[NewRecord] = []
        for part, muted in self._split(batch):
            said = self._fold_part(part, caught_up=caught_up, muted=muted)
            if not muted:
                outputs.extend(said)
        self.position = batch.next_offset
        return outputs

    def _split(self, batch: Batch) -> Iterator[tuple[Batch, bool]]:
        """Yield the batch in parts that are muted or not, and what is suspected of poison one record at a time."""
        borders = {0, bisect_left(batch.offsets, self.muted_until), len(batch)}
        if self.warming:
            borders.add(bisect_left(batch.offsets, self.warming.until))
        if batch.offsets[0] < self.poison.careful_until:
            borders.update(range(bisect_left(batch.offsets, self.poison.careful_until) + 1))
        for offset in self.poison.offsets:
            at = bisect_left(batch.offsets, offset)
            borders.update((at, min(at + 1, len(batch))))
        for begin, end in pairwise(sorted(borders)):
            yield (
                (batch if end - begin == len(batch) else cut(batch, begin, end)),
                batch.offsets[begin] < self.muted_until,
            )

    def _fold_part(self, batch: Batch, *, caught_up: bool, muted: bool) -> list[NewRecord]:
        began = perf_counter()
        stage, clock = self._at_work(batch.offsets[0])
        log_times = clock.advance(batch.timestamps)
        if reason := self.poison.offsets.get(batch.offsets[0]):
            unreadable, outputs = [(0, reason)], []
        else:
            decoded = decode(batch)
            unreadable = decoded.unreadable if self.spec.dead_letters else []
            outputs = _ask(
                stage,
                batch,
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
                    raw=batch,
                ),
            )
        if not muted:
            self.limit.count(len(batch), len(unreadable), unreadable[-1][1] if unreadable else "")
            outputs.extend(dead_letter(self.dead_letters, self.spec.name, batch, *one) for one in unreadable)
        self._count(batch, len(unreadable), perf_counter() - began)
        return outputs

    def _at_work(self, offset: int) -> tuple[Stage, LogClock]:
        """Return who folds the record at `offset`, and the log time it has there."""
        if self.warming and offset < self.warming.until:
            return self.warming.unready.stage, self.warming.clock
        if self.warming:
            self.warming.unready.join(self.clock.now - self.warming.clock.now)
            self.warming = None
        return self.stage, self.clock

    def _count(self, batch: Batch, unreadable: int, seconds: float) -> None:
        stage, number = self.spec.name, str(self.partition.number)
        self.metrics.add("mendline_records_consumed", stage, number, len(batch))
        self.metrics.add("mendline_batches", stage, number)
        self.metrics.add("mendline_fold_seconds", stage, number, seconds)
        self.unsaved_s += seconds
        self.metrics.set("mendline_input_timestamp_seconds", stage, number, batch.timestamps[-1] / 1000)
        if unreadable:
            self.metrics.add("mendline_records_dead", stage, number, unreadable)

    def tell_tallies(self) -> None:
        """Tell the metrics what the stage has set aside; too costly to be done for each batch."""
        if isinstance(self.stage, Tallying):
            self.metrics.tally(self.spec.name, str(self.partition.number), self.stage.tallies())

    def head(self, life: str, *, kept: bool) -> SnapshotHead:
        """Return whose state this is, and of when, for a snapshot made now in the `life` of a member."""
        clock = LogClock(self.clock.now, self.clock.append_time)
        return SnapshotHead(self.spec.name, self.partition, self.position, clock, self.spec.config, life, kept)

    def stands(self, place: SnapshotPlace, written: Written) -> None:
        """Note that a snapshot is complete on the log; the one before may go when this one's place is committed."""
        if self.written:
            self.replaced.append(self.written)
        self.snapshot, self.written = place, written
        # What is committed next carries the new place; without new records the place alone is worth a commit.
        self.committed = min(self.committed, self.acknowledged - 1)

    def replaced_keys(self) -> list[bytes]:
        """Return the keys of older and unfinished snapshots that may still be there."""
        return [key for one in self.replaced for key in one.keys]

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
            behind_ms=max(now_ms - self.clock.append_time, 0) if lag and self.clock.append_time >= 0 else 0,
            config=self.spec.config,
        )

    def tick(self, member: str, now_ms: int) -> NewRecord:
        """Return a tick for the input partition."""
        record = Tick(source=member, time=now_ms)
        return NewRecord(self.partition.topic, encode_record(record), partition=self.partition.number)


def _ask(stage: Stage, batch: Batch, given: Input) -> list[NewRecord]:
    try:
        return list(stage.fold(given))
    except MemoryError:
        raise
    except Exception as error:
        raise FoldError(batch, error) from error


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
