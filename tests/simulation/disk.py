"""What a disk keeps: of a file all that was synced, and when the power fails maybe some of the rest."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch


class Disk:
    """Remembers which bytes were synced; no real disk is waited for."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._synced: dict[int, int] = {}
        self._full: set[Path] = set()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Take the place of the real one."""
        with patch.object(os, "fsync", self._sync), patch.object(os, "fdatasync", self._sync):
            yield

    def fill(self, folder: Path) -> None:
        """Let nothing more that is written below the folder find room."""
        self._full.add(folder)

    def free(self, folder: Path) -> None:
        """Let there be room again."""
        self._full.discard(folder)

    def cut_power(self, path: Path, lots: random.Random) -> None:
        """Lose what was not synced of the file, or the end of it."""
        about = path.stat()
        synced = min(self._synced.get(about.st_ino, 0), about.st_size)
        os.truncate(path, lots.randint(synced, about.st_size))

    def _sync(self, handle: int) -> None:
        if self._full and self._full & {*Path(f"/proc/self/fd/{handle}").readlink().parents}:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        about = os.fstat(handle)
        self._synced[about.st_ino] = about.st_size
