"""The content of files: cloned where the file system can, copied otherwise, and hashed."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from mendline.responders.snapshots.deadline import Deadline

FICLONE = 0x40049409
"""ioctl(2) that lets a file share another's blocks until one of them is written to (Btrfs, XFS)."""

CHUNK = 1 << 20

MANY = 64
"""From so many files on, one wait for all that the file system has to write is shorter than one for each of them."""


def fill(source: int, target: int, deadline: Deadline) -> None:
    """Give the empty file `target` the content of the file `source`, both descriptors; a clone costs no space.

    Raises OSError, as for a full disk, and TimeoutError.
    """
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError:  # another file system, or one that cannot: what is wrong besides, copying will tell
        _copy(source, target, deadline)


def _copy(source: int, target: int, deadline: Deadline) -> None:
    os.lseek(source, 0, os.SEEK_SET)
    while part := os.read(source, CHUNK):
        deadline.check()
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(target, rest) :]


def hash_of(handle: int, deadline: Deadline) -> str:
    """Return the SHA-256 of the open file's whole content. Raises OSError, TimeoutError."""
    total, at = hashlib.sha256(), 0
    while part := os.pread(handle, CHUNK, at):
        deadline.check()
        total.update(part)
        at += len(part)
    return total.hexdigest()


def hash_file(path: Path, deadline: Deadline) -> str:
    """Return the SHA-256 of a file, never following a link. Raises OSError, TimeoutError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return hash_of(handle, deadline)
    finally:
        os.close(handle)


def sync(path: Path) -> None:
    """Wait until a folder's names, or a file's content, are on the disk; a link is not followed. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_all(paths: Sequence[Path]) -> None:
    """Wait until files and folders of one file system are on the disk; many of them by one call. Raises OSError."""
    if len(paths) > MANY:
        sync_file_system(paths[0])
    else:
        for path in paths:
            sync(path)


def sync_file_system(path: Path) -> None:
    """Wait until all of the file system that `path` lies on is on the disk: syncfs(2), which Python does not call.

    Raises OSError.
    """
    import ctypes

    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(handle)
