"""Reads a topic as it grows, and hands its JSON records to whoever wants to know."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from mendline.logs.base import Committed, LogUnavailableError
from mendline.schemas.records import Record, readable
from mendline.schemas.stream import Partition

if TYPE_CHECKING:
    from mendline.logs.base import Consumer, Log
    from mendline.schemas.stream import Batch

logger = logging.getLogger(__name__)

PAUSE_S = 1.0
AT_ONCE = 20
"""So few records a poll that even a slow `take` comes back to the group in time."""


class Taker(Protocol):
    """Whoever wants to know. Called on the follower's thread alone."""

    def begin(self, start: int, end: int) -> None:
        """Forget what is known: records come from offset `start` on; the log ends at `end` now."""

    def take(self, record: Record, offset: int) -> None:
        """Take in a record. Must not raise, and must not block."""

    def settle(self) -> int | None:
        """Do what is to be done; called about twice a second, and after records came. It may raise LogError.

        Return the offset of the oldest record that must come again after a crash, None when none must.
        """


class Listener:
    """Hears each record as it comes, and needs none again."""

    def __init__(self, hear: Callable[[Record], None]) -> None:
        """Let `hear` have each."""
        self._hear = hear

    def begin(self, start: int, end: int) -> None:
        """Begin anywhere."""

    def take(self, record: Record, offset: int) -> None:
        """Let it be heard."""
        self._hear(record)

    def settle(self) -> int | None:
        """Need nothing again."""
        return None


class Follower:
    """Hands over the records of a topic from now on, on its own thread; a `Runner`.

    With a group it goes on after a restart where it was, and of several with the same group one alone is told of a
    record; without one it begins at the end of partition 0 each time.
    """

    def __init__(
        self,
        log: Log,
        topic: str,
        name: str,
        taker: Taker,
        group: str | None = None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """Follow `topic`, which with a group has one partition; `ended` is called last."""
        self.name = name
        self._log = log
        self._topic = topic
        self._taker = taker
        self._group = group
        self._ended = ended
        self._read: dict[Partition, int] = {}
        self._kept: dict[Partition, int] = {}
        self._consumer: Consumer | None = None

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop` is set."""
        try:
            while not stop.is_set():
                try:
                    self._turn(self._consumer or self._open())
                except LogUnavailableError as error:
                    logger.warning("%s: %s; trying again", self._log.url, error)
                    stop.wait(PAUSE_S)
        finally:
            self._close()
            self._ended()

    def wake(self) -> None:
        """Make a waiting follower look at its `stop`."""
        if consumer := self._consumer:
            consumer.wake()

    def _open(self) -> Consumer:
        self._consumer = consumer = self._log.consumer(self.name, self._group)
        try:
            if self._group:
                consumer.subscribe([self._topic])
            else:
                partition = Partition(self._topic, 0)
                consumer.assign([partition])
                end = consumer.end_offset(partition)
                self._taker.begin(end, end)
                consumer.start(partition, end)
        except LogUnavailableError:
            self._close()
            raise
        return consumer

    def _close(self) -> None:
        if self._consumer:
            self._consumer.close()
        self._consumer = None

    def _turn(self, consumer: Consumer) -> None:
        polled = consumer.poll(0.5, AT_ONCE)
        for batch in polled.batches:
            self._hand_over(batch)
        for partition in polled.revoked:
            self._read.pop(partition, None)
        self._keep_place(consumer, self._taker.settle())
        for partition in polled.assigned:
            self._begin(consumer, partition)

    def _hand_over(self, batch: Batch) -> None:
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            if record := readable(value):
                self._taker.take(record, offset)
        if self._group:
            self._read[batch.partition] = batch.next_offset

    def _keep_place(self, consumer: Consumer, needed: int | None) -> None:
        """Let the group go on after a crash at what is `needed` again, or at the first record that was not read."""
        places = {one: read if needed is None else min(read, needed) for one, read in self._read.items()}
        moved = {one: Committed(place) for one, place in places.items() if place > self._kept.get(one, -1)}
        if moved:
            consumer.commit(moved)
            self._kept |= places

    def _begin(self, consumer: Consumer, partition: Partition) -> None:
        """Go on where the group was; a new group begins at the end, and keeps that place."""
        place, end = consumer.committed(partition), consumer.end_offset(partition)
        if place is None:
            place = Committed(end)
            consumer.commit({partition: place})
        self._kept[partition] = place.offset
        self._taker.begin(place.offset, end)
        consumer.start(partition, place.offset)
