"""A real terminal with a command in it: a pseudo-terminal, its keys, its size, and what stands on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r")
HOME = "\x1b[H"
PATIENCE_S = 60.0


class Terminal:
    """A terminal of some columns and lines in which a command runs; a context manager."""

    def __init__(self, folder: Path, command: Sequence[str], size: tuple[int, int], **environment: str) -> None:
        """Start the command in `folder`."""
        self._own, theirs = pty.openpty()
        self.resize(*size)
        self.heard = ""
        self._tail = b""
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=_environment(environment),
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - a child without threads: a new session must own its terminal
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._own)

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size, as who drags the corner of its window."""
        fcntl.ioctl(self._own, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._own, keys.encode())

    def read(self, patience_s: float) -> bool:
        """Take in what was written, waiting a while for it; return whether more may come."""
        if not select.select([self._own], [], [], patience_s)[0]:
            return True
        try:
            found = os.read(self._own, 65_536)
        except OSError:  # nobody has the other end open any more
            return False
        self.heard += found.decode(errors="replace")
        return bool(found)

    @property
    def screen(self) -> list[str]:
        """The lines of the newest frame, without what steers the terminal."""
        return CONTROL.sub("", self.heard.rpartition(HOME)[2]).split("\n")

    def until(self, what: str, question: Callable[[list[str]], bool]) -> list[str]:
        """Return the first screen of which `question` says yes; fail, naming `what`, when there is none in time."""
        end = time.monotonic() + PATIENCE_S
        while not question(self.screen):
            alive = self.read(0.1)
            assert alive, f"{what}: the command ended: {self.heard[-2000:]}"
            assert time.monotonic() < end, f"{what}: not seen, but\n{self.heard[-3000:]}"
        return self.screen

    def shows(self, text: str) -> list[str]:
        """Return the first screen with the text on it."""
        return self.until(text, lambda lines: any(text in line for line in lines))

    def ended(self) -> int:
        """Return the exit status, once all is read."""
        end = time.monotonic() + PATIENCE_S
        while self.read(0.1) and time.monotonic() < end:
            if self.process.poll() is not None and not select.select([self._own], [], [], 0.1)[0]:
                break
        return self.process.wait(PATIENCE_S)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _environment(more: dict[str, str]) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    return plain | {"TERM": "xterm-256color", "PYTHONPATH": str(Path(__file__).parents[2])} | more
