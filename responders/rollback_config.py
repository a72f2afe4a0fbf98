"""Put configuration files back to the last version with which the service was well, or forward to a named one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from mendline.responders.action import Action, ActionContext, DeniedError, OvertakenError, PermanentError
from mendline.responders.command import run_named
from mendline.responders.denial import denied
from mendline.responders.parameters import StepParameters
from mendline.responders.restart import restart_or_leave
from mendline.responders.snapshots.deadline import Deadline
from mendline.responders.versions.files import VersionError, clear_drafts, edited_after, read_files
from mendline.responders.versions.history import History, Version
from mendline.responders.versions.replacement import Replacement

if TYPE_CHECKING:
    from pathlib import Path

RESTART = "restart"


class RollbackConfig:
    """Put the last good version of the service's `config` in place, and make the service take it over.

    What is in place is kept as a version first, and called bad: it is never gone back to. Files that somebody edits
    meanwhile stay as they are.
    """

    name = "rollback_config"
    Parameters = StepParameters

    def __init__(self, state: Path, restart: Action) -> None:
        """Find the history below the host's state folder `state`; `restart` is for services that read at a start."""
        self._state = state
        self._restart = restart

    def run(self, context: ActionContext) -> str:
        """Return which version is in place.

        Raises PermanentError when there is no good one, the service was well with the present one, or the good one does
        not pass its check; OvertakenError when files were edited, or the service was started, meanwhile; TimeoutError.
        """
        if context.started_since:
            raise OvertakenError(context.started_since)
        self.Parameters.of(context)
        return _changed(self._state, self._restart, context, None)


class UpdateConfig:
    """Put the version of the service's `config` in place that the parameter `version` names.

    That is the beginning of its id in this host's history, or of the name of its contents, the same on every host; the
    word `expected` in a step about drift stands for what the other hosts have.
    """

    name = "update_config"

    class Parameters(StepParameters):
        """Which version."""

        version: str = Field(min_length=1, description="as `mendline configs log` prints it")

    def __init__(self, state: Path, restart: Action) -> None:
        """Find the history below the host's state folder `state`; `restart` is for services that read at a start."""
        self._state = state
        self._restart = restart

    def run(self, context: ActionContext) -> str:
        """Return which version is in place. Raises PermanentError, OvertakenError, TimeoutError."""
        return _changed(self._state, self._restart, context, self.Parameters.of(context).version)


def end_unfinished(state: Path, restart: Action, context: ActionContext, started_at: int | None) -> str:
    """Bring to an end what an earlier life left in the middle, and return what was done, empty when it left nothing.

    `started_at` is when the service's process was started (ms), None where that is not known. Raises PermanentError,
    OvertakenError, TemporaryError, TimeoutError.
    """
    with _told():
        ended = _replacement(History(state, context.service), restart, context).end_unfinished(started_at)
        return ended.text if ended else ""


def _changed(state: Path, restart: Action, context: ActionContext, name: str | None) -> str:
    history, paths = History(state, context.service), context.settings.config
    if text := history.remembered(context.intent):
        return text
    if not paths:
        msg = f"services.{context.service}.config names no file"
        raise PermanentError(msg)
    with _told():
        return _replaced(_replacement(history, restart, context), name)


def _replaced(replacement: Replacement, name: str | None) -> str:
    """Put the version of that name in place, or the last good one; return what was done."""
    history, context = replacement.history, replacement.context
    paths = context.settings.config
    ended = replacement.end_unfinished()
    if ended and ended.version and (name is None or history.named(name, paths).id == ended.version):
        return ended.text
    clear_drafts(paths)
    if name is None and context.evidence_time is not None and (path := edited_after(paths, context.evidence_time)):
        msg = f"{path} was edited after the evidence for this, and stays as it is"
        raise OvertakenError(msg)
    now = read_files(paths)
    current = history.take(now)
    wanted = _good(history, current) if name is None else history.named(name, paths)
    return replacement.run(now, current, wanted, is_bad=name is None)


def _replacement(history: History, restart: Action, context: ActionContext) -> Replacement:
    deadline = Deadline.after(context.timeout_s)
    return Replacement(history, context, deadline, lambda: _take_over(context, deadline, restart))


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Raise as an action what the history and the disk raise."""
    try:
        yield
    except VersionError as error:
        raise PermanentError(str(error)) from error
    except TimeoutError:
        raise
    except PermissionError as error:
        what = f"write {error.filename or 'a configuration file'}"
        remedy = "let it own the file, and write to the folder that it lies in"
        raise denied(what, str(error.strerror), remedy) from error
    except OSError as error:
        msg = f"{error.filename or 'a configuration file'} cannot be written: {error.strerror}"
        raise PermanentError(msg) from error


def _good(history: History, current: Version) -> Version:
    if history.is_judged(current, "good"):
        msg = f"the service was well with the configuration in place, version {current.short}: it is not the cause"
        raise PermanentError(msg)
    wanted = history.last_good(current)
    if wanted is None:
        msg = f"no other version of {history.service}'s configuration is known to be good"
        raise PermanentError(msg)
    return wanted


def _take_over(context: ActionContext, deadline: Deadline, restart: Action) -> str:
    """Make the service read its files, and return how."""
    apply, rest = context.settings.rollback.apply, replace(context, timeout_s=deadline.left)
    try:
        return f"restarted: {restart_or_leave(restart, rest)}" if apply == RESTART else run_named(apply, rest)
    except DeniedError as error:  # the files are in place: that is no refusal any more
        msg = f"the files are in place, but {error}"
        raise PermanentError(msg) from error
