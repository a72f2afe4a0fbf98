"""Reads the commands for this host, on a thread of its own, and hands them to the executor in order."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from mendline.logs.base import LogError, LogUnavailableError
from mendline.logs.partitioner import partition_of
from mendline.schemas.base import UnreadableRecordError
from mendline.schemas.records import Cancel, Command, Stop, decode_record
from mendline.schemas.stream import Partition

if TYPE_CHECKING:
    from mendline.logs.base import Consumer, Log
    from mendline.responders.executor import Executor
    from mendline.responders.ledger import Ledger
    from mendline.schemas.stream import Batch

logger = logging.getLogger(__name__)

WAIT_S = 30.0
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0


class CommandReader:
    """Reads the host's partition of the commands topic, by assignment: it is this host's own, nobody shares the work.

    Its place stands in the ledger. At the start it reads to the end before anything may begin, for a cancel or a stop
    may follow a command.
    """

    def __init__(self, log: Log, topic: str, host: str, executor: Executor, ledger: Ledger) -> None:
        """Read `topic` of `log` for `host`."""
        self._log = log
        self._topic = topic
        self._host = host
        self._executor = executor
        self._ledger = ledger
        self._closing = threading.Event()
        self._consumer: Consumer | None = None
        self._end = 0
        self._thread = threading.Thread(target=self._serve, name="commands", daemon=True)
        self.failure: LogError | None = None

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Read nothing more."""
        self._closing.set()
        if consumer := self._consumer:
            consumer.wake()
        if self._thread.is_alive():
            self._thread.join()

    def _serve(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._closing.is_set():
            try:
                self._read()
            except LogUnavailableError as error:
                if pause_s == FIRST_PAUSE_S:
                    logger.warning("commands cannot be read: %s; trying again", error)
                self._closing.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            except LogError as error:
                self.failure = error
                return
            else:
                pause_s = FIRST_PAUSE_S

    def _read(self) -> None:
        """Read until told to end. Raises LogError."""
        try:
            self.begin()
            while not self._closing.is_set():
                self.turn(WAIT_S)
        finally:
            consumer, self._consumer = self._consumer, None
            if consumer:
                consumer.close()

    def begin(self) -> None:
        """Go to where the last life was, or to the beginning. Raises LogError."""
        partition = self._partition()
        consumer = self._consumer = self._log.consumer(f"{self._host}.commands")
        consumer.assign([partition])
        self._end = consumer.end_offset(partition)
        place = self._place(consumer, partition, self._end)
        consumer.start(partition, place)
        if place >= self._end:
            self._executor.take([], place, caught_up=True)

    def turn(self, wait_s: float) -> None:
        """Hand over what is there, or comes within `wait_s` seconds; only after `begin`. Raises LogError."""
        if consumer := self._consumer:
            for batch in consumer.poll(wait_s).batches:
                caught_up = batch.next_offset >= self._end and not consumer.lag(batch.partition)
                self._hand_over(batch, caught_up=caught_up)

    def _partition(self) -> Partition:
        """Return the host's partition. Raises LogUnavailableError while the topic does not exist."""
        count = self._log.topics().get(self._topic)
        if not count:
            msg = f"{self._log.url}: there is no topic {self._topic} yet; `mendline topics create` makes it"
            raise LogUnavailableError(msg)
        return Partition(self._topic, partition_of(self._host.encode(), count))

    def _place(self, consumer: Consumer, partition: Partition, end: int) -> int:
        place = self._ledger.position(f"{self._log.url} {partition.topic}/{partition.number}")
        if place is not None and place <= end:
            return place
        if place is not None:
            logger.warning(
                "%s ends at %d, but was read up to %d before: it was made anew, so it is read whole",
                partition.topic,
                end,
                place,
            )
        return consumer.beginning_offset(partition)

    def _hand_over(self, batch: Batch, *, caught_up: bool) -> None:
        records = []
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            try:
                record = decode_record(value)
            except UnreadableRecordError as error:
                logger.warning("the command at offset %d of %s is not obeyed: %s", offset, self._topic, error)
                continue
            if isinstance(record, (Command, Cancel, Stop)):
                records.append(record)
        self._executor.take(records, batch.next_offset, caught_up=caught_up)
