"""A member of a stage's consumer group: the loop that everything on the log goes through.

One turn: take what the group gives or takes away; read; fold; send what follows; commit what is acknowledged. Nothing
waits for an acknowledgement: appends queue in the outbox, offsets are committed when the log has answered, and only
when too many appends wait does the member stop reading (it stays in the group). All on one thread.
"""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mendline.logs.base import LogUnavailableError
from mendline.runtime.deadletters import FoldError, Limit, Poison
from mendline.runtime.metrics import Metrics
from mendline.runtime.outbox import Outbox
from mendline.runtime.restore import find_start
from mendline.runtime.saving import Saver
from mendline.runtime.worker import Worker, cut
from mendline.schemas.base import record_id
from mendline.schemas.records import Activation, encode_record
from mendline.schemas.stream import NewRecord

if TYPE_CHECKING:
    import threading

    from mendline.logs.base import Consumer, Log, Polled, Position
    from mendline.runtime.spec import StageSpec
    from mendline.schemas.settings import TopicsSettings
    from mendline.schemas.stream import Batch, Partition

logger = logging.getLogger(__name__)

SCOPE = b"default"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a member does what is not driven by records. All in seconds.

    `tick` is how long a partition is quiet before it gets a tick, and `idle` how long one wait for records lasts. A
    snapshot is taken once it took `again` to fold what came after the last one, for that is what a restart folds again,
    but `snapshot` after it at the earliest (later when that cost more than a twentieth of the time), and `seldom` after
    it at the latest.
    """

    tick: float = 1.0
    progress: float = 1.0
    snapshot: float = 10.0
    again: float = 0.5
    seldom: float = 300.0
    idle: float = 0.5
    farewell: float = 10.0


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where a member's time comes from: a monotonic clock in seconds, and the time of day in ms. Stages get neither."""

    monotonic: Callable[[], float] = time.monotonic
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000


