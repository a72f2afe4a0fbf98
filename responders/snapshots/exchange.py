"""Swaps what lies at two paths of one file system, in one step where the system can."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from mendline.responders.snapshots.content import sync

AT_FDCWD = -100
RENAME_EXCHANGE = 2
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


def exchange(path: Path, side: Path, aside: Path) -> bool:
    """Put what lies at `side` in place at `path`, and what lay there at `side`; say whether it was one step.

    Where the system cannot, what lay at `path` is at `aside` in the end, and for an instant nothing is in place: the
    same when nothing lay there to begin with. On the disk when this returns. Raises OSError.
    """
    swapped = os.path.lexists(path) and _swap(path, side)
    if not swapped:
        if os.path.lexists(path):
            path.rename(aside)
        side.rename(path)
    sync(path.parent)
    return swapped


def _swap(path: Path, side: Path) -> bool:
    """Call renameat2(2), which Python does not; say whether the system can. Raises OSError."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    paths = (AT_FDCWD, os.fsencode(path), AT_FDCWD, os.fsencode(side))
    if library.renameat2(*paths, RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(path))
