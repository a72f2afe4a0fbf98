"""Drives all probes on one thread: begins tries in time, steps those whose file is ready, gives up those too late.

A probe is tried every `every`, whether or not earlier tries still wait for their answer: so a hung service is known
as failing every `every`, and a try that hangs delays neither the next one nor any other probe.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import selectors
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from time import monotonic
from typing import Protocol

from mendline.producers.base import Collected, Emit, MillisecondClock
from mendline.producers.probes.attempt import Answer, Attempt, Names, ProbeFailedError, Wait
from mendline.producers.probes.dns import DnsProbe
from mendline.producers.probes.http import HttpProbe
from mendline.producers.probes.tally import Found, Plan, Probe, Tally
from mendline.producers.probes.tcp import TcpProbe
from mendline.producers.work import WorkWatch
from mendline.schemas.records import Failure, ProbeEvent, Work
from mendline.schemas.settings import ProbeSettings, Settings

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 64
TOGETHER = 8
LATEST_S = 30.0
"""One try at a time of each probe may go on after it counted as failed, for this long: does an answer come late?"""


class ProcessLook(Protocol):
    """Tells about the processes of services, as `processes.ProcessWatch` does."""

    def state(self, service: str) -> str:
        """Return the state letter of the service's process, empty without one."""

    def started_at(self, service: str) -> int | None:
        """Return when it was started (ms); 0 without one, None before anybody looked for one."""

    def pid(self, service: str) -> int | None:
        """Return its id, None without one."""


_NOTHING_YET = Wait(-1, 0, "beginning")


@dataclass(eq=False)
class _Try:
    """One try under way."""

    tally: Tally
    attempt: Attempt
    began: float
    wait: Wait = _NOTHING_YET
    over: bool = False


def plans(settings: Settings, names: Names) -> list[Plan]:
    """Return the probes of all services and peers. Raises ValueError for one that makes no sense."""
    found = [
        _plan(name, probe, label, names)
        for name, service in settings.services.items()
        for probe, label in zip(service.probes, _labels(service.probes), strict=True)
    ]
    return [*found, *(_peer(name, address, settings, names) for name, address in settings.host.peers.items())]


def _peer(name: str, address: str, settings: Settings, names: Names) -> Plan:
    every_s = settings.host.interval / 1000
    return Plan(
        TcpProbe(names, address),
        "",
        name,
        every_s=every_s,
        timeout_s=max(every_s, 1.0),
        fail_after_ms=5000,
        metric="mendline.peer.round_trip_time",
        attribute="mendline__peer",
    )


def _labels(probes: Sequence[ProbeSettings]) -> Iterator[str]:
    """Give each probe its label, and a number too where two ask the same: series and events must not be mixed up."""
    seen: Counter[str] = Counter()
    for probe in probes:
        seen[probe.label] += 1
        yield probe.label if seen[probe.label] == 1 else f"{probe.label} ({seen[probe.label]})"


def _plan(service: str, settings: ProbeSettings, label: str, names: Names) -> Plan:
    probe: Probe
    if settings.http:
        probe = HttpProbe(names, settings)
    elif settings.tcp:
        probe = TcpProbe(names, settings.tcp)
    else:
        probe = DnsProbe(names, settings.dns or "")
    return Plan(
        probe,
        service,
        label,
        every_s=settings.every / 1000,
        timeout_s=settings.timeout / 1000,
        fail_after_ms=settings.fail_after,
        metric=probe.metric,
        encrypted=bool(settings.http and settings.http.startswith("https:")),
    )


