"""What the behaviour suite needs of each log, and readers that follow what `poll` tells them."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mendline.logs import open_log
from mendline.logs.base import Consumer, Log, Position, TopicSettings
from mendline.schemas.stream import Batch, NewRecord, Partition

ROOT = Path(__file__).parents[2]

_numbers = itertools.count()


@dataclass
class Case:
    """A log under test. `other` opens it a second time, as another process would; for memory that is the same one."""

    kind: str
    log: Log
    other: Callable[[], Log]
    patience_s: float
    client: str = ""

    def topic(self, partitions: int = 1, max_record_bytes: int = 1_000_000, *, replaced: bool = False) -> str:
        """Make a topic of its own for the test."""
        name = f"t{next(_numbers)}-{uuid.uuid4().hex[:8]}"
        self.log.ensure_topics([TopicSettings(name, partitions, max_record_bytes=max_record_bytes, replaced=replaced)])
        return name

    def append(self, topic: str, *values: bytes, partition: int | None = None) -> list[Position]:
        """Append values, without keys, and wait for the answer."""
        producer = self.log.producer("appender")
        try:
            records = [NewRecord(topic, value, partition=partition) for value in values]
            return list(producer.append(records).result(self.patience_s))
        finally:
            producer.close()

    @contextmanager
    def reading(self, *partitions: Partition, offset: int = 0) -> Iterator[Reading]:
        """Read partitions from `offset` on, as no group's member."""
        consumer = self.log.consumer("reader")
        try:
            consumer.assign(partitions)
            for partition in partitions:
                consumer.start(partition, offset)
            yield Reading(consumer, self.patience_s)
        finally:
            consumer.close()

    @contextmanager
    def member(self, name: str, group: str, *topics: str) -> Iterator[Reading]:
        """Be a member of a group, reading on from what is committed."""
        consumer = self.log.consumer(name, group)
        try:
            consumer.subscribe(topics)
            yield Reading(consumer, self.patience_s)
        finally:
            consumer.close()


@dataclass
class Reading:
    """A consumer that starts what it is given where the group stopped, and keeps all it reads."""

    consumer: Consumer
    patience_s: float
    held: set[Partition] = field(default_factory=set)
    batches: list[Batch] = field(default_factory=list)

    @property
    def values(self) -> list[bytes]:
        """All values read, batch by batch."""
        return [value for batch in self.batches for value in batch.values]

    def poll(self, timeout_s: float = 0.05) -> None:
        """Poll once, and follow."""
        polled = self.consumer.poll(timeout_s)
        self.held.difference_update(polled.revoked)
        self.held.update(polled.assigned)
        for partition in polled.assigned:
            place = self.consumer.committed(partition)
            self.consumer.start(partition, place.offset if place else 0)
        self.batches += polled.batches

    def read(self, count: int) -> list[bytes]:
        """Poll until `count` values were read in all, and return them."""
        poll_until([self], lambda: len(self.values) >= count)
        assert len(self.values) == count
        return self.values

    def own(self, *partitions: Partition) -> None:
        """Poll until exactly these partitions are held."""
        poll_until([self], lambda: self.held == set(partitions))


def poll_until(readings: Sequence[Reading], reached: Callable[[], bool]) -> None:
    """Poll all readings in turn until `reached`; fail after their patience."""
    deadline = time.monotonic() + max(reading.patience_s for reading in readings)
    while not reached():
        assert time.monotonic() < deadline, (
            f"held: {[sorted(r.held) for r in readings]}, read: {readings[0].values[:20]}"
        )
        for reading in readings:
            reading.poll()


def memory_case() -> Case:
    """Return a memory log."""
    log = open_log("memory:", session_timeout_s=1.0)
    return Case("memory", log, lambda: log, 10.0)


def sqlite_case(folder: Path) -> Case:
    """Return a SQLite log."""
    url = f"sqlite://{folder}"

    def open_again() -> Log:
        return open_log(url, session_timeout_s=1.0)

    return Case("sqlite", open_again(), open_again, 10.0)


def kafka_case(url: str, client: str) -> Case:
    """Return a log on the test broker, through one of its clients."""

    def open_again() -> Log:
        return open_log(url, client=client)

    return Case("kafka", open_again(), open_again, 40.0, client)


def start_python(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Start `python -m module` in a process of its own, with a pipe from its output."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
