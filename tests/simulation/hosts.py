"""Hosts: the real executor, its real ledger on files, its real reader of commands, and deeds that are only noted."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mendline.agent.commands import CommandReader
from mendline.responders.action import OvertakenError, PermanentError, TemporaryError
from mendline.responders.clock import LogClockEstimate
from mendline.responders.executor import Executor, Host
from mendline.responders.ledger import Ledger
from mendline.responders.reflex import Reflex
from mendline.responders.work import Threads
from mendline.schemas.records import Command, Heartbeat, Outcome, encode_record
from mendline.schemas.settings import ReflexSettings
from mendline.schemas.stream import NewRecord
from tests.simulation.deeds import Deed
from tests.simulation.members import Way
from tests.simulation.plan import ACTIONS, services_in
from tests.simulation.process import Process
from tests.simulation.services import METRICS

if TYPE_CHECKING:
    import random

    from mendline.logs.memory import MemoryLog
    from mendline.responders.action import ActionContext
    from mendline.responders.signing import KeyRing
    from tests.simulation.plan import Allowed
    from tests.simulation.truth import Truth
    from tests.simulation.virtual import Time

COMMANDS = "mendline.commands"
TURNS_MS = (10, 100, 600)
BEAT_MS = 1_000


class SteppingLedger(Ledger):
    """The ledger, with a step before and after each line."""

    def __init__(self, folder: Path, process: Process) -> None:
        """Open it in the name of the process."""
        super().__init__(folder)
        self._process = process

    def abandon(self) -> None:
        """Close its files as the kernel does, whoever works on them."""
        os.close(self._file)
        os.close(self._lock)

    def _write(self, line: bytes, *, durable: bool) -> None:
        self._process.step(deed=durable)
        super()._write(line, durable=durable)
        self._process.step(deed=durable)


class NotingExecutor(Executor):
    """The executor; `read` is the offset up to which it has been given commands, `alone` what it did by reflex."""

    read = 0

    def __init__(self, host: Host, workers: int) -> None:
        """Do nothing alone yet."""
        super().__init__(host, workers)
        self.alone: set[str] = set()

    def act_alone(self, command: Command) -> str | None:
        """Note whose idea it is."""
        self.alone.add(command.intent)
        return super().act_alone(command)

    def take(self, records: Any, position: int, *, caught_up: bool) -> None:
        """Note how far its host has read, and take the records."""
        self.read = position
        super().take(records, position, caught_up=caught_up)


@dataclass
class Site:
    """What of a host outlives its agent: its folder, what its file allows, its keys, its way to the log.

    `slow_ms`: what an acknowledgement takes. `epoch` counts the lives of its agent.
    """

    name: str
    folder: Path
    allowed: Allowed
    keys: KeyRing
    log: MemoryLog
    truth: Truth
    deeds: list[Deed]
    time: Time
    lots: random.Random
    slow_ms: float = 5.0
    calm: bool = False
    epoch: int = 0
    way: Way = field(default_factory=Way)

    @property
    def cut_until(self) -> int:
        """The host does not reach the log before (ms)."""
        return self.way.cut_until


class Agent(Process):
    """One life of a host's agent. Raises LedgerBusyError while another works in the same folder."""

    def __init__(self, site: Site) -> None:
        """Open the ledger and begin to work."""
        super().__init__(site.time, site.lots)
        self.site = site
        self.ledger = SteppingLedger(site.folder, self)
        self.allowed = site.allowed
        self._clock = LogClockEstimate(site.time.monotonic)
        self._outcomes: deque[Outcome] = deque()
        actions = {name: _Action(name, self) for name in ACTIONS}
        self.executor = NotingExecutor(
            Host(
                name=site.name,
                services=services_in(site.allowed),
                actions=actions,
                ledger=self.ledger,
                keys=site.keys,
                log_time=self._clock,
                emit=self._emit,
                now_ms=partial(site.truth.clock, site.name),
                started_at=lambda name: site.truth.services[f"{site.name}/{name}"].started_at,
                threads=Threads(lambda _, run: self.start(run), self._after, self._wait, site.time.monotonic),
            ),
            workers=site.lots.choice([1, 2, 4]),
        )
        log: Any = site.log
        self._reader = CommandReader(log, COMMANDS, site.name, self.executor, self.ledger)
        self._producer = site.log.producer(site.name)
        self._away_since: int | None = None
        self._reflex = Reflex(self.executor, ReflexSettings(), self._away_s, site.time.monotonic)
        self._begin()

    def _begin(self) -> None:
        self.start(self._publish)

    def die(self) -> None:
        """End; the kernel closes its files."""
        super().die()
        self.ledger.abandon()

    # What runs in it --------------------------------------------------------------------------------------------------

    def _publish(self) -> None:
        self.executor.recover()
        self._beat()
        self.start(self._read)
        self.start(self._look)
        due = self.time.now + BEAT_MS
        while True:
            while self._outcomes:
                self._send(self._outcomes[0])
                self.executor.told(self._outcomes.popleft())
            if self.time.now >= due:
                self._beat()
                due = self.time.now + BEAT_MS
            self.doze(max(due - self.time.now, 1), TURNS_MS)

    def _beat(self) -> None:
        self._send(Heartbeat(source=self.site.name, time=self.site.truth.clock(self.site.name), interval_ms=BEAT_MS))

    def _send(self, record: Outcome | Heartbeat) -> None:
        self._wait_for_the_log()
        self.step(deed=isinstance(record, Outcome))
        sent_at = self.time.monotonic()
        (position,) = self._producer.append([NewRecord(METRICS.topic, encode_record(record), partition=0)]).result(0)
        self.sleep(self.site.slow_ms)
        self.step(deed=isinstance(record, Outcome))
        self._clock.acknowledged(position.timestamp, self.time.monotonic() - sent_at)

    def _read(self) -> None:
        self._wait_for_the_log()
        self._reader.begin()
        while True:
            self._wait_for_the_log()
            self._reader.turn(0.0)
            self.executor.tick()
            self.doze(self._rest_ms(), TURNS_MS)

    def _rest_ms(self) -> float:
        """Return how long nothing may be read where nobody says that there is something."""
        return BEAT_MS

    def _look(self) -> None:
        """Ask the reflex about each service that has exited."""
        while True:
            for service in self.site.truth.services.values():
                if service.host == self.site.name and service.sick and service.sick.kind == "dead":
                    self._reflex.exited(service.name)
            self.sleep(BEAT_MS)

    def _away_s(self) -> float:
        return 0.0 if self._away_since is None else (self.time.now - self._away_since) / 1000

    def _wait_for_the_log(self) -> None:
        while self.site.cut_until > self.time.now:
            self._away_since = self._away_since or self.time.now
            self.sleep(self.site.cut_until - self.time.now)
        self._away_since = None

    # What the executor asks for ---------------------------------------------------------------------------------------

    def _emit(self, outcome: Outcome) -> None:
        self.step(deed=True)
        self._outcomes.append(outcome)
        self.rouse()

    def _after(self, delay_s: float, call: Callable[[], None]) -> Callable[[], None]:
        timer = _Timer(call)
        self.start(timer, delay_s * 1000)
        return timer.cancel

    def _wait(self, event: threading.Event, delay_s: float) -> bool:
        self.sleep(delay_s * 1000)
        return event.is_set()

    def note(self, context: ActionContext, action: str, *, again: bool) -> Deed:
        """Note a deed that begins now."""
        service = self.site.truth.services[f"{context.host}/{context.service}"]
        deed = Deed(
            context.intent,
            context.host,
            context.service,
            action,
            began=self.time.now,
            read=self.executor.read,
            sick=service.sick.fault if service.sick else "",
            started=service.started_at,
            allowed=self.allowed[context.service],
            again=again,
            alone=context.intent in self.executor.alone,
        )
        self.site.deeds.append(deed)
        return deed


