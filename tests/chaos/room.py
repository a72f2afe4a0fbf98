"""Small filesystems that hold a log and nothing else, so that a disk can be filled up without harm to anybody else."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

BALLAST = "ballast"
LARGEST_STEP = 2**24


class Room:
    """A small filesystem, full or not."""

    def __init__(self, folder: Path) -> None:
        """Take the folder that it is mounted on."""
        self._ballast = folder / BALLAST

    def fill(self) -> None:
        """Take all the room there is, to the last block."""
        with self._ballast.open("ab") as file:
            step = LARGEST_STEP
            while step >= os.fstat(file.fileno()).st_blksize:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), step)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    step //= 2

    def empty(self) -> None:
        """Give it back."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def rooms(folders: list[Path], size_mb: int) -> Iterator[list[Room]]:
    """Mount a filesystem in memory of `size_mb` on each of the folders, to the end of the block.

    Nobody but root may mount; without that right there are none, and the folders lie on the disk they lie on.
    """
    with ExitStack() as mounted:
        made = [mounted.enter_context(_mounted(folder, size_mb)) for folder in folders]
        yield [room for room in made if room]


@contextmanager
def _mounted(folder: Path, size_mb: int) -> Iterator[Room | None]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = f"size={size_mb}m,mode=0700"
    command = ["mount", "-t", "tmpfs", "-o", options, "mendline-chaos", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield Room(folder)
    finally:
        # Lazily: whatever still has a file open there must not keep the rest from being cleared away.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
