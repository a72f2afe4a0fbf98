"""The history of a service's configuration files: a bare git repository on its host, a commit for each version.

`git log -p` works on it. A commit's tree holds the files by their paths, and their owners and modes in
`attributes.json`. References below `refs/good` and `refs/bad` say of contents, by the id of their tree, that the
service was well with them, or that they were in place when it had to be mended. Nothing of it ever leaves the host.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mendline.durably import write_durably
from mendline.responders.versions.files import Entry, Files, VersionError, contents_name

Judgement = Literal["good", "bad"]

BRANCH = b"refs/heads/main"
ATTRIBUTES = b"attributes.json"
AUTHOR = b"Mendline <mendline@localhost>"
SHOWN = 12


class Version(NamedTuple):
    """A commit: `id` and `tree` in hexadecimal, `time` in s since the epoch, and what people read of it."""

    id: str
    tree: str
    time: int
    text: str

    @property
    def short(self) -> str:
        """The id as people write it."""
        return self.id[:SHOWN]


class History:
    """The versions of the files of `service`; makes its repository when the first one is kept."""

    def __init__(self, state: Path, service: str) -> None:
        """Keep it below the host's state folder `state`."""
        self.service = service
        self.folder = state.absolute() / "configurations" / f"{service}.git"

    # Keeping ----------------------------------------------------------------------------------------------------------

    def take(self, files: Files, text: str = "changed") -> Version:
        """Return the version of these files, kept now unless it is the newest already. Raises VersionError."""
        with self._locked() as repo:
            tree = _store(repo, files)
            newest = self._newest(repo)
            if newest and newest.tree == tree:
                return newest
            return _commit(repo, tree, newest, text)

    def judge(self, version: Version, judgement: Judgement) -> None:
        """Say of a version's contents that they are good or bad; bad is what stays. Raises VersionError."""
        with self._locked() as repo:
            repo.refs[_reference(judgement, version.tree)] = version.id.encode()

    # Looking ----------------------------------------------------------------------------------------------------------

    def newest(self) -> Version | None:
        """Return the newest version, or None before any was kept. Raises VersionError."""
        return next(iter(self.versions()), None)

    def versions(self) -> Iterator[Version]:
        """Yield the versions, newest first. Raises VersionError."""
        if not self.folder.is_dir():
            return
        with self._opened() as repo:
            if BRANCH in repo.refs:
                for step in repo.get_walker([repo.refs[BRANCH]], order="topo"):
                    yield _version(step.commit)

    def find(self, name: str) -> Version:
        """Return the version whose id begins with `name`. Raises VersionError when there is none, or several."""
        found = [one for one in self.versions() if name and one.id.startswith(name)]
        if len(found) != 1:
            known = ", ".join(one.short for _, one in zip(range(5), self.versions(), strict=False)) or "none"
            why = "several begin so" if found else "there is none"
            msg = f"{self.service} has no configuration version {name!r}: {why}; the newest are {known}"
            raise VersionError(msg)
        return found[0]

    def named(self, name: str, paths: Iterable[str]) -> Version:
        """Return the version whose id begins with `name`, or else the newest whose contents at `paths` are called so.

        The contents have the same name on every host. Raises VersionError.
        """
        try:
            return self.find(name)
        except VersionError:
            chosen = tuple(paths)
            found = [one for one in self.versions() if contents_name(self.files(one), chosen).startswith(name)]
            if not name or not found:
                raise
            return found[0]

    def is_judged(self, version: Version, judgement: Judgement) -> bool:
        """Say whether the version's contents were called so."""
        with self._opened() as repo:
            return _reference(judgement, version.tree) in repo.refs

    def last_good(self, current: Version) -> Version | None:
        """Return the newest version that is good, was never bad, and is another than the current one."""
        return next(
            (
                one
                for one in self.versions()
                if one.tree != current.tree and self.is_judged(one, "good") and not self.is_judged(one, "bad")
            ),
            None,
        )

    def files(self, version: Version) -> dict[str, Entry]:
        """Return a version's files by their paths. Raises VersionError."""
        with self._opened() as repo:
            return dict(_load(repo, version.tree.encode()))

    # What was done ----------------------------------------------------------------------------------------------------

    def remember(self, intent: str, text: str) -> None:
        """Note what was done for an intent. Raises OSError."""
        write_durably(self.folder / "mendline.json", json.dumps({"intent": intent, "text": text}).encode())

    def remembered(self, intent: str) -> str:
        """Return what was done for the intent if that was the last thing that was done, else nothing."""
        try:
            found = json.loads((self.folder / "mendline.json").read_text())
        except (OSError, ValueError):
            return ""
        return str(found["text"]) if intent and found.get("intent") == intent else ""

    # The repository ---------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _locked(self) -> Iterator[Any]:
        """Be the only one who writes; the repository is made if it is missing."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.folder / "mendline.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not (self.folder / "objects").is_dir():
                _initialise(self.folder)
            with self._opened() as repo:
                yield repo
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        from dulwich.errors import ChecksumMismatch, MissingCommitError, NotGitRepository, ObjectFormatException
        from dulwich.repo import Repo

        # Its types tell an id from bytes and a reference from a name, which it does not do itself.
        try:
            with Repo(str(self.folder), bare=True) as repo:
                yield repo
        except (
            *(KeyError, AssertionError, zlib.error),
            *(ChecksumMismatch, MissingCommitError, NotGitRepository, ObjectFormatException),
        ) as error:
            msg = f"{self.folder} is damaged ({error}); move it away, and the history begins anew"
            raise VersionError(msg) from error

    def _newest(self, repo: Any) -> Version | None:
        return _version(repo[repo.refs[BRANCH]]) if BRANCH in repo.refs else None


def _initialise(folder: Path) -> None:
    from dulwich.repo import Repo

    Repo.init_bare(str(folder), default_branch=b"main").close()


def _reference(judgement: Judgement, tree: str) -> bytes:
    return f"refs/{judgement}/{tree}".encode()


def _version(commit: Any) -> Version:
    return Version(commit.id.decode(), commit.tree.decode(), commit.commit_time, commit.message.decode().strip())


def _store(repo: Any, files: Files) -> str:
    """Write the files as a tree and return its id."""
    from dulwich.index import commit_tree
    from dulwich.objects import Blob

    about = {path: [entry.mode, *entry.owner] for path, entry in sorted(files.items())}
    blobs = [(ATTRIBUTES, Blob.from_string(json.dumps(about, indent=1).encode()), stat.S_IFREG | 0o644)]
    for path, entry in files.items():
        mode = stat.S_IFLNK if entry.link else stat.S_IFREG | (0o755 if entry.mode & 0o100 else 0o644)
        blobs.append((b"files" + os.fsencode(path), Blob.from_string(entry.data), mode))
    for _, blob, _ in blobs:
        repo.object_store.add_object(blob)
    tree: bytes = commit_tree(repo.object_store, [(path, blob.id, mode) for path, blob, mode in blobs])
    return tree.decode()


def _commit(repo: Any, tree: str, parent: Version | None, text: str) -> Version:
    from dulwich.objects import Commit

    commit: Any = Commit()
    commit.tree = tree.encode()
    commit.parents = [parent.id.encode()] if parent else []
    commit.author = commit.committer = AUTHOR
    commit.commit_time = commit.author_time = int(time.time())
    commit.commit_timezone = commit.author_timezone = 0
    commit.encoding = b"UTF-8"
    commit.message = f"{text}\n".encode()
    repo.object_store.add_object(commit)
    repo.refs[BRANCH] = commit.id
    return _version(commit)


def _load(repo: Any, tree: Any) -> Iterator[tuple[str, Entry]]:
    from dulwich.object_store import iter_tree_contents

    store: Any = repo.object_store
    found = {entry.path: entry for entry in iter_tree_contents(store, tree)}
    about = json.loads(store[found.pop(ATTRIBUTES).sha].data)
    for path, entry in found.items():
        name = os.fsdecode(path.removeprefix(b"files"))
        mode, *owner = about[name]
        yield name, Entry(store[entry.sha].data, stat.S_ISLNK(entry.mode), mode, (owner[0], owner[1]))
