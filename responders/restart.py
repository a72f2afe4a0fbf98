"""Restart a service in the way it is run: by Mendline itself, a manager, or two programs of the host."""

from __future__ import annotations

from collections.abc import Mapping

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

    def __init__(self, ways: Mapping[str, Action]) -> None:
        """Restart by the first of `ways` under whose name, a field of the process settings, there is something."""
        self._ways = ways

    def run(self, context: ActionContext) -> str:
        """Return what was done.

        Raises OvertakenError when the process is newer than the evidence against it, DeferredError while another healer
        is about to start it, PermanentError when nothing here can start the service.
        """
        if context.started_since:
            raise OvertakenError(context.started_since)
        for name, way in self._ways.items():
            if getattr(context.settings.process, name, None):
                return way.run(context)
        known = ", ".join(self._ways)
        msg = f"nobody here can start {context.service}: its process settings have none of {known}"
        raise PermanentError(msg)
