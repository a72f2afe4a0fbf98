"""Change a number of a service by an offset within bounds, and back when the fault is over.

    {action: adjust, parameters: {name: workers, by: 2, return: true}}

x becomes x + `by`, not beyond `min` and `max` of the host's own settings, where the number's place stands too. What was
done is noted on the disk before it is done, so that the same intent adds its offset once, whatever dies in between. If
the number does not count because `apply` failed, it is put back. With `return`, it is put back (`take_back`) when the
fault has been over for `return_after`: to what it was, not by the offset, and only if it still is what it was set to. A
change that went on from this one takes over what to return to.
"""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field, field_validator

from mendline.responders.action import ActionContext, OvertakenError, PermanentError, TemporaryError, TooSoonError
from mendline.responders.adjustments import Adjustment, Adjustments
from mendline.responders.command import run_named
from mendline.responders.levers import Lever, lever_of
from mendline.responders.parameters import StepParameters
from mendline.responders.restart import restart_or_leave
from mendline.responders.snapshots.deadline import Deadline
from mendline.schemas.settings import Name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mendline.responders.action import Action
    from mendline.schemas.settings import AdjustableSettings

RESTART = "restart"
APPLY_SHARE = 0.8
"""Of the time that is left: the rest is for putting the number back if it cannot be made to count."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Asked(StepParameters):
    """Which number, and by how much."""

    name: Name = Field(description="which of the service's `adjustable` numbers")
    by: float = Field(allow_inf_nan=False, description="what is added, a number that is not 0")
    returns: bool = Field(default=False, alias="return", description="put it back when the fault is over")

    @field_validator("by")
    @classmethod
    def _changes_something(cls, by: float) -> float:
        if not by:
            msg = "must not be 0"
            raise ValueError(msg)
        return by

    @property
    def offset(self) -> Decimal:
        """`by` as it was written."""
        return Decimal(repr(self.by))


class Adjust:
    """Change a number that the host's settings declare under `services.NAME.adjustable`."""

    name = "adjust"
    Parameters = Asked

    def __init__(self, restart: Action, state: Path, now_ms: Callable[[], int] = _now_ms) -> None:
        """Use `restart` where a number counts from a restart on; notes lie in the host's state folder `state`."""
        self._restart = restart
        self._now_ms = now_ms
        self._folder = state / "adjusted"

    def run(self, context: ActionContext) -> str:
        """Return what the number was and is.

        Raises OvertakenError when the service was started anew after the evidence, PermanentError when the number is
        at its bound, is not what it was any more, or cannot be changed, and what `apply` raises; TimeoutError.
        """
        if context.started_since:
            raise OvertakenError(context.started_since)
        asked = Asked.of(context)
        work = self._work(context, asked.name)
        notes = Adjustments(self._folder, context.service)
        noted = notes.get(context.intent) or self._plan(context, asked, work, notes)
        if work.lever.read() != Decimal(noted.after):
            work.lever.change(Decimal(noted.before), Decimal(noted.after))
        try:
            applied = work.apply()
        except (PermanentError, TemporaryError, TimeoutError) as error:
            work.lever.change(Decimal(noted.after), Decimal(noted.before))
            notes.drop(context.intent)
            raise type(error)(
                f"{asked.name} is {noted.before} again, for {work.settings.apply} failed: {error}"
            ) from error
        return f"{asked.name}: {noted.before} -> {noted.after}{applied}"

    def take_back(self, context: ActionContext) -> str:
        """Put the number back that the context's intent changed, if that was asked for; else return nothing.

        Raises TooSoonError, PermanentError when somebody changed it since, and as `run` does.
        """
        notes = Adjustments(self._folder, context.service)
        noted = notes.get(context.intent)
        if noted is None or not noted.returns:
            return ""
        try:
            work = self._work(context, noted.name)
            self._wait(notes, context.intent, noted, work.settings.return_after)
            said = _pass_on(notes, context.intent, noted) or _put_back(work, noted)
        except PermanentError:
            notes.drop(context.intent)
            raise
        notes.drop(context.intent)
        return said

    def _wait(self, notes: Adjustments, intent: str, noted: Adjustment, return_after: int) -> None:
        """Note when the fault was over, if that is news. Raises TooSoonError until `return_after` (ms) have passed."""
        now = self._now_ms()
        if noted.over_at is None or noted.over_at > now:  # later: the clock was set back
            noted = noted.model_copy(update={"over_at": now})
            notes.put(intent, noted)
        left = (noted.over_at or now) + return_after - now
        if left > 0:
            raise TooSoonError(left / 1000)

    def _plan(self, context: ActionContext, asked: Asked, work: _Work, notes: Adjustments) -> Adjustment:
        now = work.lever.read()
        after = min(max(now + asked.offset, Decimal(repr(work.settings.min))), Decimal(repr(work.settings.max)))
        if (after - now) * asked.offset <= 0:
            msg = f"{asked.name} is {now}, and may only be {work.settings.min:g} to {work.settings.max:g}"
            raise PermanentError(msg)
        noted = Adjustment(name=asked.name, before=_plain(now), after=_plain(after), returns=asked.returns)
        notes.put(context.intent, noted)
        return noted

    def _work(self, context: ActionContext, name: str) -> _Work:
        declared = context.settings.adjustable
        if name not in declared:
            known = ", ".join(declared) or "none"
            msg = f"{context.host} declares no number {name!r} of {context.service}; services.….adjustable has: {known}"
            raise PermanentError(msg)
        deadline = Deadline.after(context.timeout_s)
        return _Work(context, declared[name], lever_of(declared[name], deadline), deadline, self._restart)


def _pass_on(notes: Adjustments, intent: str, noted: Adjustment) -> str:
    """Let the change that went on from this one return to where this one began; empty if there is none."""
    found = notes.after(intent)
    if found is None:
        return ""
    name, later = found
    notes.put(name, later.model_copy(update={"before": noted.before}))
    return f"{noted.name} stays {later.after}: a later change went on from here, and has {noted.before} to return to"


def _put_back(work: _Work, noted: Adjustment) -> str:
    if work.lever.read() != Decimal(noted.before):
        work.lever.change(Decimal(noted.after), Decimal(noted.before))
    return f"{noted.name}: {noted.after} -> {noted.before}, as the fault is over{work.apply()}"


class _Work(NamedTuple):
    """What one change needs."""

    context: ActionContext
    settings: AdjustableSettings
    lever: Lever
    deadline: Deadline
    restart: Action

    def apply(self) -> str:
        """Let the number count, as its settings say; return how. Raises as `restart` and `command` do."""
        if not self.settings.apply:
            return ""
        context = replace(self.context, timeout_s=self.deadline.left * APPLY_SHARE)
        if self.settings.apply == RESTART:
            return f"; restarted: {restart_or_leave(self.restart, context)}"
        return f"; {run_named(self.settings.apply, context)}"


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")
