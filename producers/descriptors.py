"""Open files of the whole host."""

from __future__ import annotations

from mendline.producers.base import NOTHING, Collected
from mendline.producers.files import keep
from mendline.producers.metrics import series

_SERIES = (series("mendline.host.file_descriptor.count"), series("mendline.host.file_descriptor.utilization"))


class Descriptors:
    """From /proc/sys/fs/file-nr; nothing where there is none."""

    name = "descriptors"

    def __init__(self, proc: str = "/proc") -> None:
        """Read below `proc`."""
        self._file = keep(f"{proc}/sys/fs/file-nr")

    def collect(self, now_ms: int) -> Collected:
        """Measure now."""
        if not self._file:
            return NOTHING
        allocated, unused, limit = (float(text) for text in self._file.head().split())
        return Collected(_SERIES, [allocated - unused, (allocated - unused) / limit])
