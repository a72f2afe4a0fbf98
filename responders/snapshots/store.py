"""Where the snapshots of one service's data lie, on the host itself.

```text
state/data/SERVICE/NAME/
    lock            held by whoever takes a snapshot or restores
    objects/ab/…    content of files, once each, named by its SHA-256, never written to again
    snapshots/ID    a manifest each
    drafts/         what is not finished; left-overs of a crash are removed with the next snapshot
    restoring       what a restore that did not end was about
    restored        what the last restore did
```

A snapshot is there when its manifest is, which is put in place last, by a rename, all its content being on the disk.
Files in place are never hard links to objects: what a service writes to its file would change the snapshot too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from time import gmtime, strftime
from typing import TYPE_CHECKING

from mendline.durably import write_durably
from mendline.responders.snapshots.content import hash_file, sync, sync_all
from mendline.responders.snapshots.errors import DamagedSnapshotError, StoreBusyError
from mendline.responders.snapshots.manifest import Manifest, decode

if TYPE_CHECKING:
    from mendline.responders.snapshots.deadline import Deadline
    from mendline.responders.snapshots.manifest import Entry

DAY_MS = 86_400_000


class Store:
    """The snapshots of the data `name` of `service`; works without being opened, and makes its folders when needed."""

    def __init__(self, state: Path, service: str, name: str) -> None:
        """Keep them below the host's state folder `state`. Names are those of the settings."""
        self.service, self.name = service, name
        self.folder = state.absolute() / "data" / service / name
        self._snapshots = self.folder / "snapshots"
        self.drafts = self.folder / "drafts"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who works on the data. Raises StoreBusyError, OSError."""
        for folder in (self._snapshots, self.drafts, self.folder / "objects"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            msg = f"a snapshot or a restore of {self.service}/{self.name} is under way"
            raise StoreBusyError(msg) from None
        finally:
            os.close(handle)

    # Snapshots ------------------------------------------------------------------------------------------------------

    def ids(self) -> Sequence[str]:
        """Return the ids of the snapshots, the newest first."""
        try:
            names = os.listdir(self._snapshots)  # noqa: PTH208 - names alone are wanted
        except FileNotFoundError:
            return ()
        return sorted((name for name in names if not name.startswith(".")), reverse=True)

    def load(self, snapshot: str) -> Manifest:
        """Return a snapshot's manifest. Raises DamagedSnapshotError, also when there is none of this id."""
        if snapshot not in self.ids():
            msg = f"there is no snapshot {snapshot!r} of {self.service}/{self.name}"
            raise DamagedSnapshotError(msg)
        path = self._snapshots / snapshot
        return decode(path.read_bytes(), str(path))

    def newest(self) -> Manifest | None:
        """Return the newest snapshot that can be read, None without one."""
        return next(self.readable(), None)

    def readable(self) -> Iterator[Manifest]:
        """Yield the snapshots whose manifests can be read, the newest first."""
        for snapshot in self.ids():
            with contextlib.suppress(DamagedSnapshotError):
                yield self.load(snapshot)

    def publish(self, manifest: Manifest) -> None:
        """Let the snapshot be there; its content is on the disk already. Raises OSError."""
        write_durably(self._snapshots / manifest.id, manifest.encode())

    # Content --------------------------------------------------------------------------------------------------------

    def object(self, content_hash: str) -> Path:
        """Return where content of this hash lies, or would."""
        return self.folder / "objects" / content_hash[:2] / content_hash

    def keep(self, drafts: Sequence[tuple[Path, str]]) -> None:
        """Make each finished file the content of its hash, in place of any that is there. Raises OSError."""
        for draft, _ in drafts:
            draft.chmod(0o400)
        sync_all([draft for draft, _ in drafts])
        places = [self.object(content_hash) for _, content_hash in drafts]
        folders = {place.parent for place in places}
        for folder in folders:
            folder.mkdir(mode=0o700, exist_ok=True)
        for (draft, _), place in zip(drafts, places, strict=True):
            draft.replace(place)
        sync_all([*folders, self.folder / "objects"])

    def damage(self, entries: Iterable[Entry], deadline: Deadline) -> Sequence[str]:
        """Return what is wrong with the content of these entries, in words; nothing if all is as it was hashed.

        Raises TimeoutError.
        """
        wanted = {entry.hash: entry.name for entry in entries if entry.kind == "file"}
        found = ((name, self._wrong(content_hash, deadline)) for content_hash, name in wanted.items())
        return [f"{name or self.name}: {wrong}" for name, wrong in found if wrong]

    def drop_damaged(self, deadline: Deadline) -> Sequence[str]:
        """Remove content of any snapshot that is not what it was, and return whose; the next snapshot reads it anew.

        Raises OSError, TimeoutError.
        """
        entries = {entry.hash: entry for one in self.readable() for entry in one.entries if entry.kind == "file"}
        found = [entry for entry in entries.values() if self._wrong(entry.hash, deadline)]
        for entry in found:
            self.object(entry.hash).unlink(missing_ok=True)
        return [entry.name or self.name for entry in found]

    def _wrong(self, content_hash: str, deadline: Deadline) -> str:
        try:
            is_right = hash_file(self.object(content_hash), deadline) == content_hash
        except OSError as error:
            return f"its content cannot be read: {error.strerror}"
        return "" if is_right else "its content is not what it was"

    # Cleaning -------------------------------------------------------------------------------------------------------

    def thin_out(self, keep: int, daily: int) -> Sequence[str]:
        """Remove snapshots beyond the newest `keep` and the last of each of `daily` days, and what no other needs.

        Returns the ids that went. Raises OSError.
        """
        manifests = list(self.readable())
        spared = {manifest.id for manifest in manifests[:keep]} | set(_last_of_days(manifests, daily))
        gone = [manifest.id for manifest in manifests if manifest.id not in spared]
        for snapshot in gone:
            (self._snapshots / snapshot).unlink()
        if gone:
            sync(self._snapshots)
        if len(manifests) == len(self.ids()) + len(gone):
            self._sweep({entry.hash for one in manifests if one.id in spared for entry in one.entries})
        return gone

    def remove(self, snapshot: str) -> None:
        """Remove a snapshot; its content goes with the next `thin_out`. Raises OSError."""
        (self._snapshots / snapshot).unlink(missing_ok=True)

    def clear_drafts(self) -> None:
        """Remove what a crash left unfinished. Raises OSError."""
        import shutil

        for draft in self.drafts.iterdir():
            shutil.rmtree(draft) if draft.is_dir() and not draft.is_symlink() else draft.unlink()

    def _sweep(self, needed: set[str]) -> None:
        """Remove content that no snapshot names. Not done when a manifest cannot be read: it may name it."""
        for place in (self.folder / "objects").glob("*/*"):
            if place.name not in needed:
                place.unlink()


def _last_of_days(manifests: Sequence[Manifest], days: int) -> Iterator[str]:
    """Yield the newest of each of the newest `days` days (UTC) that have any; `manifests` stand newest first."""
    seen: set[int] = set()
    for manifest in manifests:
        day = manifest.taken_at // DAY_MS
        if day not in seen and len(seen) < days:
            seen.add(day)
            yield manifest.id


def snapshot_id(taken_at: int, digest: str) -> str:
    """Return the id of a snapshot: its time and the beginning of its digest, so that they sort by age.

    >>> snapshot_id(1_700_000_000_123, "ab12cd34ef")
    '20231114T221320.123Z-ab12cd34'
    """
    seconds, rest = divmod(taken_at, 1000)
    return f"{strftime('%Y%m%dT%H%M%S', gmtime(seconds))}.{rest:03d}Z-{digest[:8]}"
