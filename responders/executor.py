"""The executor: the only place that touches a host's services.

It takes the records of the host's partition of `commands` in order, asks itself why it should not obey (`REFUSALS`),
notes in the ledger what it is about to do, does it on a thread of its own, and says what became of it. One action at
a time for a service, a few at a time for the host. Nothing from a record becomes a command line: a record names a
service and an action, and both must stand in this host's own settings.

Commands for other hosts share the partition and are passed over in silence. A repeated command is not run again; its
outcome is said again.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mendline.responders.action import Action, ActionContext, TooSoonError
from mendline.responders.ledger import Ledger, LedgerError
from mendline.responders.parameters import parameters_of, wrong_parameters
from mendline.responders.work import NEVER, THREADS, Result, Span, Threads, Work, outcome_of
from mendline.schemas.base import record_id
from mendline.schemas.records import Cancel, Command, Outcome, Stop, encode_record
from mendline.schemas.settings import ServiceSettings

if TYPE_CHECKING:
    from mendline.responders.signing import KeyRing

logger = logging.getLogger(__name__)

START_GRAIN_MS = 10
CANCELLED_KEPT = 1024
TAKE_BACK_WITHIN_MS = 60_000

Refusal = Callable[["Executor", Command], "str | None"]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Host:
    """What an executor works on and with.

    `log_time` returns the log's append time in ms, or None when it has not been known for 10 s. `emit` takes an
    outcome to be put on the log; it is called from several threads and must not block. `started_at` returns when the
    process of a service that runs now was started (ms), None without one. Actions run on `threads`.
    """

    name: str
    services: Mapping[str, ServiceSettings]
    actions: Mapping[str, Action]
    ledger: Ledger
    keys: KeyRing
    log_time: Callable[[], int | None]
    emit: Callable[[Outcome], None]
    now_ms: Callable[[], int] = _now_ms
    started_at: Callable[[str], int | None] = lambda _: None
    threads: Threads = THREADS


class Executor:
    """Obeys, or says why not. `take` is called on one thread; actions run on others."""

    def __init__(self, host: Host, workers: int = 4) -> None:
        """Work on `host`, with at most `workers` actions at the same time."""
        self.host = host
        self._workers = workers
        self._mutex = threading.RLock()
        self._waiting: deque[Command] = deque()
        self._running: dict[str, str] = {}
        self._cancelled: dict[str, str] = {}
        self._to_take_back: dict[str, float] = {}
        self._reflexes: set[str] = set()
        self._position: int | None = None
        self._caught_up = False
        self._stopped_by = host.ledger.stopped_by
        self._closing = threading.Event()
        self._idle = threading.Condition(self._mutex)

    def recover(self) -> None:
        """Say what an earlier life left open; call it once, before the first `take`.

        Commands that were begun and not ended are `interrupted`: what they did is for the planner to find out.
        """
        for outcome in self.host.ledger.untold:
            self.host.emit(Outcome.model_validate(outcome))
        for about in self.host.ledger.interrupted.values():
            command = Command.model_validate(about["command"])
            self._reflexes |= {command.intent} if about["reflex"] else set()
            reason = "Mendline died while this was at work; how far it got is not known"
            self._answer(command, Result("interrupted", reason), about["began"], self.host.now_ms())

    def take(self, records: Sequence[Command | Cancel | Stop], position: int, *, caught_up: bool) -> None:
        """Take in records of the commands partition, in order; `position` is the offset after the last of them.

        Nothing begins before `caught_up`: a cancel or stop further down the partition must be seen first. The ledger
        keeps the position from which a next life has to read (`Ledger.position`).
        """
        with self._mutex:
            if self._closing.is_set():
                return
            for record in records:
                self._take_one(record)
            self._position, self._caught_up = position, caught_up
            self._pump()

    def act_alone(self, command: Command) -> str | None:
        """Begin what no planner commanded, the log being out of reach; return why not, or None when it began.

        The outcome is marked as a reflex.
        """
        with self._mutex:
            why = self._why_not(command, REFLEX_REFUSALS)
            if why is None and self._closing.is_set():
                why = "Mendline is about to stop"
            if why is None:
                self._reflexes.add(command.intent)
                self._begin(command, REFLEX_REFUSALS)
            return why

    def tick(self) -> None:
        """Take back what was to be taken back later, if it is time; call it every second or so."""
        with self._mutex:
            if any(due and due <= self.host.threads.monotonic() for due in self._to_take_back.values()):
                self._pump()

    def told(self, outcome: Outcome) -> None:
        """Note that the outcome is on the log, and need not be said again after a crash."""
        self._note(lambda ledger: ledger.told(outcome.intent), "outcomes may be said again")

    @property
    def stopped_by(self) -> str | None:
        """Who ordered that nothing be begun, or None."""
        return self._stopped_by

    @property
    def busy(self) -> Mapping[str, str]:
        """The services that are worked on now, with the intents."""
        with self._mutex:
            return dict(self._running)

    def close(self, timeout_s: float) -> bool:
        """Begin nothing more, wait up to `timeout_s` for what is at work, and say whether all of it ended."""
        self._closing.set()
        with self._mutex:
            self._waiting.clear()
            self._to_take_back.clear()
            self._position = None  # what was dropped here is read again in the next life
            return self._idle.wait_for(lambda: not self._running, timeout_s)

    # Records -------------------------------------------------------------------------------------------------------

    def _take_one(self, record: Command | Cancel | Stop) -> None:
        if isinstance(record, Stop):
            self._take_stop(record)
        elif record.host == self.host.name:
            self._take_cancel(record) if isinstance(record, Cancel) else self._take_command(record)

    def _take_stop(self, stop: Stop) -> None:
        if why := self.host.keys.why_not(stop):
            logger.warning("a stop that %s is said to have ordered is not obeyed: %s", stop.by, why)
            return
        name = record_id("stop", stop.id, stop.by, stop.time, stop.active)
        if self.host.ledger.obeyed(name):
            logger.info("the order %s of %s was obeyed before: a repeat changes nothing", name[:8], stop.by)
            return
        logger.warning("%s ordered: %s", stop.by, "begin nothing" if stop.active else "go on")
        by = self._stopped_by = stop.by if stop.active else None
        self._note(lambda ledger: ledger.stop(name, by), "the order is obeyed, and forgotten at the next start")

    def _take_cancel(self, cancel: Cancel) -> None:
        if why := self.host.keys.why_not(cancel):
            logger.warning("the cancel of %s is not obeyed: %s", cancel.intent, why)
            return
        self._cancelled[cancel.intent] = cancel.reason or "cancelled"
        while len(self._cancelled) > CANCELLED_KEPT:
            self._cancelled.pop(next(iter(self._cancelled)))
        if self.host.ledger.known(cancel.intent):
            self._to_take_back[cancel.intent] = 0.0

    def _take_command(self, command: Command) -> None:
        if why := self.host.keys.why_not(command):
            self._answer_stranger(command, why)
        elif self.host.ledger.known(command.intent):
            self._repeat(command)
        elif all(waiting.intent != command.intent for waiting in self._waiting):
            self._waiting.append(command)

    def _repeat(self, command: Command) -> None:
        outcome = self.host.ledger.outcome(command.intent)
        if outcome is not None:
            self.host.emit(Outcome.model_validate(outcome))

    # Work ----------------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Begin what waits, unless there is more to read: a stop or cancel may stand there."""
        if not self._caught_up:
            return
        self._take_back_what_may_be()
        while self._waiting and len(self._running) < self._workers and not self._closing.is_set():
            command = self._waiting.popleft()
            if why := self._why_not(command, REFUSALS):
                self._answer(command, Result("refused", why))
            else:
                self._begin(command, REFUSALS)
        if not self._waiting and not self._to_take_back and self._position is not None:
            position, self._position = self._position, None
            self._note(lambda ledger: ledger.read_up_to(position), "commands will be read again, and not run again")

    def _note(self, note: Callable[[Ledger], None], otherwise: str) -> None:
        try:
            note(self.host.ledger)
        except LedgerError as error:
            logger.warning("%s; %s", error, otherwise)

    def _why_not(self, command: Command, refusals: Sequence[Refusal]) -> str | None:
        with self._mutex:
            return next((why for refuse in refusals if (why := refuse(self, command))), None)

    def _begin(self, command: Command, refusals: Sequence[Refusal]) -> None:
        """Note the command and do it, if nothing stands against it when its thread runs: the disk may be slow."""
        began = self.host.now_ms()
        about = {
            "command": command.model_dump(mode="json", exclude_none=True),
            "began": began,
            "reflex": command.intent in self._reflexes,
        }
        try:
            self.host.ledger.begin(command.intent, about)
        except LedgerError as error:
            self._answer(command, Result("refused", str(error)))
            return
        work = Work(
            command,
            self._context,
            self.host.actions[command.action].run,
            partial(self._finished, command, began),
            self._released,
            self._closing,
            self.host.threads,
            lambda: self._why_not(command, refusals),
            lambda: self._why_not(command, REFUSALS_AGAIN),
        )
        self._start(work)

    def _start(self, work: Work) -> None:
        self._running[work.command.service] = work.command.intent
        self.host.threads.start(f"act-{work.command.service}", work.run)

    def _context(self, command: Command, timeout_s: float) -> ActionContext:
        return ActionContext(
            intent=command.intent,
            host=command.host,
            service=command.service,
            settings=self.host.services.get(command.service, ServiceSettings()),
            timeout_s=timeout_s,
            parameters=command.parameters,
            started_since=_started_since(self.host, command),
            evidence_time=command.evidence_time,
        )

    def _finished(self, command: Command, began: int, result: Result) -> None:
        with self._mutex:
            times = (None, None) if result.status == "refused" else (began, self.host.now_ms())
            self._answer(command, result, *times)

    def _released(self, command: Command) -> None:
        """Let the service go: its action does nothing any more, whatever it was said to have become before."""
        with self._mutex:
            self._running.pop(command.service, None)
            self._idle.notify_all()
            self._pump()

    # Taking back ---------------------------------------------------------------------------------------------------

    def _take_back_what_may_be(self) -> None:
        """Begin to take back deeds whose cancel came when they were done: their fault is over.

        They wait for their service to be free, until it is time, and while people have everything stopped; the position
        is not noted before they ended, so that a next life reads their cancel again.
        """
        for intent, due in tuple(self._to_take_back.items()):
            if self._closing.is_set() or self._stopped_by is not None:
                return
            if due > self.host.threads.monotonic():
                continue
            done = self.host.ledger.outcome(intent)
            command = _command_to_take_back(Outcome.model_validate(done)) if done else None
            if command and command.service not in self._running:
                self._take_back(command)

    def _take_back(self, command: Command) -> None:
        deed = getattr(self.host.actions.get(command.action), "take_back", None)
        if deed is None or self._why_not(command, (_not_ours, _not_allowed)):
            self._to_take_back.pop(command.intent)
            return
        began = self.host.now_ms()
        said = partial(self._taken_back, command, began)
        undo = partial(self._undo, deed)
        self._start(Work(command, self._context, undo, said, self._released, self._closing, self.host.threads))

    def _undo(self, deed: Callable[[ActionContext], str], context: ActionContext) -> str:
        try:
            return deed(context)
        except TooSoonError as error:
            with self._mutex:
                self._to_take_back[context.intent] = self.host.threads.monotonic() + error.delay_s
            return ""

    def _taken_back(self, command: Command, began: int, result: Result) -> None:
        with self._mutex:
            if self._to_take_back.get(command.intent, 0.0) <= self.host.threads.monotonic():
                self._to_take_back.pop(command.intent, None)
            if result != Result("succeeded", ""):
                name = record_id("outcome", command.intent, "taken back")
                self.host.emit(self._outcome(command, result, Span(began, self.host.now_ms()), name))

    # Answers -------------------------------------------------------------------------------------------------------

    def _answer(self, command: Command, result: Result, began: int | None = None, ended: int | None = None) -> None:
        outcome = self._outcome(command, result, Span(began, ended))
        try:
            self.host.ledger.end(command.intent, outcome.model_dump(mode="json", exclude_none=True))
        except LedgerError:
            logger.exception("the outcome of %s is said but not kept", command.intent)
        self._reflexes.discard(command.intent)
        self.host.emit(outcome)

    def _answer_stranger(self, command: Command, why: str) -> None:
        """Refuse a command nobody vouches for; its id stays free for the true one."""
        digest = hashlib.blake2b(encode_record(command), digest_size=8).hexdigest()
        name = record_id("outcome", command.intent, "stranger", digest)
        self.host.emit(self._outcome(command, Result("refused", why), name=name))

    def _outcome(self, command: Command, result: Result, span: Span = NEVER, name: str = "") -> Outcome:
        logger.info("%s of %s: %s %s", command.action, command.target, result.status, result.reason)
        reflex = command.intent in self._reflexes
        return self.host.keys.sign(outcome_of(command, result, self.host.now_ms(), span, name=name, reflex=reflex))

    # Questions that refusals ask -----------------------------------------------------------------------------------

    def cancelled(self, intent: str) -> str | None:
        """Return why the intent was cancelled, or None."""
        return self._cancelled.get(intent)

    @property
    def closing(self) -> threading.Event:
        """Set when the executor is being closed."""
        return self._closing


