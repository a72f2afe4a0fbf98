"""Put configuration files back to the last version with which the service was well, or forward to a named one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from mendline.responders.action import Action, ActionContext, OvertakenError, PermanentError, TemporaryError
from mendline.responders.command import run_named
from mendline.responders.parameters import StepParameters
from mendline.responders.restart import restart_or_leave
from mendline.responders.snapshots.deadline import Deadline
from mendline.responders.versions.files import Files, VersionError, clear_drafts, edited_after, put_in_place, read_files
from mendline.responders.versions.history import History, Version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CHECK_SHARE = 0.4
"""Of the time that is left; the rest is for the service to take the files over."""
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
    """Put the version of the service's `config` in place that the parameter `version` names."""

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


def _changed(state: Path, restart: Action, context: ActionContext, name: str | None) -> str:
    history, paths = History(state, context.service), context.settings.config
    if text := history.remembered(context.intent):
        return text
    if not paths:
        msg = f"services.{context.service}.config names no file"
        raise PermanentError(msg)
    deadline = Deadline.after(context.timeout_s)
    try:
        said = _replaced(history, context, deadline, name)
        told = f"{said}; {_take_over(context, deadline, restart)}"
        history.remember(context.intent, told)
    except VersionError as error:
        raise PermanentError(str(error)) from error
    except TimeoutError:
        raise
    except OSError as error:
        msg = f"{error.filename or 'a configuration file'} cannot be written: {error.strerror}"
        raise PermanentError(msg) from error
    return told


def _replaced(history: History, context: ActionContext, deadline: Deadline, name: str | None) -> str:
    """Put the version of that name in place, or the last good one; return what was done."""
    paths = context.settings.config
    clear_drafts(paths)
    if name is None and context.evidence_time is not None and (path := edited_after(paths, context.evidence_time)):
        msg = f"{path} was edited after the evidence for this, and stays as it is"
        raise OvertakenError(msg)
    now = read_files(paths)
    current = history.take(now)
    wanted = history.find(name) if name else _good(history, current)
    changed = _put(context, deadline, now, history.files(wanted))
    if name is None:
        history.judge(current, "bad")
    history.take(read_files(paths), f"{'updated' if name else 'rolled back'} to {wanted.short}")
    return f"version {wanted.short} in place of {current.short} ({', '.join(changed) or 'no file differs'})"


def _good(history: History, current: Version) -> Version:
    if history.is_judged(current, "good"):
        msg = f"the service was well with the configuration in place, version {current.short}: it is not the cause"
        raise PermanentError(msg)
    wanted = history.last_good(current)
    if wanted is None:
        msg = f"no other version of {history.service}'s configuration is known to be good"
        raise PermanentError(msg)
    return wanted


def _put(context: ActionContext, deadline: Deadline, now: Files, wanted: Files) -> Sequence[str]:
    """Put the files in place and return which changed; where their check refuses them, put back what was there."""
    changed = put_in_place(now, wanted)
    check = context.settings.rollback.check
    if check and changed:
        try:
            run_named(check, replace(context, timeout_s=CHECK_SHARE * deadline.left))
        except (PermanentError, TemporaryError, TimeoutError) as error:
            put_in_place(wanted, now)
            msg = f"what was there is in place again, for the check refused the other version: {error}"
            raise PermanentError(msg) from error
    return changed


def _take_over(context: ActionContext, deadline: Deadline, restart: Action) -> str:
    """Make the service read its files, and return how."""
    apply, rest = context.settings.rollback.apply, replace(context, timeout_s=deadline.left)
    return f"restarted: {restart_or_leave(restart, rest)}" if apply == RESTART else run_named(apply, rest)
