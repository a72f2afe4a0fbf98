"""Run a command that this host's own settings name: an argument vector, no shell, nothing of it from a record.

A step gives only the name: `parameters: {name: flush-cache}`. The vector, its time-out and its user stand under
`services.NAME.commands` of the host. The program's session, and what left it, is killed when the time is over; what
a program that ended in time left running, such as a daemon it was told to start, stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mendline.responders.action import ActionContext, PermanentError, TemporaryError
from mendline.responders.denial import denied
from mendline.responders.parameters import StepParameters
from mendline.responders.running import Ended, run_bounded
from mendline.schemas.settings import Name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mendline.schemas.settings import CommandSettings

MOST_TOLD = 500
PATH = "{path}"
SUDO = "leave out its `user`, and put `sudo -n` with a rule in sudoers into its `argv`"


class Command:
    """Run the named command of the service; it succeeded when its exit status is 0."""

    name = "command"

    class Parameters(StepParameters):
        """Which command."""

        name: Name = Field(description="which of the service's `commands`")

    def run(self, context: ActionContext) -> str:
        """Return the end of what the program printed, 500 characters at most.

        Raises PermanentError for a name this host does not know, a program that cannot be run, and any status that is
        neither 0 nor among its `retry`; TemporaryError for those; TimeoutError.
        """
        return run_named(self.Parameters.of(context).name, context)


def run_named(name: str, context: ActionContext, path: Path | None = None) -> str:
    """Run the command of that name of the context's service. Returns and raises as `Command.run` does.

    `path` takes the place of {path} in its arguments.
    """
    command = _find(name, context)
    argv = command.argv if path is None else [part.replace(PATH, str(path)) for part in command.argv]
    ended = _run(name, argv, min(context.timeout_s, command.timeout / 1000), command.user)
    context.attach("output", ended.output)
    told = f"{name} ended with {ended.status}: {ended.output[-MOST_TOLD:] or 'it printed nothing'}"
    if ended.status in command.retry:
        raise TemporaryError(told)
    if ended.status:
        raise PermanentError(told)
    return told


def _find(name: str, context: ActionContext) -> CommandSettings:
    known: Mapping[str, CommandSettings] = context.settings.commands
    if name not in known:
        listed = ", ".join(known) or "none"
        msg = f"{context.host} knows no command {name!r} of {context.service}; services.….commands has: {listed}"
        raise PermanentError(msg)
    return known[name]


def _run(name: str, argv: Sequence[str], timeout_s: float, user: str | None) -> Ended:
    try:
        return run_bounded(argv, timeout_s, user)
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise
        if isinstance(error, PermissionError):
            way = f"as {user}" if user else "at all"
            remedy = SUDO if user else f"make {error.filename or argv[0]} executable for it"
            raise denied(f"run the command {name} {way}", str(error.strerror), remedy) from error
        msg = f"the command {name} cannot be run: {error.filename or argv[0]}: {error.strerror or error}"
        raise PermanentError(msg) from error
