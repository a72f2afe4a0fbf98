"""Reading from Kafka, as a member of a group or on one's own account."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer
from kafka import errors as kafka_errors
from kafka.structs import TopicPartition

from mendline.logs.base import Committed, LogRefusedError, Polled
from mendline.logs.kafka.admin import PATIENCE_MS, admin_client, leave_group
from mendline.logs.kafka.assignor import SharingAssignor
from mendline.logs.kafka.commits import ClientCommits
from mendline.logs.kafka.connect import client_settings, connect, safe_name
from mendline.logs.kafka.errors import translate, translated
from mendline.logs.kafka.options import KafkaOptions
from mendline.logs.kafka.ownership import Ownership, hold
from mendline.logs.kafka.topics import describe
from mendline.logs.kafka.wake import WakeableClient, WakeableNet, Woken
from mendline.logs.kafka.watchdog import ClientWatchdog
from mendline.logs.routing import check_partition, unknown_topic, without_group
from mendline.schemas.stream import Batch, Partition

SLICE_S = 0.5
"""The longest single wait inside the client: a signal handler's effect is seen after it at the latest."""
IDLE_SLICE_S = 0.1
"""The same while nothing is read: the client then sleeps instead of waiting, and news of the group would wait too."""

_logger = logging.getLogger(__name__)


