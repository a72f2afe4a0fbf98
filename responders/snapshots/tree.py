"""What lies at a path: the file itself, or a folder with all that is below it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mendline.responders.snapshots.errors import SnapshotError
from mendline.responders.snapshots.manifest import Entry

SETTLED_NS = 2_000_000_000
"""A file that was touched less than this before it was hashed may have been written to again within the same tick of
its time stamps, so that these prove nothing (git's racy entries)."""


class Found(NamedTuple):
    """A thing that was found: its name below the root (empty for the root), its path, and what `lstat` says of it."""

    name: str
    path: Path
    status: os.stat_result

    @property
    def look(self) -> tuple[int, int, int, int]:
        """What changes when a regular file is written to."""
        return (self.status.st_ino, self.status.st_size, self.status.st_mtime_ns, self.status.st_ctime_ns)


def walk(root: Path) -> Iterator[Found]:
    """Yield what lies at `root` and below, folders before what is in them, in the order of names.

    Sockets, pipes and devices are left out: they hold no data. Links are not followed. Raises OSError.
    """
    yield from _walk("", root, root.lstat())


def _walk(name: str, path: Path, status: os.stat_result) -> Iterator[Found]:
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        return
    yield Found(name, path, status)
    if stat.S_ISDIR(status.st_mode):
        for child in sorted(os.listdir(path)):  # noqa: PTH208 - names alone are wanted
            below = path / child
            yield from _walk(f"{name}/{child}" if name else child, below, below.lstat())


def entry_of(found: Found, content_hash: str) -> Entry:
    """Return what a manifest says of it; `content_hash` is a file's."""
    status = found.status
    is_file, is_link = stat.S_ISREG(status.st_mode), stat.S_ISLNK(status.st_mode)
    return Entry(
        name=found.name,
        kind="file" if is_file else "link" if is_link else "folder",
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        modified=status.st_mtime_ns,
        size=status.st_size if is_file else 0,
        hash=content_hash,
        target=os.readlink(found.path) if is_link else "",  # noqa: PTH115 - the text as it is
        inode=status.st_ino,
        changed=status.st_ctime_ns,
    )


def mount_of(path: Path) -> str:
    """Return where the file system on which the folder of `path` lies is mounted."""
    place = path.absolute().parent
    while not place.is_mount() and place != place.parent:
        place = place.parent
    return str(place)


def data_path(declared: str | None) -> Path:
    """Return the data's own path: a link that the settings name is followed. Raises SnapshotError."""
    path = Path(os.path.realpath(declared or ""))
    if not declared or path == path.parent:
        msg = f"{declared!r} cannot be exchanged with a copy: name a file or folder below a folder"
        raise SnapshotError(msg)
    return path
