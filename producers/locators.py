"""How a watched process is found, and what its end means, for each way a service may be run."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from mendline.producers.exits import Exit
from mendline.producers.procfs import command_line

logger = logging.getLogger(__name__)


class Ending(NamedTuple):
    """An exit with what is known about its circumstances; `meant`: somebody asked for it."""

    exit: Exit
    meant: bool = False
    detail: str = ""
    error_lines: tuple[str, ...] = ()


class Locator(Protocol):
    """Finds the process of one service.

    `slow` says that `explain` may take a moment and wants a thread of its own.
    """

    slow: bool

    def locate(self) -> int | None:
        """Return the process id, or None while there is no process; quick, called once a round while none is known."""

    def meant_absence(self) -> bool:
        """Say whether somebody asked for there being no process."""

    def explain(self, pid: int, ended: Exit) -> Ending:
        """Return what the end of the process means; called once, right after its death."""


class PidfileLocator:
    """A process that writes its id into a file. One that removes the file at its end has ended as it was asked to."""

    slow = False

    def __init__(self, path: str) -> None:
        """Read the id from `path`."""
        self._path = Path(path)

    def locate(self) -> int | None:
        """Return the id in the file; None without a file or with anything else in it."""
        try:
            return int(self._path.read_text(encoding="ascii").split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def meant_absence(self) -> bool:
        """Without a pidfile nobody claims that the process runs, but nobody says that it should not."""
        return False

    def explain(self, pid: int, ended: Exit) -> Ending:
        """Take an end that left no pidfile, and neither a crash nor an error code, as meant."""
        clean = ended.code in {0, None} and ended.signal in {None, "SIGTERM"}
        return Ending(ended, meant=clean and not self._path.exists())


class MatchLocator:
    """A process whose command line matches a pattern: of several, the oldest. What its end means nobody says."""

    slow = False

    def __init__(self, pattern: str, proc: str = "/proc") -> None:
        """Look for command lines that contain the regular expression `pattern`. Raises re.error."""
        self._pattern = re.compile(pattern)
        self._proc = proc

    def locate(self) -> int | None:
        """Return the lowest id among the oldest that match; this program itself is left out."""
        own = os.getpid()
        found = [pid for pid in self._pids() if pid != own and self._pattern.search(command_line(pid, self._proc))]
        return min(found, key=lambda pid: (_began(pid, self._proc), pid), default=None)

    def meant_absence(self) -> bool:
        """Nobody says."""
        return False

    def explain(self, pid: int, ended: Exit) -> Ending:
        """Say what the kernel said."""
        return Ending(ended)

    def _pids(self) -> Iterable[int]:
        if os.path.isdir(self._proc):  # noqa: PTH112 - the hot path of a search over all processes
            return (int(name) for name in os.listdir(self._proc) if name.isdigit())  # noqa: PTH208
        import psutil

        return psutil.pids()


def _began(pid: int, proc: str) -> int:
    try:
        return Path(proc, str(pid)).stat().st_ctime_ns
    except OSError:
        return 0