@dataclass
class _Timer:
    call: Callable[[], None]
    off: bool = False

    def cancel(self) -> None:
        self.off = True

    def __call__(self) -> None:
        if not self.off:
            self.call()


@dataclass
class _Action:
    """An action that notes that it was called, takes its time, and helps or does not, or wants to be tried again."""

    name: str
    agent: Agent
    _asked: set[str] = field(default_factory=set)

    def run(self, context: ActionContext) -> str:
        """Do it."""
        if context.started_since:
            raise OvertakenError(context.started_since)
        again = context.intent in self._asked
        self._asked.discard(context.intent)
        deed = self.agent.note(context, self.name, again=again)
        try:
            return self._do(context)
        finally:
            deed.ended = self.agent.time.now

    def _do(self, context: ActionContext) -> str:
        agent, lots = self.agent, self.agent.lots
        agent.step(deed=True)
        agent.sleep(lots.choice([0, 50, 500, 2_000, 3_500]))
        fate = 0.0 if agent.site.calm else lots.random()
        if fate < 0.65:
            self._mend(context)
        agent.step(deed=True)
        if 0.65 <= fate < 0.75:
            self._asked.add(context.intent)
            raise TemporaryError("not yet", lots.choice([0.1, 1.0, 2.5]))
        if 0.75 <= fate < 0.85:
            raise PermanentError("it cannot be done")
        if 0.85 <= fate < 0.9:
            agent.sleep(context.timeout_s * 1000 * lots.choice([1.0, 2.0, 4.0]))
        return "done"

    def _mend(self, context: ActionContext) -> None:
        truth = self.agent.site.truth
        service = truth.services[f"{context.host}/{context.service}"]
        truth.start(service)
        sickness, late_ms = service.sick, self.agent.lots.choice([20, 200, 2_000])
        if sickness and truth.mends(sickness, self.name):
            self.agent.time.after(late_ms, partial(truth.heal, service, sickness))
