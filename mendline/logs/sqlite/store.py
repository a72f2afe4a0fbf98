"""One SQLite file of the log: connection, format, topics, transactions."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mendline.logs.base import LogRefusedError, LogUnavailableError, TopicSettings
from mendline.logs.sqlite.errors import translated

FORMAT = 1
"""Raised when older versions of Mendline could no longer read the files."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a file is written: when it is synced, its page (bytes), after how many pages the log moves into it."""

    synchronous: str
    page: int
    checkpoint: int


FILES = {"control": Tuning("FULL", 4096, 1000), "bulk": Tuning("NORMAL", 16_384, 2048)}
"""Bulk pages are large and move seldom: 1.5 times the appends of SQLite's defaults (1 kB records, 500 a call)."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS topics (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL,
    retention_ms INTEGER, retention_bytes INTEGER, max_record_bytes INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS partitions (
    topic INTEGER NOT NULL, number INTEGER NOT NULL, first INTEGER NOT NULL DEFAULT 0, next INTEGER NOT NULL DEFAULT 0,
    last_ms INTEGER NOT NULL DEFAULT 0, ahead_ms INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS groups (
    name TEXT PRIMARY KEY, generation INTEGER NOT NULL, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases (
    grp TEXT NOT NULL, member TEXT NOT NULL, session TEXT NOT NULL, seen_ms INTEGER NOT NULL,
    PRIMARY KEY (grp, member)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS offsets (
    grp TEXT NOT NULL, topic TEXT NOT NULL, number INTEGER NOT NULL, "offset" INTEGER NOT NULL, metadata TEXT NOT NULL,
    PRIMARY KEY (grp, topic, number)) WITHOUT ROWID;
"""


def file_of(topic: str) -> str:
    """Return which file a topic is in."""
    return "control" if topic.endswith((".journal", ".commands")) else "bulk"


@dataclass(frozen=True, slots=True)
class StoredTopic:
    """A topic with its number in its file."""

    id: int
    settings: TopicSettings

    def table(self, number: int) -> str:
        """Return the table of a partition."""
        return f"records_{self.id}_{number}"


class Store:
    """A connection to one file; made when missing. Belongs to one thread at a time."""

    def __init__(self, folder: Path, name: str, busy_timeout_s: float) -> None:
        """Open `folder/name.db`.

        Raises LogRefusedError without permission or for a newer format, LogUnavailableError when the file stays
        locked for `busy_timeout_s`, LogCorruptError when it is no database.
        """
        self.name = name
        self.path = folder / f"{name}.db"
        self._topics: dict[str, StoredTopic] = {}
        self._version = -1
        self._busy_timeout_s = busy_timeout_s
        make_folder(folder)
        with translated(self.path):
            self._connection = sqlite3.connect(
                self.path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=512
            )
        try:
            with translated(self.path):
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the connection."""
        self.close()

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[Any]:
        """Run a statement and return all its rows."""
        with translated(self.path):
            return self._execute(sql, args).fetchall()

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each row."""
        with translated(self.path):
            self._connection.executemany(sql, rows)

    def cursor(self, sql: str, args: Sequence[Any]) -> sqlite3.Cursor:
        """Run a statement and return its cursor; the caller closes it, and translates errors."""
        return self._execute(sql, args)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the file's only write lock; commit at the end, undo everything on an error."""
        with translated(self.path):
            self._execute("BEGIN IMMEDIATE")
        try:
            yield
            with translated(self.path):
                self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            raise

    def changed(self) -> bool:
        """Say whether another connection wrote since this was last asked; the first answer is yes."""
        version = self.rows("PRAGMA data_version")[0][0]
        changed = version != self._version
        self._version = version
        return bool(changed)

    def topics(self) -> dict[str, StoredTopic]:
        """Return the file's topics, read anew."""
        sql = "SELECT id, name, partitions, retention_ms, retention_bytes, max_record_bytes FROM topics"
        self._topics = {row[1]: StoredTopic(row[0], TopicSettings(*row[1:])) for row in self.rows(sql)}
        return self._topics

    def topic(self, name: str) -> StoredTopic | None:
        """Return a topic, or None when there is none of that name."""
        return self._topics.get(name) or self.topics().get(name)

    def create_topic(self, topic: TopicSettings) -> None:
        """Make a topic if it is missing."""
        with self.transaction():
            if topic.name in self.topics():
                return
            self.rows(
                "INSERT INTO topics (name, partitions, retention_ms, retention_bytes, max_record_bytes) "
                "VALUES (?, ?, ?, ?, ?)",
                (topic.name, topic.partitions, topic.retention_ms, topic.retention_bytes, topic.max_record_bytes),
            )
            stored = self.topics()[topic.name]
            for number in range(topic.partitions):
                self.rows("INSERT INTO partitions (topic, number) VALUES (?, ?)", (stored.id, number))
                self.rows(
                    f'CREATE TABLE {stored.table(number)} ("offset" INTEGER PRIMARY KEY, ms INTEGER NOT NULL, '
                    "key BLOB, value BLOB NOT NULL, headers NOT NULL)"
                )

    def _execute(self, sql: str, args: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement; while another connection is in its way, try again about every ms.

        SQLite's own busy handler sleeps for up to 100 ms at a time, while others take the lock again and again.
        """
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                return self._connection.execute(sql, args)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(0.0002, 0.001))

    def _prepare(self) -> None:
        """Set the connection up, and make the file's tables when it is new."""
        tuning = FILES[self.name]
        self._execute(f"PRAGMA page_size = {tuning.page}")
        mode = self._execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            msg = (
                f"{self.path}: its file system has no shared memory (journal mode {mode!r}); the log needs a local disk"
            )
            raise LogRefusedError(msg)
        for pragma in (
            f"synchronous = {tuning.synchronous}",
            f"wal_autocheckpoint = {tuning.checkpoint}",
            "journal_size_limit = 67108864",
        ):
            self._execute(f"PRAGMA {pragma}")
        if not self._execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0]:
            self._create()
        found = self._execute("SELECT value FROM meta WHERE name = 'format'").fetchone()[0]
        if found > FORMAT:
            msg = f"{self.path}: format {found}, made by a newer Mendline; this one reads up to {FORMAT}: upgrade it"
            raise LogRefusedError(msg)

    def _create(self) -> None:
        """Make the tables, as one transaction."""
        with self.transaction():
            for statement in _SCHEMA.split(";"):
                self._connection.execute(statement)
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (FORMAT,))


def make_folder(folder: Path) -> None:
    """Make the log's folder, for its owner only. Raises LogRefusedError, or LogUnavailableError on a full disk."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        msg = f"{folder}: cannot be the log's folder: {error.strerror}"
        raise LogRefusedError(msg) from error
    except OSError as error:
        msg = f"{folder}: cannot make the log's folder now: {error.strerror}"
        raise LogUnavailableError(msg) from error
