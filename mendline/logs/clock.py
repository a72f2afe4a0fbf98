"""The real clock of the logs that give append times themselves."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]


def wall_clock() -> int:
    """Return ms since the Unix epoch."""
    return time.time_ns() // 1_000_000
