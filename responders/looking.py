"""Texts about processes and the host, for people who look for a cause. Nothing is changed by looking."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from mendline.schemas.quantities import counted

MOST_PROCESSES = 20
MOST_THREADS = 40
MOST_LISTED = 20
HOGS = 5
LONGEST_COMMAND = 200
MIB = 2**20
KERNEL_WARNING = 4
KERNEL_LINES = 30
KERNEL_RECORD = 8192
MOST_KERNEL_RECORDS = 20_000


def processes(pid: int) -> str:
    """Return a line for the process and each descendant. Raises psutil.Error when it is gone."""
    lines = [line for one in _family(pid)[:MOST_PROCESSES] if (line := _line_of(one))]
    return "\n".join(["pid parent state age CPU memory threads files command", *lines])


def threads(pid: int) -> str:
    """Return a line for each thread of the process: its name, state, and the kernel function it waits in."""
    folder = Path(f"/proc/{pid}/task")
    return "\n".join(_thread(one) for one in sorted(folder.iterdir(), key=lambda it: int(it.name))[:MOST_THREADS])


def sockets(pid: int) -> str:
    """Return what the process and its descendants listen on, and how many connections are in which state."""
    listening: list[str] = []
    states: Counter[str] = Counter()
    for one in _family(pid)[:MOST_PROCESSES]:
        with contextlib.suppress(psutil.Error):
            for connection in one.net_connections(kind="inet"):
                if connection.status == psutil.CONN_LISTEN:
                    listening.append(f"{connection.laddr.ip}:{connection.laddr.port}")
                else:
                    states[connection.status] += 1
    lines = [f"listens on {', '.join(sorted(set(listening))[:MOST_LISTED]) or 'nothing'}"]
    return "\n".join(lines + [f"{count} {state}" for state, count in states.most_common()])


def host() -> str:
    """Return load, memory, and the processes that hold most memory."""
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    lines = [
        f"load {' '.join(f'{one:.2f}' for one in os.getloadavg())} on {counted(os.cpu_count() or 1, 'processors')}",
        f"memory {memory.available // MIB} MiB available of {memory.total // MIB}, swap {swap.used // MIB} MiB used",
    ]
    hogs = sorted(psutil.process_iter(["memory_info"]), key=_held, reverse=True)[:HOGS]
    return "\n".join(lines + [line for one in hogs if (line := _line_of(one))])


def kernel() -> str:
    """Return the kernel's last warnings, with their age in s. Raises OSError where it does not let us read them."""
    found = []
    for record in _kernel_records():
        head, _, text = record.partition(";")
        priority, _, microseconds, *_ = head.split(",")
        if int(priority) & 7 <= KERNEL_WARNING:
            age = time.clock_gettime(time.CLOCK_MONOTONIC) - int(microseconds) / 1e6
            found.append(f"{age:.0f} s ago: {text.splitlines()[0]}")
    return "\n".join(found[-KERNEL_LINES:])


def _kernel_records() -> Iterator[str]:
    handle = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        for _ in range(MOST_KERNEL_RECORDS):
            try:
                yield os.read(handle, KERNEL_RECORD).decode(errors="replace")
            except BrokenPipeError:  # what was to come next was overwritten meanwhile
                continue
            except BlockingIOError:  # that was the last
                return
    finally:
        os.close(handle)


def _family(pid: int) -> list[psutil.Process]:
    first = psutil.Process(pid)
    return [first, *first.children(recursive=True)]


def _held(process: psutil.Process) -> int:
    memory = process.info["memory_info"]
    return memory.rss if memory else 0


def _line_of(process: psutil.Process) -> str:
    """Return what is known of a process, empty when it is gone."""
    try:
        with process.oneshot():
            used = process.cpu_times()
            facts: Iterable[object] = (
                process.pid,
                process.ppid(),
                process.status(),
                f"{time.time() - process.create_time():.0f}s",
                f"{used.user + used.system:.1f}s",
                f"{process.memory_info().rss // MIB}MiB",
                process.num_threads(),
                _files(process),
                " ".join(" ".join(process.cmdline()).split())[:LONGEST_COMMAND] or process.name(),
            )
            return " ".join(str(fact) for fact in facts)
    except psutil.Error:
        return ""


def _files(process: psutil.Process) -> str:
    try:
        return str(process.num_fds())
    except psutil.AccessDenied:
        return "?"


def _thread(folder: Path) -> str:
    name, state = _first_line(folder / "comm"), _first_line(folder / "stat").rpartition(")")[2].split()[:1]
    return f"{folder.name} {name} {''.join(state)} {_first_line(folder / 'wchan').strip('0')}".rstrip()


def _first_line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").partition("\n")[0]
    except OSError:
        return ""
