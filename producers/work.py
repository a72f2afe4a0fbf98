"""What a service does while its probe fails: CPU time, bytes moved, connections accepted, of all of its processes.

A service that works and answers late must not be taken for one that hangs, and the state letter of a process does not
tell: one that waits for a lock sleeps as one does that waits for its next request. Children count too, for a server's
main process often does nothing but watch its workers. Nothing is looked at while probes succeed.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, thread_time
from typing import NamedTuple

from mendline.producers.listening import Listening, listening
from mendline.schemas.records import Work

MOST_PROCESSES = 500
MOST_OF_A_CORE = 0.005
"""A look that took t seconds of CPU is kept for t / 0.005 in the end, so no failing service costs more than this."""

FIRST_PAUSE_S = 0.2
"""So long at most the first look is kept, and each one after it twice as long as the one before: whether anything is
done shows between two looks, and one takes long on a host with many connections, where a hang must be told as soon."""


LOOK_BACK_S = 10.0
"""What was done longer ago does not count: a service that was busy may hang by now."""


class _Done(NamedTuple):
    """What has been done up to a moment (s, monotonic)."""

    at: float
    cpu_ms: int = 0
    io_bytes: int = 0
    accepted: int = 0


class _Look(NamedTuple):
    """Counters of all processes by id: ms of CPU, bytes; and the sockets."""

    at: float
    cpu_ms: dict[int, int]
    io_bytes: dict[int, int]
    sockets: Listening | None


@dataclass
class WorkWatch:
    """Adds up what the processes below one process do, over the last `LOOK_BACK_S`; `begin` forgets it."""

    proc: str = "/proc"
    _pid: int = 0
    _last: _Look | None = None
    _done: deque[_Done] = field(default_factory=deque)
    _next: float = 0.0
    _looks: int = 0

    def begin(self) -> None:
        """Count anew from the next look on."""
        self._pid, self._last, self._next, self._looks = 0, None, 0.0, 0
        self._done.clear()

    def look(self, pid: int) -> Work | None:
        """Return what has been done since the first look at `pid`; None where that is not to be known."""
        if sys.platform != "linux":
            return None
        if pid != self._pid:
            self.begin()
            self._pid = pid
        now = monotonic()
        if now >= self._next:
            began = thread_time()
            self._take(_look(pid, now, self.proc))
            pause_s = FIRST_PAUSE_S * 2 ** min(self._looks, 16)
            self._next = now + min((thread_time() - began) / MOST_OF_A_CORE, pause_s)
            self._looks += 1
        return self._work()

    def _take(self, look: _Look) -> None:
        last, self._last = self._last, look
        if last is None:
            self._done.append(_Done(look.at))
            return
        done = self._done[-1]
        accepted = len(last.sockets.waiting - look.sockets.waiting) if last.sockets and look.sockets else 0
        cpu_ms, io_bytes = _grown(last.cpu_ms, look.cpu_ms), _grown(last.io_bytes, look.io_bytes)
        self._done.append(_Done(look.at, done.cpu_ms + cpu_ms, done.io_bytes + io_bytes, done.accepted + accepted))
        while self._done[1].at <= look.at - LOOK_BACK_S:
            self._done.popleft()

    def _work(self) -> Work | None:
        look = self._last
        if not look or not look.cpu_ms:
            return None
        first, now, sockets = self._done[0], self._done[-1], look.sockets
        return Work(
            over_ms=round((now.at - first.at) * 1000),
            cpu_ms=now.cpu_ms - first.cpu_ms,
            io_bytes=now.io_bytes - first.io_bytes if look.io_bytes else None,
            accepted=now.accepted - first.accepted if sockets else None,
            queued=sockets.queued if sockets else None,
            listens=sockets.addresses if sockets else None,
        )


def _grown(before: dict[int, int], after: dict[int, int]) -> int:
    """Return by how much the counters of the processes that were there before have grown, in all."""
    return sum(max(value - before[pid], 0) for pid, value in after.items() if pid in before)


def _look(pid: int, now: float, proc: str) -> _Look:
    pids = list(_family(pid, proc))
    cpu = {one: found for one in pids if (found := _cpu_ms(one, proc)) is not None}
    moved = {one: found for one in pids if (found := _io_bytes(one, proc)) is not None}
    return _Look(now, cpu, moved, listening(pids, proc))


def _family(pid: int, proc: str) -> Iterator[int]:
    """Yield the process and all below it, `MOST_PROCESSES` at most."""
    waiting = [pid]
    for _ in range(MOST_PROCESSES):
        if not waiting:
            return
        one = waiting.pop()
        yield one
        waiting += _children(one, proc)


def _children(pid: int, proc: str) -> Iterator[int]:
    """Yield the children of all threads of a process; none on a kernel without these lists."""
    try:
        threads = os.listdir(f"{proc}/{pid}/task")  # noqa: PTH208 - the hot path
    except OSError:
        return
    for thread in threads:
        try:
            found = Path(proc, str(pid), "task", thread, "children").read_bytes()
        except OSError:
            continue
        yield from map(int, found.split())


def _cpu_ms(pid: int, proc: str) -> int | None:
    try:
        fields = Path(proc, str(pid), "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK")


def _io_bytes(pid: int, proc: str) -> int | None:
    """Return what the process has read and written by calls on files, in bytes; None for somebody else's."""
    try:
        lines = Path(proc, str(pid), "io").read_bytes().split()
    except OSError:
        return None
    return int(lines[1]) + int(lines[3])
