"""Faults on their way to the journal: records with revisions, re-affirmed every minute while they are open."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mendline.schemas.base import record_id
from mendline.schemas.records import NEWEST_MINOR, ConfigurationChange, Evidence, Fault, Outcome, encode_record
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Input, NewRecord, Partition

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AFFIRM_MS = 60_000

LATE_MS = 5_000
"""Evidence that took longer than this to be appended, as after an outage, is old news: nobody should act on it yet."""
JOURNAL_KEY = b"default"

Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Said:
    """A record for the journal and its place: position of what caused it in the batch, then a rank of our own.

    Sorted by place, what a stage says does not depend on where batches end nor on the order of blocks in them.
    """

    index: int
    rank: tuple[int, int, str, str]
    record: Fault | Outcome | ConfigurationChange


def journal(said: Iterable[Said], settings: Settings) -> Iterator[NewRecord]:
    """Yield what was said as records for the journal, in order of place; equal places keep the order given."""
    topic = settings.topics.topic("journal")
    for one in sorted(said, key=lambda one: (one.index, one.rank)):
        yield NewRecord(topic, encode_record(one.record), JOURNAL_KEY, 0)


@dataclass(frozen=True, slots=True)
class Moments:
    """The records of a batch as moments: position, offset, append time and log time (ms; `log_clock` as an array)."""

    partition: Partition
    offsets: Sequence[int]
    append_times: list[int]
    log_times: list[int]
    log_clock: NDArray[np.int64]

    @staticmethod
    def of(batch: Input) -> Moments:
        """Return the moments of the batch."""
        append_times, log_times = batch.append_times.tolist(), batch.log_times.tolist()
        return Moments(batch.partition, batch.offsets, append_times, log_times, batch.log_times)

    def first_at(self, log_time: int) -> int:
        """Return the position of the first record at or after `log_time`; the number of records if there is none."""
        return bisect_left(self.log_times, log_time)

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.log_times)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a detector saw: the fields of `Evidence` that it knows; numbers that are not finite are left out."""

    event_time: int
    series: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    surprise: float | None = None
    unit: str = ""
    text: str = ""

    def evidence(self, moments: Moments, index: int, first_offset: int | None = None) -> Evidence:
        """Return the evidence, resting on the record at `index` (and on those since `first_offset`)."""
        offset = moments.offsets[index]
        return Evidence(
            series=self.series,
            value=_finite(self.value),
            low=_finite(self.low),
            high=_finite(self.high),
            surprise=_finite(self.surprise),
            unit=self.unit,
            text=self.text,
            event_time=self.event_time,
            delay_ms=moments.append_times[index] - self.event_time,
            topic=moments.partition.topic,
            partition=moments.partition.number,
            offsets=(offset if first_offset is None else first_offset, offset),
        )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Author:
    """Who says it: the stage and partition, the detector's name, and the hash of its settings."""

    stage: str
    partition: int
    detector: str
    config: str

    def open(
        self,
        target: tuple[str, str],
        kind: str,
        severity: Severity,
        evidence: Evidence,
        reason: str = "",
        cause: str | None = None,
    ) -> Fault:
        """Return a fault that opens. `target` is (source, service); the service is empty for the host itself.

        The series is part of the id, as one target may have several that are unusual at one time.
        """
        host, service = target
        name = f"{host}/{service}" if service else host
        return Fault(
            minor=NEWEST_MINOR,
            id=fault_id(name, self.detector, kind, evidence.event_time, evidence.series),
            cause=cause,
            source=self.stage,
            time=evidence.event_time,
            revision=0,
            transition="opened",
            target=name,
            host=host,
            detector=self.detector,
            kind=kind,
            severity=severity,
            opened_at=evidence.event_time,
            evidence=evidence,
            reason=reason,
            stage=self.stage,
            partition=self.partition,
            config=self.config,
        )


def fault_id(target: str, detector: str, kind: str, opened_at: int, series: str) -> str:
    """Return the id of a fault of `target`, HOST or HOST/SERVICE; `kind` and `series` as they were when it opened."""
    return record_id("fault", target, detector, kind, opened_at, *((series,) if series else ()))


def revise(fault: Fault, transition: Literal["affirmed", "updated", "resolved", "orphaned"], **changes: Any) -> Fault:
    """Return the next revision of the fault."""
    return fault.model_copy(update={"revision": fault.revision + 1, "transition": transition, **changes})


@dataclass(slots=True)
class OpenFault:
    """A fault that is open, as it was last written, and the log time (ms) at which it is to be affirmed next."""

    fault: Fault
    affirm_at: int

    @property
    def late(self) -> bool:
        """Whether its evidence was old when it came, and nothing younger has been said of it since."""
        return self.fault.transition != "affirmed" and self.fault.evidence.delay_ms > LATE_MS

    def dump(self) -> dict[str, object]:
        """Return it as JSON holds it."""
        return {"fault": self.fault.model_dump(mode="json"), "affirm_at": self.affirm_at}

    @staticmethod
    def load(state: Any) -> OpenFault:
        """Return what `dump` gave."""
        return OpenFault(Fault.model_validate(state["fault"]), state["affirm_at"])


@dataclass(slots=True)
class Affirmer:
    """Affirms open faults when they are due, at the first record that is a minute of log time after the last word."""

    moments: Moments
    said: list[Said] = field(default_factory=list)

    def until(
        self, open_fault: OpenFault, end: int, rank: tuple[int, int, str, str], lost_at: int | None = None
    ) -> bool:
        """Affirm the fault wherever it is due before position `end`; return whether it is still open.

        From log time `lost_at` on it is orphaned instead: what it is about has not been heard of for too long.
        """
        while (index := self.moments.first_at(open_fault.affirm_at)) < end:
            time = self.moments.append_times[index]
            if lost_at is not None and self.moments.log_times[index] >= lost_at:
                reason = "nothing was heard of its source for too long"
                self.said.append(Said(index, rank, revise(open_fault.fault, "orphaned", time=time, ended=reason)))
                return False
            open_fault.fault = revise(open_fault.fault, "affirmed", time=time, cause=None)
            self.said.append(Said(index, rank, open_fault.fault))
            open_fault.affirm_at = self.moments.log_times[index] + AFFIRM_MS
        return True
