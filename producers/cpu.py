"""Where the cores spend their time. By psutil: 30 µs a round for two cores, one read of /proc/stat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import psutil

from mendline.producers.base import NO_VALUE, Collected, Layout
from mendline.producers.metrics import each
from mendline.schemas.series import Series

CORE_MODES = ("user", "system", "iowait", "idle")
"""Of one core: what tells a busy core, one busy for the kernel, and one that waits. The rest is told for all cores."""

_FIELDS = {
    "user": ("user",),
    "nice": ("nice",),
    "system": ("system",),
    "idle": ("idle",),
    "iowait": ("iowait",),
    "interrupt": ("irq", "softirq", "interrupt", "dpc"),
    "steal": ("steal",),
}

Times = dict[str, float]


class Cpu:
    """CPU time and utilization per mode, for all cores together and, for four modes, for each core."""

    name = "cpu"

    def __init__(self) -> None:
        """Begin; the first collection has no utilization."""
        self._last: list[Times] = []
        self._layout = Layout(_series)

    def collect(self, now_ms: int) -> Collected:
        """Measure now."""
        cores = _read()
        modes = tuple(cores[0])
        total = {mode: sum(core[mode] for core in cores) for mode in modes}
        now = [total, *cores]
        before = self._last if len(self._last) == len(now) else [{}] * len(now)
        self._last = now
        values = list(total.values()) + _shares(total, before[0], modes)
        for core, earlier in zip(cores, before[1:], strict=True):
            values += _shares(core, earlier, [mode for mode in CORE_MODES if mode in modes])
        return Collected(self._layout.of((modes, len(cores))), values)


def _read() -> list[Times]:
    return [
        {
            mode: sum(getattr(core, field, 0.0) for field in fields)
            for mode, fields in _FIELDS.items()
            if any(hasattr(core, field) for field in fields)
        }
        for core in psutil.cpu_times(percpu=True)
    ]


def _shares(now: Times, before: Times, modes: Sequence[str]) -> list[float]:
    """Return each mode's share of the time that passed; the kernel's idle times may step back, that counts as 0."""
    if not before:
        return [NO_VALUE] * len(modes)
    steps = {mode: max(now[mode] - before[mode], 0.0) for mode in now}
    passed = sum(steps.values())
    return [steps[mode] / passed if passed else NO_VALUE for mode in modes]


def _series(key: tuple[tuple[str, ...], int]) -> Iterable[Series]:
    modes, cores = key
    yield from each("system.cpu.time", "cpu__mode", modes)
    yield from each("system.cpu.utilization", "cpu__mode", modes)
    for core in range(cores):
        of_core = [mode for mode in CORE_MODES if mode in modes]
        yield from each("system.cpu.utilization", "cpu__mode", of_core, cpu__logical_number=str(core))
