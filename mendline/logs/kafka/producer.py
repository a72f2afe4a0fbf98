"""Appending to Kafka: idempotent, in order, bounded, and never wedged."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient

from mendline.logs.base import (
    LogError,
    LogRefusedError,
    LogUnavailableError,
    Position,
    TopicSettings,
)
from mendline.logs.kafka.connect import client_settings, connect
from mendline.logs.kafka.errors import translate
from mendline.logs.kafka.options import KafkaOptions
from mendline.logs.kafka.room import Room, size_of
from mendline.logs.kafka.topics import BATCH_BYTES
from mendline.logs.routing import Router
from mendline.schemas.stream import NewRecord, Partition

RECHECK_S = 60.0
"""How often the number of partitions is looked at again."""

_logger = logging.getLogger(__name__)


class _Network(KafkaNetClient):  # type: ignore[misc]
    """A network client that lets its producer sleep while a broker takes connections but does not answer.

    The producer takes the library's seconds for milliseconds, so it would spin on most of a core.
    """

    def connection_delay(self, node_id: int) -> float:
        """Return how long (ms) to wait for the node; an event on any connection ends the wait."""
        return max(1000 * float(super().connection_delay(node_id)), 50.0)


class _Client(KafkaProducer):  # type: ignore[misc]
    """A producer whose `close` always ends its thread: the library's gives up when flushing takes too long."""

    def flush(self, timeout: float | None = None) -> None:
        """Wait until all is acknowledged, at most `timeout` s."""
        try:
            super().flush(timeout)
        except kafka_errors.KafkaTimeoutError:
            _logger.warning("%s: not all records were acknowledged before closing", self.config["client_id"])


class _Life:
    """One client, until its first failed record: after that the client itself refuses everything."""

    def __init__(self, client: _Client, room: Room) -> None:
        """Use the client; bytes in flight are taken from `room`."""
        self.client = client
        self.room = room
        self.culprit: KafkaDelivery | None = None
        self.ended = False

    def failed(self, delivery: KafkaDelivery, _: BaseException) -> None:
        """Take note of a record that failed; called on the client's thread."""
        if self.culprit is None and not self.ended:
            self.culprit = delivery

    def end(self, timeout_s: float) -> None:
        """End the client, and fail what is not acknowledged after `timeout_s`."""
        self.ended = True
        self.client.close(timeout=timeout_s)

    def settled(self, size: int, _: object) -> None:
        """Give back the room of answered records; called on the client's thread."""
        self.room.give(size)


class KafkaDelivery:
    """Kafka's answer to one append."""

    def __init__(self, life: _Life, doing: str) -> None:
        """Belong to the client of `life`; `doing` begins the errors' messages."""
        self._life = life
        self._doing = doing
        self._positions: list[Position] | None = None
        self.futures: list[Any] = []

    def done(self) -> bool:
        """Say whether every record is acknowledged, or one has failed."""
        return self._positions is not None or all(future.is_done for future in self.futures)

    def result(self, timeout_s: float | None = None) -> Sequence[Position]:
        """Return the positions, with the broker's append times where the topic has LogAppendTime."""
        if self._positions is None:
            end = None if timeout_s is None else time.monotonic() + timeout_s
            self._positions = [self._position(future, end) for future in self.futures]
            self.futures = []
        return self._positions

    def _position(self, future: Any, end: float | None) -> Position:
        try:
            sent = future.get(None if end is None else max(end - time.monotonic(), 0.0))
        except kafka_errors.KafkaError as error:
            raise self._error(error, answered=future.is_done) from error
        return Position(Partition(sent.topic, sent.partition), sent.offset, sent.timestamp)

    def _error(self, error: kafka_errors.KafkaError, *, answered: bool) -> LogError:
        if not answered:
            return LogUnavailableError(f"{self._doing}: not acknowledged yet; the records may still arrive")
        if self._life.culprit is self:
            return translate(error, self._doing, "WRITE")
        if self._life.culprit is None:
            return LogUnavailableError(f"{self._doing}: closed before Kafka acknowledged; the records may have arrived")
        # The client answers every later record with the first one's error, so this one says nothing about ours.
        return LogUnavailableError(f"{self._doing}: given up because another record failed; append again, in order")


