"""Stops a service for a while and starts it again, in the way its process settings call for.

What was stopped is noted on the disk until it is started, so that after a crash in between it does not pass for a
service that somebody stopped on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.responders.action import DeniedError, PermanentError
from mendline.responders.supervisor import StopTimeoutError, Supervisor, SupervisorError

if TYPE_CHECKING:
    from mendline.responders.restart_systemd import RestartUnit
    from mendline.responders.snapshots.deadline import Deadline
    from mendline.schemas.settings import ServiceSettings

STOP_SHARE = 0.5
"""Of the time that is left: the rest is for the exchange and the start."""

START_S = 10.0
"""What a start gets at least: a service must not stay stopped because its data took their time."""


@dataclass(frozen=True)
class ServiceSwitch:
    """The switch of one service; `note` is the file that says that it was stopped.

    `leave_stopped`: a process that did not run before is not started afterwards either, as nobody would look after it.
    """

    service: str
    settings: ServiceSettings
    supervisor: Supervisor
    units: RestartUnit
    note: Path
    leave_stopped: bool = False

    def check(self) -> None:
        """Raise PermanentError when nobody here can stop and start the service."""
        process = self.settings.process
        if not (process and (process.command or process.unit)):
            msg = f"nobody here can stop and start {self.service}: its process settings have neither command nor unit"
            raise PermanentError(msg)

    def stop(self, deadline: Deadline) -> None:
        """Return when nothing of it runs. Raises PermanentError, TimeoutError, OSError."""
        self.check()
        if self._unit and not self.note.exists() and self.units.is_stopped_on_purpose(self._unit, deadline.left):
            return
        self.note.touch()
        if self._unit:
            self.units.stop(self._unit, STOP_SHARE * deadline.left)
            return
        try:
            ran = self.supervisor.stop(self.service, STOP_SHARE * deadline.left)
        except StopTimeoutError as error:
            raise TimeoutError(str(error)) from error
        if self.leave_stopped and not ran:
            self.note.unlink()

    def start(self, deadline: Deadline) -> str:
        """Return what runs now, in words; nothing is started that somebody else had stopped. Raises PermanentError."""
        if not self.note.exists():
            return f"{self.service} did not run before, and stays so"
        said = self._start_unit(deadline) if self._unit else self._start_process()
        self.note.unlink(missing_ok=True)
        return said

    def start_again(self, deadline: Deadline) -> str:
        """Start the service if it was stopped here and never started, as after a crash. Raises PermanentError."""
        return self.start(deadline) if self.note.exists() else ""

    @property
    def _unit(self) -> str:
        return (self.settings.process and self.settings.process.unit) or ""

    def _start_unit(self, deadline: Deadline) -> str:
        try:
            return self.units.start(self._unit, max(deadline.left, START_S))
        except DeniedError as error:  # it was stopped by then: that is no refusal any more
            msg = f"it is stopped, but {error}"
            raise PermanentError(msg) from error

    def _start_process(self) -> str:
        try:
            return f"process {self.supervisor.start(self.service).pid} started"
        except SupervisorError as error:
            raise PermanentError(str(error)) from error
