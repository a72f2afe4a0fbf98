"""Restart a service: its process, where Mendline runs it itself, or its systemd unit."""

from __future__ import annotations

from mendline.responders.action import Action, ActionContext, OvertakenError, PermanentError
from mendline.responders.supervisor import StopTimeoutError, Supervisor, SupervisorError


class RestartProcess:
    """Stop what runs of a service with a `command`, if anything does, and start it again.

    A process that ended already is only started: a dead service is answering again as soon as it itself can.
    """

    name = "restart"

    def __init__(self, supervisor: Supervisor) -> None:
        """Restart what `supervisor` runs."""
        self._supervisor = supervisor

    def run(self, context: ActionContext) -> str:
        """Return the new process. Raises PermanentError, and TimeoutError when the old process cannot be ended."""
        before = self._supervisor.current(context.service)
        try:
            started = self._supervisor.restart(context.service, context.timeout_s)
        except StopTimeoutError as error:
            raise TimeoutError(str(error)) from error
        except SupervisorError as error:
            raise PermanentError(str(error)) from error
        return f"process {started.pid} in place of {before[0]}" if before else f"process {started.pid} started"


class Restart:
    """Restart a service in the way its process settings call for."""

    name = "restart"

    def __init__(self, process: Action, unit: Action) -> None:
        """Use `process` for services with a `command` and `unit` for those with a systemd `unit`."""
        self._process = process
        self._unit = unit

    def run(self, context: ActionContext) -> str:
        """Return what was done.

        Raises OvertakenError when the process is newer than the evidence against it, PermanentError when nothing here
        can start the service.
        """
        if context.started_since:
            raise OvertakenError(context.started_since)
        settings = context.settings.process
        if settings and settings.command:
            return self._process.run(context)
        if settings and settings.unit:
            return self._unit.run(context)
        msg = f"nobody here can start {context.service}: its process settings have neither `command` nor `unit`"
        raise PermanentError(msg)
