"""Sees what code that runs in this process asks the system for: files, programs, connections, by Python's audit events.

The hook stays for the life of the process, as Python allows no other; it costs a look at an empty list while nobody
watches. Events of all threads are seen, for an action may use some.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

WATCHED = ("open", "os.", "pty.", "shutil.", "socket.connect", "subprocess.")


class Seen(NamedTuple):
    """An audit event: its name, and its arguments as text, sequences taken apart."""

    event: str
    arguments: tuple[str, ...]


_watchers: list[list[Seen]] = []
_hooked: list[bool] = []


@contextmanager
def watched() -> Iterator[list[Seen]]:
    """Yield the list to which events are added while the block runs."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_note)
    seen: list[Seen] = []
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if _watchers and event.startswith(WATCHED):
        found = Seen(event, tuple(_flat(arguments)))
        for watcher in _watchers:
            watcher.append(found)


def _flat(arguments: object) -> Iterator[str]:
    if isinstance(arguments, list | tuple):
        for one in arguments:
            yield from _flat(one)
    elif isinstance(arguments, bytes):
        yield arguments.decode(errors="replace")
    elif not isinstance(arguments, dict):  # an environment is neither a command line nor a path
        yield str(arguments)
