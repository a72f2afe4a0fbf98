"""The journal's fold as it stands now, kept up to date on a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from mendline.logs.base import LogRefusedError, LogUnavailableError
from mendline.reading import fold_journal
from mendline.responders.journal import Journal
from mendline.runtime.logtime import LogClock
from mendline.schemas.base import UnreadableRecordError
from mendline.schemas.records import decode_record
from mendline.schemas.stream import Partition
from mendline.words import describe

if TYPE_CHECKING:
    from mendline.logs.base import Consumer, Log
    from mendline.schemas.settings import Settings
    from mendline.schemas.stream import Batch

logger = logging.getLogger(__name__)

PAUSE_S = 1.0
WAIT_S = 0.5
UNTOLD = frozenset({"progress", "seal", "tick"})
"""Records that say nothing a person wants to hear of each time."""


class Told(NamedTuple):
    """A record that came, as the page hears of it: `time` is its append time (ms), `fault` whom it is about."""

    offset: int
    time: int
    type: str
    fault: str | None
    text: str


Listener = Callable[[Told], None]


class JournalWatch:
    """Folds the journal as it grows; a `Runner`. `trouble` says why what it knows is not the newest, if so."""

    name = "page journal"

    def __init__(self, log: Log, settings: Settings) -> None:
        """Follow the journal of the settings on `log`."""
        self.trouble = "the journal has not been read yet"
        self._log = log
        self._settings = settings
        self._partition = Partition(settings.topics.topic("journal"), 0)
        self._journal = Journal()
        self._clock = LogClock()
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._consumer: Consumer | None = None

    @contextmanager
    def read(self) -> Iterator[Journal]:
        """Give the fold; it does not change until the context is left."""
        with self._lock:
            yield self._journal

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of each record from now on, on the watch's thread; return what ends that."""
        with self._lock:
            self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def run(self, stop: threading.Event) -> None:
        """Fold until `stop` is set; a log that does not answer is tried again."""
        while not stop.is_set():
            try:
                self._begin()
                self._follow(stop)
            except (LogUnavailableError, LogRefusedError) as error:
                self.trouble = str(error)
                logger.warning("the page is not up to date: %s; trying again", error)
                stop.wait(PAUSE_S)

    def wake(self) -> None:
        """Make a waiting watch look at its `stop`."""
        if consumer := self._consumer:
            consumer.wake()

    def _begin(self) -> None:
        if self._journal.offset >= 0:
            return
        found = fold_journal(self._log, self._settings)
        with self._lock:
            self._journal = found
            if found.offset >= 0:
                self._clock = LogClock(found.log_time, found.append_time)

    def _follow(self, stop: threading.Event) -> None:
        self._consumer = consumer = self._log.consumer("page")
        try:
            consumer.assign([self._partition])
            consumer.start(self._partition, max(self._journal.offset + 1, consumer.beginning_offset(self._partition)))
            self.trouble = ""
            while not stop.is_set():
                for batch in consumer.poll(WAIT_S).batches:
                    self._fold(batch)
        finally:
            self._consumer = None
            consumer.close()

    def _fold(self, batch: Batch) -> None:
        told: list[Told] = []
        with self._lock:
            log_times = self._clock.advance(batch.timestamps).tolist()
            for offset, append_time, log_time, value in zip(
                batch.offsets, batch.timestamps, log_times, batch.values, strict=True
            ):
                try:
                    record = decode_record(value)
                except UnreadableRecordError:
                    self._journal.advance(offset, log_time, append_time)  # it stands in the dead letters
                    continue
                self._journal.apply(record, offset, log_time, append_time)
                if record.type not in UNTOLD:
                    told.append(
                        Told(offset, append_time, record.type, self._journal.fault_of(record), describe(record))
                    )
            listeners = tuple(self._listeners)
        for one in told:
            for listener in listeners:
                listener(one)
