"""Reads a partition as it grows, without a group, and hands its records to whoever wants to know."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mendline.logs.base import LogUnavailableError
from mendline.schemas.base import UnreadableRecordError
from mendline.schemas.records import Record, decode_record
from mendline.schemas.stream import Partition

if TYPE_CHECKING:
    from mendline.logs.base import Consumer, Log

logger = logging.getLogger(__name__)


class Follower:
    """Hands over the JSON records of one partition from now on, on its own thread; a `Runner`."""

    def __init__(self, log: Log, topic: str, name: str, take: Callable[[Sequence[Record]], None]) -> None:
        """Follow partition 0 of `topic`; `take` is called with each poll's records, in order."""
        self.name = name
        self._log = log
        self._partition = Partition(topic, 0)
        self._take = take
        self._consumer: Consumer | None = None

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop` is set."""
        started = False
        try:
            while not stop.is_set():
                try:
                    consumer = self._open()
                    if not started:
                        consumer.start(self._partition, consumer.end_offset(self._partition))
                        started = True
                    self._turn(consumer)
                except LogUnavailableError as error:
                    logger.warning("%s: %s; trying again", self.name, error)
                    stop.wait(1.0)
        finally:
            if self._consumer:
                self._consumer.close()

    def _open(self) -> Consumer:
        if self._consumer is None:
            self._consumer = self._log.consumer(self.name)
            self._consumer.assign([self._partition])
        return self._consumer

    def wake(self) -> None:
        """Make a waiting follower look at its `stop`."""
        if consumer := self._consumer:
            consumer.wake()

    def _turn(self, consumer: Consumer) -> None:
        for batch in consumer.poll(0.5).batches:
            records = [record for value in batch.values if (record := _readable(value))]
            if records:
                self._take(records)


def _readable(value: bytes) -> Record | None:
    try:
        return decode_record(value)
    except UnreadableRecordError:
        return None  # the stages send it to the dead letters; there is nothing to tell here
