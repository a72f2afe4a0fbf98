"""Reads a topic as it grows, and hands its JSON records to whoever wants to know."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

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

Take = Callable[[Record], bool]


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
        take: Take,
        group: str | None = None,
        settle: Callable[[], bool] = lambda: True,
    ) -> None:
        """Follow `topic`. `take` says whether it is done with the record; if not, the record comes again later.

        `settle` is called about twice a second. It says whether what was taken need not come again after a crash: until
        then the group's place stays where it was.
        """
        self.name = name
        self._log = log
        self._topic = topic
        self._take = take
        self._group = group
        self._settle = settle
        self._places: dict[Partition, Committed] = {}
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
                consumer.start(partition, consumer.end_offset(partition))
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
            done = self._hand_over(batch)
            if self._group and done > batch.offsets[0]:
                self._places[batch.partition] = Committed(done)
            if done < batch.next_offset:
                consumer.start(batch.partition, done)
        for partition in polled.revoked:
            self._places.pop(partition, None)
        if self._settle() and self._places:
            consumer.commit(self._places)
            self._places = {}
        for partition in polled.assigned:
            self._begin(consumer, partition)

    def _hand_over(self, batch: Batch) -> int:
        """Return the offset of the first record that is not done with."""
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            record = readable(value)
            if record and not self._take(record):
                return offset
        return batch.next_offset

    def _begin(self, consumer: Consumer, partition: Partition) -> None:
        """Go on where the group was; a new group begins at the end, and keeps that place."""
        place = consumer.committed(partition)
        if place is None:
            place = Committed(consumer.end_offset(partition))
            consumer.commit({partition: place})
        consumer.start(partition, place.offset)
