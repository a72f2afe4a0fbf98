"""What detectors say of the services of a world, late or twice: the detectors' end of the pipeline, played."""

from __future__ import annotations

from dataclasses import dataclass
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
from tests.simulation.truth import Truth

if TYPE_CHECKING:
    from mendline.logs.base import Position
    from mendline.logs.memory import MemoryLog
    from tests.simulation.deeds import Sickness
    from tests.simulation.truth import Service

METRICS = Partition("mendline.metrics", 0)
JOURNAL = Partition("mendline.journal", 0)
AFFIRMED_EVERY_MS = 20_000


@dataclass
class Detectors(Truth):
    """Watches the services, and passes on what hosts say: the only one who writes to the journal beside the planners.

    `blind_until` (ms): nothing is heard of it before.
    """

    blind_until: int = 0

    def watch(self, log: MemoryLog) -> None:
        """Look at all services from now on, and say on `log` what is seen."""
        self._producer = log.producer("detectors")
        self._consumer = log.consumer("detectors")
        self._consumer.assign([METRICS])
        self._consumer.start(METRICS, 0)
        self._beat()
        self._pass_on()
        self._affirm()

    def go_blind(self, until: int) -> None:
        """See nothing before `until`."""
        self.blind_until = until

    # Words -----------------------------------------------------------------------------------------------------------

    def tell(self, service: Service, sickness: Sickness, transition: Transition) -> None:
        """Say a fault, late or twice maybe."""
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
                self.tell(service, service.sick, "affirmed")
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
