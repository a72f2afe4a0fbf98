"""One partition of the memory log: columns that are appended to, sliced, and cut at the front."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from mendline.logs.base import TopicSettings
from mendline.logs.clock import append_time
from mendline.logs.routing import check_restored
from mendline.schemas.stream import Batch, Headers, NewRecord, Partition

_SLACK = 16
"""Cutting the front of a list costs its whole length: do it only for at least a sixteenth of it."""


def begins_with(key: bytes | None, name: bytes) -> bool:
    """Say whether a key is `name`, or begins with `name/`."""
    return key is not None and (key == name or key.startswith(name + b"/"))


class Columns:
    """The records of a partition. Not guarded: the log's lock is."""

    def __init__(self, partition: Partition) -> None:
        """Begin empty, at offset 0."""
        self.first = 0
        self._partition = partition
        self._timestamps: list[int] = []
        self._keys: list[bytes | None] = []
        self._values: list[bytes] = []
        self._headers: list[Headers] = []
        self.size = 0
        self._last = self._ahead = 0

    @property
    def end(self) -> int:
        """The offset the next record will get."""
        return self.first + len(self._values)

    def append(self, records: Sequence[NewRecord], now: int) -> tuple[int, int]:
        """Append, and return the first offset and the append time (ms), which never goes back."""
        first = self.end
        self._last, self._ahead = append_time(now, self._last, self._ahead)
        values = [record.value for record in records]
        self._timestamps += [self._last] * len(records)
        self._keys += [record.key for record in records]
        self._values += values
        self._headers += [record.headers for record in records]
        self.size += sum(map(len, values))
        return first, self._last

    def restore(self, batch: Batch) -> None:
        """Append records as they are. Raises LogRefusedError when they do not follow on what is there."""
        empty = self.first == self.end
        check_restored(batch, None if empty else self.end, self._last, whole=True)
        self.first = batch.offsets[0] if empty else self.first
        self._last = batch.timestamps[-1]
        self._timestamps += batch.timestamps
        self._keys += batch.keys
        self._values += batch.values
        self._headers += batch.headers
        self.size += sum(map(len, batch.values))

    def read(self, offset: int, limit: int) -> Batch | None:
        """Return up to `limit` records from `offset` on, or None when there are none yet."""
        start = max(0, offset - self.first)
        stop = min(start + limit, len(self._values))
        if start >= stop:
            return None
        return Batch(
            self._partition,
            range(self.first + start, self.first + stop),
            self._timestamps[start:stop],
            self._keys[start:stop],
            self._values[start:stop],
            self._headers[start:stop],
        )

    def offset_at(self, timestamp: int) -> int:
        """Return the offset of the first record appended at `timestamp` (ms) or later."""
        return self.first + bisect_left(self._timestamps, timestamp)

    def trim(self, offset: int) -> None:
        """Delete the records below `offset`."""
        count = min(max(0, offset - self.first), len(self._values))
        self.size -= sum(map(len, self._values[:count]))
        for column in (self._timestamps, self._keys, self._values, self._headers):
            del column[:count]
        self.first += count

    def forget(self, name: bytes, before: int) -> None:
        """Empty what stands below offset `before` under `name`, or keys that begin with `name/`; cut an empty front."""
        stop = min(max(0, before - self.first), len(self._values))
        for index, key in enumerate(self._keys[:stop]):
            # Most of what stands there was emptied before: it has no key.
            if key is not None and begins_with(key, name):
                self.size -= len(self._values[index])
                self._keys[index], self._values[index] = None, b""
        kept = next((index for index, value in enumerate(self._values[:stop]) if value), stop)
        self.trim(self.first + kept)

    def retain(self, topic: TopicSettings, now: int) -> None:
        """Delete what the topic's retention lets go, once that is a worthwhile share."""
        count = 0
        if topic.retention_ms is not None and self._timestamps:
            count = bisect_left(self._timestamps, now - topic.retention_ms)
        if topic.retention_bytes is not None and self.size > topic.retention_bytes:
            count = max(count, self._count_over(self.size - topic.retention_bytes))
        if count * _SLACK >= len(self._values):
            self.trim(self.first + count)

    def _count_over(self, excess: int) -> int:
        """Return how many of the oldest records make up `excess` bytes."""
        for count, value in enumerate(self._values):
            if excess <= 0:
                return count
            excess -= len(value)
        return len(self._values)
