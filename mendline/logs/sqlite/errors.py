"""SQLite's errors in the log's own words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mendline.logs.base import LogCorruptError, LogError, LogRefusedError, LogUnavailableError

SALVAGE = "stop Mendline and run `mendline topics salvage`, which keeps what can still be read"
_DAMAGED = f"it is damaged: {SALVAGE}"

_KINDS: dict[int, tuple[type[LogError], str]] = {
    sqlite3.SQLITE_BUSY: (LogUnavailableError, "another program holds it locked"),
    sqlite3.SQLITE_LOCKED: (LogUnavailableError, "another program holds it locked"),
    sqlite3.SQLITE_FULL: (LogUnavailableError, "no space left on its disk; nothing of the call was written"),
    sqlite3.SQLITE_IOERR: (LogUnavailableError, "its disk fails or is full; nothing of the call was written"),
    sqlite3.SQLITE_NOMEM: (LogUnavailableError, "out of memory"),
    sqlite3.SQLITE_READONLY: (LogRefusedError, "it may not be written by this user"),
    sqlite3.SQLITE_PERM: (LogRefusedError, "it may not be opened by this user"),
    sqlite3.SQLITE_AUTH: (LogRefusedError, "it may not be opened by this user"),
    sqlite3.SQLITE_CANTOPEN: (LogRefusedError, "it cannot be opened; check the folder and its permissions"),
    sqlite3.SQLITE_CORRUPT: (LogCorruptError, _DAMAGED),
    sqlite3.SQLITE_NOTADB: (LogCorruptError, _DAMAGED),
    # The log's own statements are right, so these too tell of tables that are not as they were made.
    sqlite3.SQLITE_ERROR: (LogCorruptError, _DAMAGED),
    sqlite3.SQLITE_CONSTRAINT: (LogCorruptError, _DAMAGED),
    sqlite3.SQLITE_MISMATCH: (LogCorruptError, _DAMAGED),
}


def as_log_error(error: sqlite3.Error, path: Path) -> LogError:
    """Return the log's error for SQLite's; the primary code decides, extended codes are finer than what helps."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    kind, advice = _KINDS.get(code, (LogError, "unexpected"))
    return kind(f"{path}: {advice} ({error})")


def damaged(path: Path, what: str) -> LogCorruptError:
    """Return the error for damage that SQLite itself does not see."""
    return LogCorruptError(f"{path}: {_DAMAGED} ({what})")


def wal_of(path: Path) -> Path:
    """Return the file beside `path` that holds what was written last."""
    return path.with_name(path.name + "-wal")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as the log's."""
    try:
        yield
    except sqlite3.Error as error:
        raise as_log_error(error, path) from error
