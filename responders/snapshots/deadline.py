"""By when a piece of work must be done, and whether somebody wants it to end before."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock, in s; `stop` ends the work before it."""

    at: float
    stop: Event = field(default_factory=Event)

    @staticmethod
    def after(seconds: float, stop: Event | None = None) -> Deadline:
        """Return the deadline that is so many seconds away."""
        return Deadline(time.monotonic() + seconds, stop or Event())

    @property
    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return max(self.at - time.monotonic(), 0.0)

    def check(self) -> None:
        """Raise TimeoutError when it is over."""
        if self.stop.is_set():
            msg = "Mendline is about to stop"
            raise TimeoutError(msg)
        if not self.left:
            msg = "it takes longer than it may"
            raise TimeoutError(msg)

    def sooner(self, seconds: float) -> Deadline:
        """Return the deadline that is so many seconds away, or this one if that is sooner."""
        return Deadline(min(self.at, time.monotonic() + seconds), self.stop)
