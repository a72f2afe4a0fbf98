"""What a snapshot holds: names, rights and SHA-256 of every file, and one digest over all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from mendline.responders.snapshots.errors import DamagedSnapshotError

VERSION = 1
EntryKind = Literal["file", "folder", "link"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder or symbolic link. `name` is its path below the data's own, empty for that itself.

    `size` in bytes and `hash` (SHA-256) are a file's, `target` is a link's. `inode` and `changed` (ctime, ns) tell
    whether a file was touched since.
    """

    name: str
    kind: EntryKind
    mode: int = 0o600
    uid: int = 0
    gid: int = 0
    modified: int = 0
    size: int = 0
    hash: str = ""
    target: str = ""
    inode: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """A snapshot. `taken_at` in ms since the Unix epoch; `mount` is where the file system of the data was mounted.

    `moving` counts files that changed while others were read: such a snapshot is of several moments.
    """

    id: str
    service: str
    data: str
    kind: str
    taken_at: int
    digest: str
    entries: tuple[Entry, ...]
    mount: str = ""
    moving: int = 0

    @property
    def files(self) -> int:
        """How many files it holds."""
        return sum(entry.kind == "file" for entry in self.entries)

    @property
    def size(self) -> int:
        """Bytes that its files hold."""
        return sum(entry.size for entry in self.entries)

    def encode(self) -> bytes:
        """Return it as JSON. Names that are no UTF-8 are escaped."""
        return json.dumps({"version": VERSION, **asdict(self)}).encode()


def decode(content: bytes, where: str) -> Manifest:
    """Return the manifest that `encode` made; `where` names its file in messages. Raises DamagedSnapshotError."""
    try:
        return _decode(json.loads(content))
    except (ValueError, TypeError, KeyError) as error:
        msg = f"{where} is no manifest of a snapshot ({error}): leave it, and use another snapshot"
        raise DamagedSnapshotError(msg) from error


def _decode(fields: dict[str, Any]) -> Manifest:
    if fields.pop("version") != VERSION:
        msg = "of another version"
        raise ValueError(msg)
    entries = tuple(Entry(**entry) for entry in fields.pop("entries"))
    for entry in entries:
        _check(entry)
    manifest = Manifest(entries=entries, **fields)
    if digest_of(entries) != manifest.digest:
        msg = "its digest does not fit"
        raise ValueError(msg)
    return manifest


def _check(entry: Entry) -> None:
    """Refuse a name that would lead out of the folder, and a hash that is none."""
    path = PurePosixPath(entry.name)
    if path.is_absolute() or ".." in path.parts or "\0" in entry.name:
        msg = f"the name {entry.name!r}"
        raise ValueError(msg)
    if entry.kind == "file" and (len(entry.hash) != hashlib.sha256().digest_size * 2 or not entry.hash.isalnum()):
        msg = f"the hash of {entry.name!r}"
        raise ValueError(msg)


def digest_of(entries: Iterable[Entry]) -> str:
    """Return the SHA-256 over names, hashes and link targets: the same for the same content, whoever owns it.

    >>> digest_of([Entry("", "folder")]) == digest_of([Entry("", "folder", mode=0o755)])
    True
    """
    total = hashlib.sha256()
    for entry in sorted(entries, key=lambda one: one.name):
        total.update(json.dumps([entry.name, entry.kind, entry.hash, entry.target]).encode() + b"\n")
    return total.hexdigest()
