"""Puts what was written on the disk, so that it is there after a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Wait until the names in the folder are on the disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Put a file in place as a whole, on the disk when this returns; `mode` is its own, else as the umask has it.

    What was there stays until then, and when it fails. One writer at a time: the draft has always the same name. Raises
    OSError.
    """
    draft = path.with_name(f".{path.name}.new")
    with draft.open("wb") as file:
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)
