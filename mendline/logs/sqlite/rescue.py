"""Reading what can be read of a damaged file, without changing a byte of it."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mendline.logs.base import Committed, TopicSettings
from mendline.logs.sqlite.codec import decode_headers
from mendline.logs.sqlite.errors import wal_of
from mendline.logs.sqlite.store import FILES
from mendline.logs.sqlite.wal import unusable_commits
from mendline.schemas.stream import Partition

Row = tuple[int, int, bytes | None, bytes, int | bytes]


class Source:
    """A damaged file, or one that may be. `damage` says what was found so far, in SQLite's words where it found it."""

    def __init__(self, path: Path, lost: str) -> None:
        """Open it for reading. `lost` says which of its files is gone."""
        self.damage = lost
        self._made = [one for one in (wal_of(path), path.with_name(path.name + "-shm")) if not one.exists()]
        try:
            self._connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
        except sqlite3.Error as error:
            self._note(error)
            self._connection = sqlite3.connect(":memory:")
        self._look(path)

    def close(self) -> None:
        """Close it, and remove what SQLite put beside it for reading."""
        self._connection.close()
        for path in self._made:
            path.unlink(missing_ok=True)

    def topics(self) -> dict[str, tuple[int, TopicSettings]]:
        """Return the topics that can be read, with their ids."""
        sql = "SELECT id, name, partitions, retention_ms, retention_bytes, max_record_bytes FROM topics ORDER BY id"
        rows = self._rows(sql)
        return {row[1]: (row[0], TopicSettings(*row[1:])) for row in rows if self._is_topic(row)}

    def spans(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Return from where up to where each partition goes, by its topic's id and number."""
        sql = "SELECT topic, number, first, next FROM partitions ORDER BY topic, number"
        return {row[:2]: row[2:] for row in self._rows(sql) if self._is_sound(row, int, int, int, int)}

    def commits(self) -> dict[tuple[str, Partition], Committed]:
        """Return the places of groups."""
        sql = 'SELECT grp, topic, number, "offset", metadata FROM offsets ORDER BY grp, topic, number'
        sound = [row for row in self._rows(sql) if self._is_sound(row, str, str, int, int, str)]
        return {(row[0], Partition(*row[1:3])): Committed(*row[3:]) for row in sound}

    def top(self, table: str) -> int | None:
        """Return the offset behind the last record, None when that cannot be read."""
        try:
            rows = self._connection.execute(f'SELECT "offset" FROM {table} ORDER BY "offset" DESC LIMIT 1').fetchall()
        except sqlite3.Error as error:
            self._note(error)
            return None
        return rows[0][0] + 1 if rows else 0

    def records(self, table: str, first: int, end: int) -> Iterator[Row]:
        """Yield the records from `first` up to `end`, in order; one whose neighbours deny its offset is left out."""
        kept: Row | None = None
        before = first - 1
        for row in self._scan(table, first, end):
            if not self._is_record(row):
                continue
            if kept is not None:
                if row[0] > kept[0]:
                    yield kept
                    before = kept[0]
                else:
                    self._note(f"offset {max(row[0], kept[0])} is out of order")
                    if row[0] <= before:
                        continue
            kept = row
        if kept is not None:
            yield kept

    def _scan(self, table: str, first: int, end: int) -> Iterator[Row]:
        """Yield all rows that SQLite can reach: where it fails, each half of the rest is tried by itself."""
        sql = (
            f'SELECT "offset", ms, CAST(key AS BLOB), CAST(value AS BLOB), headers FROM {table} '
            'WHERE "offset" >= ? AND "offset" < ? ORDER BY "offset"'
        )
        spans = [(first, end)]
        while spans:
            at, stop = spans.pop()
            try:
                for row in self._connection.execute(sql, (at, stop)):
                    at = row[0] + 1
                    yield row
            except sqlite3.Error as error:
                self._note(error)
                if stop - at > 1:
                    middle = (at + stop) // 2
                    spans += [(middle, stop), (at, middle)]

    def _look(self, path: Path) -> None:
        """Find damage that reading would not meet."""
        try:
            # Without this SQLite refuses a file that is shorter than it should be, also what is there of it.
            self._connection.execute("PRAGMA writable_schema = ON")
            page = self._connection.execute("PRAGMA page_size").fetchone()[0]
            self._connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
            lost = unusable_commits(wal_of(path), page)
            if lost > 1 and FILES[path.stem].synchronous == "FULL":
                self._note(f"the newest {lost} appends and commits cannot be read")
            found = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                self._note(" ".join(found.split()))
        except sqlite3.Error as error:
            self._note(error)

    def _rows(self, sql: str) -> list[Any]:
        """Return the rows of a small table: forward up to the damage, and backward up to it."""
        rows: dict[Any, None] = {}
        for order in (sql, _backward(sql)):
            try:
                for row in self._connection.execute(order):
                    rows[row] = None
            except sqlite3.Error as error:
                self._note(error)
            else:
                break
        return list(rows)

    def _is_topic(self, row: tuple[Any, ...]) -> bool:
        retention = [one for one in row[3:5] if one is not None]
        return self._is_sound((*row[:3], row[5], *retention), int, str, int, int, *[int] * len(retention))

    def _is_record(self, row: Row) -> bool:
        try:
            decode_headers(row[4])
        except (KeyError, TypeError, ValueError, struct.error) as error:
            self._note(f"headers of offset {row[0]}: {error!r}")
            return False
        return self._is_sound((row[1], row[3]), int, bytes)

    def _is_sound(self, values: tuple[Any, ...], *types: type) -> bool:
        if all(isinstance(value, kind) for value, kind in zip(values, types, strict=True)):
            return True
        self._note(f"values of other types than were written: {values!r:.80}")
        return False

    def _note(self, damage: object) -> None:
        self.damage = self.damage or str(damage)


def _backward(sql: str) -> str:
    """Return the query with its order turned round."""
    query, columns = sql.split(" ORDER BY ")
    return f"{query} ORDER BY {', '.join(f'{column} DESC' for column in columns.split(', '))}"
