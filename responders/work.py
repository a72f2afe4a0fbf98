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
from mendline.schemas.records import NEWEST_MINOR, Command, Outcome, OutcomeStatus, outcome_id

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


def _start(name: str, run: Callable[[], None]) -> None:
    threading.Thread(target=run, name=name, daemon=True).start()


def _after(delay_s: float, call: Callable[[], None]) -> Callable[[], None]:
    timer = threading.Timer(delay_s, call)
    timer.daemon = True
    timer.start()
    return timer.cancel


@dataclass(frozen=True)
class Threads:
    """What deeds run on, and the clock they share; a simulation has its own.

    `start` runs a function on a thread of that name, `after` calls one in so many seconds and returns what calls that
    off, `wait` returns whether an event is set within so many seconds, `monotonic` is in seconds.
    """

    start: Callable[[str, Callable[[], None]], None] = _start
    after: Callable[[float, Callable[[], None]], Callable[[], None]] = _after
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait
    monotonic: Callable[[], float] = time.monotonic


THREADS = Threads()


class Result(NamedTuple):
    """What became of a command, why, and what people should see beside that."""

    status: OutcomeStatus
    reason: str
    attached: Mapping[str, str] = MappingProxyType({})


class Span(NamedTuple):
    """When a deed began and ended, by its host's clock (ms); None where nothing was begun."""

    began: int | None = None
    ended: int | None = None


NEVER = Span()


def outcome_of(
    command: Command, result: Result, time_ms: int, span: Span = NEVER, *, name: str = "", reflex: bool = False
) -> Outcome:
    """Return what the command's host says became of it, at `time_ms`, unsigned.

    `name` is the id of one that is not the answer to the command itself.
    """
    return Outcome(
        id=name or outcome_id(command.intent),
        minor=NEWEST_MINOR if result.attached else None,
        cause=command.id or None,
        source=command.host,
        time=time_ms,
        intent=command.intent,
        host=command.host,
        target=command.target,
        action=command.action,
        status=result.status,
        reason=result.reason,
        attached=result.attached or None,
        began_at=span.began,
        ended_at=span.ended,
        reflex=reflex,
    )


@dataclass
class Work:
    """A deed for a command, on the thread that calls `run`.

    `context` makes what the deed is told, of the command and the seconds that are left. `said` is called once with what
    became of it, `released` when the deed does nothing any more, which may be later. `closing`: no further try.
    `why_not` is asked right before the first try, `why_not_again` before each further one.
    """

    command: Command
    context: Callable[[Command, float], ActionContext]
    deed: Callable[[ActionContext], str]
    said: Callable[[Result], None]
    released: Callable[[Command], None]
    closing: threading.Event
    threads: Threads = THREADS
    why_not: Callable[[], str | None] = lambda: None
    why_not_again: Callable[[], str | None] = lambda: None
    _answered: threading.Lock = field(default_factory=threading.Lock)
    _deadline: float = 0.0

    def run(self) -> None:
        """Do it, and say what became of it."""
        timeout_s = self.command.timeout_ms / 1000
        self._deadline = self.threads.monotonic() + timeout_s
        end_limit = self.threads.after(timeout_s + OVERTIME_S, self._overdue)
        try:
            self._end(self._try())
        finally:
            end_limit()
            self.released(self.command)

    def _overdue(self) -> None:
        self._end(Result("timed_out", f"not done within {self.command.timeout_ms} ms; it may still be at work"))

    def _end(self, result: Result) -> None:
        if self._answered.acquire(blocking=False):
            self.said(result)

    def _try(self) -> Result:
        if why := self.why_not():
            return Result("refused", why)
        while True:
            context = self.context(self.command, max(self._deadline - self.threads.monotonic(), 0.0))
            try:
                return Result(*self._attempt(context), context.attached)
            except TemporaryError as error:
                if not self._worth_waiting(error.delay_s):
                    return Result("failed", str(error), context.attached)
                if why := self.why_not_again():
                    return Result("failed", f"{error}; not tried again: {why}", context.attached)

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
        left = self._deadline - self.threads.monotonic()
        return left > delay_s and not self.threads.wait(self.closing, delay_s)
