"""A clock that stands still until it is told to move."""

from __future__ import annotations


class ManualClock:
    """A clock set by hand; calling it gives ms since the Unix epoch.

    >>> clock = ManualClock(1000)
    >>> clock.advance(2.5)
    >>> clock()
    3500
    """

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        """Stand at `now` (ms)."""
        self.now = now

    def __call__(self) -> int:
        """Return the time (ms)."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move forward; a negative number moves back."""
        self.now += round(seconds * 1000)
