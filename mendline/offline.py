"""The stages on a log in memory, driven by hand: the workers of the runtime, without members, groups or a wall clock.

    stages = Offline([windows_spec(settings), …], settings)
    stages.append(records)      # appended at stages.clock.now
    stages.settle()             # every stage reads and says until nothing is left to read
    stages.clock.advance(1.0)

There is no executor, and nothing here could reach a host: commands are records like all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mendline.logs.memory import MemoryLog
from mendline.runtime.deadletters import FoldError, Limit, Poison
from mendline.runtime.metrics import Metrics
from mendline.runtime.worker import Worker
from mendline.schemas.records import encode_record
from mendline.schemas.settings import DeadLetterSettings
from mendline.schemas.stream import NewRecord, Partition
from mendline.testing.clock import ManualClock
from mendline.topics import topic_settings

if TYPE_CHECKING:
    from mendline.runtime.spec import StageSpec
    from mendline.schemas.settings import Settings
    from mendline.schemas.stream import Batch

MEMBER = "offline"
AT_ONCE = 10_000
NEVER = DeadLetterSettings(share=1.0)


class OfflineError(Exception):
    """A stage failed on a record; the message says which stage, and why."""


class Offline:
    """Stages at work on partition 0 of their topics."""

    def __init__(self, specs: Sequence[StageSpec], settings: Settings, clock: ManualClock) -> None:
        """Begin with empty topics. Raises DetectorError when a configured detector cannot be used."""
        topics = settings.topics.model_copy(update={"partitions": 1})
        self.clock = clock
        self.log = MemoryLog(clock=clock)
        self.log.ensure_topics(topic_settings(topics))
        self.workers = [_worker(spec, topics.topic("deadletter")) for spec in specs]
        self._journal = topics.topic("journal")
        self._producer = self.log.producer(MEMBER)

    def append(self, records: Sequence[NewRecord]) -> None:
        """Append the records now. Raises LogError."""
        if records:
            self._producer.append(records).result()

    def settle(self) -> None:
        """Let each stage fold what it has not read yet, until nothing is left. Raises OfflineError, LogError."""
        while sum(self._turn(worker) for worker in self.workers):
            pass

    def tick(self) -> None:
        """Let the log time go on, as a member does for a quiet partition."""
        now = self.clock()
        self.append([worker.tick(MEMBER, now) for worker in self.workers if worker.spec.ticks])

    def report(self) -> None:
        """Append to the journal how far the stages are, as members do once a second."""
        now = self.clock()
        progress = [worker.progress(MEMBER, now, 0) for worker in self.workers if worker.spec.progress]
        self.append([NewRecord(self._journal, encode_record(one), b"default", 0) for one in progress])

    def batches(self, topic: str, offset: int = 0) -> Iterator[Batch]:
        """Yield what stands in partition 0 of a topic from `offset` on."""
        columns = self.log.columns(Partition(topic, 0))
        while batch := columns.read(offset, AT_ONCE):
            yield batch
            offset = batch.next_offset

    def _turn(self, worker: Worker) -> bool:
        """Let a stage fold all that there is, and append what it says; return whether it had anything to read."""
        batch = self.log.columns(worker.partition).read(worker.position, AT_ONCE)
        if batch is None:
            return False
        caught_up = batch.next_offset == self.log.columns(worker.partition).end
        try:
            self.append(worker.fold(batch, caught_up=caught_up))
        except FoldError as error:
            msg = f"the stage {worker.spec.name} fails on a record: {error}"
            raise OfflineError(msg) from error
        return True


def _worker(spec: StageSpec, dead_letters: str) -> Worker:
    partition = Partition(spec.topic, 0)
    limit = Limit(NEVER, spec.name, partition)
    return Worker(spec, partition, spec.make(partition), 0, 0, Metrics(), dead_letters, limit, Poison())
