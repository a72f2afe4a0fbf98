"""Waking consumers of other processes without polling: each that waits owns a FIFO that writers put a byte into.

The FIFO's name says who made it and which topics it is for: PID-UUID-TAG.TAG. It appears in the folder only when its
owner has it open, so one that nobody reads has a dead owner and is removed by whoever finds it. Until then its name
begins with a dot; one that is still called so after a minute has a dead owner, too.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import time
import uuid
from collections.abc import Collection
from pathlib import Path

from mendline.logs.base import LogRefusedError, LogUnavailableError
from mendline.logs.sqlite.store import make_folder

_SETTLED_S = 0.1
"""A folder changed within this time may change again without its time stamp showing it."""

_BORN_S = 60.0
"""So long may it take to open a FIFO that was made."""

_LONGEST_NAME = 200


class Bell:
    """The FIFO a consumer sleeps on."""

    def __init__(self, folder: Path) -> None:
        """Make it, heard by no topic yet. Raises LogRefusedError or LogUnavailableError when that cannot be."""
        self._folder = folder
        self._name = f".{os.getpid()}-{uuid.uuid4().hex[:12]}"
        try:
            make_folder(folder)
            os.mkfifo(folder / self._name, 0o600)
            self._fd = os.open(folder / self._name, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except (AttributeError, PermissionError) as error:
            msg = f"{folder}: cannot make a FIFO to wait on ({error}); the SQLite log needs a local POSIX file system"
            raise LogRefusedError(msg) from error
        except OSError as error:
            msg = f"{folder}: cannot make a FIFO to wait on now: {error.strerror}"
            raise LogUnavailableError(msg) from error
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def listen(self, tags: Collection[str]) -> None:
        """Be rung for these topics from now on."""
        plain = self._name.lstrip(".").split("-")[:2]
        label = ".".join(sorted(tags))
        name = "-".join([*plain, label if len(label) < _LONGEST_NAME else "all"])
        if name != self._name:
            with contextlib.suppress(OSError):
                (self._folder / self._name).rename(self._folder / name)
            self._name = name

    def clear(self) -> None:
        """Forget all rings so far; what they were for is looked up afterwards."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 65_536)

    def wait(self, timeout_s: float) -> None:
        """Sleep until rung."""
        self._poll.poll(max(0, math.ceil(timeout_s * 1000)))

    def ring(self) -> None:
        """Ring oneself; safe in signal handlers and from other threads."""
        with contextlib.suppress(OSError):
            os.write(self._fd, b"!")

    def close(self) -> None:
        """Remove the FIFO."""
        fd, self._fd = self._fd, -1
        with contextlib.suppress(OSError):
            (self._folder / self._name).unlink()
        if fd >= 0:
            os.close(fd)


class Ringer:
    """Rings the bells of others; open FIFOs are kept, the folder is listed again only when it changed."""

    def __init__(self, folder: Path) -> None:
        """Ring the bells in `folder`."""
        self._folder = folder
        self._bells: dict[str, tuple[int, frozenset[str]]] = {}
        self._seen_ns = -1

    def ring(self, tags: Collection[str] | None = None) -> None:
        """Ring who listens to one of the topics, or everyone. Never raises: whoever is missed looks within a second."""
        with contextlib.suppress(OSError):
            self._refresh()
        for name, (fd, heard) in list(self._bells.items()):
            if tags is None or not heard or not heard.isdisjoint(tags):
                self._write(name, fd)

    def close(self) -> None:
        """Let go of all bells."""
        for name in list(self._bells):
            self._drop(name)

    def _refresh(self) -> None:
        """Open the bells that are new and drop those that are gone."""
        changed_ns = self._folder.stat().st_mtime_ns
        if changed_ns == self._seen_ns:
            return
        settled = time.time_ns() - changed_ns > _SETTLED_S * 1e9
        names = {path.name for path in self._folder.iterdir() if not self._is_unborn(path)}
        for name in self._bells.keys() - names:
            self._drop(name)
        for name in names - self._bells.keys():
            self._open(name)
        self._seen_ns = changed_ns if settled else -1

    def _is_unborn(self, path: Path) -> bool:
        """Say whether a FIFO's owner may not have opened it yet."""
        if not path.name.startswith("."):
            return False
        with contextlib.suppress(FileNotFoundError):  # it has its own name by now
            return time.time() - path.stat().st_mtime < _BORN_S
        return True

    def _open(self, name: str) -> None:
        """Open a bell, or remove it when its owner is dead."""
        try:
            fd = os.open(self._folder / name, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ENXIO:
                self._unlink(name)
            return
        label = name.rpartition("-")[2]
        self._bells[name] = (fd, frozenset() if label == "all" else frozenset(label.split(".")))

    def _write(self, name: str, fd: int) -> None:
        """Put a byte in; a full FIFO rings anyway, and one without a reader is removed."""
        try:
            os.write(fd, b"!")
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._drop(name)
            self._unlink(name)

    def _drop(self, name: str) -> None:
        """Close a bell."""
        os.close(self._bells.pop(name)[0])

    def _unlink(self, name: str) -> None:
        """Remove a dead owner's bell."""
        with contextlib.suppress(OSError):
            (self._folder / name).unlink()
