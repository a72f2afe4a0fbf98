"""Restart a service by two programs of the host's own settings: one that stops it and one that starts it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from mendline.responders.action import ActionContext, PermanentError
from mendline.responders.identity import identify, wait_gone
from mendline.responders.running import run_bounded
from mendline.responders.snapshots.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STOP_SHARE = 0.6
"""Of the time that there is: the rest is for the start."""
KILL_WAIT_S = 2.0


class RestartByCommands:
    """Run `stop`, wait until the process is gone, kill it if it is not, and run `start`. No shell, no input.

    Without a process only `start` is run. What `start` leaves running is the service.
    """

    name = "restart"

    def __init__(self, pid_of: Callable[[str], int | None]) -> None:
        """Find a service's process by `pid_of`, None if none runs."""
        self._pid_of = pid_of

    def run(self, context: ActionContext) -> str:
        """Return what was done. Raises PermanentError when a program fails, TimeoutError."""
        settings = context.settings.process
        start, stop = (settings.start, settings.stop) if settings else ((), ())
        deadline = Deadline.after(context.timeout_s)
        pid = self._pid_of(context.service)
        ended = self._stop(pid, stop, deadline.sooner(STOP_SHARE * context.timeout_s)) if pid else "nothing ran"
        _run("start", start, deadline.left)
        return f"{ended}; {start[0]} started it"

    def _stop(self, pid: int, stop: Sequence[str], deadline: Deadline) -> str:
        process = identify(pid)
        with suppress(TimeoutError):
            _run("stop", stop, deadline.left)
        if process is None or wait_gone(process, deadline.left):
            return f"process {pid} ended"
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if not wait_gone(process, KILL_WAIT_S):
            msg = f"process {pid} outlives SIGKILL: it waits for a device or mount"
            raise TimeoutError(msg)
        return f"process {pid} did not end and was killed"


def _run(what: str, vector: Sequence[str], timeout_s: float) -> None:
    try:
        ended = run_bounded(vector, timeout_s)
    except TimeoutError:
        raise
    except OSError as error:
        msg = f"{what} cannot be run: {error.filename or vector[0]}: {error.strerror or error}"
        raise PermanentError(msg) from error
    if ended.status:
        msg = f"{what} ended with {ended.status}: {ended.output.strip()[-300:] or 'it printed nothing'}"
        raise PermanentError(msg)