class KafkaLogProducer:
    """Appends records to Kafka.

    Every record arrives once and in order while brokers freeze, die and come back, however long that takes. When a
    broker refuses a record, the client is replaced: the record's delivery says why, all others that were in flight
    raise LogUnavailableError and may have arrived; who appends them again in order may repeat but never reorder them.
    """

    def __init__(
        self, servers: list[str], options: KafkaOptions, name: str, ask: Callable[[str], TopicSettings]
    ) -> None:
        """Connect. `ask` returns a topic as it is on the brokers. Raises LogUnavailableError, LogRefusedError."""
        self._servers = servers
        self._options = options
        self._name = name
        self._ask = ask
        self._topics: dict[str, TopicSettings] = {}
        self._checked = time.monotonic()
        self._router = Router()
        self._room = Room(options.in_flight_bytes)
        self._closed = False
        self._life: _Life | None = self._begin()

    def append(self, records: Sequence[NewRecord]) -> KafkaDelivery:
        """Hand the records over. Raises RecordTooLargeError, LogRefusedError and LogUnavailableError before sending.

        LogUnavailableError means that there was no room for `max_block_ms`, or that no broker could be asked.
        """
        life = self._living()
        self._look_up(records, life)
        routes = self._router.route(records, self._topics)
        sizes = [size_of(record) for record in records]
        size = sum(sizes)
        if not self._room.take(size, self._options.max_block_ms / 1000):
            msg = f"{self._name}: {self._options.in_flight_bytes} bytes wait for Kafka's acknowledgement already"
            raise LogUnavailableError(msg)
        delivery = KafkaDelivery(life, self._name)
        try:
            self._send(records, routes, delivery, life)
        except (kafka_errors.KafkaError, ValueError) as error:
            self._room.give(size)
            self._end(life)
            raise translate(error, self._name) from error
        for indices in routes.values():
            # Answers of a partition come in order: the last one's is enough.
            delivery.futures[indices[-1]].add_both(life.settled, sum(sizes[i] for i in indices))
        return delivery

    def forget(self, partition: Partition, name: bytes, before: int, keys: Sequence[bytes]) -> None:
        """Append an empty record under each key; compaction does the rest. Raises as `append`."""
        if keys:
            self.append([NewRecord(partition.topic, b"", key, partition.number, headers=()) for key in keys])

    def close(self, timeout_s: float = 5.0) -> None:
        """Wait for what is in flight, then end the client's thread."""
        life, self._life, self._closed = self._life, None, True
        if life is None:
            return
        begun = time.monotonic()
        life.client.flush(timeout_s)
        left = timeout_s - (time.monotonic() - begun)
        life.end(max(left, 0.0))

    def _begin(self) -> _Life:
        settings = client_settings(self._servers, self._options, self._name)
        settings |= {
            "kafka_client": _Network,
            "delivery_timeout_ms": float("inf"),  # a limit would wedge the idempotent client for ever
            "enable_idempotence": True,
            "acks": "all",
            "max_block_ms": self._options.max_block_ms,
            "batch_size": BATCH_BYTES,
            "linger_ms": self._options.linger_ms,
            "compression_type": "lz4",
            "max_request_size": 32 << 20,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,  # nobody looks at them, and each request counts dozens
        }
        return _Life(connect(_Client, settings), self._room)

    def _living(self) -> _Life:
        """Return the life in use; a new one after a failure. Raises LogUnavailableError, LogRefusedError."""
        if self._closed:
            msg = f"{self._name}: this producer is closed"
            raise LogRefusedError(msg)
        if self._life and self._life.culprit:
            self._end(self._life)
        if self._life is None:
            self._life = self._begin()
        return self._life

    def _end(self, life: _Life) -> None:
        """Make sure that nothing more of this life is sent, so that what is appended again cannot be overtaken."""
        self._life = None
        life.end(0.0)

    def _look_up(self, records: Sequence[NewRecord], life: _Life) -> None:
        for name in {record.topic for record in records}:
            if name not in self._topics:
                self._topics[name] = self._ask(name)
        if time.monotonic() - self._checked > RECHECK_S:
            self._checked = time.monotonic()
            self._recount(life)

    def _recount(self, life: _Life) -> None:
        """Forget the topics whose number of partitions has changed."""
        for name, topic in list(self._topics.items()):
            try:
                there = len(life.client.partitions_for(name))
            except kafka_errors.KafkaError:
                there = 0
            if there != topic.partitions:
                del self._topics[name]

    @staticmethod
    def _send(
        records: Sequence[NewRecord], routes: Mapping[Partition, list[int]], delivery: KafkaDelivery, life: _Life
    ) -> None:
        numbers = {index: partition.number for partition, indices in routes.items() for index in indices}
        for index, record in enumerate(records):
            future = life.client.send(
                record.topic,
                record.value or (None if record.key else b""),  # empty under a key: delete what is under it
                key=record.key,
                headers=list(record.headers),
                partition=numbers[index],
            )
            future.add_errback(life.failed, delivery)
            delivery.futures.append(future)
