"""Puts what was written on the disk, so that it is there after a power cut."""

from __future__ import annotations

import fcntl
import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


def sync_folder(folder: Path) -> None:
    """Wait until the names in the folder are on the disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Put a file in place as `replacing` does, on the disk when this returns. Raises OSError."""
    with replacing(path, mode=mode) as file:
        file.write(content)


def is_written_into(path: Path) -> bool:
    """Say whether what stands at `path`, a device or a pipe as /dev/null is, must not be replaced by a file."""
    return path.exists() and not path.is_file()


@contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of `path` as a whole at the end of the block, when it is on the disk.

    `mode` is its own, else as the umask has it. What was there stays until then, and when the block fails: nothing is
    left of the new one then, nor once there is another for the same `path` if this process was killed. Several
    processes may do so at once, but one thread of each. A device or a pipe is written into. Raises OSError.
    """
    if is_written_into(path):
        with path.open("wb") as file:
            yield file
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    _remove_left(path)
    try:
        with os.fdopen(os.open(draft, FLAGS, 0o666 if mode is None else mode), "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
            draft.replace(path)  # under its lock, or another process would take it for left
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _remove_left(path: Path) -> None:
    """Remove what killed processes left of a file: what is being written is locked. Raises OSError."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.[0-9]*.new"):
        # It may have got its name by now, or be another user's.
        with suppress(FileNotFoundError, PermissionError), left.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            left.unlink(missing_ok=True)
