"""Reading from Kafka through librdkafka, as a member of a group or on one's own account.

What the client reads is exactly what is started: a partition that is held back is not assigned to it at all. `assign`
says where everything begins, and is called once for all that was started since the last poll.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from typing import Any

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition

from mendline.logs.base import Committed, LogError, LogRefusedError, LogUnavailableError, MemberFencedError, Polled
from mendline.logs.kafka.admin import PATIENCE_MS, leave_group
from mendline.logs.kafka.connect import safe_name
from mendline.logs.kafka.options import KafkaOptions
from mendline.logs.kafka.watchdog import Watchdog
from mendline.logs.librdkafka.commits import RdCommits
from mendline.logs.librdkafka.connect import Voice, client_settings, connect
from mendline.logs.librdkafka.errors import cause, translate, translated
from mendline.logs.librdkafka.ownership import Ownership, generation_of
from mendline.logs.librdkafka.topics import describe
from mendline.logs.routing import check_partition, unknown_topic, without_group
from mendline.schemas.stream import Batch, Partition

SLICE_S = 0.05
"""The longest single wait inside the client, which nothing can end: `wake` and signals are seen after it."""
READ_AHEAD_KB = 32 << 10
"""Bound on what is fetched and not yet polled."""
NO_GROUP = "mendline-none"
"""The library wants the name of a group even where there is none."""

_logger = logging.getLogger(__name__)


class _Watchdog(Watchdog):
    """Looks after a member that reads through librdkafka, which heeds its heartbeats itself."""

    def _member_id(self) -> str:
        return self._client.memberid() or ""


class RdConsumer:
    """Reads records from Kafka. A member's name is its static id: restarted within a session, it reads on at once."""

    def __init__(self, servers: list[str], options: KafkaOptions, name: str, group: str | None) -> None:
        """Connect. Raises LogUnavailableError, LogRefusedError."""
        self._servers = servers
        self._options = options
        self._name = name
        self._group = group
        self._commits = RdCommits(lambda: self._client, name)
        self._ownership = Ownership()
        voice = Voice()
        self._client: Any = connect(Consumer, self._settings(), voice, servers, options)
        voice.hear = self._heed
        self._watchdog: Watchdog | None = None
        self._assigned: set[Partition] = set()
        self._next: dict[Partition, int] = {}
        self._reading: set[Partition] = set()
        self._applied: set[Partition] = set()
        self._paused: set[Partition] = set()
        self._stale = False
        self._ahead: list[Any] = []
        self._failure: LogError | None = None
        self._over: LogError | None = None
        self._woken = False
        self._closed = False

    def subscribe(self, topics: Collection[str]) -> None:
        """Become a member of the group. Raises LogRefusedError for an unknown topic or without a group."""
        group = self._need_group()
        for topic in topics:
            self._check_topic(topic)
        with translated(self._name):
            self._client.subscribe(
                list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
        self._watchdog = _Watchdog(self._client, self._servers, self._options, group, safe_name(self._name))

    def assign(self, partitions: Collection[Partition]) -> None:
        """Read exactly these partitions, each when it is started. Raises LogRefusedError for an unknown one."""
        for partition in partitions:
            self._check_topic(partition.topic, partition.number)
        self._assigned = set(partitions)
        self._forget(list(self._next))
        self._apply(set())

    def start(self, partition: Partition, offset: int) -> None:
        """Deliver from `offset` on; from the oldest record when it is gone, from the end when it is beyond.

        Raises LogRefusedError for a partition that this consumer does not hold.
        """
        if not self._holds(partition):
            msg = f"{self._name!r} does not hold {partition.topic}/{partition.number}: it cannot start there"
            raise LogRefusedError(msg)
        # What is told anew where to begin is fetched anew, with all others, so not when reading just goes on.
        if partition in self._applied and self._next.get(partition) == offset:
            if partition in self._paused:
                self._client.resume([TopicPartition(*partition)])
                self._paused.discard(partition)
        else:
            self._next[partition] = offset
            self._drop_ahead({partition})
            self._applied.discard(partition)
            self._stale = True
        self._reading.add(partition)

    def pause(self, partition: Partition) -> None:
        """Deliver nothing more of the partition until `start`; the client rests when it brings more of it."""
        self._reading.discard(partition)

    def poll(self, timeout_s: float, max_records: int = 5000) -> Polled:
        """Wait for records or a change of ownership, at most `timeout_s`.

        Raises MemberFencedError, LogUnavailableError, LogRefusedError, and LogError when the member fell out of its
        group unnoticed.
        """
        end = time.monotonic() + timeout_s
        while True:
            self._look_after()
            found = self._take(min(max(end - time.monotonic(), 0.0), SLICE_S), max_records)
            assigned, revoked = self._ownership.news()
            self._forget(revoked)
            batches = self._batches(found)
            woken, self._woken = self._woken, False
            if not batches:
                self._complain()
            if batches or assigned or revoked or woken or time.monotonic() >= end:
                return Polled(assigned, revoked, batches)

    def wake(self) -> None:
        """Make a waiting `poll` return now, or the next one at once."""
        self._woken = True

    def commit(self, offsets: Mapping[Partition, Committed]) -> None:
        """Store the group's places; answers come in while the caller polls. Raises LogRefusedError without a group."""
        self._need_group()
        self._commits.want(offsets)

    def committed(self, partition: Partition) -> Committed | None:
        """Return the group's stored place. Raises LogUnavailableError, LogRefusedError."""
        self._need_group()
        timeout_s = self._options.request_timeout_ms / 1000
        doing = f"{self._name}: committed place of {partition.topic}/{partition.number}"
        with translated(doing):
            self._commits.finish(timeout_s, self._serve)
            place = self._client.committed([TopicPartition(*partition)], timeout=timeout_s)[0]
        if place.error:
            raise translate(place.error, doing)
        return None if place.offset == OFFSET_INVALID else Committed(place.offset, place.metadata or "")

    def beginning_offset(self, partition: Partition) -> int:
        """Return the offset of the oldest record. Raises LogUnavailableError, LogRefusedError."""
        return self._ends(partition)[0]

    def end_offset(self, partition: Partition) -> int:
        """Return the offset of the next record. Raises LogUnavailableError, LogRefusedError."""
        return self._ends(partition)[1]

    def lag(self, partition: Partition) -> int:
        """Return how many records lay beyond those delivered when the last were fetched; 1 before any were."""
        if not self._holds(partition):
            return 0
        try:
            end = self._client.get_watermark_offsets(TopicPartition(*partition), cached=True)[1]
        except KafkaException:
            return 1
        return 1 if end < 0 else max(end - self._next.get(partition, end), 0)

    def offset_at(self, partition: Partition, timestamp: int) -> int:
        """Return the offset of the first record appended at `timestamp` or later; the end offset if none.

        Raises LogUnavailableError, LogRefusedError.
        """
        asked = TopicPartition(*partition, max(timestamp, 0))
        doing = f"{self._name}: offset by time in {partition.topic}/{partition.number}"
        with translated(doing):
            found = self._client.offsets_for_times([asked], timeout=self._options.request_timeout_ms / 1000)[0]
        if found.error:
            raise translate(found.error, doing)
        return found.offset if found.offset >= 0 else self.end_offset(partition)

    def close(self) -> None:
        """Store the last places, leave the group and hand the partitions over at once. Never raises."""
        if self._closed:
            return
        self._closed = True
        patience_s = PATIENCE_MS / 1000
        self._quietly("store its last places", lambda: self._commits.finish(patience_s, self._serve))
        member_id = (self._client.memberid() or "") if self._watchdog else ""
        if self._watchdog:
            self._quietly("hear of the last rebalance", lambda: self._settle(patience_s))
        self._quietly("close", lambda: _within(patience_s, self._client.close))
        if member_id and self._options.leave_on_close and not (self._over or self._commits.fenced):
            names = self._need_group(), self._name, member_id
            self._quietly("leave its group", lambda: leave_group(self._servers, self._options, *names))

    def _settle(self, patience_s: float) -> None:
        """Hear of the last rebalance, and take part in none that is still on its way. Raises LogUnavailableError.

        Closing, the client would ask what nobody answers any more about one that it has not heard of yet, and all of
        the process stand still (https://github.com/confluentinc/librdkafka/issues/4884).
        """
        with translated(self._name):
            self._client.pause([TopicPartition(*partition) for partition in self._applied])
        end = time.monotonic() + patience_s
        self._hear_all(end)
        if not self._ownership.settled and self._unsubscribed():
            self._hear_all(end)

    def _unsubscribed(self) -> bool:
        """Take part in no rebalance any more; say False where it is no member anyway. Raises LogError."""
        try:
            self._client.unsubscribe()
        except KafkaException as raised:
            if cause(raised).code() != KafkaError._FATAL:  # noqa: SLF001 - public all the same
                raise translate(cause(raised), self._name) from raised
            self._heed(cause(raised))
        return self._over is None

    def _hear_all(self, end: float) -> None:
        """Let the client report until it has nothing to say, or until `end`; records are no longer wanted."""
        while time.monotonic() < end:
            try:
                if self._client.poll(0) is None:
                    return
            except KafkaException as raised:
                self._heed(cause(raised))

    def _settings(self) -> dict[str, Any]:
        options = self._options
        settings = client_settings(self._servers, options, self._name)
        settings |= {
            "group.id": self._group or NO_GROUP,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "allow.auto.create.topics": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_uncommitted",  # the others read so, and nothing here is transactional
            "fetch.message.max.bytes": 4 << 20,
            "fetch.min.bytes": 1,
            "fetch.wait.max.ms": options.fetch_max_wait_ms,
            # Must be longer than a fetch is held by the broker.
            "socket.timeout.ms": max(options.request_timeout_ms, options.fetch_max_wait_ms + 5_000),
            "queued.max.messages.kbytes": READ_AHEAD_KB,
            # The default of 1 s would let a fast reader wait that long whenever the bound was reached.
            "fetch.queue.backoff.ms": 5,
            "on_commit": self._commits.heard,
        }
        if self._group is not None:
            settings |= {
                "group.instance.id": safe_name(self._name),
                "partition.assignment.strategy": "range",
                "session.timeout.ms": options.session_timeout_ms,
                "heartbeat.interval.ms": options.heartbeat_interval_ms,
                "max.poll.interval.ms": max(options.max_poll_interval_ms, options.session_timeout_ms),
            }
        return settings

    def _need_group(self) -> str:
        if self._group is None:
            raise without_group(self._name)
        return self._group

    def _check_topic(self, topic: str, number: int = 0) -> None:
        end = time.monotonic() + self._options.request_timeout_ms / 1000
        while not (there := self._partitions_of(topic)):
            # A topic that is being made is known to one broker a moment before it is to the next.
            if time.monotonic() > end or describe(self._servers, self._options, topic) is None:
                raise unknown_topic(topic, self._topics())
        check_partition(Partition(topic, number), len(there))

    def _partitions_of(self, topic: str) -> Collection[int]:
        """Return the topic's partitions, none where it does not exist. Raises LogRefusedError: not for this user."""
        found = self._topics(topic)[topic]
        if found.error and found.error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise translate(found.error, f"{self._name}: topic {topic!r}", "DESCRIBE")
        there: Collection[int] = found.partitions
        return there

    def _topics(self, name: str | None = None) -> dict[str, Any]:
        """Return what a broker says of a topic, or of all."""
        with translated(f"{self._name}: topics"):
            there: dict[str, Any] = self._client.list_topics(
                name, timeout=self._options.request_timeout_ms / 1000
            ).topics
        return there

    def _holds(self, partition: Partition) -> bool:
        return partition in self._assigned or self._ownership.owns(partition)

    # Ownership: called by the client while it is polled. What the library itself raises must not leave as it is: before
    # Python 3.12 it hands on what is no exception, and whoever polls or closes gets a SystemError that tells nothing.

    def _on_assign(self, client: Any, given: list[TopicPartition]) -> None:
        if self._closed:
            self._let_go()
            return
        kept = self._ownership.gave([Partition(tp.topic, tp.partition) for tp in given], generation_of(client))
        self._apply(self._reading & kept)

    def _on_revoke(self, client: Any, taken: list[TopicPartition]) -> None:
        self._commits.go_on()
        self._ownership.rest()
        self._let_go()

    def _on_lost(self, client: Any, taken: list[TopicPartition]) -> None:
        self._ownership.lost()
        self._let_go()

    def _apply(self, partitions: set[Partition]) -> None:
        """Let the client read exactly these partitions, each from its next place on."""
        self._end_pauses()
        with translated(self._name):
            self._client.assign([TopicPartition(*p, self._next[p]) for p in partitions])
        self._applied = partitions
        self._stale = False

    def _let_go(self) -> None:
        """Let the client read nothing."""
        self._end_pauses()
        with translated(self._name):
            self._client.unassign()
        self._applied = set()

    def _end_pauses(self) -> None:
        """Let no partition be paused that is assigned again one day: the client would remember it."""
        if self._paused:
            with translated(self._name):
                self._client.resume([TopicPartition(*partition) for partition in self._paused])
            self._paused.clear()

    # Reading.

    def _look_after(self) -> None:
        self._over = self._over or self._commits.fenced
        if self._over:
            raise self._over
        if self._watchdog:
            self._watchdog.look(owns=bool(self._applied))
        self._commits.go_on()
        if self._stale and not self._ownership.away:
            self._apply(set(self._reading))

    def _take(self, wait_s: float, max_records: int) -> list[Any]:
        """Return what is there, or what is there at the end of a wait for the first record."""
        if self._ahead and (ready := self._ready(max_records)):
            return ready
        try:
            found = self._client.consume(max_records, 0)
            if not found and wait_s > 0:
                first = self._client.poll(wait_s)
                found = [first, *self._client.consume(max_records - 1, 0)] if first and max_records > 1 else [first]
        except KafkaException as raised:
            self._heed(cause(raised))
            return []
        return [one for one in found if one is not None]

    def _ready(self, max_records: int) -> list[Any]:
        """Return what came early and may be delivered now."""
        ready = [one for one in self._ahead if one.error() or _partition(one) in self._reading][:max_records]
        taken = set(map(id, ready))
        self._ahead = [one for one in self._ahead if id(one) not in taken]
        return ready

    def _serve(self, seconds: float) -> None:
        """Let the client report; records that come meanwhile are for the next poll."""
        try:
            message = self._client.poll(seconds)
        except KafkaException as raised:
            self._heed(cause(raised))
            return
        if message is not None:
            self._ahead.append(message)

    def _drop_ahead(self, partitions: Collection[Partition]) -> None:
        if self._ahead:
            kept = [one for one in self._ahead if _partition(one) not in partitions]
            if len(kept) < len(self._ahead):
                # The client takes them for delivered, so it must be told anew where to begin.
                self._applied.difference_update(partitions)
            self._ahead = kept

    def _batches(self, found: list[Any]) -> list[Batch]:
        """Return what was found of the partitions that are read, from their next places on."""
        by_partition: dict[tuple[str, int], list[Any]] = {}
        for message in found:
            if message.error() is None:
                by_partition.setdefault((message.topic(), message.partition()), []).append(message)
            else:
                self._heed(message.error(), message)
        batches = []
        for key, messages in by_partition.items():
            partition = Partition(*key)
            if partition in self._applied and partition in self._reading:
                batches += self._batch(partition, messages)
            elif partition in self._applied:
                self._rest(partition, messages)
        return batches

    def _rest(self, partition: Partition, messages: list[Any]) -> None:
        """Keep what came of a paused partition until it goes on, and let no more of it come."""
        self._ahead += messages
        if partition not in self._paused:
            self._client.pause([TopicPartition(*partition)])
            self._paused.add(partition)

    def _batch(self, partition: Partition, messages: list[Any]) -> list[Batch]:
        offsets = [one.offset() for one in messages]
        if offsets[0] < self._next[partition]:
            known = bisect_left(offsets, self._next[partition])
            offsets, messages = offsets[known:], messages[known:]
        if not offsets:
            return []
        self._next[partition] = offsets[-1] + 1
        return [
            Batch(
                partition,
                offsets,
                [one.timestamp()[1] for one in messages],
                [one.key() for one in messages],
                [one.value() or b"" for one in messages],
                [one.headers() or () for one in messages],
            )
        ]

    def _forget(self, partitions: Collection[Partition]) -> None:
        if partitions:
            self._commits.forget(partitions)
            self._reading.difference_update(partitions)
            self._drop_ahead(set(partitions))
            for partition in partitions:
                self._next.pop(partition, None)

    # Errors.

    def _heed(self, error: KafkaError, message: Any = None) -> None:
        """Take an error that the client reports: most it mends itself, the others end the next poll."""
        code = error.code()
        if code == KafkaError._AUTO_OFFSET_RESET and message is not None:  # noqa: SLF001 - public all the same
            self._bring_into_range(Partition(message.topic(), message.partition()))
            return
        if code == KafkaError._MAX_POLL_EXCEEDED:  # noqa: SLF001
            return
        topic = message.topic() if message is not None else None
        meaning = translate(error, self._name, "READ", topic or self._group or "")
        if isinstance(meaning, MemberFencedError) or code == KafkaError._FATAL:  # noqa: SLF001
            self._over = meaning
        elif isinstance(meaning, LogUnavailableError) or code == KafkaError.UNKNOWN_TOPIC_OR_PART:
            _logger.debug("%s", meaning)
        elif self._group is not None or code != KafkaError.GROUP_AUTHORIZATION_FAILED:
            self._failure = meaning

    def _complain(self) -> None:
        """Raise what ends this poll, once; what ends the client, always."""
        failure, self._failure = self._over or self._failure, None
        if failure:
            raise failure

    def _bring_into_range(self, partition: Partition) -> None:
        """Go on at the oldest record where retention took what was to be read, at the end where nothing was yet."""
        if partition not in self._reading:
            return
        asked = self._next[partition]
        begin, end = self._ends(partition)
        offset = begin if asked < begin else end
        _logger.warning("%s: %s/%d has no offset %d; going on at %d", self._name, *partition, asked, offset)
        self.start(partition, offset)

    def _ends(self, partition: Partition) -> tuple[int, int]:
        with translated(f"{self._name}: offsets of {partition.topic}/{partition.number}"):
            ends: tuple[int, int] = self._client.get_watermark_offsets(
                TopicPartition(*partition), timeout=self._options.request_timeout_ms / 1000
            )
        return ends

    def _quietly(self, what: str, do: Callable[[], object]) -> None:
        try:
            do()
        except Exception as error:  # noqa: BLE001 - closing must not hide why the caller closes
            _logger.warning("%s could not %s: %s", self._name, what, error)


def _partition(message: Any) -> tuple[str, int]:
    return message.topic(), message.partition()


def _within(seconds: float, do: Callable[[], object]) -> None:
    """Do something that may hang, and wait for it at most so long.

    Raises what it raises, and LogUnavailableError when it goes on.
    """
    failures: list[Exception] = []

    def attempt() -> None:
        try:
            do()
        except Exception as error:  # noqa: BLE001 - raised again below, by who waits
            failures.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        msg = f"it takes longer than {seconds:g} s and goes on in the background"
        raise LogUnavailableError(msg)
    if failures:
        raise failures[0]
