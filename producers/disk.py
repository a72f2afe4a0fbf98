"""What disks do. By psutil (60 µs a round for ten devices), whole disks only: partitions would count twice."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil

from mendline.producers.base import Collected, Layout
from mendline.producers.metrics import each, series
from mendline.schemas.series import Series

_IGNORED = ("loop", "ram", "zram", "sr", "fd")
_DIRECTIONS = ("read", "write")
_MILLISECOND = 0.001


class Disk:
    """Bytes, operations and their time per direction, merges and busy time of each whole disk."""

    name = "disk"

    def __init__(self, devices: str = "/sys/block") -> None:
        """Take as whole disks what stands in the folder `devices`, or every disk where there is no such folder."""
        self._folder = Path(devices)
        self._seen: frozenset[str] = frozenset()
        self._whole: frozenset[str] = frozenset()
        self._layout = Layout(_series)

    def collect(self, now_ms: int) -> Collected:
        """Measure now."""
        counters = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
        names = self._disks(frozenset(counters))
        values: list[float] = []
        for name in names:
            of = counters[name]
            values += [of.read_bytes, of.write_bytes, of.read_count, of.write_count]
            values += [of.read_time * _MILLISECOND, of.write_time * _MILLISECOND]
            if hasattr(of, "busy_time"):
                values += [of.read_merged_count, of.write_merged_count, of.busy_time * _MILLISECOND]
        rich = bool(names) and hasattr(counters[names[0]], "busy_time")
        return Collected(self._layout.of((names, rich)), values)

    def _disks(self, present: frozenset[str]) -> tuple[str, ...]:
        if present != self._seen:
            self._seen = present
            whole = present
            if self._folder.is_dir():
                whole = present & {path.name.replace("!", "/") for path in self._folder.iterdir()}
            self._whole = frozenset(name for name in whole if not name.startswith(_IGNORED))
        return tuple(sorted(self._whole))


def _series(key: tuple[tuple[str, ...], bool]) -> Iterable[Series]:
    names, rich = key
    for name in names:
        yield from each("system.disk.io", "disk__io__direction", _DIRECTIONS, system__device=name)
        yield from each("system.disk.operations", "disk__io__direction", _DIRECTIONS, system__device=name)
        yield from each("system.disk.operation_time", "disk__io__direction", _DIRECTIONS, system__device=name)
        if rich:
            yield from each("system.disk.merged", "disk__io__direction", _DIRECTIONS, system__device=name)
            yield series("system.disk.io_time", system__device=name)
