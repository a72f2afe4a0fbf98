"""The folder that belongs to one agent: a lock, and the epoch, which counts how often it was opened."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self


class StateError(Exception):
    """Raised when the state folder cannot be used; the message says why and what to do."""


class StateBusyError(StateError):
    """Raised when another agent works on the folder."""


class StateFolder:
    """The state folder of this agent, locked while it is open. `epoch` is one more than at the last opening."""

    def __init__(self, path: Path) -> None:
        """Open the folder, made if missing.

        Raises StateBusyError, StateError.
        """
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(path)
        except OSError as error:
            msg = f"the state folder {path} cannot be used: {error.strerror}; Mendline must be able to write there"
            raise StateError(msg) from error
        try:
            self.epoch = _next_epoch(path / "epoch")
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Let others have the folder."""
        os.close(self._lock)

    def __enter__(self) -> Self:
        """Return the folder."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the folder."""
        self.close()


def _lock(path: Path) -> int:
    handle = os.open(path / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        msg = (
            f"another agent (process {owner}) works on the state folder {path}: "
            "stop it, or give this one a `state` folder and a `name` of its own"
        )
        raise StateBusyError(msg) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle


def _next_epoch(path: Path) -> int:
    """Return the next epoch, on the disk before anything is said in it."""
    try:
        last = int(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        last = 0
    except ValueError:
        msg = (
            f"{path} is damaged: it should hold one number. Write into it a number higher than any epoch "
            "that this source has used (`mendline topics tail metrics --json` shows them)"
        )
        raise StateError(msg) from None
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise StateError(msg) from error
    try:
        _write_durably(path, str(last + 1))
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}; without it readers could not tell repeats from news"
        raise StateError(msg) from error
    return last + 1


def _write_durably(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    with draft.open("w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
