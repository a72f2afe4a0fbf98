"""Which process is meant: a pid and when it started, so that a reused pid is never taken for it.

On Linux read from /proc, elsewhere asked of psutil. Nothing here waits for a child: reaping is the agent's.
"""

from __future__ import annotations

import functools
import os
import select
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil

LINUX = sys.platform == "linux"
POLL_S = 0.005
ZOMBIE = "Z"
_STATES = {
    psutil.STATUS_STOPPED: "T",
    psutil.STATUS_TRACING_STOP: "t",
    psutil.STATUS_ZOMBIE: ZOMBIE,
    psutil.STATUS_DEAD: "X",
    psutil.STATUS_SLEEPING: "S",
}


class Identity(NamedTuple):
    """A process without doubt: `started` in clock ticks since boot (Linux) or hundredths of a second of the epoch."""

    pid: int
    started: int


@functools.cache
def boot_id() -> str:
    """Return the name of this boot of the machine: pids and start times mean nothing in another one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(round(psutil.boot_time()))


@functools.cache
def _booted_at_ms() -> int:
    # From the uptime: psutil's, the "btime" of /proc/stat, has whole seconds only.
    uptime_s = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    return round((time.time() - uptime_s) * 1000)


def identify(pid: int) -> Identity | None:
    """Return the identity of the process that has `pid` now; None when there is none, or only its remains."""
    found = _look(pid)
    return Identity(pid, found[1]) if found and found[0] not in "ZX" else None


def is_alive(process: Identity) -> bool:
    """Say whether this very process is still at work (one that ended and waits to be reaped is not)."""
    return identify(process.pid) == process


def state_of(process: Identity) -> str:
    """Return the state letter of /proc (`R S D T t Z`), or an empty text when the process is gone."""
    found = _look(process.pid)
    return found[0] if found and found[1] == process.started else ""


def started_at_ms(process: Identity) -> int:
    """Return when the process started, in ms since the Unix epoch, to a hundredth of a second."""
    if not LINUX:
        return process.started * 10
    return _booted_at_ms() + round(process.started * 1000 / os.sysconf("SC_CLK_TCK"))


def wait_gone(process: Identity, timeout_s: float) -> bool:
    """Wait up to `timeout_s` seconds for the process to end, and say whether it has. Leaves reaping to others."""
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return _poll_gone(process, timeout_s)
    try:
        if not is_alive(process):
            return True
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        return bool(poller.poll(max(timeout_s, 0) * 1000))
    finally:
        os.close(handle)


def _poll_gone(process: Identity, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while is_alive(process):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def _look(pid: int) -> tuple[str, int] | None:
    if not LINUX:
        return _ask_psutil(pid)
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name in parentheses may itself hold blanks and parentheses: fields are counted from the last one.
    fields = text[text.rindex(b")") + 2 :].split()
    return fields[0].decode(), int(fields[19])


def _ask_psutil(pid: int) -> tuple[str, int] | None:
    try:
        process = psutil.Process(pid)
        return _STATES.get(process.status(), "R"), round(process.create_time() * 100)
    except psutil.Error:
        return None