class Member:
    """Runs one stage on the partitions its group gives it."""

    def __init__(
        self,
        log: Log,
        spec: StageSpec,
        topics: TopicsSettings,
        name: str,
        *,
        metrics: Metrics | None = None,
        pace: Pace = Pace(),
        clocks: Clocks = Clocks(),
    ) -> None:
        """Make the member `name` of the group of `spec`; nothing is connected before `run` or `open`."""
        self.spec = spec
        self.name = name
        self.metrics = metrics or Metrics()
        self._log = log
        self._topics = topics
        self._pace = pace
        self._clocks = clocks
        self._workers: dict[Partition, Worker] = {}
        self._unopened: list[Partition] = []
        self._poison: dict[Partition, Poison] = {}
        self._paused = False
        self._progress_at = 0.0
        self._consumer: Consumer | None = None
        self._outbox: Outbox | None = None

    @property
    def partitions(self) -> Sequence[Partition]:
        """The input partitions at work now."""
        return tuple(self._workers)

    @property
    def reached(self) -> Mapping[Partition, int]:
        """The offset up to which each partition is folded."""
        return {partition: worker.position for partition, worker in self._workers.items()}

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then finish, commit and leave; call `wake` after setting it.

        Raises LogRefusedError, MemberFencedError and StageStoppedError; waits out LogUnavailableError.
        """
        try:
            while not stop.is_set():
                try:
                    if self._outbox is None:
                        self.open()
                    self.turn()
                except LogUnavailableError as error:
                    logger.warning("%s: %s; trying again", self._log.url, error)
                    stop.wait(1.0)
            if self._outbox is not None:
                self.finish()
        finally:
            self.close()

    def wake(self) -> None:
        """Make a waiting member look at its `stop` at once. May be called from any thread."""
        if consumer := self._consumer:
            consumer.wake()

    def open(self) -> None:
        """Join the group. Raises LogUnavailableError; may then be called again."""
        self.close()
        self._consumer = self._log.consumer(self.name, group=f"{self._topics.prefix}.{self.spec.name}")
        self._consumer.subscribe([self.spec.topic])
        retried = partial(self.metrics.add, "mendline_append_retries", self.spec.name)
        state = self._topics.topic("state")
        partitions = self._log.topics().get(state, 1)
        every = self._topics.snapshots_every
        self._saver = Saver(state, partitions, every, self._pace, self._clocks.monotonic, self.metrics)
        self._outbox = Outbox(self._log.producer(self.name), self._clocks.monotonic, self.name, retried)

    def turn(self) -> int:
        """Do one turn and return the number of records read.

        Raises LogUnavailableError when the log does not answer: call again later; nothing is lost.
        """
        consumer, outbox = self._parts()
        self._hold_back(consumer, outbox)
        waits = self._pace.idle if not outbox else min(self._pace.idle, 0.02)
        polled = consumer.poll(0.0 if self._unopened else waits)
        self._own(polled)
        # First what was read: opening may fail for now, and `poll` does not deliver the same records again.
        read = self._fold_all(polled.batches, consumer, outbox)
        self._open_partitions(consumer, outbox)
        self._keep_time(consumer, outbox)
        outbox.settle()
        self._commit(consumer)
        return read

    def finish(self) -> None:
        """Wait for what is under way, snapshot, commit. Called once, before `close`."""
        consumer, outbox = self._parts()
        deadline = self._clocks.monotonic() + self._pace.farewell
        if outbox.drain(deadline):
            for worker in self._workers.values():
                self._saver.save(worker, consumer, outbox)
            outbox.drain(deadline)
        self._commit(consumer)

    def close(self) -> None:
        """Leave the group. Never raises."""
        if self._consumer:
            self._consumer.close()
        if self._outbox:
            self._outbox.close()
        self._consumer = self._outbox = None

    def _parts(self) -> tuple[Consumer, Outbox]:
        if self._consumer is None or self._outbox is None:
            msg = f"{self.name} was not opened"
            raise RuntimeError(msg)
        return self._consumer, self._outbox

    # Ownership ---------------------------------------------------------------------------------------------------

    def _own(self, polled: Polled) -> None:
        for partition in polled.revoked:
            self._workers.pop(partition, None)
            self._poison.pop(partition, None)
            self.metrics.forget(self.spec.name, str(partition.number))
        self._unopened = [one for one in self._unopened if one not in polled.revoked] + list(polled.assigned)

    def _open_partitions(self, consumer: Consumer, outbox: Outbox) -> None:
        while self._unopened:
            partition = self._unopened[0]
            self._workers[partition] = self._open_partition(partition, consumer, outbox)
            self._unopened.pop(0)

    def _open_partition(self, partition: Partition, consumer: Consumer, outbox: Outbox) -> Worker:
        start = find_start(self.spec, partition, consumer, self._log, self._topics.topic("state"))
        poison = self._poison.setdefault(partition, Poison())
        poison.begin(start.offset)
        now = self._clocks.monotonic()
        worker = Worker(
            self.spec, partition, start.stage, start.offset, start.muted_until, self.metrics,
            self._topics.topic("deadletter"), Limit(self._topics.dead_letters, self.spec.name, partition),
            poison, start.clock, max(start.muted_until, start.offset),
            start.muted_until, start.snapshot, start.written, quiet_since=now, tick_at=now + self._pace.tick,
            warming=start.warming,
        )  # fmt: skip
        self._saver.begin(worker, new_settings=start.new_settings)
        if start.new_settings and self.spec.config:
            self._activate(worker, outbox)
        consumer.start(partition, worker.position)
        logger.info(
            "%s: %s partition %d from offset %d, outputs from offset %d",
            self.name, *partition, worker.position, worker.acknowledged,
        )  # fmt: skip
        return worker

    def _activate(self, worker: Worker, outbox: Outbox) -> None:
        """Record from which offset the settings in use count, acknowledged before any output rests on them."""
        spec, partition, offset = self.spec, worker.partition, worker.acknowledged
        record = Activation(
            id=record_id("activation", spec.name, *partition, offset, spec.config),
            source=self.name,
            time=self._clocks.now_ms(),
            stage=spec.name,
            topic=partition.topic,
            partition=partition.number,
            offset=offset,
            read_from=min(worker.position, offset),
            config=spec.config,
        )
        outbox.append([self._journal(encode_record(record))])
        if not outbox.drain(self._clocks.monotonic() + self._pace.farewell):
            msg = f"{self.name}: the journal does not take the activation of the settings"
            raise LogUnavailableError(msg)

    def _journal(self, value: bytes) -> NewRecord:
        return NewRecord(self._topics.topic("journal"), value, SCOPE, 0)

    # Records -----------------------------------------------------------------------------------------------------

    def _hold_back(self, consumer: Consumer, outbox: Outbox) -> None:
        """Stop reading while too many appends wait; stay in the group, and go on when they are through."""
        if outbox.full and not self._paused:
            for partition in self._workers:
                consumer.pause(partition)
            self._paused = True
        elif self._paused and not outbox:
            for partition, worker in self._workers.items():
                consumer.start(partition, worker.position)
            self._paused = False

    def _fold_all(self, batches: Sequence[Batch], consumer: Consumer, outbox: Outbox) -> int:
        folded: list[Worker] = []
        outputs: list[NewRecord] = []
        for batch in batches:
            worker = self._workers.get(batch.partition)
            begin = bisect_left(batch.offsets, worker.position) if worker else len(batch)
            if worker is None or begin == len(batch):
                continue
            fresh = batch if begin == 0 else cut(batch, begin, len(batch))
            try:
                outputs.extend(worker.fold(fresh, caught_up=consumer.lag(batch.partition) == 0))
            except FoldError as error:
                self._distrust(error)
                continue
            worker.quiet_since = self._clocks.monotonic()
            folded.append(worker)
        if folded:
            self.metrics.add("mendline_records_produced", self.spec.name, by=len(outputs))
            reached = [(worker, worker.position) for worker in folded]
            outbox.append(outputs, partial(_acknowledged, reached))
        return sum(len(batch) for batch in batches)

    def _distrust(self, error: FoldError) -> None:
        """Begin anew from the last snapshot, to find the record that the stage fails on and leave it out.

        Raises StageStoppedError when there are too many.
        """
        topic, number = error.partition
        about = (self.name, error.count, topic, number, error.offset)
        logger.error("%s: failed on one of %d records of %s partition %d from offset %d on", *about, exc_info=error)
        self._poison[error.partition].note(error, self.spec.name)
        del self._workers[error.partition]
        self._unopened.append(error.partition)

    def _commit(self, consumer: Consumer) -> None:
        places = {
            partition: worker.place()
            for partition, worker in self._workers.items()
            if worker.acknowledged > worker.committed
        }
        if places:
            consumer.commit(places)
            for partition, place in places.items():
                self._workers[partition].committed = place.offset

    # Time --------------------------------------------------------------------------------------------------------

    def _keep_time(self, consumer: Consumer, outbox: Outbox) -> None:
        now = self._clocks.monotonic()
        if outbox.unavailable or outbox.full:
            return
        for worker in self._workers.values():
            if self.spec.ticks and now - worker.quiet_since >= self._pace.tick and now >= worker.tick_at:
                worker.tick_at = now + self._pace.tick
                outbox.append([worker.tick(self.name, self._clocks.now_ms())])
            self._saver.save_if_due(worker, consumer, outbox)
        if now >= self._progress_at:
            self._progress_at = now + self._pace.progress
            self._report(consumer, outbox)

    def _report(self, consumer: Consumer, outbox: Outbox) -> None:
        records = []
        for partition, worker in self._workers.items():
            lag = consumer.lag(partition)
            self.metrics.set("mendline_lag_records", self.spec.name, str(partition.number), lag)
            if self.spec.progress:
                records.append(self._journal(encode_record(worker.progress(self.name, self._clocks.now_ms(), lag))))
        if records:
            outbox.append(records)


def _acknowledged(reached: Sequence[tuple[Worker, int]], _: Sequence[Position]) -> None:
    for worker, offset in reached:
        worker.acknowledged = max(worker.acknowledged, offset)
