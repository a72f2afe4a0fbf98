"""When a member takes snapshots, and when those before are let go."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from mendline.logs.base import LogError
from mendline.runtime.snapshots import SnapshotPlace, Written, in_portions, name_of, write_snapshot
from mendline.schemas.stream import Partition

if TYPE_CHECKING:
    from mendline.logs.base import Consumer, Position
    from mendline.runtime.member import Pace
    from mendline.runtime.metrics import Metrics
    from mendline.runtime.outbox import Outbox
    from mendline.runtime.worker import Worker

SNAPSHOT_PAUSE = 20
"""How many times as long as a snapshot took no other follows."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Saver:
    """Takes the snapshots of one life of a member, on the `topic` with so many `partitions`.

    One in `every_ms` (append time) is kept for as long as the topic keeps anything, the others until they are replaced.
    """

    topic: str
    partitions: int
    every_ms: int
    pace: Pace
    clock: Callable[[], float]
    metrics: Metrics
    life: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def begin(self, worker: Worker, *, new_settings: bool = False) -> None:
        """Plan the first snapshot of a worker's life: soon, whatever there is to save.

        Under new settings it is kept: no kept one before is under them, so a replay could not begin with any.
        """
        worker.saved_ms = -1 if new_settings else worker.clock.append_time
        worker.snapshot_at = worker.snapshot_by = self.clock() + self.pace.snapshot

    def save_if_due(self, worker: Worker, consumer: Consumer, outbox: Outbox) -> None:
        """Take a snapshot once folding again what came after the last one would cost a restart something."""
        now = self.clock()
        costly = worker.unsaved_s >= self.pace.again or now >= worker.snapshot_by
        if worker.position <= worker.snapshot_offset or now < worker.snapshot_at or not costly:
            return
        self.save(worker, consumer, outbox)
        after = self.clock()
        worker.snapshot_at = after + max(self.pace.snapshot, SNAPSHOT_PAUSE * (after - now))
        worker.snapshot_by = max(after + self.pace.seldom, worker.snapshot_at)

    def save(self, worker: Worker, consumer: Consumer, outbox: Outbox) -> None:
        """Take a snapshot, and let those before the committed one go first: at most two whole ones are there."""
        if worker.position < worker.muted_until:
            return  # older than the snapshot it came from would be
        self.let_go(worker, consumer, outbox)
        stored: list[Position] = []
        head, count = worker.head(self.life, kept=self._is_kept(worker)), 0
        for portion in in_portions(write_snapshot(head, worker.stage.dump(), self.topic, self.partitions)):
            if outbox.unavailable:
                worker.replaced.append(Written(head.begin, count))
                return  # the rest would only fill the memory; what stands of it harms nobody
            outbox.append(portion, stored.extend)
            count += len(portion)
        worker.snapshot_offset, worker.unsaved_s = worker.position, 0.0
        worker.saved_ms = worker.clock.append_time
        worker.tell_tallies()
        outbox.append([], partial(self._stands, worker, stored, Written(head.begin, 0 if head.kept else count)))

    def _is_kept(self, worker: Worker) -> bool:
        """Say whether the next snapshot is the first of its time: by the log's clock, so the same after a restart."""
        every = self.every_ms
        return bool(every) and worker.clock.append_time // every != worker.saved_ms // every

    def let_go(self, worker: Worker, consumer: Consumer, outbox: Outbox) -> None:
        """Let go of what stands before the newest snapshot, if that is what a restart would go on from by now.

        Only what was committed tells: a commit may be lost, and another member may own the partition by now. Never
        raises.
        """
        place = worker.snapshot
        if place is None or place.first <= worker.let_go:
            return
        name = name_of(worker.spec.name, worker.partition)
        try:
            committed = consumer.committed(worker.partition)
            if committed is None or committed.metadata != place.text():
                return
            outbox.forget(Partition(self.topic, place.partition), name, place.first, worker.replaced_keys())
        except LogError as error:
            logger.warning("%s: old snapshots of %s are kept for now: %s", self.topic, name.decode(), error)
            return
        worker.replaced.clear()
        worker.let_go = place.first

    def _stands(self, worker: Worker, stored: Sequence[Position], written: Written, _: Sequence[Position]) -> None:
        worker.stands(SnapshotPlace.of(stored), written)
        self.metrics.add("mendline_snapshots", worker.spec.name, str(worker.partition.number))
