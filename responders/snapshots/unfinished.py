"""What a restore is about, noted on the disk before it changes anything, and how one that was cut off is ended.

Beside the data lie, while a restore is under way or afterwards, `.NAME.mendline-restored`, the copy that is to take
their place, and `.NAME.mendline-broken-TIME`, what was in place before. A cut off restore is undone when the data in
place are still the old ones, and ended when they are the restored ones already; never is anything in between in place.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.durably import write_durably
from mendline.responders.snapshots.content import sync
from mendline.responders.snapshots.errors import SnapshotError
from mendline.responders.snapshots.layout import remove

if TYPE_CHECKING:
    from mendline.responders.snapshots.store import Store

COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database: of another database it would be poison, so it goes where the old one goes."""


@dataclass(frozen=True, slots=True)
class Note:
    """A restore of the data at `path`. `inode` is that of the copy, -1 as long as it is not finished and verified."""

    path: str
    stamp: str
    companions: tuple[str, ...] = ()
    inode: int = -1

    @property
    def place(self) -> Path:
        """Where the data lie."""
        return Path(self.path)

    @property
    def side(self) -> Path:
        """Where the copy is made."""
        return self.place.with_name(f".{self.place.name}.mendline-restored")

    @property
    def broken(self) -> Path:
        """Where what was in place goes."""
        return self.place.with_name(f".{self.place.name}.mendline-broken-{self.stamp}")

    def clear_side(self) -> None:
        """Remove the copy, and what a check of it left beside it. Raises OSError."""
        for suffix in ("", *self.companions):
            remove(self.side.with_name(self.side.name + suffix))

    def verified(self) -> Note:
        """Return the note that says that the copy is finished."""
        return replace(self, inode=self.side.lstat().st_ino)

    def write(self, store: Store) -> None:
        """Have it on the disk. Raises OSError."""
        write_durably(store.folder / "restoring", json.dumps(asdict(self)).encode())

    def forget(self, store: Store) -> None:
        """Have it gone: the restore is over. Raises OSError."""
        (store.folder / "restoring").unlink(missing_ok=True)
        sync(store.folder)


def read_note(store: Store) -> Note | None:
    """Return the note of a restore that did not end. Raises SnapshotError, OSError."""
    path = store.folder / "restoring"
    try:
        fields = json.loads(path.read_bytes())
        return Note(**fields | {"companions": tuple(fields["companions"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        msg = f"{path} is damaged ({error}): look beside the data for what a restore left, then remove it"
        raise SnapshotError(msg) from error


def reconcile(store: Store) -> str:
    """End or undo a restore that was cut off, and say which, empty when there was none. Call it with the store locked.

    Raises SnapshotError, OSError.
    """
    note = read_note(store)
    if not note:
        return ""
    said = _end(note) if _was_exchanged(note) or not os.path.lexists(note.place) else _undo(note)
    sync(note.place.parent)
    note.forget(store)
    return said


def _was_exchanged(note: Note) -> bool:
    """Say whether what lies at the side is not the verified copy any more: then that is in place."""
    if note.inode < 0:
        return False
    return not os.path.lexists(note.side) or note.side.lstat().st_ino != note.inode


def _end(note: Note) -> str:
    if not os.path.lexists(note.place):
        if note.inode < 0 or not os.path.lexists(note.side):
            note.clear_side()
            return f"a restore of {note.place} was cut off before it had a copy: nothing is in place, as before"
        note.side.rename(note.place)
    if os.path.lexists(note.side):
        note.side.rename(note.broken)
    return f"a restore of {note.place} was cut off when it was as good as done: the restored data are in place"


def _undo(note: Note) -> str:
    for suffix in note.companions:
        aside = note.broken.with_name(note.broken.name + suffix)
        if os.path.lexists(aside):
            aside.rename(note.place.with_name(note.place.name + suffix))
    note.clear_side()
    return f"a restore of {note.place} was cut off and undone: what was in place before still is"
