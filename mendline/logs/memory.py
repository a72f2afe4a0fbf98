"""The log in memory: for tests, notebooks and simulation. Its clock can be set by hand and it can be made to fail.

Everything is guarded by one lock that is held for slices and appends of lists only. A consumer that waits is woken
through its own queue, because `SimpleQueue.put` may be called from a signal handler.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Self

from mendline.logs.base import LogError, LogUnavailableError, Position, RecordTooLargeError, TopicSettings
from mendline.logs.clock import Clock, wall_clock
from mendline.logs.columns import Columns
from mendline.logs.memory_consumer import GroupState, MemoryConsumer
from mendline.logs.routing import Router, check_partition, unknown_topic
from mendline.schemas.stream import Batch, NewRecord, Partition

_NOWHERE = Position(Partition("", 0), 0, 0)


class MemoryLog:
    """A log that lives as long as this object. Share the object; each `open_log("memory:")` is a log of its own.

    Faults for tests: `away = True` makes everything raise LogUnavailableError; `fail_next` makes coming appends fail;
    `hold_answers` keeps deliveries waiting until `release_answers`.
    """

    def __init__(self, url: str = "memory:", *, clock: Clock = wall_clock, session_timeout_s: float = 10.0) -> None:
        """Begin empty. `clock` (ms) gives append times and ages members' sessions."""
        self.url = url
        self.away = False
        self.lock = threading.Lock()
        self.consumers: set[MemoryConsumer] = set()
        self.groups: dict[str, GroupState] = {}
        self._clock = clock
        self._session_ms = round(session_timeout_s * 1000)
        self._topics: dict[str, TopicSettings] = {}
        self._columns: dict[Partition, Columns] = {}
        self._failures: list[tuple[LogError, bool]] = []
        self._answering = threading.Event()
        self._answering.set()

    def fail_next(self, error: LogError | None = None, *, times: int = 1, arrives: bool = False) -> None:
        """Make the next `times` appends answer `error`; with `arrives` the records are appended all the same."""
        failure = error or LogUnavailableError("memory log: told to fail")
        self._failures += [(failure, arrives)] * times

    def hold_answers(self) -> None:
        """Append as ever, but leave deliveries unanswered until `release_answers`."""
        self._answering.clear()

    def release_answers(self) -> None:
        """Answer all deliveries."""
        self._answering.set()

    def ensure_topics(self, topics: Sequence[TopicSettings]) -> None:
        """Make the topics that are missing; leave those that exist as they are."""
        with self.lock:
            for topic in topics:
                if topic.name in self._topics:
                    continue
                self._topics[topic.name] = topic
                for number in range(topic.partitions):
                    partition = Partition(topic.name, number)
                    self._columns[partition] = Columns(partition)

    def topics(self) -> Mapping[str, int]:
        """Return the topics that exist, with their number of partitions."""
        return {name: topic.partitions for name, topic in self._topics.items()}

    def sizes(self) -> Mapping[str, int]:
        """Return the bytes of each topic's records."""
        with self.lock:
            sizes = dict.fromkeys(self._topics, 0)
            for partition, columns in self._columns.items():
                sizes[partition.topic] += columns.size
            return sizes

    def producer(self, name: str) -> _MemoryProducer:
        """Return a producer."""
        return _MemoryProducer(self)

    def consumer(self, name: str, group: str | None = None) -> MemoryConsumer:
        """Return a consumer; an empty `name` makes a member without a place to come back to."""
        return MemoryConsumer(self, name or f"dynamic-{uuid.uuid4().hex[:12]}", group)

    def delete_before(self, partition: Partition, offset: int) -> None:
        """Delete the partition's records below `offset` for good."""
        with self.lock:
            self.columns(partition).trim(offset)

    def restore(self, batch: Batch) -> None:
        """Append the records with the offsets and append times they have. Raises LogRefusedError."""
        with self.lock:
            self.check_away()
            self.columns(batch.partition).restore(batch)
            self.ring()

    def close(self) -> None:
        """Do nothing: the records live as long as the object."""

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the log."""
        self.close()

    def check_away(self) -> None:
        """Raise LogUnavailableError while the log was told to be away."""
        if self.away:
            msg = "memory log: away"
            raise LogUnavailableError(msg)

    def columns(self, partition: Partition) -> Columns:
        """Return a partition's columns. Raises LogRefusedError when there is no such topic or partition."""
        topic = self.topic(partition.topic)
        check_partition(partition, topic.partitions)
        return self._columns[partition]

    def topic(self, name: str) -> TopicSettings:
        """Return a topic's settings. Raises LogRefusedError when it does not exist."""
        if name not in self._topics:
            raise unknown_topic(name, self._topics)
        return self._topics[name]

    def now(self) -> int:
        """Return the log's clock (ms)."""
        return self._clock()

    def group(self, name: str) -> GroupState:
        """Return a group, under the lock."""
        return self.groups.setdefault(name, GroupState())

    def expire(self, group: GroupState) -> None:
        """Let members go whose session ran out, under the lock."""
        oldest = self.now() - self._session_ms
        gone = [name for name in group.state.members if group.seen[name] < oldest]
        if gone:
            group.state.leave(gone, self.topics())
            self.ring()

    def ring(self) -> None:
        """Wake the consumers that wait, under the lock."""
        for consumer in self.consumers:
            consumer.ring()

    def append(self, records: Sequence[NewRecord], router: Router) -> _Answer:
        """Append the records as one, and return the answer."""
        with self.lock:
            try:
                self.check_away()
                routes = router.route(records, self._topics)
            except RecordTooLargeError:
                raise
            except LogError as error:
                return _Answer(error, self._answering)
            failure, arrives = self._failures.pop(0) if self._failures else (None, True)
            positions = self._store(records, routes) if arrives else []
        return _Answer(failure or positions, self._answering)

    def _store(self, records: Sequence[NewRecord], routes: Mapping[Partition, list[int]]) -> list[Position]:
        """Put the records into their partitions, apply retention, wake who waits."""
        now = self.now()
        positions = [_NOWHERE] * len(records)
        for partition, indices in routes.items():
            columns = self._columns[partition]
            first, timestamp = columns.append([records[i] for i in indices], now)
            for offset, index in enumerate(indices, first):
                positions[index] = Position(partition, offset, timestamp)
            columns.retain(self._topics[partition.topic], now)
        self.ring()
        return positions


