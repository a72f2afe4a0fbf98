"""Runs the services that Mendline itself runs: starts, stops and restarts their processes, and finds them again.

Each process leads a session of its own and writes to a file of its own, so it outlives Mendline. What runs stands in
one file per service under the state folder (pid, start time, boot): the next Mendline adopts it. The file is written
twice, before the start with a token that the process gets in its environment and after it with the pid, so that not
even a crash between the two leads to a second copy. A stop removes it: a note of a process that has ended tells of a
death that nobody may have seen.

Nothing here waits for children by `waitpid`: the agent alone reaps them. The death of a process is awaited on a pidfd.
`Popen` is used for its fast and safe start only; its object is told that all is over (`returncode`), so that it
neither reaps nor warns when it goes, and only the pid is kept.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

from mendline.responders import offspring
from mendline.responders.identity import Identity, boot_id, identify, is_alive, started_at_ms, state_of, wait_gone
from mendline.responders.output import OutputFile
from mendline.schemas.settings import ProcessSettings, ServiceSettings

logger = logging.getLogger(__name__)

KILL_WAIT_S = 5.0
LOOK_S = 0.1
STOP_SHARE = 0.8  # of a restart's time; the rest is for the start
NOTED = {"pid", "started", "boot", "token", "since"}


class SupervisorError(Exception):
    """Raised when a service cannot be started or stopped; the message says which, why, and what to do."""


class StopTimeoutError(SupervisorError):
    """Raised when a process outlives even SIGKILL, as one in an uninterruptible wait does."""


class Started(NamedTuple):
    """A running process of a service. `started_at` in ms since the Unix epoch; `adopted`: it ran before us."""

    pid: int
    started_at: int
    adopted: bool


@dataclass
class _Run:
    """What is known of a service's process. `since` is where its output begins in the file, in bytes."""

    process: Identity | None = None
    token: str = ""
    since: int = 0
    adopted: bool = False


