"""Files that one process holds at a time, and that say which: a lock goes with its process, whatever ends that."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class HeldError(Exception):
    """Raised when another process holds the file."""

    def __init__(self, path: Path, holder: str) -> None:
        """Say who works in the folder of the file, and what to do."""
        super().__init__(
            f"another Mendline (process {holder}) works on the state folder {path.parent}: "
            "stop it, or give this one a `state` folder and a `name` of its own"
        )


def hold(path: Path) -> int:
    """Hold the file, made if missing, until the handle that is returned is closed. Raises HeldError, OSError."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = _said(handle) or "unknown"
        os.close(handle)
        raise HeldError(path, holder) from None
    except OSError:
        os.close(handle)
        raise
    return handle


def holder_of(path: Path) -> int | None:
    """Return the process that holds the file; None where nobody does, or it cannot be known."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        said = _said(handle)
        return int(said) if said.isdigit() else None
    finally:
        os.close(handle)
    return None  # what it says is from an earlier life


def _said(handle: int) -> str:
    return os.pread(handle, 32, 0).decode(errors="replace").strip()
