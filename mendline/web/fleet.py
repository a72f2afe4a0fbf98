"""The hosts that are heard of, kept up to date on a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mendline.fleet import LOOK_BACK_MS, Fleet
from mendline.logs.base import LogRefusedError, LogUnavailableError
from mendline.schemas.stream import Partition

if TYPE_CHECKING:
    from mendline.fleet import Host
    from mendline.logs.base import Consumer, Log
    from mendline.logs.clock import Clock
    from mendline.schemas.settings import Settings
    from mendline.schemas.stream import Batch

logger = logging.getLogger(__name__)

PAUSE_S = 1.0
WAIT_S = 1.0


class FleetWatch:
    """Keeps the newest heartbeat of each host; a `Runner`."""

    name = "page fleet"

    def __init__(self, log: Log, settings: Settings, clock: Clock) -> None:
        """Follow the metrics of the settings on `log`, from a minute ago by `clock` (ms) on."""
        self._clock = clock
        self._log = log
        self._topic = settings.topics.topic("metrics")
        self._fleet = Fleet()
        self._lock = threading.Lock()
        self._consumer: Consumer | None = None

    def hosts(self) -> Mapping[str, Host]:
        """Return what is known of each host."""
        with self._lock:
            return dict(self._fleet.hosts)

    def run(self, stop: threading.Event) -> None:
        """Listen until `stop` is set; a log that does not answer is tried again."""
        while not stop.is_set():
            try:
                self._follow(stop)
            except (LogUnavailableError, LogRefusedError) as error:
                logger.debug("the page does not hear of hosts: %s; trying again", error)
                stop.wait(PAUSE_S)

    def wake(self) -> None:
        """Make a waiting watch look at its `stop`."""
        if consumer := self._consumer:
            consumer.wake()

    def _follow(self, stop: threading.Event) -> None:
        partitions = [Partition(self._topic, number) for number in range(self._log.topics().get(self._topic, 0))]
        self._consumer = consumer = self._log.consumer("page")
        try:
            consumer.assign(partitions)
            since = self._clock() - LOOK_BACK_MS
            for partition in partitions:
                consumer.start(partition, consumer.offset_at(partition, since))
            while not stop.is_set():
                for batch in consumer.poll(WAIT_S).batches:
                    self._hear(batch)
        finally:
            self._consumer = None
            consumer.close()

    def _hear(self, batch: Batch) -> None:
        with self._lock:
            self._fleet.hear(batch)
