"""Configuration files as they are on the disk, and how one is put in the place of another without being torn."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from mendline.responders.action import OvertakenError
from mendline.responders.snapshots.content import sync
from mendline.responders.snapshots.exchange import exchange
from mendline.schemas.versions import content_hash, version_hash

MOST_BYTES = 16 * 2**20
DRAFT = ".mendline-new"
ASIDE = ".mendline-old"


class VersionError(Exception):
    """Raised when a version cannot be kept, found or put in place; the message says which, why, and what to do."""


class Entry(NamedTuple):
    """What lies at a path: a file with its content, or a link with its target. `mode` are the permission bits."""

    data: bytes
    link: bool = False
    mode: int = 0o644
    owner: tuple[int, int] = (0, 0)


Files = Mapping[str, Entry]


def read_files(paths: Iterable[str]) -> dict[str, Entry]:
    """Return what lies at the paths, and at the ends of links; what is not there has no entry.

    Raises VersionError for what cannot be read.
    """
    found: dict[str, Entry] = {}
    for path in paths:
        place = os.path.abspath(path)  # noqa: PTH100 - links must stay, which Path.resolve would follow
        if os.path.islink(place):  # noqa: PTH114 - a string stays one
            target = os.readlink(place)  # noqa: PTH115
            found[place] = Entry(os.fsencode(target), link=True)
            place = os.path.realpath(place)
        if entry := read_file(place):
            found[place] = entry
    return found


def read_file(path: str) -> Entry | None:
    """Return the file at a path, or None without one. Raises VersionError when it cannot be read or is too large."""
    try:
        with open(path, "rb", opener=_without_links) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                return None
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise VersionError(msg) from error
    if len(data) > MOST_BYTES:
        msg = f"{path} is larger than {MOST_BYTES // 2**20} MiB: that is no configuration file"
        raise VersionError(msg)
    return Entry(data, mode=stat.S_IMODE(about.st_mode), owner=(about.st_uid, about.st_gid))


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def contents_name(files: Files, paths: Iterable[str]) -> str:
    """Return what agents tell of these files: the name of their contents at the paths that a service declares."""
    return version_hash({path: _hash_at(files, path) for path in paths})


def _hash_at(files: Files, path: str) -> str:
    place = os.path.abspath(path)  # noqa: PTH100 - as `read_files`
    entry = files.get(place)
    if entry and entry.link:
        end = os.path.join(os.path.dirname(place), os.fsdecode(entry.data))  # noqa: PTH118, PTH120
        entry = files.get(os.path.normpath(end)) or files.get(os.path.realpath(end))
    return content_hash(entry.data) if entry and not entry.link else ""


def edited_after(paths: Iterable[str], moment_ms: int) -> str:
    """Return the first of these files that was changed after the moment (ms since the epoch), or an empty text."""
    return next((place for place, changed_ms in _changes(paths) if changed_ms > moment_ms), "")


def changed_at(paths: Iterable[str]) -> int:
    """Return when the last of these files was changed, or put in its place: ms since the epoch, 0 without a file."""
    return max((changed_ms for _, changed_ms in _changes(paths)), default=0)


def _changes(paths: Iterable[str]) -> Iterator[tuple[str, int]]:
    for path in paths:
        for place in dict.fromkeys((path, os.path.realpath(path))):
            with contextlib.suppress(FileNotFoundError):
                yield place, os.lstat(place).st_ctime_ns // 1_000_000


def clear_drafts(paths: Iterable[str]) -> None:
    """Remove what a life that ended in the middle left beside these files. Raises OSError."""
    for path in paths:
        for place in map(Path, dict.fromkeys((os.path.abspath(path), os.path.realpath(path)))):  # noqa: PTH100 - links
            for end in (DRAFT, ASIDE):
                place.with_name(f".{place.name}{end}").unlink(missing_ok=True)


def put_in_place(now: Files, wanted: Files, step: Callable[[str], None] = lambda _: None) -> list[str]:
    """Put the files `wanted` in the place of those that are there `now`, and return the paths that changed.

    Each path has the old or the new content as a whole at any time, and what somebody else wrote there meanwhile stays:
    then OvertakenError is raised, and what was exchanged by then is put back, as it is before an OSError. `step` is
    told of each path before it is touched.
    """
    changed = [path for path in sorted({*now, *wanted}) if now.get(path) != wanted.get(path)]
    with contextlib.ExitStack() as back:
        for path in changed:
            step(path)
            _put(Path(path), now.get(path), wanted.get(path))
            back.callback(_put_back, Path(path), wanted.get(path), now.get(path))
        back.pop_all()
    return changed


def _put_back(path: Path, placed: Entry | None, before: Entry | None) -> None:
    """Undo one exchange of several, unless somebody wrote there since; the first error is the one to tell of."""
    with contextlib.suppress(OvertakenError, OSError):
        _put(path, placed, before)


def _put(path: Path, before: Entry | None, after: Entry | None) -> None:
    draft = path.with_name(f".{path.name}{DRAFT}")
    draft.unlink(missing_ok=True)  # of a life that ended in the middle
    try:
        if after is None:
            _demand(path, before)
            path.unlink()
            sync(path.parent)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        write_entry(draft, after)
        _swap(path, draft, before)
    finally:
        draft.unlink(missing_ok=True)


def write_entry(draft: Path, entry: Entry) -> None:
    """Write a file or link where there is none, on the disk when this returns. Raises OSError."""
    if entry.link:
        draft.symlink_to(os.fsdecode(entry.data))
        return
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(handle, "wb") as file:  # noqa: PTH123 - takes a handle
        file.write(entry.data)
        file.flush()
        if (os.geteuid(), os.getegid()) != entry.owner:
            os.fchown(handle, *entry.owner)
        os.fchmod(handle, entry.mode)
        os.fsync(handle)


def _swap(path: Path, draft: Path, before: Entry | None) -> None:
    """Exchange the two and look what was there: only then it is known that nobody wrote between a look and a write."""
    _demand(path, before)
    aside = path.with_name(f".{path.name}{ASIDE}")
    with contextlib.ExitStack() as rest:
        rest.callback(aside.unlink, missing_ok=True)
        old = draft if exchange(path, draft, aside) else aside
        found = _look(old)
        if found != before:
            old.replace(path)
            sync(path.parent)
            raise OvertakenError(_edited(path))


def _demand(path: Path, before: Entry | None) -> None:
    if _look(path) != before:
        raise OvertakenError(_edited(path))


def _look(path: Path) -> Entry | None:
    if path.is_symlink():
        return Entry(os.fsencode(path.readlink()), link=True)
    return read_file(str(path))


def _edited(path: Path) -> str:
    return f"{path} was edited meanwhile, and stays as it is"