class Prober:
    """Runs probes. A collector too: `collect` returns what the tries since the last round amount to."""

    name = "probes"

    def __init__(
        self, source: str, found: Sequence[Plan], emit: Emit, clock: MillisecondClock, processes: ProcessLook
    ) -> None:
        """Run the probes `found`, hand events in the name of `source` to `emit`."""
        self._tallies = [Tally(plan, source) for plan in found]
        self._series = tuple(one for tally in self._tallies for one in tally.series)
        self._emit = emit
        self._clock = clock
        self._processes = processes
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = os.pipe()
        self._selector.register(self._wake_in, selectors.EVENT_READ)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._under_way: dict[Tally, int] = dict.fromkeys(self._tallies, 0)
        self._planned: dict[Tally, float] = {}
        self._waiting: dict[int, _Try] = {}
        self._patient: dict[Tally, _Try] = {}
        self._works: dict[Tally, WorkWatch] = {}
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; the first tries are spread over their intervals, a few at a time, which costs less than one by one."""
        now = monotonic()
        groups = ceil(len(self._tallies) / TOGETHER)
        for number, tally in enumerate(self._tallies):
            self._at(now + tally.plan.every_s * (number // TOGETHER) / groups, partial(self._begin, tally))
        if self._tallies:
            self._thread = threading.Thread(target=self._serve, name="probes", daemon=True)
            self._thread.start()

    def collect(self, now_ms: int) -> Collected:
        """Return the results since the last round."""
        return Collected(self._series, [value for tally in self._tallies for value in tally.take()])

    def close(self) -> None:
        """Give all tries up and end; no event is emitted after this returned."""
        self._closing = True
        os.write(self._wake_out, b"\0")
        if self._thread:
            self._thread.join()
        for one in self._waiting.values():
            one.attempt.close()
        self._selector.close()
        os.close(self._wake_in)
        os.close(self._wake_out)

    def _serve(self) -> None:
        while not self._closing:
            left = self._due[0][0] - monotonic() if self._due else None
            for key, _ in self._selector.select(left if left is None else max(left, 0.0)):
                if key.fd != self._wake_in:
                    self._step(key.data)
            while self._due and self._due[0][0] <= monotonic() and not self._closing:
                heapq.heappop(self._due)[2]()

    def _at(self, when: float, work: Callable[[], None]) -> None:
        heapq.heappush(self._due, (when, next(self._order), work))

    def _begin(self, tally: Tally) -> None:
        plan, now = tally.plan, monotonic()
        planned = self._next_time(tally, now)
        self._at(planned, partial(self._begin, tally))
        if self._under_way[tally] >= MOST_AT_ONCE:
            return
        one = _Try(tally, plan.probe.attempt(), now)
        self._under_way[tally] += 1
        tally.begun(self._clock())
        self._at(now + plan.timeout_s, partial(self._expire, one))
        self._step(one)

    def _next_time(self, tally: Tally, now: float) -> float:
        """Return when the next try is due: one interval after this one was, or after now if that is long past."""
        every = tally.plan.every_s
        due = self._planned.get(tally, now) + every
        self._planned[tally] = due if due > now else now + every
        return self._planned[tally]

    def _step(self, one: _Try) -> None:
        """Let a try go on; it yields what it waits for next, or ends."""
        self._unwatch(one)
        try:
            one.wait = next(one.attempt)
        except StopIteration as end:
            self._succeeded(one, end.value)
        except ProbeFailedError as error:
            self._failed(one, str(error), error.failure)
        except OSError as error:
            self._failed(one, str(error), "wrong")
        except Exception as error:
            logger.exception("the probe %s failed in an unexpected way", one.tally.plan.label)
            self._failed(one, f"{type(error).__name__}: {error}", None)
        else:
            self._selector.register(one.wait.file, one.wait.events, one)
            self._waiting[one.wait.file] = one

    def _unwatch(self, one: _Try) -> None:
        if self._waiting.pop(one.wait.file, None):
            self._selector.unregister(one.wait.file)

    def _expire(self, one: _Try) -> None:
        if one.over:
            return
        plan, phase, failure = one.tally.plan, one.wait.phase, one.wait.failure
        if one.tally not in self._patient and plan.service:
            self._patient[one.tally] = one
            self._at(one.began + LATEST_S, partial(self._give_up, one))
        else:
            self._drop(one)
        self._failed(one, f"no answer within {plan.timeout_s * 1000:.0f} ms, {phase}", failure)

    def _give_up(self, one: _Try) -> None:
        if self._patient.get(one.tally) is one:
            del self._patient[one.tally]
            self._drop(one)

    def _drop(self, one: _Try) -> None:
        self._unwatch(one)
        one.attempt.close()

    def _end(self, one: _Try) -> float:
        one.over = True
        self._under_way[one.tally] -= 1
        return monotonic() - one.began

    def _succeeded(self, one: _Try, answer: Answer) -> None:
        if one.over:
            del self._patient[one.tally]
            one.tally.late(self._clock(), monotonic() - one.began)
            return
        if one.tally in self._works:
            self._works[one.tally].begin()
        began = self._processes.started_at(one.tally.plan.service)
        self._tell(one.tally.succeeded(self._clock(), self._end(one), answer, began))

    def _failed(self, one: _Try, why: str, failure: Failure | None) -> None:
        if one.over:
            del self._patient[one.tally]
            return
        service = one.tally.plan.service
        took_s = self._end(one)
        letter, began = self._processes.state(service), self._processes.started_at(service)
        found = Found(why, failure, letter, began, self._work(one.tally))
        self._tell(one.tally.failed(self._clock(), took_s, found))

    def _work(self, tally: Tally) -> Work | None:
        pid = self._processes.pid(tally.plan.service) if tally.plan.service else None
        return self._works.setdefault(tally, WorkWatch()).look(pid) if pid else None

    def _tell(self, event: ProbeEvent | None) -> None:
        if event:
            self._emit(event)
