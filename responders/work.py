"""One command at work: its deed on one thread, its time limit on another; the first to end it wins."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from mendline.responders.action import (
    ActionContext,
    DeferredError,
    DeniedError,
    OvertakenError,
    PermanentError,
    TemporaryError,
)
from mendline.schemas.records import Command, OutcomeStatus

logger = logging.getLogger(__name__)

OVERTIME_S = 1.0
STATUSES: Sequence[tuple[type[Exception], OutcomeStatus]] = (
    (OvertakenError, "overtaken"),
    (DeferredError, "deferred"),
    (DeniedError, "refused"),
    (PermanentError, "failed"),
    (TimeoutError, "timed_out"),
)
"""What became of a deed by the error that came out of it; the first that fits counts."""


class Result(NamedTuple):
    """What became of a command, why, and what people should see beside that."""

    status: OutcomeStatus
    reason: str
    attached: Mapping[str, str] = MappingProxyType({})


@dataclass
class Work:
    """A deed for a command, on the thread that calls `run`.

    `context` makes what the deed is told, of the command and the seconds that are left. `said` is called once with what
    became of it, `released` when the deed does nothing any more, which may be later. `closing`: no further try.
    """

    command: Command
    context: Callable[[Command, float], ActionContext]
    deed: Callable[[ActionContext], str]
    said: Callable[[Result], None]
    released: Callable[[Command], None]
    closing: threading.Event
    _answered: threading.Lock = field(default_factory=threading.Lock)
    _deadline: float = 0.0

    def run(self) -> None:
        """Do it, and say what became of it."""
        timeout_s = self.command.timeout_ms / 1000
        self._deadline = time.monotonic() + timeout_s
        limit = threading.Timer(timeout_s + OVERTIME_S, self._overdue)
        limit.daemon = True
        limit.start()
        try:
            self._end(self._try())
        finally:
            limit.cancel()
            self.released(self.command)

    def _overdue(self) -> None:
        self._end(Result("timed_out", f"not done within {self.command.timeout_ms} ms; it may still be at work"))

    def _end(self, result: Result) -> None:
        if self._answered.acquire(blocking=False):
            self.said(result)

    def _try(self) -> Result:
        while True:
            context = self.context(self.command, max(self._deadline - time.monotonic(), 0.0))
            try:
                return Result(*self._attempt(context), context.attached)
            except TemporaryError as error:
                if not self._worth_waiting(error.delay_s):
                    return Result("failed", str(error), context.attached)

    def _attempt(self, context: ActionContext) -> tuple[OutcomeStatus, str]:
        """Do it once. Raises TemporaryError when another try may help."""
        try:
            return "succeeded", self.deed(context)
        except TemporaryError:
            raise
        except Exception as error:  # an action is foreign code; its fault must not end the agent
            for kind, status in STATUSES:
                if isinstance(error, kind):
                    return status, str(error)
            logger.exception("the action %s failed", self.command.action)
            return "failed", f"{type(error).__name__}: {error}"

    def _worth_waiting(self, delay_s: float) -> bool:
        left = self._deadline - time.monotonic()
        return left > delay_s and not self.closing.wait(delay_s)
