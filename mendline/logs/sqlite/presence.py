"""Who has a file of the log open, and whether it is there as its last user left it.

FILE.open is locked by all who have FILE open, or by one alone who salvages it. Its text is "open" from the first append
on, and "shut" when the last one closed FILE with all that was appended in it. Opening and closing lock the folder, so
that it is always clear who is the first and who is the last.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mendline.durably import sync_folder
from mendline.logs.base import LogCorruptError, LogRefusedError, LogUnavailableError
from mendline.logs.sqlite.errors import SALVAGE, wal_of

logger = logging.getLogger(__name__)

_OPEN, _SHUT = b"open", b"shut"
_RETRY_S = 0.001


class Presence:
    """One user's lock on one file. Locks end with their process, however it ends."""

    def __init__(self, path: Path, patience_s: float) -> None:
        """Lock nothing yet. Raises LogRefusedError or LogUnavailableError when FILE.open cannot be made."""
        self._path = path
        self._patience_s = patience_s
        self.first = False
        self._noted = False
        marker = path.with_suffix(".open")
        try:
            self._fd = os.open(marker, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (PermissionError, IsADirectoryError) as error:
            msg = f"{marker}: it may not be opened by this user ({error.strerror})"
            raise LogRefusedError(msg) from error
        except OSError as error:
            msg = f"{marker}: cannot be made now: {error.strerror}"
            raise LogUnavailableError(msg) from error

    @contextmanager
    def entering(self) -> Iterator[None]:
        """Open the file in the body, as one of several; `first` says whether nobody else has it open.

        Raises LogUnavailableError when another opens, closes or salvages it for longer than the patience, and
        LogCorruptError when the first finds that the file is gone.
        """
        with self.gate():
            self._lock_as_one_of_many()
            if self.first:
                self._check_left()
            yield
            if self.first:
                _flock(self._fd, fcntl.LOCK_SH)

    def leave(self, finish: Callable[[], bool], close: Callable[[], None]) -> None:
        """Close the file. The last one calls `finish` before; it says whether all is in the file now."""
        try:
            with self.gate():
                if _flock(self._fd, fcntl.LOCK_EX) and self._state() == _OPEN and finish():
                    self.note_shut()
                close()
        except (LogUnavailableError, OSError):
            close()
        finally:
            self.forget()

    def take_alone(self) -> None:
        """Have the file for oneself, inside `gate`. Raises LogRefusedError when anybody has it open."""
        if not _flock(self._fd, fcntl.LOCK_EX):
            msg = f"{self._path}: another process has it open: stop Mendline and its commands first"
            raise LogRefusedError(msg)

    @contextmanager
    def gate(self) -> Iterator[None]:
        """Lock the folder. Raises LogUnavailableError when another holds it for longer than the patience."""
        fd = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not self._wait_for(fd, fcntl.LOCK_EX):
                msg = f"{self._path}: another program holds it locked while it opens, closes or salvages it"
                raise LogUnavailableError(msg)
            yield
        finally:
            os.close(fd)

    def lost(self) -> str:
        """Return, to who is the first or alone, what is gone since the file was last used; nothing if all is there."""
        state = self._state()
        if state in {_OPEN, _SHUT} and not _has_content(self._path):
            return f"{self._path}: it is gone or empty, with all that was in it"
        return ""

    def note_writing(self) -> None:
        """Note that FILE-wal holds what is not in the file yet.

        After a power cut FILE-wal must not be missed for no reason: "open" is never on the disk before it, nor is
        "shut" there later than FILE-wal is gone. A full disk costs only the knowledge, so it is no error.
        """
        if not self._noted and self._state() != _OPEN:
            with suppress(OSError):
                sync_folder(self._path.parent)
                os.pwrite(self._fd, _OPEN, 0)
        self._noted = True

    def note_shut(self) -> None:
        """Note that all is in the file."""
        with suppress(OSError):
            os.pwrite(self._fd, _SHUT, 0)
            os.fsync(self._fd)

    def forget(self) -> None:
        """Let go of the lock."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _check_left(self) -> None:
        lost = self.lost()
        if lost:
            msg = f"{lost}; put it back, or {SALVAGE}"
            raise LogCorruptError(msg)
        if self._state() == _OPEN and not wal_of(self._path).exists():
            # Any program that opens and closes an SQLite database moves FILE-wal into it, so it is no reason to stop.
            logger.warning(
                "%s: it is gone: unless a program that reads SQLite moved it into %s, what was appended last is lost",
                wal_of(self._path), self._path.name,
            )  # fmt: skip
            self.note_shut()

    def _lock_as_one_of_many(self) -> None:
        self.first = _flock(self._fd, fcntl.LOCK_EX)
        if not self.first and not self._wait_for(self._fd, fcntl.LOCK_SH):
            msg = f"{self._path}: another process has it for itself alone, as `mendline topics salvage` does; wait"
            raise LogUnavailableError(msg)

    def _wait_for(self, fd: int, kind: int) -> bool:
        deadline = time.monotonic() + self._patience_s
        while not _flock(fd, kind):
            if time.monotonic() > deadline:
                return False
            time.sleep(_RETRY_S)
        return True

    def _state(self) -> bytes:
        return os.pread(self._fd, len(_OPEN), 0)


def _flock(fd: int, kind: int) -> bool:
    """Lock or say that another has it."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
