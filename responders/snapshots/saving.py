"""Takes a snapshot: copies, hashes, has the copy checked, and only then publishes it."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.responders.running import run_bounded
from mendline.responders.snapshots.content import fill, hash_of
from mendline.responders.snapshots.errors import CorruptDataError, SnapshotError
from mendline.responders.snapshots.examination import examine, filled_in
from mendline.responders.snapshots.layout import lay_out, remove
from mendline.responders.snapshots.manifest import Entry, Manifest, digest_of
from mendline.responders.snapshots.store import Store, snapshot_id
from mendline.responders.snapshots.tree import SETTLED_NS, Found, data_path, entry_of, mount_of, walk

if TYPE_CHECKING:
    from mendline.responders.snapshots.deadline import Deadline
    from mendline.schemas.settings import DataSettings

TRIES = 3
TOGETHER = 1000
PAGES = 1024
RESERVE = 16 << 20
"""Bytes that are left free on the disk."""


def save(store: Store, settings: DataSettings, now_ms: int, deadline: Deadline, *, accept: bool = False) -> Manifest:
    """Take a snapshot of the data and return it, published; older ones go as the settings say.

    One of the same content takes the place of the newest. Data that never change may have changed only if somebody
    says so: `accept`. Raises CorruptDataError when the check finds it corrupt,
    SnapshotError when it cannot be taken or the check cannot be made, OSError, TimeoutError.
    """
    with store.locked():
        store.clear_drafts()
        before = store.newest()
        try:
            manifest = _take(store, settings, before, now_ms, deadline)
            if settings.immutable and not accept:
                _refuse_changed(before, manifest)
            store.publish(manifest)
        finally:
            store.clear_drafts()
        if before and before.digest == manifest.digest and before.id != manifest.id:
            store.remove(before.id)
        store.thin_out(settings.keep, settings.daily)
        return manifest


def _take(store: Store, settings: DataSettings, before: Manifest | None, now_ms: int, deadline: Deadline) -> Manifest:
    taking = _Taking(store, before, deadline)
    if settings.kind == "command":
        _refuse_corrupt(settings, None, deadline)
        entries = taking.folder(_saved_by_command(store, settings, deadline))
        mount = ""
    else:
        path = data_path(settings.path)
        mount = mount_of(path)
        source = _sqlite_copy(path, store, deadline) if settings.kind == "sqlite" else path
        entries = taking.folder(source)
        if settings.kind == "sqlite":
            entries = (_like(entries[0], path),)
    digest = digest_of(entries)
    name = snapshot_id(now_ms, digest)
    manifest = Manifest(
        name, store.service, store.name, settings.kind, now_ms, digest, entries, mount, moving=taking.moving
    )
    if settings.kind != "command":
        _check_copy(store, manifest, settings, deadline)
    return manifest


def _like(entry: Entry, path: Path) -> Entry:
    """Return the entry of a copy with the rights of the file it was copied from."""
    status = path.stat()
    return replace(
        entry, mode=stat.S_IMODE(status.st_mode), uid=status.st_uid, gid=status.st_gid, modified=status.st_mtime_ns
    )


def _refuse_corrupt(settings: DataSettings, path: Path | None, deadline: Deadline) -> None:
    finding = examine(settings, path, deadline, is_copy=path is not None)
    if finding.health == "corrupt":
        raise CorruptDataError(f"not kept as a snapshot: {finding.text}")
    if finding.health == "unknown":
        raise SnapshotError(f"no snapshot is kept that cannot be checked: {finding.text}")


def _refuse_changed(before: Manifest | None, manifest: Manifest) -> None:
    if before and before.digest != manifest.digest:
        msg = (
            f"{manifest.service}/{manifest.data} differs from snapshot {before.id}, though it should never change: "
            "if that was meant, `mendline data save --accept`"
        )
        raise CorruptDataError(msg)


def _check_copy(store: Store, manifest: Manifest, settings: DataSettings, deadline: Deadline) -> None:
    """Let the check look at the copy and not at the data in place, which may change meanwhile."""
    if not (settings.check or settings.kind == "sqlite"):
        return
    copy = store.drafts / "copy"
    _need_space(store, manifest.size)
    lay_out(store, manifest, copy, deadline, final=False)
    try:
        _refuse_corrupt(settings, copy, deadline)
    finally:
        remove(copy)


def _saved_by_command(store: Store, settings: DataSettings, deadline: Deadline) -> Path:
    folder = store.drafts / "saved"
    folder.mkdir(mode=0o700)
    ended = run_bounded(
        filled_in(settings.save, folder), min(deadline.left, settings.timeout / 1000), stop=deadline.stop
    )
    if ended.status:
        msg = f"{settings.save[0]} ended with status {ended.status}: {ended.output}"
        raise SnapshotError(msg)
    return folder


def _sqlite_copy(path: Path, store: Store, deadline: Deadline) -> Path:
    """Copy a database by SQLite's own backup: what others write meanwhile is either wholly in it or not at all."""
    import sqlite3

    copy = store.drafts / "database"
    _need_space(store, path.stat().st_size)
    try:
        with (
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target, pages=PAGES, progress=lambda *_: deadline.check(), sleep=0.05)
    except sqlite3.OperationalError as error:
        raise SnapshotError(f"{path} cannot be copied: {error}") from error
    except sqlite3.DatabaseError as error:
        raise CorruptDataError(f"not kept as a snapshot: {path}: {error}") from error
    return copy


