"""Ctrl-C in the middle of long work: obeyed between two steps, so that what is done by then can be kept."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager


class InterruptedBetweenStepsError(KeyboardInterrupt):
    """Raised where all that was begun is done."""


class Interrupts:
    """Holds the first Ctrl-C back while a step is at work; a second one is not waited for."""

    def __init__(self) -> None:
        """Begin with none."""
        self._asked = False
        self._asleep = False

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Take Ctrl-C over for a while, on the main thread."""
        before = signal.signal(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def check(self) -> None:
        """Raise InterruptedBetweenStepsError if it is time to end; to be called between two steps."""
        if self._asked:
            raise InterruptedBetweenStepsError

    def sleep(self, seconds: float) -> None:
        """Wait between two steps. Raises InterruptedBetweenStepsError, at once."""
        self._asleep = True
        try:
            self.check()
            time.sleep(seconds)
        finally:
            self._asleep = False

    def _interrupt(self, *_: object) -> None:
        if self._asleep:
            raise InterruptedBetweenStepsError
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