def _command_to_take_back(done: Outcome) -> Command:
    """Return a command about the service of a deed that ended."""
    return Command(
        source=done.host,
        time=done.time,
        intent=done.intent,
        host=done.host,
        target=done.target,
        service=done.target.partition("/")[2],
        action=done.action,
        deadline=done.time,
        timeout_ms=TAKE_BACK_WITHIN_MS,
    )


def _started_since(host: Host, command: Command) -> str:
    """Return that the service was started anew after the evidence, or an empty text.

    A start is known to `START_GRAIN_MS`: an agent that finds its service dead starts it within that, and what it told
    of the death must not lead to a second start. A start that lies in the future says that the clock was set back,
    and nothing about the evidence.
    """
    started, seen = host.started_at(command.service), command.evidence_time
    if started is None or seen is None:
        return ""
    if not seen - START_GRAIN_MS < started <= host.now_ms() + START_GRAIN_MS:
        return ""
    after = max(started - seen, 0)
    return f"{command.service} was started anew {after} ms after the evidence for this, by somebody else"


# Why not --------------------------------------------------------------------------------------------------------------


def _stopped(executor: Executor, _: Command) -> str | None:
    by = executor.stopped_by
    return f"{by} ordered that nothing be begun" if by is not None else None


def _cancelled(executor: Executor, command: Command) -> str | None:
    return executor.cancelled(command.intent)


