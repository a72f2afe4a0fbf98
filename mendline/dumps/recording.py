"""What was recorded, wherever it stands: on a log or in a dump. Read only; no group is joined and nothing committed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, Self

from mendline.dumps.contents import Extent
from mendline.reading import read_batches
from mendline.runtime.worker import cut

if TYPE_CHECKING:
    from mendline.logs.base import Consumer, Log
    from mendline.schemas.stream import Batch, Partition


class Recording(Protocol):
    """Recorded topics. Raises LogError or DumpError."""

    url: str

    def topics(self) -> Mapping[str, int]:
        """Return the topics, with their number of partitions."""

    def extent(self, partition: Partition) -> Extent:
        """Return from where up to where the partition goes now."""

    def offset_at(self, partition: Partition, timestamp: int) -> int:
        """Return the offset of the first record appended at `timestamp` (ms) or later; the end offset if none."""

    def batches(self, partition: Partition, begin: int, end: int) -> Iterator[Batch]:
        """Yield the records of the partition from offset `begin` up to `end`, in order."""

    def close(self) -> None:
        """Let go of it."""


class LogRecording:
    """What stands on a log."""

    def __init__(self, log: Log) -> None:
        """Read `log`, through consumers that belong to no group."""
        self.url = log.url
        self._log = log
        self._consumer: Consumer = log.consumer("recording")

    def topics(self) -> Mapping[str, int]:
        """Return the topics that exist, with their number of partitions."""
        return self._log.topics()

    def extent(self, partition: Partition) -> Extent:
        """Return from where up to where the partition goes now."""
        consumer = self._on(partition)
        first, end = consumer.beginning_offset(partition), consumer.end_offset(partition)
        return Extent(topic=partition.topic, partition=partition.number, first=first, begin=first, end=end)

    def offset_at(self, partition: Partition, timestamp: int) -> int:
        """Return the offset of the first record appended at `timestamp` (ms) or later; the end offset if none."""
        return self._on(partition).offset_at(partition, timestamp)

    def batches(self, partition: Partition, begin: int, end: int) -> Iterator[Batch]:
        """Yield the records of the partition from offset `begin` up to `end`, in order."""
        if begin >= end:
            return
        for batch in read_batches(self._log, partition, begin, end):
            if batch.next_offset <= end:
                yield batch
            elif kept := sum(offset < end for offset in batch.offsets):
                yield cut(batch, 0, kept)

    def close(self) -> None:
        """Close the connection; the log stays open."""
        self._consumer.close()

    def __enter__(self) -> Self:
        """Return the recording."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()

    def _on(self, partition: Partition) -> Consumer:
        self._consumer.assign([partition])
        return self._consumer
