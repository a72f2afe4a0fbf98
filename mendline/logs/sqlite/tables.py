"""A partition as a table: append, read, search by time, cut at the front."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from mendline.logs.clock import append_time
from mendline.logs.routing import check_restored
from mendline.logs.sqlite.codec import decode_headers, encode_headers
from mendline.logs.sqlite.errors import damaged, translated
from mendline.logs.sqlite.store import Store, StoredTopic
from mendline.schemas.stream import Batch, NewRecord, Partition

READ_BYTES = 16_000_000
"""What one poll brings at most, as far as rows come in chunks."""

_NEVER_MS = 2**63

EMPTIED_BYTES = 4 << 20
"""What is let go in one transaction, as far as it is not one row: the others' writes wait that long."""

TRIM_ROWS = 1000
"""Rows that retention deletes in one transaction: a few ms, so that writers need not wait long."""


@dataclass(frozen=True, slots=True)
class Span:
    """Which offsets a partition has (`first` up to, not including, `next`), and their bytes.

    `last_ms` is the last append time, `ahead_ms` by how much it was ahead of the time of day.
    """

    first: int
    next: int
    last_ms: int
    ahead_ms: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What to delete: offsets below `offset`, records older than `before_ms`, the oldest beyond `bytes` in all."""

    offset: int = 0
    before_ms: int = 0
    bytes: int | None = None


class Table:
    """One partition in its file."""

    def __init__(self, store: Store, topic: StoredTopic, number: int) -> None:
        """Belong to `store`'s thread."""
        self.partition = Partition(topic.settings.name, number)
        self._store = store
        self._key = (topic.id, number)
        self._name = topic.table(number)
        self._chunk = 16

    def span(self) -> Span:
        """Return the partition's span."""
        rows = self._store.rows(
            "SELECT first, next, last_ms, ahead_ms, bytes FROM partitions WHERE topic = ? AND number = ?", self._key
        )
        return Span(*rows[0])

    def append(self, records: Sequence[NewRecord], now: int) -> tuple[int, int]:
        """Append inside the caller's transaction; return the first offset and the append time (ms).

        The time is taken under the write lock and never goes back, so that offsets can be found by time.
        """
        span = self.span()
        ms, ahead = append_time(now, span.last_ms, span.ahead_ms)
        rows = [
            (offset, ms, record.key, record.value, encode_headers(record.headers))
            for offset, record in enumerate(records, span.next)
        ]
        self._store.run_many(f"INSERT INTO {self._name} VALUES (?, ?, ?, ?, ?)", rows)
        size = sum(len(record.value) + len(record.key or b"") for record in records)
        self._store.rows(
            "UPDATE partitions SET next = ?, last_ms = ?, ahead_ms = ?, bytes = bytes + ? "
            "WHERE topic = ? AND number = ?",
            (span.next + len(records), ms, ahead, size, *self._key),
        )
        return span.next, ms

    def restore(self, batch: Batch) -> None:
        """Append records as they are, inside the caller's transaction.

        Raises LogRefusedError when they do not follow on what is there.
        """
        span = self.span()
        empty = span.first == span.next
        check_restored(batch, None if empty else span.next, span.last_ms, whole=False)
        headers = map(encode_headers, batch.headers)
        rows = list(zip(batch.offsets, batch.timestamps, batch.keys, batch.values, headers, strict=True))
        self._store.run_many(f"INSERT INTO {self._name} VALUES (?, ?, ?, ?, ?)", rows)
        size = sum(len(value) + len(key or b"") for key, value in zip(batch.keys, batch.values, strict=True))
        self._store.rows(
            "UPDATE partitions SET first = ?, next = ?, last_ms = ?, bytes = bytes + ? WHERE topic = ? AND number = ?",
            (batch.offsets[0] if empty else span.first, batch.next_offset, batch.timestamps[-1], size, *self._key),
        )

    def read(self, offset: int, limit: int, max_bytes: int) -> Batch | None:
        """Return up to `limit` records of about `max_bytes` from `offset` on, or None when there are none yet."""
        # What somebody changed by hand may have become text: the casts keep readers from failing on that.
        sql = (
            f'SELECT "offset", ms, CAST(key AS BLOB), CAST(value AS BLOB), headers FROM {self._name} '
            'WHERE "offset" >= ? ORDER BY "offset" LIMIT ?'
        )
        rows: list[tuple[int, int, bytes | None, bytes, int | bytes]] = []
        size = 0
        with translated(self._store.path):
            cursor = self._store.cursor(sql, (offset, limit))
            while size < max_bytes:
                chunk = cursor.fetchmany(self._chunk)
                if not chunk:
                    break
                rows += chunk
                read = sum([len(row[3]) for row in chunk])
                size += read
                self._chunk = max(1, min(1000, max_bytes * len(chunk) // (8 * read + 1)))
            cursor.close()
        return self._batch(rows) if rows else None

    def offset_at(self, ms: int) -> int:
        """Return the offset of the first record appended at `ms` or later, by bisection."""
        span = self.span()
        low, high = span.first, span.next
        while low < high:
            middle = (low + high) // 2
            if self._time_of(middle) < ms:
                low = middle + 1
            else:
                high = middle
        return low

    def trim(self, limits: Limits) -> bool:
        """Delete a chunk of the oldest records as one transaction; say whether there may be more to delete."""
        if not self._is_over(limits, self.span()):
            return False
        with self._store.transaction():
            span = self.span()
            stop, size, more = self._cut(limits, span)
            self._store.rows(f'DELETE FROM {self._name} WHERE "offset" < ?', (stop,))
            self._store.rows(
                "UPDATE partitions SET first = ?, bytes = ? WHERE topic = ? AND number = ?",
                (stop, span.bytes - size, *self._key),
            )
        return more

    def empty(self, name: bytes, before: int) -> bool:
        """Empty a few MB of what stands below `before` under `name`, or keys that begin with `name/`.

        That is one transaction. Rows stay, so offsets have no gaps; those at the front go. Say whether more is left.
        """
        some = self._under(name, before)
        if not some:
            return False
        with self._store.transaction():
            self._store.run_many(
                f"UPDATE {self._name} SET key = NULL, value = x'' WHERE \"offset\" = ?",
                [(offset,) for offset, _ in some],
            )
            self._store.rows(
                "UPDATE partitions SET bytes = max(0, bytes - ?) WHERE topic = ? AND number = ?",
                (sum(size for _, size in some), *self._key),
            )
            self._cut_empty(before)
        return True

    def _under(self, name: bytes, before: int) -> list[tuple[int, int]]:
        """Return the first offsets below `before` under a name, with their bytes, a few MB in all."""
        sql = (
            f'SELECT "offset", length(value) + length(key) FROM {self._name} WHERE "offset" < ? AND length(value) > 0 '
            'AND (key = ? OR substr(key, 1, ?) = ?) ORDER BY "offset" LIMIT ?'
        )
        begin = name + b"/"
        some: list[tuple[int, int]] = []
        size = 0
        for offset, length in self._store.rows(sql, (before, name, len(begin), begin, TRIM_ROWS)):
            if some and size + length > EMPTIED_BYTES:
                break
            some.append((offset, length))
            size += length
        return some

    def _cut_empty(self, before: int) -> None:
        """Delete the empty rows at the front, inside the caller's transaction."""
        sql = f'SELECT "offset" FROM {self._name} WHERE "offset" < ? AND length(value) > 0 ORDER BY "offset" LIMIT 1'
        kept = self._store.rows(sql, (before,))
        stop = kept[0][0] if kept else min(before, self.span().next)
        self._store.rows(f'DELETE FROM {self._name} WHERE "offset" < ?', (stop,))
        self._store.rows(
            "UPDATE partitions SET first = max(first, ?) WHERE topic = ? AND number = ?", (stop, *self._key)
        )

    def _batch(self, rows: Sequence[tuple[int, int, bytes | None, bytes, int | bytes]]) -> Batch:
        """Return rows as columns. Raises LogCorruptError for what no producer wrote."""
        offsets, times, keys, values, stored = zip(*rows, strict=True)
        try:
            headers = [decode_headers(one) for one in stored]
        except (KeyError, TypeError, ValueError, struct.error) as error:
            raise damaged(self._store.path, f"headers of {self._name}: {error!r}") from error
        return Batch(self.partition, offsets, times, keys, values, headers)

    def gaps(self, offset: int, offsets: Sequence[int], end: int) -> int:
        """Return how many records are missing from `offset` up to `end`, given those that were read.

        None is, unless a file was salvaged; those that retention took do not count.
        """
        if len(offsets) == end - offset:
            return 0
        begin = max(offset, self.span().first)
        return max(0, end - begin - sum(one >= begin for one in offsets))

    def _time_of(self, offset: int) -> int:
        """Return the append time (ms) of the first record at `offset` or behind, the end of time when there is none.

        A record of that very offset may be gone: by retention just now, or lost in a file that was salvaged.
        """
        rows = self._store.rows(f'SELECT ms FROM {self._name} WHERE "offset" >= ? ORDER BY "offset" LIMIT 1', (offset,))
        return int(rows[0][0]) if rows else _NEVER_MS

    def _is_over(self, limits: Limits, span: Span) -> bool:
        """Say, without the write lock, whether the oldest record has to go."""
        if span.first == span.next:
            return False
        over = limits.bytes is not None and span.bytes > limits.bytes
        return over or span.first < limits.offset or self._time_of(span.first) < limits.before_ms

    def _cut(self, limits: Limits, span: Span) -> tuple[int, int, bool]:
        """Return the first offset to keep, the bytes below it, and whether a whole chunk goes."""
        sql = f'SELECT "offset", ms, length(value) + ifnull(length(key), 0) FROM {self._name} ORDER BY "offset" LIMIT ?'
        excess = 0 if limits.bytes is None else span.bytes - limits.bytes
        stop, size = span.first, 0
        for offset, ms, length in self._store.rows(sql, (TRIM_ROWS,)):
            if not (offset < limits.offset or ms < limits.before_ms or size < excess):
                return stop, size, False
            stop, size = offset + 1, size + length
        return stop, size, stop < span.next