class KafkaLogConsumer:
    """Reads records from Kafka. A member's name is its static id: restarted within a session, it reads on at once."""

    def __init__(self, servers: list[str], options: KafkaOptions, name: str, group: str | None) -> None:
        """Connect. Raises LogUnavailableError, LogRefusedError."""
        self._servers = servers
        self._options = options
        self._name = name
        self._group = group
        self._nets: list[WakeableNet] = []
        self._client = connect(KafkaConsumer, self._settings())
        self._commits = ClientCommits(self._client, name)
        self._ownership = Ownership(self._client, self._nets[0].wake)
        self._watchdog: ClientWatchdog | None = None
        self._assigned: set[Partition] = set()
        self._next: dict[Partition, int] = {}
        self._reading: set[Partition] = set()
        self._closed = False

    def subscribe(self, topics: Collection[str]) -> None:
        """Become a member of the group. Raises LogRefusedError for an unknown topic or without a group."""
        group = self._need_group()
        for topic in topics:
            self._check_topic(topic)
        with translated(self._name):
            self._client.subscribe(list(topics), listener=self._ownership)
        self._watchdog = ClientWatchdog(self._client, self._servers, self._options, group, safe_name(self._name))

    def assign(self, partitions: Collection[Partition]) -> None:
        """Read exactly these partitions, each when it is started. Raises LogRefusedError for an unknown one."""
        for partition in partitions:
            self._check_topic(partition.topic, partition.number)
        tps = [TopicPartition(*partition) for partition in partitions]
        with translated(self._name):
            self._client.assign(tps)
            hold(self._client, tps)
        self._assigned = set(partitions)
        self._forget(list(self._next))

    def start(self, partition: Partition, offset: int) -> None:
        """Deliver from `offset` on; from the oldest record when it is gone, from the end when it is beyond.

        Raises LogRefusedError for a partition that this consumer does not hold.
        """
        if partition not in self._assigned and not self._ownership.owns(partition):
            msg = f"{self._name!r} does not hold {partition.topic}/{partition.number}: it cannot start there"
            raise LogRefusedError(msg)
        tp = TopicPartition(*partition)
        # A seek throws away what was fetched ahead, so none when reading just goes on after a pause.
        if self._next.get(partition) != offset:
            self._client.seek(tp, offset)
            self._next[partition] = offset
        self._client.resume(tp)
        self._reading.add(partition)

    def pause(self, partition: Partition) -> None:
        """Deliver nothing more of the partition until `start`."""
        self._reading.discard(partition)
        if partition in self._assigned or self._ownership.owns(partition):
            self._client.pause(TopicPartition(*partition))

    def poll(self, timeout_s: float, max_records: int = 5000) -> Polled:
        """Wait for records or a change of ownership, at most `timeout_s`.

        Raises MemberFencedError, LogUnavailableError, LogRefusedError, and LogError when the member fell out of its
        group unnoticed.
        """
        end = time.monotonic() + timeout_s
        net = self._nets[0]
        while True:
            found = self._poll_client(min(max(end - time.monotonic(), 0.0), self._slice_s()), max_records)
            assigned, revoked = self._ownership.news()
            if revoked:
                self._forget(revoked)
            batches = self._batches(found, revoked)
            woken = net.asked
            if woken:
                net.asked = False
            if batches or assigned or revoked or woken or time.monotonic() >= end:
                return Polled(assigned, revoked, batches)

    def wake(self) -> None:
        """Make a waiting `poll` return now."""
        self._nets[0].wake()

    def commit(self, offsets: Mapping[Partition, Committed]) -> None:
        """Store the group's places; answers come in while the caller polls. Raises LogRefusedError without a group."""
        self._need_group()
        self._commits.want(offsets)

    def committed(self, partition: Partition) -> Committed | None:
        """Return the group's stored place. Raises LogUnavailableError, LogRefusedError."""
        self._need_group()
        timeout_ms = self._options.request_timeout_ms
        with translated(f"{self._name}: committed place of {partition.topic}/{partition.number}"):
            self._commits.finish(timeout_ms / 1000)
            place = self._client.committed(TopicPartition(*partition), metadata=True, timeout_ms=timeout_ms)
        return None if place is None else Committed(place.offset, place.metadata or "")

    def beginning_offset(self, partition: Partition) -> int:
        """Return the offset of the oldest record. Raises LogUnavailableError, LogRefusedError."""
        return self._offset(self._client.beginning_offsets, partition)

    def end_offset(self, partition: Partition) -> int:
        """Return the offset of the next record. Raises LogUnavailableError, LogRefusedError."""
        return self._offset(self._client.end_offsets, partition)

    def lag(self, partition: Partition) -> int:
        """Return how many records lay beyond those delivered when the last were fetched; 1 before any were."""
        try:
            end = self._client.highwater(TopicPartition(*partition))
        except kafka_errors.KafkaError:
            return 0
        return 1 if end is None else max(end - self._next.get(partition, end), 0)

    def offset_at(self, partition: Partition, timestamp: int) -> int:
        """Return the offset of the first record appended at `timestamp` or later; the end offset if none.

        Raises LogUnavailableError, LogRefusedError.
        """
        tp = TopicPartition(*partition)
        with translated(f"{self._name}: offset by time in {partition.topic}/{partition.number}"):
            found = self._client.offsets_for_times({tp: max(timestamp, 0)}, timeout_ms=self._options.request_timeout_ms)
        return found[tp].offset if found[tp] else self.end_offset(partition)

    def close(self) -> None:
        """Store the last places, leave the group and hand the partitions over at once. Never raises."""
        if self._closed:
            return
        self._closed = True
        self._quietly("store its last places", lambda: self._commits.finish(PATIENCE_MS / 1000))
        member_id = self._client.group_metadata().member_id if self._watchdog else ""
        self._quietly("close", lambda: self._client.close(autocommit=False, timeout_ms=PATIENCE_MS))
        if member_id and self._options.leave_on_close and not self._commits.fenced:
            names = self._need_group(), self._name, member_id
            self._quietly("leave its group", lambda: leave_group(self._servers, self._options, *names))

    def _settings(self) -> dict[str, Any]:
        options = self._options
        settings = client_settings(self._servers, options, self._name)
        settings |= {
            "kafka_client": self._network,
            "enable_auto_commit": False,
            "allow_auto_create_topics": False,
            "auto_offset_reset": "none",
            "max_poll_records": 5000,
            "max_partition_fetch_bytes": 4 << 20,
            "fetch_min_bytes": 1,
            "fetch_max_wait_ms": options.fetch_max_wait_ms,
            # Nobody looks at the client's own measurements but a group's watchdog.
            "metrics_enabled": self._group is not None,
            # Must be longer than a fetch is held by the broker.
            "request_timeout_ms": max(options.request_timeout_ms, options.fetch_max_wait_ms + 5_000),
        }
        if self._group is not None:
            settings |= {
                "group_id": self._group,
                "group_instance_id": safe_name(self._name),
                "partition_assignment_strategy": [SharingAssignor],
                "session_timeout_ms": options.session_timeout_ms,
                "heartbeat_interval_ms": options.heartbeat_interval_ms,
                "max_poll_interval_ms": options.max_poll_interval_ms,
            }
        return settings

    def _network(self, **settings: Any) -> WakeableClient:
        client = WakeableClient(**settings)
        self._nets.append(client.net)
        return client

    def _need_group(self) -> str:
        if self._group is None:
            raise without_group(self._name)
        return self._group

    def _check_topic(self, topic: str, number: int = 0) -> None:
        end = time.monotonic() + self._options.request_timeout_ms / 1000
        while not (there := self._partitions_of(topic)):
            # A topic that is being made is known to one broker a moment before it is to the next.
            if not self._exists(topic) or time.monotonic() > end:
                with translated(f"{self._name}: topics"):
                    raise unknown_topic(topic, dict.fromkeys(self._client.topics() - {topic}))
        check_partition(Partition(topic, number), len(there))

    def _partitions_of(self, topic: str) -> set[int]:
        with translated(f"{self._name}: topic {topic!r}"):
            there: set[int] = self._client.partitions_for_topic(topic)
        return there

    def _exists(self, topic: str) -> bool:
        """Say whether the brokers know a topic that the client does not. Raises LogRefusedError: not for this user."""
        with admin_client(self._servers, self._options) as admin:
            return describe(admin, topic) is not None

    def _slice_s(self) -> float:
        """Return the longest single wait. Without a group, off the main thread, nothing but records has to be seen."""
        if not self._reading:
            return IDLE_SLICE_S
        lone = self._group is None and threading.current_thread() is not threading.main_thread()
        return math.inf if lone else SLICE_S

    def _poll_client(self, wait_s: float, max_records: int) -> dict[TopicPartition, list[Any]]:
        if self._commits.fenced:
            raise self._commits.fenced
        if self._watchdog:
            self._watchdog.look(owns=bool(self._reading))
        self._commits.go_on()
        self._nets[0].polling = True
        try:
            found: dict[TopicPartition, list[Any]] = self._client.poll(int(wait_s * 1000), max_records)
        except Woken:
            return {}
        except kafka_errors.OffsetOutOfRangeError as error:
            self._bring_into_range(error)
            return {}
        except kafka_errors.KafkaError as error:
            raise translate(error, self._name, "READ") from error
        finally:
            self._nets[0].polling = False
        return found

    def _bring_into_range(self, error: kafka_errors.OffsetOutOfRangeError) -> None:
        """Go on at the oldest record where retention took what was to be read, at the end where nothing was yet."""
        for tp, asked in error.args[0].items():
            partition = Partition(*tp)
            begin, end = self.beginning_offset(partition), self.end_offset(partition)
            offset = begin if asked < begin else end
            _logger.warning("%s: %s/%d has no offset %d; going on at %d", self._name, *tp, asked, offset)
            self._client.seek(tp, offset)
            self._next[partition] = offset

    def _batches(self, found: dict[TopicPartition, list[Any]], revoked: Collection[Partition]) -> list[Batch]:
        """Return what was found, but for partitions that were taken away while the client looked."""
        batches = [_batch(Partition(*tp), records) for tp, records in found.items() if records and tp not in revoked]
        for batch in batches:
            self._next[batch.partition] = batch.next_offset
        return batches

    def _forget(self, partitions: Collection[Partition]) -> None:
        self._commits.forget(partitions)
        self._reading.difference_update(partitions)
        for partition in partitions:
            self._next.pop(partition, None)

    def _offset(self, ask: Callable[..., dict[TopicPartition, int]], partition: Partition) -> int:
        tp = TopicPartition(*partition)
        with translated(f"{self._name}: offsets of {partition.topic}/{partition.number}"):
            return ask([tp], timeout_ms=self._options.request_timeout_ms)[tp]

    def _quietly(self, what: str, do: Callable[[], object]) -> None:
        try:
            do()
        except Exception as error:  # noqa: BLE001 - closing must not hide why the caller closes
            _logger.warning("%s could not %s: %s", self._name, what, error)


def _batch(partition: Partition, records: Sequence[Any]) -> Batch:
    return Batch(
        partition,
        [r.offset for r in records],
        [r.timestamp for r in records],
        [r.key for r in records],
        [b"" if r.value is None else r.value for r in records],
        [r.headers for r in records],
    )
