"""Know of a process's death when it happens, and how it died.

On Linux a pidfd becomes readable at that moment. Of the agent's own children this watch is the only one who calls
`waitid`: nobody else may, or the exit code is lost. Of other processes the exit code is read from /proc as long as
their parent has not reaped them, and later from the pidfd (`PIDFD_GET_INFO`, Linux 6.15 and newer); where neither
tells, only the death is known. Elsewhere than on Linux they are asked after twenty times a second. A child that ended
while there was no watch is asked after by `reaped`, once.
"""

from __future__ import annotations

import fcntl
import logging
import os
import selectors
import signal
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

logger = logging.getLogger(__name__)

POLL_S = 0.05

_INFO = struct.Struct("<QQ11Ii")
_INFO_HAS_EXIT = 8
_GET_INFO = (3 << 30) | (_INFO.size << 16) | (0xFF << 8) | 11


class Exit(NamedTuple):
    """How a process ended: its exit code, or the name of the signal that killed it; neither when nobody could tell."""

    code: int | None = None
    signal: str | None = None

    def __str__(self) -> str:
        """Say it in words."""
        if self.signal:
            return f"killed by {self.signal}"
        return "ended" if self.code is None else f"exited with code {self.code}"


OnExit = Callable[[Exit], None]


class ExitWatch:
    """Calls a function when a process ends, on this watch's own thread."""

    def __init__(self) -> None:
        """Begin without any process; the thread is started with the first."""
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_out, False)
        self._selector.register(self._wake_in, selectors.EVENT_READ)
        self._polled: dict[int, OnExit] = {}
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._closing = False
        self._thread: threading.Thread | None = None

    def watch(self, pid: int, on_exit: OnExit) -> None:
        """Call `on_exit` once when the process ends, at once if it is dead already but not yet reaped.

        Raises ProcessLookupError when there is no such process.
        """
        with self._lock:
            if hasattr(os, "pidfd_open"):
                self._selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, on_exit))
            else:
                self._polled[pid] = on_exit
            if not self._thread:
                self._thread = threading.Thread(target=self._serve, name="exits", daemon=True)
                self._thread.start()
        self._wake()

    def close(self) -> None:
        """Watch nothing more; who ended before is told of still."""
        self._closing = True
        self._wake()
        if self._thread:
            self._thread.join()
        with self._telling:
            for key in list(self._selector.get_map().values()):
                os.close(key.fd)
            self._selector.close()
        os.close(self._wake_out)

    def settle(self) -> None:
        """Tell of all who have ended by now, and wait for whoever is telling of them already.

        What is said after it is said after their end.
        """
        with self._telling:
            if not self._closing:
                self._tell_all()

    def _wake(self) -> None:
        try:
            os.write(self._wake_out, b"\0")
        except BlockingIOError:
            return  # it is being woken already

    def _serve(self) -> None:
        """Wait until somebody ends, or is to be watched, and tell of those who have ended."""
        while not self._closing:
            for key, _ in self._selector.select(POLL_S if self._polled else None):
                if key.fd == self._wake_in:
                    os.read(self._wake_in, 4096)
            with self._telling:
                self._tell_all()
        with self._telling:
            self._tell_all()

    def _tell_all(self) -> None:
        for key, _ in self._selector.select(0):
            if key.fd != self._wake_in:
                self._ended(key.fd, *key.data)
        self._poll()

    def _ended(self, handle: int, pid: int, on_exit: OnExit) -> None:
        with self._lock:
            self._selector.unregister(handle)
        ended = reaped(pid) or _told_by_kernel(handle, pid) or Exit()
        os.close(handle)
        _tell(on_exit, ended, pid)

    def _poll(self) -> None:
        for pid, on_exit in list(self._polled.items()):
            ended = reaped(pid)
            if ended is None and not psutil.pid_exists(pid):
                ended = Exit()
            if ended is not None:
                del self._polled[pid]
                _tell(on_exit, ended, pid)


def _tell(on_exit: OnExit, ended: Exit, pid: int) -> None:
    try:
        on_exit(ended)
    except Exception:
        # The watch must outlive whoever is told, or no other death would be known.
        logger.exception("telling of the end of process %d failed", pid)


def reaped(pid: int) -> Exit | None:
    """Return how an own child ended, and let its entry go; None for a process that lives or is no own child."""
    try:
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if not found:
        return None
    if found.si_code == os.CLD_EXITED:
        return Exit(code=found.si_status)
    return Exit(signal=_signal_name(found.si_status))


def _told_by_kernel(handle: int, pid: int) -> Exit | None:
    """Return how somebody else's child ended: from what is left of it, or from the pidfd once it is reaped."""
    if sys.platform != "linux":
        return None
    status = _status_of_zombie(pid)
    if status is None:
        status = _status_by_pidfd(handle)
    if status is None:
        return None
    if os.WIFSIGNALED(status):
        return Exit(signal=_signal_name(os.WTERMSIG(status)))
    return Exit(code=os.WEXITSTATUS(status))


def _status_of_zombie(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[49]) if fields[0] == b"Z" else None


def _status_by_pidfd(handle: int) -> int | None:
    info = bytearray(_INFO.pack(_INFO_HAS_EXIT, *[0] * 13))
    try:
        fcntl.ioctl(handle, _GET_INFO, info)
    except OSError:  # an older kernel
        return None
    mask, *_, status = _INFO.unpack(info)
    return status if mask & _INFO_HAS_EXIT else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
