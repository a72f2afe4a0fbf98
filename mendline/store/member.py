"""A member of the group `store`: reads windows and the journal, and writes them to the database.

While the database is away, slow or full, it takes no records, stays in its group, tries again with longer and longer
pauses, and says so once; nobody waits for it. Every few seconds it tells the journal how far it is, as detectors do, so
that people see how old the store is. Where it goes on after that, or after a crash, stands in the database.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mendline.logs.base import Committed, LogUnavailableError
from mendline.schemas.records import STORE, Progress, encode_record
from mendline.schemas.stream import NewRecord, Partition
from mendline.store.engine import interrupt
from mendline.store.errors import StoreAwayError
from mendline.store.schema import migrate
from mendline.store.tending import Tender
from mendline.store.writer import OvertakenError, Place, Writer

if TYPE_CHECKING:
    import sqlalchemy as sa

    from mendline.logs.base import Consumer, Delivery, Log, Polled, Producer
    from mendline.schemas.settings import StoreSettings, TopicsSettings
    from mendline.schemas.stream import Batch

logger = logging.getLogger(__name__)

NAME = "store"
SCOPE = b"default"
AT_ONCE = 2_000
"""Records of one transaction at most; a log hands over some 16 MB at a time."""


@dataclass(frozen=True, slots=True)
class Pace:
    """In seconds: `idle` is how long one wait for records lasts, `tell` how often it says how far it is.

    After a failure it waits for `pause`, then twice as long each time, `longest` at most. At its end it gives a
    database that does not answer `farewell`.
    """

    idle: float = 0.5
    tell: float = 5.0
    pause: float = 1.0
    longest: float = 30.0
    farewell: float = 5.0


class StoreMember:
    """Keeps a database as the log is; a `Runner`."""

    def __init__(
        self,
        log: Log,
        engine: sa.Engine,
        topics: TopicsSettings,
        name: str,
        pace: Pace = Pace(),
        settings: StoreSettings | None = None,
    ) -> None:
        """Make the member `name` of the group; nothing is connected yet. Without `settings` all is kept as it comes."""
        self.name = name
        self._log = log
        self._topics = topics
        self._writer = Writer(engine, topics.topic("journal"))
        self._pace = pace
        self._tender = Tender(engine, settings) if settings else None
        self._ready = self._away = False
        self._held: dict[Partition, Place | None] = {}
        self._begun: set[Partition] = set()
        self._pause_s, self._again_at, self._tell_at = 0.0, 0.0, 0.0
        self._consumer: Consumer | None = None
        self._producer: Producer | None = None
        self._told: Delivery | None = None
        self._patience: threading.Timer | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it has found the tables there, or made them."""
        return self._ready

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. Raises StoreError, LogRefusedError, MemberFencedError; waits out what passes."""
        try:
            while not stop.is_set():
                try:
                    self.turn()
                except LogUnavailableError as error:
                    logger.warning("%s: %s; trying again", self._log.url, error)
                    stop.wait(1.0)
        finally:
            self.close()

    def wake(self) -> None:
        """Make a waiting member look at its `stop`; one that waits for the database gives it some seconds to answer."""
        if consumer := self._consumer:
            consumer.wake()
        self._patience = threading.Timer(self._pace.farewell, interrupt, [self._writer.engine])
        self._patience.daemon = True
        self._patience.start()

    def turn(self) -> None:
        """Read what is there, and write it; begin with partitions that are new, or all again after a failure."""
        consumer = self._consumer or self._open()
        polled = consumer.poll(self._pace.idle, AT_ONCE)
        self._own(polled)
        if time.monotonic() >= self._again_at:
            try:
                self._work(consumer, polled.batches)
            except StoreAwayError as error:
                self._hold_back(consumer, error)
        if time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + self._pace.tell
            self._tell(consumer)

    def close(self) -> None:
        """Leave the group. Never raises."""
        if self._consumer:
            self._consumer.close()
        if self._producer:
            self._producer.close()
        if self._patience:
            self._patience.cancel()
        self._consumer = self._producer = None
        self._writer.engine.dispose()

    def _open(self) -> Consumer:
        consumer = self._log.consumer(self.name, f"{self._topics.prefix}.{NAME}")
        consumer.subscribe([self._topics.topic("windows"), self._topics.topic("journal")])
        self._producer = self._log.producer(self.name)
        self._consumer = consumer
        return consumer

    def _own(self, polled: Polled) -> None:
        for partition in polled.revoked:
            self._held.pop(partition, None)
            self._begun.discard(partition)
        for partition in polled.assigned:
            self._held[partition] = None
            self._begun.discard(partition)

    def _work(self, consumer: Consumer, batches: Sequence[Batch]) -> None:
        if not self._ready:
            migrate(self._writer.engine)
            self._ready = True
        mine = [batch for batch in batches if batch.partition in self._begun]
        if mine:
            self._write(consumer, mine)
        for partition in self._held.keys() - self._begun:
            self._begin(consumer, partition)
        if self._tender and Partition(self._topics.topic("journal"), 0) in self._begun:
            self._tender.work()
        if self._away:
            logger.warning("the store takes records again")
            self._away, self._pause_s = False, 0.0

    def _write(self, consumer: Consumer, batches: Sequence[Batch]) -> None:
        partitions = {batch.partition for batch in batches}
        try:
            places = self._writer.write(batches, {one: self._held[one] for one in partitions})
        except OvertakenError:
            self._begun -= partitions  # another member holds it by now, or did: the database knows from where to go on
            return
        self._held |= places
        consumer.commit({partition: Committed(place.offset) for partition, place in places.items()})

    def _begin(self, consumer: Consumer, partition: Partition) -> None:
        """Go on where the database is; a new one begins with the oldest record."""
        place, at = self._writer.begin(partition, consumer.beginning_offset(partition))
        end = consumer.end_offset(partition)
        if place and place.offset > end:
            logger.warning(
                "the log ends before what is stored of %s/%d (%d, %d): it lost records, or is another log; "
                "`mendline store rebuild` begins anew",
                partition.topic,
                partition.number,
                end,
                place.offset,
            )
            self._writer.move(partition, place, Place(end, place.append_time))
            place, at = Place(end, place.append_time), end
        self._held[partition] = place
        consumer.start(partition, at)
        self._begun.add(partition)

    def _hold_back(self, consumer: Consumer, error: StoreAwayError) -> None:
        """Take no more records, for some time: what was read and not stored is read again."""
        if not self._away:
            logger.warning("the store takes no records, all else goes on; trying again: %s", error)
        self._away = True
        self._pause_s = min(max(2 * self._pause_s, self._pace.pause), self._pace.longest)
        self._again_at = time.monotonic() + self._pause_s
        for partition in self._begun:
            consumer.pause(partition)
        self._begun.clear()

    def _tell(self, consumer: Consumer) -> None:
        """Say on the journal how far it is; what the log refuses is an error."""
        if self._told and not self._told.done():
            return
        before, self._told = self._told, None
        if before:
            before.result(0)
        journal = self._topics.topic("journal")
        told = [NewRecord(journal, encode_record(one), SCOPE) for one in self._progress(consumer)]
        self._told = self._producer.append(told) if self._producer and told else None

    def _progress(self, consumer: Consumer) -> Iterator[Progress]:
        now = time.time_ns() // 1_000_000
        for partition, place in self._held.items():
            offset, stored_at = place or (consumer.beginning_offset(partition), 0)
            lag = max(consumer.end_offset(partition) - offset, 0)
            yield Progress(
                source=NAME,
                time=now,
                stage=f"{STORE}{partition.topic.removeprefix(self._topics.prefix + '.')}",
                topic=partition.topic,
                partition=partition.number,
                log_time=stored_at,
                offset=offset,
                lag=lag,
                behind_ms=max(now - stored_at, 0) if lag and stored_at else 0,
            )
