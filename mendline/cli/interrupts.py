"""Ctrl-C or SIGTERM in the middle of long work: obeyed between two steps, so that what is done by then can be kept."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


class InterruptedBetweenStepsError(KeyboardInterrupt):
    """Raised where all that was begun is done."""


class Interrupts:
    """Holds the first Ctrl-C or SIGTERM back while a step is at work; a second one is not waited for.

    `signal` is the number of the first one, 0 before.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.signal = 0
        self._at_once = False

    @contextmanager
    def heeded(self, told: Callable[[], str]) -> Iterator[None]:
        """Take both over for a while, on the main thread.

        Once interrupted, print what `told` says of what is kept, and exit with 128 and the number of the signal.
        """
        before = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        except KeyboardInterrupt as error:
            kept = told() if isinstance(error, InterruptedBetweenStepsError) else "again, so nothing is kept"
            click.echo(f"Interrupted; {kept}", err=True)
            raise click.exceptions.Exit(128 + self.signal) from None
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """Raise InterruptedBetweenStepsError if it is time to end; to be called between two steps."""
        if self.signal:
            raise InterruptedBetweenStepsError

    def checked(self, tell: Callable[[int], None]) -> Callable[[int], None]:
        """Return a way to `tell` of progress, after a step, that checks as well."""

        def told(more: int) -> None:
            tell(more)
            self.check()

        return told

    def sleep(self, seconds: float) -> None:
        """Wait between two steps. Raises InterruptedBetweenStepsError, at once."""
        with self.at_once():
            time.sleep(seconds)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Hold nothing back: no step is at work that must come to its end. Raises InterruptedBetweenStepsError.

        Python swallows what a handler raises in the middle of some things, as the end of an object: what lasts for
        long is to `check`, too.
        """
        self._at_once = True
        try:
            self.check()
            yield
        finally:
            self._at_once = False
        self.check()

    def _interrupt(self, number: int, _: object) -> None:
        again, self.signal = bool(self.signal), self.signal or number
        if self._at_once and not again:
            raise InterruptedBetweenStepsError
        if again:
            raise KeyboardInterrupt
