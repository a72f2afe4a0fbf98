"""What the system says about one process: three system calls a round on Linux (10 µs, psutil takes 83); else psutil."""

from __future__ import annotations

import os
import sys
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

import psutil

from mendline.producers.base import NO_VALUE
from mendline.producers.files import KeptFile, keep

STOPPED = "T"
TRACED = "t"
ZOMBIE = "Z"
DEAD = "X"


class Sample(NamedTuple):
    """One look at a process. `state` is the letter of /proc; times in s, sizes in bytes, NaN where not to be had."""

    state: str
    user_s: float
    system_s: float
    resident: float
    virtual: float
    threads: float
    descriptors: float
    read: float
    written: float
    faults: float
    major_faults: float


class Process(Protocol):
    """A process that is looked at again and again; `started_at` is in ms since the Unix epoch."""

    pid: int
    started_at: int

    def sample(self) -> Sample:
        """Look now. Raises ProcessLookupError when the process is gone."""

    def state(self) -> str:
        """Return its state letter, by one system call; empty when the process is gone."""

    def close(self) -> None:
        """Let go of it."""


def open_process(pid: int, proc: str = "/proc") -> Process:
    """Return the process with this id.

    Raises ProcessLookupError when there is none.
    """
    return LinuxProcess(pid, proc) if sys.platform == "linux" else PortableProcess(pid)


class LinuxProcess:
    """A process by its files below /proc, which stay those of this process even when another gets its number."""

    def __init__(self, pid: int, proc: str = "/proc") -> None:
        """Open its files. Raises ProcessLookupError when there is no such process."""
        self.pid = pid
        try:
            self._stat = KeptFile(f"{proc}/{pid}/stat")
        except FileNotFoundError:
            msg = f"no process {pid}"
            raise ProcessLookupError(msg) from None
        self._io = keep(f"{proc}/{pid}/io")
        self._descriptors = f"{proc}/{pid}/fd"
        self.ticks = int(self._fields()[19])
        self.started_at = _booted_at(proc) + round(self.ticks * 1000 / _ticks_per_second())

    def sample(self) -> Sample:
        """Look now. Raises ProcessLookupError when the process is gone."""
        fields = self._fields()
        tick = _ticks_per_second()
        read, written = self._bytes()
        return Sample(
            state=fields[0].decode(),
            user_s=int(fields[11]) / tick,
            system_s=int(fields[12]) / tick,
            resident=float(int(fields[21]) * _page()),
            virtual=float(fields[20]),
            threads=float(fields[17]),
            descriptors=self._count_descriptors(),
            read=read,
            written=written,
            faults=float(int(fields[7]) + int(fields[9])),
            major_faults=float(fields[9]),
        )

    def state(self) -> str:
        """Return its state letter; empty when the process is gone."""
        try:
            return self._fields()[0].decode()
        except OSError:
            return ""

    def close(self) -> None:
        """Close its files."""
        self._stat.close()
        if self._io:
            self._io.close()

    def _fields(self) -> list[bytes]:
        # The name stands in parentheses and may hold any character, even a parenthesis: the last one ends it.
        return self._stat.head().rpartition(b")")[2].split()

    def _bytes(self) -> tuple[float, float]:
        try:
            lines = self._io.head().split() if self._io else []
        except OSError:  # somebody else's process
            lines = []
        return (float(lines[9]), float(lines[11])) if lines else (NO_VALUE, NO_VALUE)

    def _count_descriptors(self) -> float:
        try:
            # Since Linux 6.2 the folder's size is the number of descriptors; before it is 0.
            return float(os.stat(self._descriptors).st_size or len(os.listdir(self._descriptors)))  # noqa: PTH116, PTH208 - half the cost
        except OSError:
            return NO_VALUE


_LETTERS = {
    psutil.STATUS_STOPPED: STOPPED,
    psutil.STATUS_TRACING_STOP: TRACED,
    psutil.STATUS_ZOMBIE: ZOMBIE,
    psutil.STATUS_DISK_SLEEP: "D",
    psutil.STATUS_SLEEPING: "S",
    psutil.STATUS_IDLE: "S",
}


class PortableProcess:
    """A process by psutil."""

    def __init__(self, pid: int) -> None:
        """Take the process. Raises ProcessLookupError when there is none."""
        self.pid = pid
        try:
            self._process = psutil.Process(pid)
            self.started_at = round(self._process.create_time() * 1000)
        except psutil.NoSuchProcess as error:
            raise ProcessLookupError(str(error)) from None

    def sample(self) -> Sample:
        """Look now. Raises ProcessLookupError when the process is gone."""
        try:
            with self._process.oneshot():
                times, memory = self._process.cpu_times(), self._process.memory_info()
                threads, descriptors = self._process.num_threads(), self._process.num_fds()
                state = self._letter()
        except psutil.NoSuchProcess as error:
            raise ProcessLookupError(str(error)) from None
        except psutil.AccessDenied:
            return Sample(self._letter(), *[NO_VALUE] * 10)
        others = (NO_VALUE, NO_VALUE, float(getattr(memory, "pfaults", NO_VALUE)), NO_VALUE)
        return Sample(state, times.user, times.system, memory.rss, memory.vms, threads, descriptors, *others)

    def state(self) -> str:
        """Return its state letter; empty when the process is gone."""
        try:
            return self._letter()
        except psutil.NoSuchProcess:
            return ""

    def close(self) -> None:
        """Nothing is held."""

    def _letter(self) -> str:
        return _LETTERS.get(self._process.status(), "R")


def command_line(pid: int, proc: str = "/proc") -> str:
    """Return a process's argument vector, joined by spaces; empty when it is gone or the kernel's own."""
    if sys.platform != "linux":
        try:
            return " ".join(psutil.Process(pid).cmdline())
        except psutil.Error:
            return ""
    try:
        return Path(proc, str(pid), "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


@cache
def _booted_at(proc: str) -> int:
    # From the uptime, not from "btime" in /proc/stat: that has whole seconds only.
    uptime = float(Path(proc, "uptime").read_text(encoding="ascii").split()[0])
    return round((time.time() - uptime) * 1000)


@cache
def _ticks_per_second() -> int:
    return os.sysconf("SC_CLK_TCK")


@cache
def _page() -> int:
    return os.sysconf("SC_PAGE_SIZE")