class Supervisor:
    """The processes of the services with a `command`. May be used from several threads."""

    def __init__(self, services: Mapping[str, ServiceSettings], state: Path) -> None:
        """Take charge of the services that have a command; others are left out. `state` is the host's state folder.

        Raises SupervisorError when services depend on each other in a circle.
        """
        self._processes = {name: one.process for name, one in services.items() if one.process and one.process.command}
        self._folder = state.absolute() / "services"
        self._outputs = {name: self._output(name, one) for name, one in self._processes.items()}
        self._runs = {name: _Run() for name in self._processes}
        self._locks = {name: threading.RLock() for name in self._processes}
        self._ended_by_us: dict[str, int] = {}
        self.order = _order({name: services[name].depends_on for name in self._processes})

    # What runs -----------------------------------------------------------------------------------------------------

    def current(self, service: str) -> tuple[int, int] | None:
        """Return pid and start (ms since the epoch) of the service's process, or None when none runs."""
        run = self._run(service)
        process = run.process
        return (process.pid, started_at_ms(process)) if process and is_alive(process) else None

    def meant(self, service: str, pid: int) -> bool:
        """Say whether the end of this process of the service was our own stop or restart. Never blocks."""
        return self._ended_by_us.get(service) == pid

    def tail(self, service: str, count: int) -> tuple[str, ...]:
        """Return the last `count` lines that the service's latest process wrote to standard output and error."""
        return self._outputs[service].tail(count, self._run(service).since)

    def output_path(self, service: str) -> Path:
        """Return the file that the service writes to."""
        return self._outputs[service].path

    def rotate(self) -> Sequence[str]:
        """Rotate the output files that are too long and return whose; call it every few seconds."""
        rotated = []
        for name, output in self._outputs.items():
            try:
                if output.rotate():
                    self._runs[name].since = 0
                    rotated.append(name)
            except OSError as error:
                logger.warning("the output %s of %s cannot be rotated: %s", output.path, name, error.strerror)
        return rotated

    # All at once ---------------------------------------------------------------------------------------------------

    def start_all(self) -> Mapping[str, Started]:
        """Adopt or start every service, those first that others depend on. Raises SupervisorError."""
        return {name: self.start(name) for name in self.order}

    def stop_all(self) -> None:
        """Stop every service in reverse order, each within its own grace. Raises SupervisorError at the end."""
        failed = []
        for name in reversed(self.order):
            try:
                self.stop(name)
            except SupervisorError as error:
                failed.append(str(error))
        if failed:
            raise SupervisorError("; ".join(failed))

    def adopt_all(self) -> Mapping[str, Started]:
        """Find the services that run already, from an earlier life, and start none."""
        found = {name: self.adopt(name) for name in self.order}
        return {name: one for name, one in found.items() if one}

    # One service ---------------------------------------------------------------------------------------------------

    def adopt(self, service: str) -> Started | None:
        """Return the service's process if one runs, started now or in an earlier life; None otherwise."""
        with self._locks[self._known(service)]:
            run = self._runs[service]
            if run.process is None:
                self._recall(service, run)
            return _started(run)

    def ended_unseen(self, service: str) -> Identity | None:
        """Return the process of an earlier life that has ended since, unless this life knows of the service already.

        What was stopped on purpose is not among them.
        """
        with self._locks[self._known(service)]:
            is_known = self._runs[service].process is not None
            is_running = self.adopt(service) is not None
            return None if is_known or is_running else self._runs[service].process

    def start(self, service: str) -> Started:
        """Return the service's process, started unless one runs already. Raises SupervisorError."""
        with self._locks[self._known(service)]:
            return self.adopt(service) or self._launch(service)

    def stop(self, service: str, timeout_s: float | None = None) -> bool:
        """Stop the service and all that it started, daemons that left its session too; say whether it ran.

        Sends the stop signal and SIGCONT, waits for the grace (or `timeout_s` if that is shorter), then sends SIGKILL.
        A process that cannot take the signal, held by a debugger, is killed without waiting for the grace. Raises
        StopTimeoutError.
        """
        with self._locks[self._known(service)]:
            running = self.adopt(service)
            run = self._runs[service]
            if running and run.process:
                self._end(service, run.process, timeout_s)
            self._sweep(service, run)
            self._note_path(service).unlink(missing_ok=True)
            return running is not None

    def restart(self, service: str, timeout_s: float | None = None) -> Started:
        """Stop what runs of the service, start it again, and return the new process.

        The whole takes `timeout_s` at most: a long grace is cut short. Raises SupervisorError.
        """
        with self._locks[self._known(service)]:
            self.stop(service, None if timeout_s is None else STOP_SHARE * timeout_s)
            return self._launch(service)

    # Starting ------------------------------------------------------------------------------------------------------

    def _launch(self, service: str) -> Started:
        settings, run = self._processes[service], self._runs[service]
        self._sweep(service, run)
        run.token = f"{service}:{secrets.token_hex(8)}"
        run.process, run.adopted, run.since = None, False, self._outputs[service].size()
        try:
            self._note(service, run)
            pid = _spawn(settings, self._outputs[service], run.token)
        except (OSError, ValueError) as error:
            msg = f"{service} cannot be started: {_why(error)}"
            raise SupervisorError(msg) from error
        run.process = identify(pid) or Identity(pid, -1)
        self._note_or_say(service, run)
        return Started(pid, started_at_ms(run.process) if run.process.started >= 0 else _now_ms(), adopted=False)

    # Ending --------------------------------------------------------------------------------------------------------

    def _end(self, service: str, process: Identity, timeout_s: float | None) -> None:
        settings, token = self._processes[service], self._runs[service].token
        grace_s = settings.grace / 1000
        deadline = time.monotonic() + (grace_s if timeout_s is None else min(grace_s, timeout_s))
        self._ended_by_us[service] = process.pid
        strays = offspring.strays(token, process.pid)
        for number in (signal.Signals[settings.stop_signal], signal.SIGCONT):
            _signal_group(process.pid, number)
            for stray in strays:
                offspring.tell(stray.pid, number)
        if not _wait_while_able(process, deadline):
            logger.warning("%s (process %d) did not end on %s: killed", service, process.pid, settings.stop_signal)
            _signal_group(process.pid, signal.SIGKILL)
            if not wait_gone(process, KILL_WAIT_S):
                msg = f"{service} (process {process.pid}) outlives SIGKILL: it waits for a device or mount"
                raise StopTimeoutError(msg)
        for stray in strays:
            _wait_while_able(stray, deadline)

    def _sweep(self, service: str, run: _Run) -> None:
        """Kill what is left of the service's last start, now that its process has ended."""
        if run.token and (killed := offspring.kill_all(run.token)):
            logger.info("%d processes that %s left behind were killed", killed, service)
        run.token = ""

    # Memory --------------------------------------------------------------------------------------------------------

    def _note(self, service: str, run: _Run) -> None:
        pid, started = run.process or (None, None)
        note = {"pid": pid, "started": started, "boot": boot_id(), "token": run.token, "since": run.since}
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f".{service}.new"
        draft.write_text(json.dumps(note))
        draft.replace(self._note_path(service))

    def _note_path(self, service: str) -> Path:
        return self._folder / f"{service}.json"

    def _recall(self, service: str, run: _Run) -> None:
        note = self._read_note(service)
        if not note or note.get("boot") != boot_id():
            return
        run.token, run.since = note["token"], note["since"]
        process = Identity(note["pid"], note["started"]) if note["pid"] else offspring.first_of(run.token)
        if process is None:
            return
        run.process, run.adopted = process, True
        if note["pid"] is None:
            self._note_or_say(service, run)

    def _note_or_say(self, service: str, run: _Run) -> None:
        """Write the note of a process that runs; without it the token in its environment still tells whose it is."""
        try:
            self._note(service, run)
        except OSError as error:
            logger.warning("%s runs, but that cannot be noted: %s", service, _why(error))

    def _read_note(self, service: str) -> dict[str, Any] | None:
        path = self._note_path(service)
        try:
            note = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            logger.warning("%s cannot be read (%s): if %s runs already, it will not be found", path, error, service)
            return None
        if isinstance(note, dict) and note.keys() >= NOTED:
            return note
        logger.warning("%s is no note of Mendline: if %s runs already, it will not be found", path, service)
        return None

    def _output(self, name: str, settings: ProcessSettings) -> OutputFile:
        path = Path(settings.output) if settings.output else self._folder / f"{name}.log"
        return OutputFile(path, settings.output_max)

    def _run(self, service: str) -> _Run:
        return self._runs[self._known(service)]

    def _known(self, service: str) -> str:
        if service not in self._processes:
            msg = f"{service} is not run by Mendline: its process settings have no `command`"
            raise SupervisorError(msg)
        return service


