"""Agents of a fleet: rounds, heartbeats and events through the real publisher, beside the executor of every host."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from mendline.agent.reflexes import Reflexes
from mendline.agent.rhythm import Rhythm
from mendline.agent.spool import Spool
from mendline.schemas.base import record_id
from mendline.schemas.records import ConfigurationChange, Heartbeat, ProbeEvent, ProcessEvent
from tests.simulation.fleet.plan import INTERVAL_MS
from tests.simulation.fleet.publishing import HostLog, SteppingPublisher
from tests.simulation.fleet.truth import TABLE, FleetTruth, What
from tests.simulation.hosts import Agent
from tests.simulation.plan import SERVICES
from tests.simulation.services import METRICS

if TYPE_CHECKING:
    from mendline.logs.base import Position
    from mendline.schemas.records import Event, Outcome
    from tests.simulation.truth import Service

HEARTBEAT_MS = 10_000
SPOOL_BYTES = 64 * 2**20
PROBE_MS, PROBES_SOON = 5_000, 12
REST_MS = 60_000


class FleetAgent(Agent):
    """One life of an agent that observes its services as well. Raises LedgerBusyError."""

    truth: FleetTruth

    def _begin(self) -> None:
        site, truth = self.site, self.site.truth
        assert isinstance(truth, FleetTruth)
        self.truth = truth
        site.epoch += 1
        self.epoch = site.epoch
        log: Any = HostLog(self, site)
        self.publisher = SteppingPublisher(
            self, log, METRICS.topic, site.name, site.epoch, self._acknowledged,
            Spool(site.folder / "spool", SPOOL_BYTES), sign=site.keys.sign_event,
        )  # fmt: skip
        self._reflexes = Reflexes(self._reflex)
        self._reads = self._leaves = False
        self.start(self._live)

    def _live(self) -> None:
        """Beat and make rounds, each at its time; look about each second while the log is away."""
        self._beat()
        self.publisher.start()
        self._find_services()
        self.executor.recover()
        self.sleep(self.lots.randrange(INTERVAL_MS))
        now_s = self.time.monotonic
        rhythm = Rhythm(INTERVAL_MS / 1000, HEARTBEAT_MS / 1000, now_s())
        while not self._leaves:
            self._reflexes.tick()
            self.executor.tick()
            if rhythm.is_round(now_s()):
                self._round()
                rhythm.measured(now_s())
            if rhythm.is_beat(now_s()):
                self._beat()
                rhythm.beaten(now_s())
            wait_s = rhythm.wait_s if self.publisher.away_s else rhythm.due_s
            self.sleep(max(wait_s(now_s()) * 1000, 1))

    def _round(self) -> None:
        values = [*self.truth.measure(self.site.name), self.publisher.lost]
        self.publisher.round(self._now(), TABLE, values)

    def leave(self) -> None:
        """Say that it ends, as it does when it is asked to, and nothing more."""
        self._leaves = True
        self._beat(leaving=True)

    def _beat(self, *, leaving: bool = False) -> None:
        now = self._now()
        name = record_id("heartbeat", self.site.name, self.site.epoch, now)
        self.publisher.event(
            Heartbeat(
                id=name,
                source=self.site.name,
                time=now,
                interval_ms=HEARTBEAT_MS,
                program="agent",
                services=SERVICES,
                leaving=leaving,
            )
        )

    def _now(self) -> int:
        return self.truth.clock(self.site.name)

    # The log ----------------------------------------------------------------------------------------------------------

    def _acknowledged(self, position: Position, took_s: float) -> None:
        self._clock.acknowledged(position.timestamp, took_s)
        if not self._reads:
            self._reads = True
            self.start(self._read)

    def _away_s(self) -> float:
        return self.publisher.away_s

    def _rest_ms(self) -> float:
        return REST_MS

    def _emit(self, outcome: Outcome) -> None:
        self.step(deed=True)
        self.publisher.event(outcome, partial(self.executor.told, outcome))

    # Services ---------------------------------------------------------------------------------------------------------

    def _find_services(self) -> None:
        """Tell of what is there, and of what ended while nobody looked."""
        self.truth.observers[self.site.name] = self.observe
        for name in SERVICES:
            service = self.truth.services[f"{self.site.name}/{name}"]
            kind = service.sick.kind if service.sick else ""
            self._process(service, "exited" if kind == "dead" else "adopted")
            if kind != "dead":
                self.observe(service, "failing" if kind == "hung" else "answers")

    def observe(self, service: Service, what: What) -> None:
        """Tell what became of a service, if the agent lives and does not stand still."""
        if self.dead:
            return
        if self.frozen:
            self.start(partial(self.observe, service, what), 1)
        elif what == "failing":
            self.start(partial(self._probe, service, service.pid))
        elif what == "answers":
            self._tell(ProbeEvent(**self._about(service, "probe"), probe="ask", ok=True))
        elif what == "deployed":
            digest = record_id("deploy", self.time.now)
            self._tell(ConfigurationChange(**self._about(service, "configuration"), path="/etc/app", hash=digest))
        else:
            self._process(service, "exited" if what == "stopped" else what, meant=what == "stopped")

    def _process(self, service: Service, state: Any, *, meant: bool = False) -> None:
        event = ProcessEvent(
            **self._about(service, state), state=state, pid=service.pid, started_at=service.started_at, meant=meant
        )
        self._reflexes.heard(event)
        self._tell(event)

    def _probe(self, service: Service, pid: int) -> None:
        """Ask the service again and again until it answers, or is another."""
        since = self._now()
        for tries in range(1, 1_000):
            self.sleep(PROBE_MS if tries < PROBES_SOON else REST_MS)
            if service.pid != pid or not service.sick or service.sick.kind != "hung":
                return
            self._tell(
                notable=tries < PROBES_SOON,
                event=ProbeEvent(
                    **self._about(service, "probe"), probe="ask", ok=False, failing_since=since, attempts=tries,
                    error="no answer", process="S",
                )
            )  # fmt: skip

    def _about(self, service: Service, what: str) -> dict[str, Any]:
        now = self._now()
        name = record_id(what, self.site.name, service.name, service.pid, self.site.epoch, now)
        return {"id": name, "source": self.site.name, "time": now, "service": service.name}

    def _tell(self, event: Event, *, notable: bool = True) -> None:
        if notable:
            self.truth.notable()
        self.publisher.event(event)