def _need_space(store: Store, size: int) -> None:
    free = free_bytes(store.drafts)
    if free < size + RESERVE:
        msg = f"{store.drafts} has {free} bytes free, and a snapshot needs {size + RESERVE}"
        raise SnapshotError(msg)


def free_bytes(folder: Path) -> int:
    """Return how many bytes may still be written below a folder. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


class _Taking:
    """Takes the content of files into the store; what did not change since the last snapshot is not read again."""

    def __init__(self, store: Store, before: Manifest | None, deadline: Deadline) -> None:
        self._store = store
        self._before = {entry.name: entry for entry in before.entries} if before else {}
        self._settled_ns = before.taken_at * 1_000_000 - SETTLED_NS if before else 0
        self._deadline = deadline
        self._drafts: list[tuple[Path, str]] = []
        self._numbers = count()
        self.moving = 0

    def folder(self, root: Path) -> tuple[Entry, ...]:
        """Return the entries of all that lies at `root`, their content taken in."""
        found = list(walk(root))
        if not found:
            msg = f"{root} is neither a file nor a folder"
            raise SnapshotError(msg)
        _need_space(self._store, sum(one.status.st_size for one in found if self._is_new(one)))
        entries = tuple(entry for one in found if (entry := self._entry(one)))
        self._keep()
        self.moving = sum(_has_changed(one) for one in found)
        return entries

    def _is_new(self, found: Found) -> bool:
        return stat.S_ISREG(found.status.st_mode) and not self._known(found)

    def _known(self, found: Found) -> Entry | None:
        """Return what was said of the file before, if nothing can have written to it since."""
        entry, status = self._before.get(found.name), found.status
        if not entry or entry.kind != "file" or not self._store.object(entry.hash).exists():
            return None
        look = (entry.inode, entry.size, entry.modified, entry.changed)
        return entry if look == found.look and status.st_ctime_ns < self._settled_ns else None

    def _entry(self, found: Found) -> Entry | None:
        """Return what the manifest says of it; nothing when it has gone meanwhile."""
        self._deadline.check()
        if not stat.S_ISREG(found.status.st_mode):
            return entry_of(found, "")
        known = self._known(found)
        try:
            return entry_of(found, known.hash) if known else self._taken(found)
        except FileNotFoundError:
            return None

    def _taken(self, found: Found) -> Entry:
        """Copy the file until it stood still meanwhile. Raises SnapshotError when it never does."""
        for _ in range(TRIES):
            latest = Found(found.name, found.path, found.path.lstat())
            if not stat.S_ISREG(latest.status.st_mode):
                break
            content_hash, size = self._copy(found.path)
            if not _has_changed(latest) and size == latest.status.st_size:
                return entry_of(latest, content_hash)
        msg = f"{found.path} changes while it is read: stop its writer, or save it by a command of kind `command`"
        raise SnapshotError(msg)

    def _copy(self, path: Path) -> tuple[str, int]:
        draft = self._store.drafts / f"content-{next(self._numbers)}"
        source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        target = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            fill(source, target, self._deadline)
            content_hash, size = hash_of(target, self._deadline), os.fstat(target).st_size
        finally:
            os.close(source)
            os.close(target)
        self._drafts.append((draft, content_hash))
        if len(self._drafts) >= TOGETHER:
            self._keep()
        return content_hash, size

    def _keep(self) -> None:
        """Let the store have what was copied, many files at once: the disk is waited for once."""
        drafts, self._drafts = self._drafts, []
        if drafts:
            self._store.keep(drafts)


def _has_changed(found: Found) -> bool:
    try:
        return Found(found.name, found.path, found.path.lstat()).look != found.look
    except FileNotFoundError:
        return True
