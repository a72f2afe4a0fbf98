"""Appending to Kafka through librdkafka: idempotent, in order, bounded."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from mendline.logs.base import LogError, LogRefusedError, LogUnavailableError, Position, TopicSettings
from mendline.logs.kafka.options import KafkaOptions
from mendline.logs.kafka.room import OVERHEAD_BYTES, Room, size_of
from mendline.logs.kafka.topics import BATCH_BYTES
from mendline.logs.librdkafka.connect import Voice, client_settings, connect
from mendline.logs.librdkafka.errors import cause, translate
from mendline.logs.routing import Router
from mendline.schemas.stream import NewRecord, Partition

RECHECK_S = 60.0
"""How often the number of partitions is looked at again."""
SLICE_S = 0.05
"""The longest single wait inside the client, which nothing can end."""
LEAST_BATCH_BYTES = 16 << 10

_GIVEN_UP = {
    KafkaError._FATAL,  # noqa: SLF001 - librdkafka's own codes begin with an underscore, and are public
    KafkaError._PURGE_INFLIGHT,  # noqa: SLF001
    KafkaError._PURGE_QUEUE,  # noqa: SLF001
    KafkaError._DESTROY,  # noqa: SLF001
}
"""Errors of records that nothing was wrong with."""

_logger = logging.getLogger(__name__)


class _Life:
    """One client, until its first failed record: after that it must send nothing more, or records would overtake."""

    def __init__(self, client: Any, room: Room, batch_bytes: int) -> None:
        """Use the client, which makes batches of so many bytes; those in flight are taken from `room`."""
        self.client = client
        self.batch_bytes = batch_bytes
        self.culprit: RdDelivery | None = None
        self.ended = False
        self._room = room
        self._lock = threading.Lock()

    def answered(self, delivery: RdDelivery, index: int, size: int, error: KafkaError | None, message: Any) -> None:
        """Take the answer to a record; called by the client while it is polled, on whichever thread polls."""
        self._room.give(size)
        with self._lock:
            if error is None:
                where = Partition(message.topic(), message.partition())
                delivery.take(index, Position(where, message.offset(), message.timestamp()[1]))
                return
            delivery.fail(error, message.topic())
            if self.culprit is None and error.code() not in _GIVEN_UP:
                self.culprit = delivery

    @property
    def over(self) -> bool:
        """Whether nothing more will be sent: the library forgets some of what waits when a record was refused."""
        return self.ended or self.culprit is not None

    def serve(self, seconds: float) -> None:
        """Let the client report for at most so long; it raises once when a refused record has ended it."""
        with suppress(KafkaException):
            self.client.poll(seconds)

    def settle(self, seconds: float) -> bool:
        """Wait until all is answered, at most so long, and say whether it is."""
        end = time.monotonic() + seconds
        while len(self.client) and not self.culprit and time.monotonic() < end:
            self.serve(max(min(end - time.monotonic(), SLICE_S), 0.0))
        return not len(self.client)

    def end(self) -> None:
        """End the client, and fail what is not acknowledged."""
        self.ended = True
        self.client.purge()
        while len(self.client):
            self.serve(SLICE_S)
        self.client.close()


class RdDelivery:
    """Kafka's answer to one append."""

    def __init__(self, life: _Life, doing: str, count: int) -> None:
        """Await `count` answers from the client of `life`; `doing` begins the errors' messages."""
        self.life = life
        self._doing = doing
        self._positions: list[Position | None] = [None] * count
        self._left = count
        self._error: KafkaError | None = None
        self._topic = ""

    @property
    def too_large(self) -> bool:
        """Whether the broker refused a batch of several records for its size, and smaller ones may pass."""
        error = self._error
        several = len(self._positions) > 1 and self.life.batch_bytes > LEAST_BATCH_BYTES
        return several and error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE

    def take(self, index: int, position: Position) -> None:
        """Note where a record went."""
        self._positions[index] = position
        self._left -= 1

    def fail(self, error: KafkaError, topic: str) -> None:
        """Note that a record failed; an error of its own says more than that of one which was given up."""
        if self._error is None or self._error.code() in _GIVEN_UP:
            self._error, self._topic = error, topic

    def done(self) -> bool:
        """Say whether every record is acknowledged, or one has failed."""
        if self._left and self._error is None and not self.life.over:
            self.life.serve(0)
        return not self._left or self._error is not None or self.life.over

    def result(self, timeout_s: float | None = None) -> Sequence[Position]:
        """Return the positions, with the broker's append times where the topic has LogAppendTime."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.done():
            left = SLICE_S if end is None else min(end - time.monotonic(), SLICE_S)
            if left <= 0:
                msg = f"{self._doing}: not acknowledged yet; the records may still arrive"
                raise LogUnavailableError(msg)
            self.life.serve(left)
        if self._left:
            raise self._failure(self._error)
        return [position for position in self._positions if position is not None]

    def _failure(self, error: KafkaError | None) -> LogError:
        if self.too_large:
            text = "a batch was over the broker's limit; smaller ones follow: append again, in order"
        elif error is not None and self.life.culprit is self:
            return translate(error, self._doing, "WRITE", self._topic)
        elif self.life.culprit is None:
            text = "closed before Kafka acknowledged; the records may have arrived"
        else:
            text = "given up because another record failed; append again, in order"
        return LogUnavailableError(f"{self._doing}: {text}")


class RdProducer:
    """Appends records to Kafka.

    Every record arrives once and in order while brokers freeze, die and come back, however long that takes. When a
    broker refuses a record, the client is replaced: the record's delivery says why, all others that were in flight
    raise LogUnavailableError and may have arrived; who appends them again in order may repeat but never reorder them.
    """

    def __init__(
        self,
        servers: list[str],
        options: KafkaOptions,
        name: str,
        ask: Callable[[str], TopicSettings],
        limits: Mapping[str, int],
    ) -> None:
        """Connect. `ask` returns a topic as it is on the brokers, `limits` are smaller ones of their records (bytes).

        Raises LogUnavailableError, LogRefusedError.
        """
        self._servers = servers
        self._options = options
        self._name = name
        self._ask = ask
        self._limits = limits
        self._topics: dict[str, TopicSettings] = {}
        self._checked = time.monotonic()
        self._router = Router()
        self._room = Room(options.in_flight_bytes)
        self._batch_bytes = BATCH_BYTES
        self._closed = False
        self._life: _Life | None = self._begin()

    def append(self, records: Sequence[NewRecord]) -> RdDelivery:
        """Hand the records over. Raises RecordTooLargeError, LogRefusedError and LogUnavailableError before sending.

        LogUnavailableError means that there was no room for `max_block_ms`, or that no broker could be asked.
        """
        self._look_up(records)
        routes = self._router.route(records, self._topics)
        sizes = [size_of(record) for record in records]
        life = self._living()
        self._make_room(sum(sizes), life)
        delivery = RdDelivery(life, self._name, len(records))
        self._send(records, routes, sizes, delivery)
        life.serve(0)
        return delivery

    def forget(self, partition: Partition, name: bytes, before: int, keys: Sequence[bytes]) -> None:
        """Append an empty record under each key; compaction does the rest. Raises as `append`."""
        if keys:
            self.append([NewRecord(partition.topic, b"", key, partition.number, headers=()) for key in keys])

    def close(self, timeout_s: float = 5.0) -> None:
        """Wait for what is in flight, then end the client."""
        life, self._life, self._closed = self._life, None, True
        if life is not None:
            if not life.settle(timeout_s):
                _logger.warning("%s: not all records were acknowledged before closing", self._name)
            life.end()

    def _begin(self) -> _Life:
        voice = Voice()
        settings = client_settings(self._servers, self._options, self._name)
        settings |= {
            "enable.idempotence": True,
            # A refused record ends the client at once: none of those behind it may arrive before it is told.
            "enable.gapless.guarantee": True,
            "acks": "all",
            "message.timeout.ms": 0,  # a limit would lose records in the middle
            "request.timeout.ms": self._options.request_timeout_ms,
            "batch.size": self._batch_bytes,
            "batch.num.messages": 100_000,
            "linger.ms": self._options.linger_ms,
            "compression.type": "lz4",
            "message.max.bytes": 32 << 20,
            # The bound is ours, in bytes; the library's is only there to be never met.
            "queue.buffering.max.messages": 0,
            "queue.buffering.max.kbytes": (self._options.in_flight_bytes >> 10) + (64 << 10),
        }
        client = connect(Producer, settings, voice, self._servers, self._options)
        return _Life(client, self._room, self._batch_bytes)

    def _living(self) -> _Life:
        """Return the life in use; a new one after a failure. Raises LogUnavailableError, LogRefusedError."""
        if self._closed:
            msg = f"{self._name}: this producer is closed"
            raise LogRefusedError(msg)
        if self._life:
            self._life.serve(0)
        if self._life and self._life.culprit:
            self._end(self._life)
        if self._life is None:
            self._life = self._begin()
        return self._life

    def _learn(self, culprit: RdDelivery) -> None:
        """Look at the topics again after a refusal, and make smaller batches if it was their size."""
        self._topics.clear()
        if culprit.too_large:
            self._batch_bytes = max(self._batch_bytes // 2, LEAST_BATCH_BYTES)

    def _end(self, life: _Life) -> None:
        """Make sure that nothing more of this life is sent, so that what is appended again cannot be overtaken."""
        self._life = None
        life.end()
        if life.culprit:
            self._learn(life.culprit)

    def _make_room(self, size: int, life: _Life) -> None:
        """Wait for room. Raises LogUnavailableError."""
        end = time.monotonic() + self._options.max_block_ms / 1000
        while not self._room.take(size, 0.0):
            life.serve(SLICE_S)
            if time.monotonic() >= end:
                msg = f"{self._name}: {self._options.in_flight_bytes} bytes wait for Kafka's acknowledgement already"
                raise LogUnavailableError(msg)

    def _look_up(self, records: Sequence[NewRecord]) -> None:
        life = self._living()
        # What is known already is forgotten when a record is refused meanwhile.
        while missing := {record.topic for record in records} - self._topics.keys():
            name = missing.pop()
            topic = self._ask(name)
            self._fit(topic.max_record_bytes + OVERHEAD_BYTES)
            limit = min(topic.max_record_bytes, self._limits.get(name, topic.max_record_bytes))
            self._topics[name] = replace(topic, max_record_bytes=limit)
        if time.monotonic() - self._checked > RECHECK_S:
            self._checked = time.monotonic()
            self._recount(life)

    def _fit(self, limit: int) -> None:
        """Make no larger batches than `limit` bytes: a broker refuses them whole. Raises LogUnavailableError."""
        if limit >= self._batch_bytes:
            return
        life = self._living()
        if not life.settle(self._options.max_block_ms / 1000):
            msg = f"{self._name}: records before these are not acknowledged yet"
            raise LogUnavailableError(msg)
        self._batch_bytes = limit
        self._end(life)

    def _recount(self, life: _Life) -> None:
        """Forget the topics whose number of partitions has changed; later, when nobody answers at once."""
        try:
            there = life.client.list_topics(timeout=1.0).topics
        except KafkaException:
            return
        for name, topic in list(self._topics.items()):
            if name not in there or len(there[name].partitions) != topic.partitions:
                del self._topics[name]

    def _send(
        self,
        records: Sequence[NewRecord],
        routes: Mapping[Partition, list[int]],
        sizes: Sequence[int],
        delivery: RdDelivery,
    ) -> None:
        """Queue the records. Raises LogUnavailableError, LogRefusedError when the client takes no more of them."""
        life = delivery.life
        numbers = {index: partition.number for partition, indices in routes.items() for index in indices}
        produce, answered = life.client.produce, partial(life.answered, delivery)
        for index, record in enumerate(records):
            try:
                produce(
                    record.topic,
                    record.value or (None if record.key else b""),  # empty under a key: delete what is under it
                    record.key,
                    numbers[index],
                    on_delivery=partial(answered, index, sizes[index]),
                    headers=list(record.headers),
                )
            except (KafkaException, BufferError) as raised:
                self._room.give(sum(sizes[index:]))
                self._end(life)
                raise self._not_taken(raised) from raised

    def _not_taken(self, raised: Exception) -> LogError:
        if isinstance(raised, KafkaException) and cause(raised).code() not in _GIVEN_UP:
            return translate(cause(raised), self._name, "WRITE")
        return LogUnavailableError(f"{self._name}: given up because another record failed; append again, in order")
