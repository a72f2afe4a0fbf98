"""Memory and swap. From /proc/meminfo and /proc/vmstat directly (30 µs a round, psutil takes 140); elsewhere psutil."""

from __future__ import annotations

import re
from collections.abc import Iterable

import psutil

from mendline.producers.base import NO_VALUE, Collected
from mendline.producers.files import KeptFile, keep
from mendline.producers.metrics import each, series
from mendline.schemas.series import Series

_KIBIBYTE = 1024
_MEMINFO = re.compile(
    rb"^(MemTotal|MemFree|MemAvailable|Buffers|Cached|SReclaimable|SwapTotal|SwapFree): +(\d+) kB", re.MULTILINE
)
_VMSTAT = re.compile(rb"^(pswpin|pswpout|pgfault|pgmajfault|oom_kill) (\d+)$", re.MULTILINE)
_EVENTS = (b"pswpin", b"pswpout", b"pgfault", b"pgmajfault", b"oom_kill")


class Memory:
    """Usage and utilization of memory per state, memory available, swap, page faults, kills for want of memory."""

    name = "memory"

    def __init__(self, proc: str = "/proc") -> None:
        """Read below `proc` where it is Linux's."""
        self._meminfo = keep(f"{proc}/meminfo")
        self._vmstat = keep(f"{proc}/vmstat")
        self._linux = tuple(_series(linux=True))
        self._other = tuple(_series(linux=False))

    def collect(self, now_ms: int) -> Collected:
        """Measure now."""
        if self._meminfo and self._vmstat:
            return Collected(self._linux, _memory(self._meminfo) + _events(self._vmstat))
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        states = [float(memory.used), float(memory.free)]
        values = [*states, *_shares(states, memory.total), float(memory.available), *_usage(swap.used, swap.free)]
        return Collected(self._other, [*values, float(swap.sin), float(swap.sout)])


def _memory(file: KeptFile) -> list[float]:
    found = {name: int(amount) * _KIBIBYTE for name, amount in _MEMINFO.findall(file.read())}
    cached = found[b"Cached"] + found[b"SReclaimable"]
    used = found[b"MemTotal"] - found[b"MemFree"] - cached - found[b"Buffers"]
    states = [float(amount) for amount in (used, found[b"MemFree"], cached, found[b"Buffers"])]
    swap_free = found[b"SwapFree"]
    swap = _usage(found[b"SwapTotal"] - swap_free, swap_free)
    return [*states, *_shares(states, found[b"MemTotal"]), float(found[b"MemAvailable"]), *swap]


def _events(file: KeptFile) -> list[float]:
    found = dict(_VMSTAT.findall(file.read()))
    return [float(found.get(name, NO_VALUE)) for name in _EVENTS]


def _usage(used: float, free: float) -> list[float]:
    states = [float(used), float(free)]
    return states + _shares(states, used + free)


def _shares(amounts: Iterable[float], total: float) -> list[float]:
    return [amount / total if total else NO_VALUE for amount in amounts]


def _series(*, linux: bool) -> Iterable[Series]:
    states = ("used", "free", "cached", "buffers") if linux else ("used", "free")
    yield from each("system.memory.usage", "system__memory__state", states)
    yield from each("system.memory.utilization", "system__memory__state", states)
    yield series("system.linux.memory.available")
    yield from each("system.paging.usage", "system__paging__state", ("used", "free"))
    yield from each("system.paging.utilization", "system__paging__state", ("used", "free"))
    yield from each("system.paging.operations", "system__paging__direction", ("in", "out"))
    if linux:
        yield from each("system.paging.faults", "system__paging__fault__type", ("all", "major"))
        yield series("mendline.host.oom_kills")
