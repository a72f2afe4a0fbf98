"""All processes that come from one start of a service, wherever they went.

A service gets a token in its environment, and what it starts inherits it: children, their children, and daemons that
left its session (`setsid`) and its process group, which no signal to the group reaches. Looking for the token needs no
rights beyond those to end these processes, and finds them also after the agent was restarted. A control group would
be surer, but needs root or a delegated subtree; as a subreaper, the agent would have to reap whatever anybody left to
it, and a restarted one would know of nothing.

What it cannot find: processes that cleared or overwrote their environment, or run as a user whose environment may not
be read. Cost: some 40 microseconds for each process of the host.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence

import psutil

from mendline.responders.identity import LINUX, Identity, identify

TOKEN = "MENDLINE_SERVICE"  # noqa: S105 - the name of an environment variable, no secret
MOST_ROUNDS = 5


def carriers(token: str) -> Iterator[Identity]:
    """Yield the processes that got the token."""
    marked = f"{TOKEN}={token}".encode()
    for pid in psutil.pids():
        if marked in _environment(pid) and (found := identify(pid)):
            yield found


def first_of(token: str) -> Identity | None:
    """Return the process that was started with the token, if the start got that far: it leads its own session."""
    return next((one for one in carriers(token) if group_of(one.pid) == one.pid == _session_of(one.pid)), None)


def strays(token: str, group: int) -> list[Identity]:
    """Return those that are not in the process group any more."""
    return [one for one in carriers(token) if group_of(one.pid) != group]


def kill_all(token: str) -> int:
    """Kill all that carry the token, and what they start meanwhile; return how many they were."""
    killed: set[Identity] = set()
    for _ in range(MOST_ROUNDS):
        found = set(carriers(token))
        if not found:
            break
        for one in found:
            tell(one.pid, signal.SIGKILL)
        killed |= found
    return len(killed)


def tell(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, unless it is gone or somebody else's."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def group_of(pid: int) -> int:
    """Return the process group, -1 when the process is gone."""
    try:
        return os.getpgid(pid)
    except OSError:
        return -1


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def _environment(pid: int) -> Sequence[bytes]:
    try:
        if LINUX:
            with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:  # noqa: PTH123 - a third of Path's time
                return file.readall().split(b"\0")
        return [f"{name}={value}".encode() for name, value in psutil.Process(pid).environ().items()]
    except (psutil.Error, OSError):
        return ()
