"""Restart a program of supervisord, unless supervisord is about to do it itself or somebody stopped it on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mendline.responders.action import ActionContext, DeferredError, PermanentError
from mendline.responders.snapshots.deadline import Deadline

if TYPE_CHECKING:
    from mendline.managers.supervisord import Supervisord

RUNNING = "RUNNING"


class RestartProgram:
    """Stop and start a program over supervisord's XML-RPC; afterwards it must be running.

    supervisord's own `autorestart` comes first: while it starts the program again, this action defers to it. A program
    that is stopped was stopped by somebody, and stays so.
    """

    name = "restart"

    def run(self, context: ActionContext) -> str:
        """Return the program's new process.

        Raises PermanentError when it is not known, stopped on purpose, or does not come up; DeferredError while
        supervisord starts it; TimeoutError.
        """
        from mendline.managers.supervisord import Supervisord, SupervisordError  # only where there is one

        settings = context.settings.process
        if settings is None or not settings.program:
            msg = f"services.{context.service}.process names no program"
            raise PermanentError(msg)
        deadline = Deadline.after(context.timeout_s)
        try:
            return _restarted(Supervisord.of(settings), settings.program, deadline)
        except SupervisordError as error:
            raise PermanentError(str(error)) from error


def _restarted(server: Supervisord, name: str, deadline: Deadline) -> str:
    from mendline.managers.supervisord import ABOUT_TO_RUN, MEANT

    before = server.program(name, deadline.left)
    if before.state in ABOUT_TO_RUN:
        msg = f"supervisord is about to start {name} itself ({before.state})"
        raise DeferredError(msg)
    if before.state in MEANT:
        msg = f"{name} was stopped on purpose: start it by `supervisorctl start {name}`"
        raise PermanentError(msg)
    if before.state == RUNNING:
        server.stop(name, deadline.left)
    server.start(name, deadline.left)
    after = server.program(name, deadline.left)
    if after.state != RUNNING:
        msg = f"{name} is {after.state} after its restart: {after.text}"
        raise PermanentError(msg)
    return f"{name}: process {after.pid} in place of {before.pid or 'none'}"
