"""The log's clock as a host sees it, between one acknowledgement and the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

TRUSTED_FOR_S = 10.0


def since_boot() -> float:
    """Return the seconds since this host was started, those included in which it slept (where the system tells)."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class LogClockEstimate:
    """Estimates the log's append time from the acknowledgements of this host's own records.

    A host's clock may be wrong; the log's is the one that deadlines are written in. After 10 s without an
    acknowledgement nothing is known any more: nobody can say whether a command was cancelled meanwhile.
    """

    def __init__(self, monotonic: Callable[[], float] = since_boot) -> None:
        """Measure what passes since an acknowledgement on `monotonic`, in seconds."""
        self._monotonic = monotonic
        self._mutex = threading.Lock()
        self._seen: tuple[int, float] | None = None

    def acknowledged(self, append_time: int, took_s: float) -> None:
        """Take in the append time (ms) of a record whose acknowledgement came just now, `took_s` after it was sent.

        It may have been appended at once: a command must not seem to be in time because an answer was slow.
        """
        with self._mutex:
            self._seen = (append_time, self._monotonic() - took_s)

    def __call__(self) -> int | None:
        """Return the log's append time now, in ms; None when the last acknowledgement is too long ago."""
        with self._mutex:
            seen = self._seen
        if seen is None or (passed := self._monotonic() - seen[1]) > TRUSTED_FOR_S:
            return None
        return seen[0] + round(passed * 1000)
