"""The services of a world: what is wrong with them in truth, and what their detectors say of it, late or twice."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from mendline.schemas.records import (
    Evidence,
    Fault,
    Outcome,
    Progress,
    Record,
    Transition,
    decode_record,
    encode_record,
)
from mendline.schemas.stream import NewRecord, Partition
from tests.simulation.deeds import Sickness
from tests.simulation.plan import HOSTS, KINDS, SERVICES

if TYPE_CHECKING:
    from mendline.logs.base import Position
    from mendline.logs.memory import MemoryLog
    from tests.simulation.virtual import Time

METRICS = Partition("mendline.metrics", 0)
JOURNAL = Partition("mendline.journal", 0)
AFFIRMED_EVERY_MS = 20_000


@dataclass
class Service:
    """A service in truth. `started_at` is when its process was started last (ms, its host's clock then)."""

    host: str
    name: str
    started_at: int
    sick: Sickness | None = None

    @property
    def target(self) -> str:
        """Its name in records."""
        return f"{self.host}/{self.name}"


@dataclass
class Detectors:
    """Watches the services, and passes on what hosts say: the only one who writes to the journal beside the planners.

    `harm` counts what it did wrong, `sicknesses` are all there were, by fault, `skew_ms` by how much the clock
    of a host is ahead, if it was ever set. `blind_until` (ms): nothing is heard of
    it before.
    """

    time: Time
    log: MemoryLog
    lots: random.Random
    harm: Counter[str]
    services: dict[str, Service] = field(default_factory=dict)
    sicknesses: dict[str, Sickness] = field(default_factory=dict)
    skew_ms: dict[str, int] = field(default_factory=dict)
    blind_until: int = 0
    calm: bool = False

    def __post_init__(self) -> None:
        """Start all services, and look at them from now on."""
        for host in HOSTS:
            for name in SERVICES:
                one = Service(host, name, self.time.now)
                self.services[one.target] = one
        self._producer = self.log.producer("detectors")
        self._consumer = self.log.consumer("detectors")
        self._consumer.assign([METRICS])
        self._consumer.start(METRICS, 0)
        self._beat()
        self._pass_on()
        self._affirm()

    # Truth -----------------------------------------------------------------------------------------------------------

    def break_one(self) -> bool:
        """Let something be wrong with a service that is well; say whether there was one."""
        well = [one for one in self.services.values() if not one.sick]
        if well:
            self._break(self.lots.choice(well))
        return bool(well)

    def heal(self, service: Service, sickness: Sickness | None) -> None:
        """Let this not be wrong with the service any more, if it still is."""
        if sickness and service.sick is sickness:
            sickness.over, service.sick = self.time.now, None
            self._tell(service, sickness, "resolved")

    def _break(self, service: Service) -> None:
        kind = self.lots.choices(KINDS, [4, 4, 1, 3])[0]
        sickness = service.sick = Sickness(service.target, kind, self.time.now)
        self.sicknesses[sickness.fault] = sickness
        self._tell(service, sickness, "opened")
        mean_ms = self.lots.choice([4_000, 40_000, 40_000])
        self.time.after(self.lots.expovariate(1 / mean_ms), lambda: self._pass_by(service, sickness))

    def _pass_by(self, service: Service, sickness: Sickness) -> None:
        """Let a sickness end by itself; somebody may have started the service anew."""
        if service.sick is sickness and (sickness.kind == "dead" or self.lots.random() < 0.5):
            self.start(service)
        self.heal(service, sickness)

    def start(self, service: Service) -> None:
        """Start the service's process anew."""
        service.started_at = self.clock(service.host)

    def clock(self, host: str) -> int:
        """Return the time (ms) that a host's clock shows."""
        return self.time.now + self.skew_ms.get(host, 0)

    # Words -----------------------------------------------------------------------------------------------------------

    def _tell(self, service: Service, sickness: Sickness, transition: Transition) -> None:
        fault = self._fault(service, sickness, transition)
        sickness.revision += 1
        late_ms = self.lots.choice([5, 50, 400, 3_000]) if not self.calm else 5
        if not self.calm and self.lots.random() < 0.08:
            late_ms = 15_000
            self.harm["fault told late"] += 1
        self._say(fault, late_ms)
        if not self.calm and self.lots.random() < 0.1:
            self.harm["fault told twice"] += 1
            self._say(fault, late_ms + self.lots.expovariate(1 / 5_000))

    def _fault(self, service: Service, sickness: Sickness, transition: Transition) -> Fault:
        now = self.clock(service.host)
        seen = Evidence(event_time=now, topic=METRICS.topic, partition=0, offsets=(0, 0))
        affirmed = transition == "affirmed"
        sickness.evidence = sickness.evidence if affirmed and sickness.evidence else seen
        return Fault(
            id=sickness.fault,
            source="rounds",
            time=self.time.now if affirmed else now,
            revision=sickness.revision,
            transition=transition,
            target=sickness.target,
            host=service.host,
            detector="liveness",
            kind=sickness.kind,
            opened_at=sickness.began,
            evidence=sickness.evidence,
            stage="rounds",
            partition=0,
        )

    def _say(self, record: Fault | Outcome, late_ms: float) -> None:
        self.time.after(max(late_ms, self.blind_until - self.time.now), partial(self._say_now, record))

    def _say_now(self, record: Fault | Outcome) -> None:
        if isinstance(record, Fault):
            self._say_fault(record)
        else:
            self._append(record)

    def _say_fault(self, record: Fault) -> None:
        sickness = self.sicknesses[record.id]
        if record.transition != "affirmed":
            delay_ms = self.time.now - record.evidence.event_time
            record = record.model_copy(update={"evidence": record.evidence.model_copy(update={"delay_ms": delay_ms})})
            sickness.evidence = record.evidence
        sickness.tell(self._append(record), over=record.transition == "resolved")

    def _append(self, record: Record) -> Position:
        new = NewRecord(JOURNAL.topic, encode_record(record), b"default", 0)
        return self._producer.append([new]).result(0)[0]

    def _affirm(self) -> None:
        for service in self.services.values():
            if service.sick:
                self._tell(service, service.sick, "affirmed")
        self.time.after(AFFIRMED_EVERY_MS, self._affirm)

    def _beat(self) -> None:
        if self.time.now >= self.blind_until:
            now = self.time.now
            self._append(
                Progress(
                    id=f"progress-{now}", source="rounds", time=now, stage="rounds", topic=METRICS.topic, partition=0,
                    log_time=now, offset=0, lag=0,
                )
            )  # fmt: skip
        self.time.after(1_000, self._beat)

    # Outcomes --------------------------------------------------------------------------------------------------------

    def _pass_on(self) -> None:
        for batch in self._consumer.poll(0).batches:
            for value in batch.values:
                record = decode_record(value)
                if isinstance(record, Outcome):
                    self._pass_on_one(record)
        self.time.after(self.lots.choice([100, 500, 1_000]), self._pass_on)

    def _pass_on_one(self, outcome: Outcome) -> None:
        fate = 1.0 if self.calm else self.lots.random()
        if fate < 0.08:
            self.harm["outcome lost"] += 1
            return
        late_ms = 8_000.0 if fate < 0.14 else 5.0
        self.harm["outcome told late"] += fate < 0.14
        self._say(outcome, late_ms)
        if 0.14 <= fate < 0.2:
            self.harm["outcome told twice"] += 1
            self._say(outcome, self.lots.expovariate(1 / 4_000))
