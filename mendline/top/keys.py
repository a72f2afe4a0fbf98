"""Single keys of a terminal, as they are pressed."""

from __future__ import annotations

import os
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

ESCAPE = "\x1b"
NAMED = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b": "escape",
    "\r": "enter",
    "\n": "enter",
}
REST_S = 0.05
"""What follows an escape within this time belongs to it: over a slow line an arrow comes in pieces."""


@contextmanager
def single_keys(terminal: int) -> Iterator[None]:
    """Let the terminal (a file descriptor) hand over each key at once, unseen; Ctrl-C stays what it is."""
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def read_key(terminal: int, patience_s: float) -> str | None:
    """Return the next key: its character, or its name if it has none; None when none is pressed in time.

    Raises EOFError when the terminal is gone.
    """
    if not _ready(terminal, patience_s):
        return None
    pressed = _read(terminal)
    while pressed in (ESCAPE, "\x1b[", "\x1bO") and _ready(terminal, REST_S):
        pressed += _read(terminal)
    return NAMED.get(pressed, pressed)


def _ready(terminal: int, patience_s: float) -> bool:
    return bool(select.select([terminal], [], [], patience_s)[0])


def _read(terminal: int) -> str:
    try:
        found = os.read(terminal, 1)
    except OSError:  # the other end of it was closed
        raise EOFError from None
    if not found:
        raise EOFError
    return found.decode("latin-1")