class _Answer:
    """A delivery that can be held back."""

    __slots__ = ("_answer", "_answering")

    def __init__(self, answer: Sequence[Position] | LogError, answering: threading.Event) -> None:
        """Hold the answer until `answering` is set."""
        self._answer = answer
        self._answering = answering

    def done(self) -> bool:
        """Say whether the answer is released."""
        return self._answering.is_set()

    def result(self, timeout_s: float | None = None) -> Sequence[Position]:
        """Return where the records went, or raise why they did not."""
        if not (self._answering.is_set() or self._answering.wait(timeout_s)):
            msg = f"memory log: no answer within {timeout_s} s"
            raise LogUnavailableError(msg)
        if isinstance(self._answer, LogError):
            raise self._answer
        return self._answer


class _MemoryProducer:
    """Appends to the memory log."""

    def __init__(self, log: MemoryLog) -> None:
        """Belong to `log`."""
        self._log = log
        self._router = Router()

    def append(self, records: Sequence[NewRecord]) -> _Answer:
        """Append at once. Raises RecordTooLargeError; everything else is in the delivery."""
        return self._log.append(records, self._router)

    def forget(self, partition: Partition, name: bytes, before: int, keys: Sequence[bytes]) -> None:
        """Let go at once of what newer records replace."""
        with self._log.lock:
            self._log.check_away()
            self._log.columns(partition).forget(name, before)

    def close(self, timeout_s: float = 5.0) -> None:
        """Do nothing: nothing is ever in flight."""
