"""Watched processes: what they use in every round, and an event at the moment they die, stop, go on or are found."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

from mendline.producers.base import NO_VALUE, Collected, Emit, MillisecondClock
from mendline.producers.exits import Exit, ExitWatch
from mendline.producers.locators import Ending, Locator
from mendline.producers.metrics import each, series
from mendline.producers.oom import KillCount, group_kills, host_kills
from mendline.producers.procfs import STOPPED, TRACED, Process, Sample, open_process
from mendline.schemas.base import record_id
from mendline.schemas.records import ProcessEvent, ProcessState
from mendline.schemas.series import Series

logger = logging.getLogger(__name__)

_STATES = {"running": "R", "sleeping": "SI", "blocked": "D", "stopped": "Tt"}
_GONE = {"", "Z", "X"}
_NOT_RUNNING: Mapping[str, ProcessState] = {STOPPED: "stopped", TRACED: "traced"}


@dataclass(eq=False)
class _Life:
    """One process of a service, from when it was found to its death."""

    process: Process
    kills: KillCount
    condition: ProcessState = "continued"
    cpu_s: float = NO_VALUE
    looked_at: float = 0.0

    def close(self) -> None:
        self.process.close()
        self.kills.close()


@dataclass(eq=False)
class _Service:
    name: str
    locator: Locator
    life: _Life | None = None
    lives: int = 0
    looked_for: bool = False
    refused: tuple[int, int] = (0, 0)
    lock: threading.RLock = field(default_factory=threading.RLock)


class ProcessWatch:
    """Watches the processes of this host's services. A collector; its other methods may be called from any thread."""

    name = "processes"

    def __init__(
        self, source: str, locators: Mapping[str, Locator], emit: Emit, clock: MillisecondClock, cores: int
    ) -> None:
        """Find each service's process by its locator; hand events, in the name of `source`, to `emit`."""
        self._source = source
        self._services = {name: _Service(name, locator) for name, locator in locators.items()}
        self._emit = emit
        self._clock = clock
        self._cores = cores
        self._exits = ExitWatch()
        self._host_kills = host_kills()
        self._series = tuple(_series(self._services))

    def attach(self, service: str, pid: int, *, adopted: bool = False) -> None:
        """Watch process `pid` as the service's from now on; `adopted`: it ran before this agent came.

        Does nothing when it is watched already. A process that is dead and reaped by now is reported as exited.
        """
        of = self._services[service]
        with of.lock:
            of.looked_for = True
            if of.life and of.life.process.pid == pid:
                return
            try:
                life = _Life(open_process(pid), group_kills(pid))
            except ProcessLookupError:
                self._say(service, "exited", pid, None, detail="it had ended before it could be watched")
                return
            if of.life:
                of.life.close()
            of.life = life
            of.lives += 1
            self._say(service, "adopted" if adopted else "started", pid, life.process.started_at)
        try:
            self._exits.watch(pid, lambda ended: self._ended(of, life, ended))
        except ProcessLookupError:
            self._ended(of, life, Exit())

    def ended_unseen(self, service: str, pid: int, started_at: int, ended: Exit) -> None:
        """Tell of a process of the service, started at `started_at` (ms), that ended while nobody watched it."""
        ending = self._services[service].locator.explain(pid, ended)
        self._say(
            service,
            "exited",
            pid,
            started_at,
            exit_code=ending.exit.code,
            signal=ending.exit.signal,
            meant=ending.meant,
            detail="it ended while no agent watched it",
            error_lines=ending.error_lines,
        )

    def state(self, service: str) -> str:
        """Return the state letter of the service's process as it is now; empty without one.

        An event comes before it returns when the process was stopped, traced or continued since the last look, or has
        ended; of an end that takes time to explain, as that of a unit, it comes later. Not to be asked while an event
        is handled.
        """
        of = self._services.get(service)
        if not of:
            return ""
        letter = self._letter(of)
        if letter in _GONE:
            self._exits.settle()
            letter = self._letter(of)
        return letter

    def _letter(self, of: _Service) -> str:
        with of.lock:
            letter = of.life.process.state() if of.life else ""
            self._notice(of, letter)
        return letter

    def started_at(self, service: str) -> int | None:
        """Return when the service's process was started (ms); 0 without one, None before anybody looked for one."""
        of = self._services.get(service)
        if not of or not of.looked_for:
            return None
        life = of.life
        return life.process.started_at if life else 0

    def pid(self, service: str) -> int | None:
        """Return the service's process, None without one."""
        of = self._services.get(service)
        life = of.life if of else None
        return life.process.pid if life else None

    def collect(self, now_ms: int) -> Collected:
        """Look for processes that are not known, and at those that are."""
        values: list[float] = []
        for of in self._services.values():
            if not of.life:
                self._look_for(of)
            values += self._look_at(of, now_ms)
        self._host_kills.note()
        return Collected(self._series, values)

    def close(self) -> None:
        """Watch nothing more; no event is emitted after this returned."""
        self._exits.close()
        for of in self._services.values():
            with of.lock:
                if of.life:
                    of.life.close()
                    of.life = None

    def _look_for(self, of: _Service) -> None:
        pid = of.locator.locate()
        first = not of.looked_for
        if pid is not None and self._alive(pid):
            self.attach(of.name, pid, adopted=first)
        elif first:
            self._say(of.name, "missing", pid or 0, None, meant=of.locator.meant_absence())
        of.looked_for = True

    def _alive(self, pid: int) -> bool:
        """Say whether the process is there: a pidfile may be stale, and a zombie is no service."""
        try:
            process = open_process(pid)
        except ProcessLookupError:
            return False
        letter = process.state()
        process.close()
        return letter not in _GONE

    def _look_at(self, of: _Service, now_ms: int) -> list[float]:
        with of.lock:
            life = of.life
            if not life:
                return _absent(of)
            try:
                sample = life.process.sample()
            except ProcessLookupError:
                return _absent(of)
            self._notice(of, sample.state)
            life.kills.note()
            share = self._share(life, sample)
        uptime = max(now_ms - life.process.started_at, 0) / 1000
        return [*_values(sample), share, uptime, 1.0, *_one_hot(sample.state), _restarts(of)]

    def _share(self, life: _Life, sample: Sample) -> float:
        now, used = monotonic(), sample.user_s + sample.system_s
        passed = now - life.looked_at
        share = (used - life.cpu_s) / passed / self._cores if passed > 0 else NO_VALUE
        life.cpu_s, life.looked_at = used, now
        return min(share, 1.0) if share == share else NO_VALUE  # noqa: PLR0124 - NaN at the first look

    def _notice(self, of: _Service, letter: str) -> None:
        """Say it when the process was stopped, traced, or goes on since the last look."""
        life = of.life
        if not life or letter in _GONE:
            return
        condition = _NOT_RUNNING.get(letter, "continued")
        if condition != life.condition:
            life.condition = condition
            self._say(of.name, condition, life.process.pid, life.process.started_at)

    def _ended(self, of: _Service, life: _Life, ended: Exit) -> None:
        killed_for_memory = ended.signal == "SIGKILL" and self._for_memory(life)
        died_at = self._clock()
        with of.lock:
            if of.life is life:
                of.life = None
        life.close()
        work = partial(self._explain, of, life.process, ended, died_at, killed_for_memory=killed_for_memory)
        if of.locator.slow:
            threading.Thread(target=self._follow_up, args=(of, work), name=f"end of {of.name}", daemon=True).start()
        else:
            work()

    def _follow_up(self, of: _Service, work: Callable[[], None]) -> None:
        """Tell of an end, and of the process that whoever runs the service has started in its place already."""
        work()
        if not of.life:
            self._look_for(of)

    def _for_memory(self, life: _Life) -> bool:
        in_group = life.kills.moved()
        return bool(self._host_kills.moved()) if in_group is None else in_group

    def _explain(self, of: _Service, process: Process, ended: Exit, died_at: int, *, killed_for_memory: bool) -> None:
        try:
            ending = of.locator.explain(process.pid, ended)
        except Exception as error:  # noqa: BLE001 - a death must be told, whatever else fails
            ending = Ending(ended, detail=f"its circumstances are unknown: {error}")
        self._say(
            of.name,
            "exited",
            process.pid,
            process.started_at,
            time=died_at,
            exit_code=ending.exit.code,
            signal=ending.exit.signal,
            oom_killed=killed_for_memory,
            meant=ending.meant and not killed_for_memory,
            detail=ending.detail,
            error_lines=ending.error_lines,
        )

    def _say(
        self,
        service: str,
        state: ProcessState,
        pid: int,
        started_at: int | None,
        *,
        time: int | None = None,
        **more: object,
    ) -> None:
        when = self._clock() if time is None else time
        named = record_id("process", self._source, service, state, pid, started_at or 0, when)
        event = {"id": named, "source": self._source, "time": when, "service": service, "state": state, "pid": pid}
        self._emit(ProcessEvent.model_validate(event | {"started_at": started_at} | more))


def _values(sample: Sample) -> list[float]:
    return [*sample[1:]]


def _one_hot(letter: str) -> list[float]:
    return [float(letter in letters) for letters in _STATES.values()]


def _restarts(of: _Service) -> float:
    return float(max(of.lives - 1, 0))


def _absent(of: _Service) -> list[float]:
    return [NO_VALUE] * 12 + [0.0] + [0.0] * len(_STATES) + [_restarts(of)]


def _series(services: Iterable[str]) -> Iterable[Series]:
    for name in services:
        yield from each("process.cpu.time", "cpu__mode", ("user", "system"), service=name)
        yield series("process.memory.usage", name)
        yield series("process.memory.virtual", name)
        yield series("process.thread.count", name)
        yield series("process.open_file_descriptor.count", name)
        yield from each("process.disk.io", "disk__io__direction", ("read", "write"), service=name)
        yield from each("process.paging.faults", "system__paging__fault__type", ("all", "major"), service=name)
        yield series("process.cpu.utilization", name)
        yield series("process.uptime", name)
        yield series("mendline.process.up", name)
        yield from each("mendline.process.state", "process__state", _STATES, service=name)
        yield series("mendline.process.restarts", name)