def _late(executor: Executor, command: Command) -> str | None:
    now = executor.host.log_time()
    if now is None:
        return "the log has not answered this host for 10 s: whether the command still stands is not known"
    late = now - command.deadline
    return f"it came {late} ms after its deadline" if late > 0 else None


def _not_ours(executor: Executor, command: Command) -> str | None:
    target = f"{command.host}/{command.service}" if command.service else command.host
    if command.service not in executor.host.services and not _touches_nothing(executor, command):
        return f"the settings of {executor.host.name} name no service {command.service!r}"
    return None if command.target == target else f"its target {command.target!r} is not {target!r}"


def _touches_nothing(executor: Executor, command: Command) -> bool:
    action = executor.host.actions.get(command.action)
    return not getattr(action, "touches", True)


def _not_allowed(executor: Executor, command: Command) -> str | None:
    if _touches_nothing(executor, command) or command.action in executor.host.services[command.service].allow:
        return None
    return f"{executor.host.name} does not allow {command.action!r} here: add it to services.{command.service}.allow"


def _unknown(executor: Executor, command: Command) -> str | None:
    if command.action in executor.host.actions:
        return None
    return f"there is no action {command.action!r}; known are {', '.join(sorted(executor.host.actions))}"


def _unfit(executor: Executor, command: Command) -> str | None:
    model = parameters_of(executor.host.actions[command.action])
    wrong = wrong_parameters(model, command.parameters) if model else ()
    return next((f"its parameters do not fit {command.action}: {one.text}" for one in wrong), None)


def _busy(executor: Executor, command: Command) -> str | None:
    intent = executor.busy.get(command.service)
    others = intent not in (None, command.intent)
    return f"the action of {intent} is still at work on {command.service}" if others else None


REFUSALS: Sequence[Refusal] = (_stopped, _cancelled, _late, _not_ours, _unknown, _not_allowed, _unfit, _busy)
REFLEX_REFUSALS: Sequence[Refusal] = (_stopped, _not_ours, _unknown, _not_allowed, _busy)
REFUSALS_AGAIN: Sequence[Refusal] = (_stopped, _cancelled)
