"""Puts new content in the place of a file: whole or not at all, and only if the file is still what it was."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from mendline.durably import sync_folder


class ChangedMeanwhileError(Exception):
    """Raised when the file holds something else than was expected: somebody changed it."""


def replace_content(path: Path, before: bytes, after: bytes) -> None:
    """Give the file at `path` the content `after` if it is `before` now; owner, mode and links to it stay.

    Between the last look and the rename lie some microseconds, in which an edit would be lost. On the disk when it
    returns. Raises ChangedMeanwhileError, OSError.
    """
    place = path.resolve(strict=True)
    draft = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
    try:
        _write(draft, after, place.stat())
        if place.read_bytes() != before:
            msg = f"{path} was changed meanwhile"
            raise ChangedMeanwhileError(msg)
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(place.parent)


def _write(draft: Path, content: bytes, like: os.stat_result) -> None:
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        mine = os.fstat(handle)
        if (mine.st_uid, mine.st_gid) != (like.st_uid, like.st_gid):
            os.fchown(handle, like.st_uid, like.st_gid)
        os.fchmod(handle, like.st_mode & 0o7777)
        file.write(content)
        file.flush()
        os.fsync(handle)
