"""Pressure stall information: how much time tasks lose because they wait for a CPU, for memory, for I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mendline.producers.base import Collected
from mendline.producers.files import keep
from mendline.producers.metrics import series
from mendline.schemas.series import Series

_LINE = re.compile(rb"^(some|full) avg10=([\d.]+) .* total=(\d+)$", re.MULTILINE)
_MICROSECOND = 1e-6
_PERCENT = 0.01


class Pressure:
    """From /proc/pressure (Linux 4.20 and newer, where it is not switched off); nothing where there is none."""

    name = "pressure"

    def __init__(self, proc: str = "/proc") -> None:
        """Read below `proc`."""
        found = [(name, keep(f"{proc}/pressure/{name}")) for name in ("cpu", "memory", "io")]
        self._files = [(name, file) for name, file in found if file]
        self._series = tuple(_series(name for name, _ in self._files))

    def collect(self, now_ms: int) -> Collected:
        """Measure now."""
        values: list[float] = []
        for _, file in self._files:
            lines = {kind: (share, total) for kind, share, total in _LINE.findall(file.head())}
            for kind in (b"some", b"full"):
                # Old kernels have no "full" line for the CPU: nothing can be fully stalled for it.
                share, total = lines.get(kind, (b"0", b"0"))
                values += [float(total) * _MICROSECOND, float(share) * _PERCENT]
        return Collected(self._series, values)


def _series(resources: Iterable[str]) -> Iterable[Series]:
    for resource in resources:
        for extent in ("some", "full"):
            of = {"mendline__resource": resource, "mendline__extent": extent}
            yield series("mendline.pressure.stall_time", **of)
            yield series("mendline.pressure.utilization", **of)
