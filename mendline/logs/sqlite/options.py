"""Settings of the SQLite log."""

from __future__ import annotations

from dataclasses import dataclass

from mendline.logs.clock import Clock, wall_clock


@dataclass(frozen=True, slots=True)
class Options:
    """How patient the log is. All in seconds, except the clock (ms), which gives append times."""

    session_timeout_s: float = 10.0
    """A member that did not poll this long is replaced."""
    busy_timeout_s: float = 5.0
    """How long to wait for another writer before LogUnavailableError."""
    commit_delay_s: float = 0.05
    """How long commits may wait for company before they are written."""
    sweep_interval_s: float = 10.0
    """How often a producer looks for records that retention lets go."""
    clock: Clock = wall_clock
