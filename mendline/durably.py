"""Puts what was written on the disk, so that it is there after a power cut."""

from __future__ import annotations

import fcntl
import io
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
LEFT = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
NAMED = 50
"""How many characters of its file's name a draft bears: so it fits wherever the file's name does."""


def sync_folder(folder: Path) -> None:
    """Wait until the names in the folder are on the disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Put a file in place as `replacing` does, on the disk when this returns. Raises OSError."""
    with replacing(path, mode=mode) as file:
        file.write(content)


def is_written_into(path: Path) -> bool:
    """Say whether what stands at `path`, a device or a pipe as /dev/null is, must not be replaced by a file."""
    found = _standing(path)
    return found is not None and not stat.S_ISREG(found.st_mode)


@contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of `path` as a whole at the end of the block, when it is on the disk.

    What was there stays until then, and when the block fails: nothing is left of the new one then, nor once there is
    another for the same `path` if this process was killed. Of several at once the last one stays. Its mode is `mode`,
    else it has owner and mode of what was there, else those of any new file. A link goes on pointing to it. A device or
    a pipe is written into. Raises OSError, about `path`.
    """
    if is_written_into(path):
        with io.BufferedWriter(NamedFile(path)) as file:
            yield file
        return
    with _about(path):
        before = _standing(path)
        place = Path(os.path.realpath(path))
        _remove_left(place)
        draft, handle = _new_draft(place, 0o666 if mode is None and before is None else 0o600)
    try:
        with io.BufferedWriter(NamedFile(path, handle)) as file:
            with _about(path):
                if mode is not None:
                    os.fchmod(handle, mode)
                elif before:
                    _make_like(handle, before)
            yield file
            with _about(path):
                file.flush()
                os.fsync(handle)
                draft.replace(place)  # under its lock, or another would take it for left
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    with _about(path):
        sync_folder(place.parent)


class NamedFile(io.FileIO):
    """A file whose errors tell of `path`: of what people know, if it is called otherwise or nothing at all."""

    def __init__(self, path: Path, handle: int | None = None, mode: str = "wb") -> None:
        """Open `path`, or take the `handle` over. Raises OSError."""
        super().__init__(path if handle is None else handle, mode)
        self._path = path

    def write(self, content: Any, /) -> int:
        """Write some of the content, and return how much. Raises OSError."""
        with _about(self._path):
            return super().write(content)


@contextmanager
def _about(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def _standing(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _make_like(handle: int, before: os.stat_result) -> None:
    mode = before.st_mode & 0o777
    try:
        os.fchown(handle, before.st_uid, before.st_gid)
    except PermissionError:  # only root gives files away
        if os.fstat(handle).st_gid != before.st_gid:
            mode &= ~0o070  # what the group might do was not meant for another
    os.fchmod(handle, mode)


def _new_draft(place: Path, mode: int) -> tuple[Path, int]:
    """Make a file beside `place`, and lock it: what is not is taken for left."""
    draft = place.with_name(f".{place.name[:NAMED]}.{secrets.token_hex(8)}.new")
    handle = os.open(draft, FRESH, mode)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except BaseException:
        os.close(handle)
        draft.unlink(missing_ok=True)
        raise
    if draft.exists():
        return draft, handle
    os.close(handle)  # it was taken for left before it was locked
    return _new_draft(place, mode)


def _remove_left(place: Path) -> None:
    """Remove the drafts that killed processes left; those at work hold theirs locked."""
    drafts = re.compile(rf"\.{re.escape(place.name[:NAMED])}\.[0-9a-f]{{16}}\.new")
    with os.scandir(place.parent) as entries:
        found = [Path(one) for one in entries if drafts.fullmatch(one.name) and one.is_file(follow_symlinks=False)]
    for left in found:
        with suppress(OSError):  # it has its name by now, or is another user's
            handle = os.open(left, LEFT)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()
            finally:
                os.close(handle)
