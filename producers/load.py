"""Load averages, number of threads, time since boot."""

from __future__ import annotations

import os

from mendline.producers.base import Collected
from mendline.producers.files import keep
from mendline.producers.metrics import each, series

_SERIES = (
    series("system.cpu.load_average.1m"),
    series("system.cpu.load_average.5m"),
    series("system.cpu.load_average.15m"),
)
_LINUX = (*_SERIES, *each("system.process.count", "process__state", ("running", "all")), series("system.uptime"))


class Load:
    """From /proc/loadavg and /proc/uptime; elsewhere the load averages alone."""

    name = "load"

    def __init__(self, proc: str = "/proc") -> None:
        """Read below `proc`."""
        self._load = keep(f"{proc}/loadavg")
        self._uptime = keep(f"{proc}/uptime")

    def collect(self, now_ms: int) -> Collected:
        """Measure now."""
        if not self._load or not self._uptime:
            return Collected(_SERIES, os.getloadavg())
        one, five, fifteen, threads, _ = self._load.head().split()
        running, _, existing = threads.partition(b"/")
        uptime = self._uptime.head().split()[0]
        return Collected(_LINUX, [float(text) for text in (one, five, fifteen, running, existing, uptime)])
