"""What a consumer's client reads: from where on, what of it rests, and what came before it was asked for.

What the client reads is exactly what is started: a partition that is held back is not assigned to it at all. `assign`
says where everything begins, and is called once for all that was started since the last poll.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Collection
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from mendline.logs.librdkafka.errors import cause, translated
from mendline.logs.librdkafka.troubles import Troubles
from mendline.schemas.stream import Batch, Partition

_logger = logging.getLogger(__name__)

Ends = Callable[[Partition], tuple[int, int]]
"""Returns the offsets of a partition's oldest and next record. Raises LogUnavailableError, LogRefusedError."""


class Reading:
    """The places of one consumer. Not guarded: all happens while the caller polls."""

    def __init__(self, client: Any, name: str, troubles: Troubles, ends: Ends) -> None:
        """Begin reading nothing through `client`."""
        self._client = client
        self._name = name
        self._troubles = troubles
        self._ends = ends
        self._next: dict[Partition, int] = {}
        self._started: set[Partition] = set()
        self._applied: set[Partition] = set()
        self._paused: set[Partition] = set()
        self._stale = False
        self._ahead: list[Any] = []

    @property
    def partitions(self) -> list[Partition]:
        """What was ever started and is not forgotten."""
        return list(self._next)

    @property
    def is_at_work(self) -> bool:
        """Whether the client reads anything."""
        return bool(self._applied)

    # What is wanted -----------------------------------------------------------------------------------------------

    def start(self, partition: Partition, offset: int) -> None:
        """Deliver from `offset` on; from the oldest record when it is gone, from the end when it is beyond."""
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
        self._started.add(partition)

    def pause(self, partition: Partition) -> None:
        """Deliver nothing more of the partition until `start`; the client rests when it brings more of it."""
        self._started.discard(partition)

    def forget(self, partitions: Collection[Partition]) -> None:
        """Deliver nothing more of the partitions, and know of no place in them."""
        self._started.difference_update(partitions)
        self._drop_ahead(set(partitions))
        for partition in partitions:
            self._next.pop(partition, None)

    def lag(self, partition: Partition) -> int:
        """Return how many records lay beyond those delivered when the last were fetched; 1 before any were."""
        try:
            end = self._client.get_watermark_offsets(TopicPartition(*partition), cached=True)[1]
        except KafkaException:
            return 1
        return 1 if end < 0 else max(end - self._next.get(partition, end), 0)

    # What the client is told --------------------------------------------------------------------------------------

    def apply_changes(self) -> None:
        """Let the client read what was started by now. Raises LogError."""
        if self._stale:
            self._apply(set(self._started))

    def go_on(self, kept: Collection[Partition]) -> None:
        """Let the client read of what was started only what was `kept`, where it was. Raises LogError."""
        self._apply(self._started.intersection(kept))

    def begin_anew(self) -> None:
        """Let the client read nothing until something is started. Raises LogError."""
        self._apply(set())

    def let_go(self) -> None:
        """Let the client give up what it was assigned. Raises LogError."""
        self._end_pauses()
        with translated(self._name):
            self._client.unassign()
        self._applied = set()

    def rest(self) -> None:
        """Let the client fetch nothing more, for the end. Raises LogError."""
        with translated(self._name):
            self._client.pause([TopicPartition(*partition) for partition in self._applied])

    def _apply(self, partitions: set[Partition]) -> None:
        """Let the client read exactly these partitions, each from its next place on."""
        self._end_pauses()
        with translated(self._name):
            self._client.assign([TopicPartition(*p, self._next[p]) for p in partitions])
        self._applied = partitions
        self._stale = False

    def _end_pauses(self) -> None:
        """Let no partition be paused that is assigned again one day: the client would remember it."""
        if self._paused:
            with translated(self._name):
                self._client.resume([TopicPartition(*partition) for partition in self._paused])
            self._paused.clear()

    # What comes ---------------------------------------------------------------------------------------------------

    def serve(self, seconds: float) -> None:
        """Let the client report; records that come meanwhile are for the next `fetch`."""
        try:
            message = self._client.poll(seconds)
        except KafkaException as raised:
            self._troubles.heed(cause(raised))
            return
        if message is not None:
            self._ahead.append(message)

    def fetch(self, wait_s: float, max_records: int) -> list[Any]:
        """Return what is there, or what is there at the end of a wait for the first record: as the client gives it."""
        if self._ahead and (ready := self._ready(max_records)):
            return ready
        try:
            found = self._client.consume(max_records, 0)
            if not found and wait_s > 0:
                first = self._client.poll(wait_s)
                found = [first, *self._client.consume(max_records - 1, 0)] if first and max_records > 1 else [first]
        except KafkaException as raised:
            self._troubles.heed(cause(raised))
            return []
        return [one for one in found if one is not None]

    def _ready(self, max_records: int) -> list[Any]:
        """Return what came early and may be delivered now."""
        ready = [one for one in self._ahead if one.error() or _partition(one) in self._started][:max_records]
        taken = set(map(id, ready))
        self._ahead = [one for one in self._ahead if id(one) not in taken]
        return ready

    def _drop_ahead(self, partitions: Collection[Partition]) -> None:
        if self._ahead:
            kept = [one for one in self._ahead if _partition(one) not in partitions]
            if len(kept) < len(self._ahead):
                # The client takes them for delivered, so it must be told anew where to begin.
                self._applied.difference_update(partitions)
            self._ahead = kept

    def batches(self, found: list[Any]) -> list[Batch]:
        """Return what was fetched of the partitions read by now, from their next places on. Raises LogError."""
        by_partition: dict[tuple[str, int], list[Any]] = {}
        for message in found:
            if message.error() is None:
                by_partition.setdefault((message.topic(), message.partition()), []).append(message)
            else:
                self._heed(message)
        batches = []
        for key, messages in by_partition.items():
            partition = Partition(*key)
            if partition in self._applied and partition in self._started:
                batches += self._batch(partition, messages)
            elif partition in self._applied:
                self._hold_back(partition, messages)
        return batches

    def _hold_back(self, partition: Partition, messages: list[Any]) -> None:
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

    def _heed(self, message: Any) -> None:
        """Take an error that stands in the place of a record."""
        if message.error().code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - public all the same
            self._bring_into_range(Partition(message.topic(), message.partition()))
        else:
            self._troubles.heed(message.error(), message.topic())

    def _bring_into_range(self, partition: Partition) -> None:
        """Go on at the oldest record where retention took what was to be read, at the end where nothing was yet."""
        if partition not in self._started:
            return
        asked = self._next[partition]
        begin, end = self._ends(partition)
        offset = begin if asked < begin else end
        _logger.warning("%s: %s/%d has no offset %d; going on at %d", self._name, *partition, asked, offset)
        self.start(partition, offset)


def _partition(message: Any) -> tuple[str, int]:
    return message.topic(), message.partition()
