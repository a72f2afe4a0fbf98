"""Reading from Kafka through librdkafka, as a member of a group or on one's own account."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, TopicPartition

from mendline.logs.base import Committed, LogRefusedError, LogUnavailableError, Polled
from mendline.logs.kafka.admin import PATIENCE_MS
from mendline.logs.kafka.options import KafkaOptions
from mendline.logs.librdkafka.commits import RdCommits
from mendline.logs.librdkafka.connect import Voice, connect, consumer_settings
from mendline.logs.librdkafka.errors import translate, translated
from mendline.logs.librdkafka.membership import Membership
from mendline.logs.librdkafka.reading import Reading
from mendline.logs.librdkafka.topics import describe
from mendline.logs.librdkafka.troubles import Troubles
from mendline.logs.routing import check_partition, unknown_topic, without_group
from mendline.schemas.stream import Partition

SLICE_S = 0.05
"""The longest single wait inside the client, which nothing can end: `wake` and signals are seen after it."""

_logger = logging.getLogger(__name__)


class RdConsumer:
    """Reads records from Kafka. A member's name is its static id: restarted within a session, it reads on at once."""

    def __init__(self, servers: list[str], options: KafkaOptions, name: str, group: str | None) -> None:
        """Connect. Raises LogUnavailableError, LogRefusedError."""
        self._servers = servers
        self._options = options
        self._name = name
        self._group = group
        self._commits = RdCommits(lambda: self._client, name)
        self._troubles = Troubles(name, group)
        voice = Voice()
        settings = consumer_settings(servers, options, name, group) | {"on_commit": self._commits.heard}
        self._client: Any = connect(Consumer, settings, voice, servers, options)
        voice.hear = self._troubles.heed
        self._reading = Reading(self._client, name, self._troubles, self._ends)
        self._membership = Membership(self._client, name, self._reading, self._commits, self._troubles)
        self._assigned: set[Partition] = set()
        self._woken = False
        self._closed = False

    def subscribe(self, topics: Collection[str]) -> None:
        """Become a member of the group. Raises LogRefusedError for an unknown topic or without a group."""
        group = self._need_group()
        for topic in topics:
            self._check_topic(topic)
        self._membership.join(self._servers, self._options, group, topics)

    def assign(self, partitions: Collection[Partition]) -> None:
        """Read exactly these partitions, each when it is started. Raises LogRefusedError for an unknown one."""
        for partition in partitions:
            self._check_topic(partition.topic, partition.number)
        self._assigned = set(partitions)
        self._forget(self._reading.partitions)
        self._reading.begin_anew()

    def start(self, partition: Partition, offset: int) -> None:
        """Deliver from `offset` on; from the oldest record when it is gone, from the end when it is beyond.

        Raises LogRefusedError for a partition that this consumer does not hold.
        """
        if not self._holds(partition):
            msg = f"{self._name!r} does not hold {partition.topic}/{partition.number}: it cannot start there"
            raise LogRefusedError(msg)
        self._reading.start(partition, offset)

    def pause(self, partition: Partition) -> None:
        """Deliver nothing more of the partition until `start`."""
        self._reading.pause(partition)

    def poll(self, timeout_s: float, max_records: int = 5000) -> Polled:
        """Wait for records or a change of ownership, at most `timeout_s`.

        Raises MemberFencedError, LogUnavailableError, LogRefusedError, and LogError when the member fell out of its
        group unnoticed.
        """
        end = time.monotonic() + timeout_s
        while True:
            self._membership.look_after()
            found = self._reading.fetch(min(max(end - time.monotonic(), 0.0), SLICE_S), max_records)
            assigned, revoked = self._membership.news()
            self._forget(revoked)
            batches = self._reading.batches(found)
            woken, self._woken = self._woken, False
            if not batches:
                self._troubles.complain()
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
            self._commits.finish(timeout_s, self._reading.serve)
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
        return self._reading.lag(partition) if self._holds(partition) else 0

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
        self._membership.end()
        self._quietly("store its last places", lambda: self._commits.finish(patience_s, self._reading.serve))
        member_id = self._membership.member_id
        self._quietly("hear of the last rebalance", lambda: self._membership.settle(patience_s))
        self._quietly("close", lambda: _within(patience_s, self._client.close))
        if member_id and self._options.leave_on_close:
            place = self._servers, self._options, self._need_group(), member_id
            self._quietly("leave its group", lambda: self._membership.leave(*place))

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
        return partition in self._assigned or self._membership.owns(partition)

    def _forget(self, partitions: Collection[Partition]) -> None:
        if partitions:
            self._commits.forget(partitions)
            self._reading.forget(partitions)

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
