"""Small files that are read again and again, as those below /proc: opened once, read from the start each time."""

from __future__ import annotations

import os
from pathlib import Path

CHUNK = 65_536


class KeptFile:
    """An open file. Of a process's file, reading fails for good when that process is gone: no other takes its place."""

    def __init__(self, path: str | Path) -> None:
        """Open the file.

        Raises OSError when it is not there or not readable.
        """
        self._handle = -1  # for `close`, should opening fail
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> bytes:
        """Return the whole content as it is now. Raises OSError (ProcessLookupError for a process that is gone)."""
        parts = []
        at = 0
        while part := os.pread(self._handle, CHUNK, at):
            parts.append(part)
            at += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def head(self, size: int = 1024) -> bytes:
        """Return at most `size` bytes from the start, by one system call. Raises OSError."""
        return os.pread(self._handle, size, 0)

    def close(self) -> None:
        """Close the file; once more does no harm."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __del__(self) -> None:
        """Close the file that nobody closed."""
        self.close()


def keep(path: str | Path) -> KeptFile | None:
    """Return the file, or None where this system has no such file."""
    try:
        return KeptFile(path)
    except OSError:
        return None
