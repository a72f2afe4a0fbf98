"""One SQLite file of the log: connection, format, topics, transactions."""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mendline.logs.base import LogCorruptError, LogRefusedError, LogUnavailableError, TopicSettings
from mendline.logs.sqlite.errors import damaged, translated, wal_of
from mendline.logs.sqlite.presence import Presence
from mendline.logs.sqlite.wal import unusable_commits
from mendline.schemas.stream import Partition

_logger = logging.getLogger(__name__)

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
        locked for `busy_timeout_s`, LogCorruptError when it is no database, or gone since it was last open.
        """
        self.name = name
        self.path = folder / f"{name}.db"
        self._wal = wal_of(self.path)
        self._inodes: tuple[int, ...] = ()
        self._topics: dict[str, StoredTopic] = {}
        self._version = -1
        self._busy_timeout_s = busy_timeout_s
        make_folder(folder)
        self._presence = Presence(self.path, busy_timeout_s)
        try:
            with self._presence.entering():
                self._connect()
        except BaseException:
            self._presence.forget()
            raise
        # Also for those who end without closing: SQLite would remove FILE-wal by itself, and the next would miss it.
        self._close = weakref.finalize(self, _close, self._presence, self._connection)

    def close(self) -> None:
        """Close the connection."""
        self._close()

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
        if self._inodes:
            self._check_place()
            self._presence.note_writing()
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
        self._check_place()
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

    def key_of(self, partition: Partition) -> tuple[int, int]:
        """Return a partition's key; its topic must exist."""
        return self._topics[partition.topic].id, partition.number

    def table_of(self, partition: Partition) -> str:
        """Return a partition's table; its topic must exist."""
        return self._topics[partition.topic].table(partition.number)

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

    def _connect(self) -> None:
        """Make the connection and set it up."""
        with translated(self.path):
            self._connection = sqlite3.connect(
                self.path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=512
            )
        try:
            with translated(self.path):
                self._prepare()
            self._inodes = self._find_inodes()
        except BaseException:
            self._connection.close()
            raise

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
        tables = {row[0] for row in self._execute("SELECT name FROM sqlite_master")}
        if self._presence.first:
            self._check_tail()
        if not tables:
            self._create()
        elif "meta" not in tables:
            raise damaged(self.path, "its tables are not those of a log of Mendline's")
        self._check_format()

    def _check_format(self) -> None:
        """Raise LogRefusedError for the format of a newer version."""
        found = self._execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
        if found is None:
            raise damaged(self.path, "it does not tell its format")
        if found[0] > FORMAT:
            msg = f"{self.path}: format {found[0]}, made by a newer Mendline; this one reads up to {FORMAT}: upgrade it"
            raise LogRefusedError(msg)

    def _check_tail(self) -> None:
        """Tell how many of the newest appends are gone; raise LogCorruptError when a power cut cannot be the cause.

        A file that is synced with each append has at most one on its way when the power fails.
        """
        lost = unusable_commits(self._wal, self._execute("PRAGMA page_size").fetchone()[0])
        if not lost:
            return
        if lost > 1 and FILES[self.name].synchronous == "FULL":
            raise damaged(self._wal, f"the newest {lost} appends and commits cannot be read")
        _logger.warning("%s: the newest %d appends and commits were lost, as in a power cut", self.path, lost)
        _move_all(self._connection)

    def _check_place(self) -> None:
        """Raise LogCorruptError when the file is no longer the one that was opened."""
        if self._find_inodes() != self._inodes:
            msg = f"{self.path}: it was removed or replaced while open: stop Mendline, put it back, start it again"
            raise LogCorruptError(msg)

    def _find_inodes(self) -> tuple[int, ...]:
        """Return which files have the names of the file and its newest part; none when one is missing."""
        try:
            return os.stat(self.path).st_ino, os.stat(self._wal).st_ino  # noqa: PTH116 - a third of Path.stat's time
        except FileNotFoundError:
            return ()

    def _create(self) -> None:
        """Make the tables, as one transaction; a power cut leaves them whole or not at all."""
        with self.transaction():
            for statement in _SCHEMA.split(";"):
                self._connection.execute(statement)
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (FORMAT,))
        _move_all(self._connection)


def _close(presence: Presence, connection: sqlite3.Connection) -> None:
    presence.leave(lambda: _move_all(connection), connection.close)


def _move_all(connection: sqlite3.Connection) -> bool:
    """Move everything into the file itself, for good; say whether that was done."""
    try:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error:
        return False
    return not busy


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
