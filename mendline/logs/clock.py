"""The clock of the logs that give append times themselves."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]


def wall_clock() -> int:
    """Return ms since the Unix epoch."""
    return time.time_ns() // 1_000_000


def append_time(now: int, last: int, ahead: int) -> tuple[int, int]:
    """Return the append time (ms) that follows `last`, and by how much it is ahead of the time of day, `now`.

    `ahead` is what this returned the last time. When the time of day goes back, append times go on at its pace until it
    has caught up: if they stood still, so would log time, and with it all that waits for it.

    >>> append_time(10_000, 9_000, 0), append_time(5_000, 10_000, 0), append_time(8_000, 10_000, 5_000)
    ((10000, 0), (10000, 5000), (13000, 5000))
    """
    ahead = 0 if now >= last else max(ahead, last - now)
    return now + ahead, ahead