def _started(run: _Run) -> Started | None:
    if run.process is None or not is_alive(run.process):
        return None
    return Started(run.process.pid, started_at_ms(run.process), run.adopted)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _spawn(settings: ProcessSettings, output: OutputFile, token: str) -> int:
    handle = output.open()
    try:
        process = subprocess.Popen(
            settings.command or (),
            cwd=settings.cwd,
            env={**os.environ, **settings.environment, offspring.TOKEN: token},
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            start_new_session=True,
        )
    finally:
        os.close(handle)
    process.returncode = 0  # see above: the agent reaps, and Popen must neither do it nor warn
    return process.pid


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} does not exist"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error)


def _wait_while_able(process: Identity, deadline: float) -> bool:
    """Wait for the end of the process; give up at the deadline (monotonic, s), or when it is held and cannot end."""
    held = 0
    while (left := deadline - time.monotonic()) > 0:
        if wait_gone(process, min(left, LOOK_S)):
            return True
        held = held + 1 if state_of(process) in ("T", "t") else 0
        if held > 1:
            return False
    return not is_alive(process)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _order(depends_on: Mapping[str, Sequence[str]]) -> Sequence[str]:
    known = {name: [one for one in needs if one in depends_on] for name, needs in depends_on.items()}
    try:
        return tuple(TopologicalSorter(known).static_order())
    except CycleError as error:
        msg = f"services depend on each other in a circle: {' -> '.join(error.args[1])}; take one `depends_on` out"
        raise SupervisorError(msg) from error
