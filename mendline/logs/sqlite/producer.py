"""Appending: one transaction for each file of a call, then a ring for those who wait."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from mendline.logs.base import LogError, Position, RecordTooLargeError, TopicSettings
from mendline.logs.delivery import Answered
from mendline.logs.routing import Router, unknown_topic
from mendline.logs.sqlite.store import file_of
from mendline.logs.sqlite.stores import Stores
from mendline.logs.sqlite.tables import TRIM_ROWS, Limits
from mendline.logs.sqlite.wake import Ringer
from mendline.schemas.stream import NewRecord, Partition

_logger = logging.getLogger(__name__)


class SqliteProducer:
    """Appends to the SQLite log; the answer is there when `append` returns."""

    def __init__(self, stores: Stores, ringer: Ringer) -> None:
        """Own `stores` and `ringer`."""
        self._stores = stores
        self._ringer = ringer
        self._router = Router()
        self._topics: dict[str, TopicSettings] = {}
        self._sweeper = Sweeper(stores)

    def append(self, records: Sequence[NewRecord]) -> Answered:
        """Append at once, each file's records as one transaction.

        Raises RecordTooLargeError before anything is written; every other error is in the delivery. When journal and
        bulk topics are in one call and the second file fails, the first one's records are there.
        """
        positions: dict[int, Position] = {}
        try:
            routes = self._route(records)
            for name in sorted({file_of(partition.topic) for partition in routes}):
                self._write(name, records, routes, positions)
        except RecordTooLargeError:
            raise
        except LogError as error:
            return Answered(error)
        self._sweeper.sweep(routes)
        return Answered([positions[index] for index in range(len(records))])

    def forget(self, partition: Partition, name: bytes, before: int, keys: Sequence[bytes]) -> None:
        """Let go of what newer records replace, a few MB as one transaction. Raises LogUnavailableError."""
        table = self._stores.table(partition)
        while table.empty(name, before):
            pass

    def close(self, timeout_s: float = 5.0) -> None:
        """Let go of the files; nothing is ever in flight."""
        self._ringer.close()
        self._stores.close()

    def _route(self, records: Sequence[NewRecord]) -> dict[Partition, list[int]]:
        """Sort the records by partition; topics are looked up again when one is not known."""
        missing = {record.topic for record in records} - self._topics.keys()
        if missing:
            self._topics = self._stores.settings()
            for name in missing - self._topics.keys():
                raise unknown_topic(name, self._topics)
        return self._router.route(records, self._topics)

    def _write(
        self,
        name: str,
        records: Sequence[NewRecord],
        routes: Mapping[Partition, list[int]],
        positions: dict[int, Position],
    ) -> None:
        """Append one file's share in one transaction, and ring."""
        mine = {partition: indices for partition, indices in routes.items() if file_of(partition.topic) == name}
        tables = {partition: self._stores.table(partition) for partition in mine}
        with self._stores.store(name).transaction():
            now = self._stores.options.clock()
            for partition, indices in mine.items():
                first, ms = tables[partition].append([records[index] for index in indices], now)
                positions.update(
                    (index, Position(partition, offset, ms)) for offset, index in enumerate(indices, first)
                )
        self._ringer.ring({self._stores.tag(partition.topic) for partition in mine})


class Sweeper:
    """Applies retention to the partitions a producer writes: in small steps, twice as fast as they grow.

    A partition is looked at after every thousand records, and every `sweep_interval_s` for those that grow slowly.
    """

    def __init__(self, stores: Stores) -> None:
        """Work on the producer's connections."""
        self._stores = stores
        self._due: dict[Partition, float] = {}
        self._grown: Counter[Partition] = Counter()

    def sweep(self, routes: Mapping[Partition, Sequence[int]]) -> None:
        """Delete what has to go after an append. Never raises: what is left goes next time."""
        now = time.monotonic()
        for partition, indices in routes.items():
            self._grown[partition] += len(indices)
            if self._grown[partition] < TRIM_ROWS and now < self._due.get(partition, 0.0):
                continue
            steps = 1 + 2 * self._grown.pop(partition) // TRIM_ROWS
            self._due[partition] = now + self._stores.options.sweep_interval_s
            try:
                self._trim(partition, steps)
            except LogError as error:
                _logger.warning("retention of %s/%d put off: %s", *partition, error)

    def _trim(self, partition: Partition, steps: int) -> None:
        """Delete up to `steps` chunks."""
        settings = self._stores.topic(partition.topic).settings
        if settings.retention_ms is None and settings.retention_bytes is None:
            return
        before = 0 if settings.retention_ms is None else self._stores.options.clock() - settings.retention_ms
        limits = Limits(before_ms=before, bytes=settings.retention_bytes)
        table = self._stores.table(partition)
        for _ in range(steps):
            if not table.trim(limits):
                return
