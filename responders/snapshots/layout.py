"""Lays a snapshot out in a folder of its own, as it was: names, content, owners, modes and times."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.responders.snapshots.content import MANY, fill, hash_file, sync, sync_file_system
from mendline.responders.snapshots.errors import DamagedSnapshotError

if TYPE_CHECKING:
    from mendline.responders.snapshots.deadline import Deadline
    from mendline.responders.snapshots.manifest import Entry, Manifest
    from mendline.responders.snapshots.store import Store


def lay_out(store: Store, manifest: Manifest, root: Path, deadline: Deadline, *, final: bool = True) -> None:
    """Make `root`, which is not there yet, what the snapshot says.

    `final`: it is on the disk when this returns, with its owners; otherwise it is only to be looked at.

    Raises DamagedSnapshotError when content is missing, OSError, TimeoutError.
    """
    are_many = len(manifest.entries) > MANY
    for entry in manifest.entries:
        deadline.check()
        _make(store, entry, _place(root, entry), deadline, waits=final and not are_many)
    for entry in reversed(manifest.entries):  # a folder last: what is made in it changes its time
        _dress(entry, _place(root, entry), owner=final)
        if final and not are_many and entry.kind == "folder":
            sync(_place(root, entry))
    if final and are_many:
        sync_file_system(root)


def prove(manifest: Manifest, root: Path, deadline: Deadline) -> None:
    """Read what was laid out back, and compare every hash. Raises DamagedSnapshotError, OSError, TimeoutError."""
    for entry in manifest.entries:
        if entry.kind == "file" and hash_file(_place(root, entry), deadline) != entry.hash:
            msg = f"the content of {entry.name or manifest.data} in snapshot {manifest.id} is not what it was"
            raise DamagedSnapshotError(msg)


def remove(root: Path) -> None:
    """Remove what lies at `root`, if anything does. Raises OSError."""
    if root.is_dir() and not root.is_symlink():
        shutil.rmtree(root)
    else:
        root.unlink(missing_ok=True)


def _place(root: Path, entry: Entry) -> Path:
    return root / entry.name if entry.name else root


def _make(store: Store, entry: Entry, place: Path, deadline: Deadline, *, waits: bool) -> None:
    if entry.kind == "folder":
        place.mkdir(mode=0o700)
    elif entry.kind == "link":
        place.symlink_to(entry.target)
    else:
        _make_file(store, entry, place, deadline, waits=waits)


def _make_file(store: Store, entry: Entry, place: Path, deadline: Deadline, *, waits: bool) -> None:
    try:
        source = os.open(store.object(entry.hash), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        msg = f"the content of {entry.name or store.name} is missing: {store.object(entry.hash)}"
        raise DamagedSnapshotError(msg) from error
    target = -1
    try:
        target = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fill(source, target, deadline)
        if waits:
            os.fsync(target)
    finally:
        os.close(source)
        if target >= 0:
            os.close(target)


def _dress(entry: Entry, place: Path, *, owner: bool) -> None:
    """Give it its owner if that is wanted, its mode and its time."""
    status = place.lstat()
    if owner and (status.st_uid, status.st_gid) != (entry.uid, entry.gid):
        os.chown(place, entry.uid, entry.gid, follow_symlinks=False)
    if entry.kind != "link":
        place.chmod(entry.mode)
    os.utime(place, ns=(entry.modified, entry.modified), follow_symlinks=False)
