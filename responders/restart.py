"""Restart a service in the way it is run: by Mendline itself, systemd, supervisord, or two programs of the host."""

from __future__ import annotations

from mendline.responders.action import Action, ActionContext, DeferredError, OvertakenError, PermanentError
from mendline.responders.parameters import StepParameters
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


def restart_or_leave(restart: Action, context: ActionContext) -> str:
    """Restart the service after its files were changed and return how; who is about to do so reads them as well."""
    try:
        return restart.run(context)
    except DeferredError as error:
        return str(error)


class Restart:
    """Restart a service in the way its process settings call for."""

    name = "restart"
    Parameters = StepParameters

    def __init__(self, process: Action, unit: Action, program: Action, commands: Action) -> None:
        """Use `process` for a `command`, `unit` for a systemd `unit`, and so on."""
        self._process = process
        self._unit = unit
        self._program = program
        self._commands = commands

    def run(self, context: ActionContext) -> str:
        """Return what was done.

        Raises OvertakenError when the process is newer than the evidence against it, DeferredError while another healer
        is about to start it, PermanentError when nothing here can start the service.
        """
        if context.started_since:
            raise OvertakenError(context.started_since)
        settings = context.settings.process
        ways = (
            (settings and settings.command, self._process),
            (settings and settings.unit, self._unit),
            (settings and settings.program, self._program),
            (settings and settings.start, self._commands),
        )
        for given, way in ways:
            if given:
                return way.run(context)
        msg = f"nobody here can start {context.service}: its process settings have no command, unit, program or start"
        raise PermanentError(msg)
