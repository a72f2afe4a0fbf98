"""A stage whose output shows everything it has ever seen, and a member of it under a clock set by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from mendline.logs.base import TopicSettings
from mendline.logs.memory import MemoryLog
from mendline.runtime.member import Clocks, Member, Pace
from mendline.runtime.metrics import Metrics
from mendline.runtime.spec import StageSpec
from mendline.schemas.records import Heartbeat, encode_record
from mendline.schemas.settings import TopicsSettings
from mendline.schemas.stream import Input, NewRecord, Partition, StateBlock
from mendline.testing.clock import ManualClock

TOPICS = TopicsSettings(prefix="t", snapshots_every=0)
INPUT, OUTPUT = "t.metrics", "t.windows"


class RunningSum:
    """Says, for each heartbeat, its source and the sum of the intervals of that source so far."""

    poisoned_by: frozenset[int] = frozenset()

    def __init__(self, partition: Partition) -> None:
        """Begin with nothing."""
        self.partition = partition
        self.sums: dict[str, int] = {}
        self.inputs: list[Input] = []

    def fold(self, batch: Input) -> Iterable[NewRecord]:
        """Add up."""
        self.inputs.append(batch)
        for _, record in batch.records:
            if isinstance(record, Heartbeat):
                if record.interval_ms in self.poisoned_by:
                    self.sums.clear()
                    raise ZeroDivisionError("of this stage")
                total = self.sums[record.source] = self.sums.get(record.source, 0) + record.interval_ms
                yield NewRecord(OUTPUT, json.dumps([record.source, total]).encode(), partition=self.partition.number)

    def dump(self) -> Iterable[StateBlock]:
        """Return one block for each source."""
        for source, total in self.sums.items():
            yield StateBlock([source], {"total": np.array([total])})

    def load(self, blocks: Iterable[StateBlock]) -> None:
        """Take the sums over."""
        self.sums = {block.sources[0]: int(block.arrays["total"][0]) for block in blocks}


@dataclass
class Bench:
    """A memory log with the topics a member needs, and a clock for all of it."""

    clock: ManualClock = field(default_factory=ManualClock)
    stages: list[RunningSum] = field(default_factory=list)
    partitions: int = 1
    again: float = 0.0
    topics: TopicsSettings = TOPICS

    def __post_init__(self) -> None:
        """Make the topics."""
        self.log = MemoryLog(clock=self.clock)
        names = ("metrics", "windows", "state")
        self.log.ensure_topics([TopicSettings(f"t.{name}", self.partitions) for name in names])
        self.log.ensure_topics([TopicSettings("t.journal"), TopicSettings("t.deadletter")])

    def member(self, name: str = "m", config: str = "c1", *, ticks: bool = False, progress: bool = False) -> Member:
        """Return an open member of the stage."""

        def make(partition: Partition) -> RunningSum:
            self.stages.append(RunningSum(partition))
            return self.stages[-1]

        spec = StageSpec("sum", INPUT, make, config, 60_000, ticks, progress, dead_letters=True)
        clocks = Clocks(monotonic=lambda: self.clock() / 1000, now_ms=self.clock)
        member = Member(
            self.log, spec, self.topics, name, metrics=Metrics(), pace=Pace(again=self.again, idle=0.0), clocks=clocks
        )
        member.open()
        return member

    @contextmanager
    def running(self, name: str = "m", config: str = "c1") -> Iterator[Member]:
        """Give a member that has taken its partitions, and end it cleanly."""
        member = self.member(name, config)
        member.turn()
        yield member
        member.finish()
        member.close()

    def put(self, *intervals: int, source: str = "a", partition: int = 0) -> None:
        """Append heartbeats."""
        values = [encode_record(Heartbeat(source=source, time=0, interval_ms=one)) for one in intervals]
        self.put_bytes(*values, partition=partition)

    def put_bytes(self, *values: bytes, partition: int = 0) -> None:
        """Append whatever it is."""
        records = [NewRecord(INPUT, value, partition=partition) for value in values]
        self.log.producer("p").append(records)

    def read(self, topic: str, partition: int = 0) -> list[object]:
        """Return all JSON values of a topic's partition."""
        consumer = self.log.consumer("reader")
        where = Partition(topic, partition)
        consumer.assign([where])
        consumer.start(where, 0)
        found: list[object] = []
        while batches := consumer.poll(0).batches:
            found += [json.loads(value) for batch in batches for value in batch.values]
        return found

    def totals(self) -> list[object]:
        """Return what the stage said."""
        return self.read(OUTPUT)
