"""What the tries of one probe amount to: series for the rounds, and an event for what a person should know at once."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from mendline.producers.base import NO_VALUE
from mendline.producers.metrics import series
from mendline.producers.probes.attempt import Answer, Attempt
from mendline.schemas.base import record_id
from mendline.schemas.records import NEWEST_MINOR, Failure, ProbeEvent, Work
from mendline.schemas.series import Series


class Probe(Protocol):
    """A kind of probe: makes tries. `metric` is what the time of a good try is called."""

    metric: str

    def attempt(self) -> Attempt:
        """Return one try."""


@dataclass(frozen=True)
class Plan:
    """A probe and how often it is tried. `service` is empty for what is about the host itself, such as a peer."""

    probe: Probe
    service: str
    label: str
    every_s: float
    timeout_s: float
    fail_after_ms: int
    metric: str
    attribute: str = "mendline__probe"
    encrypted: bool = False


class Found(NamedTuple):
    """How a try failed and how the service was then: why and how far it came, state letter, start (ms), its work."""

    why: str
    failure: Failure | None = None
    process: str = ""
    process_began: int | None = None
    work: Work | None = None


class Tally:
    """Counts the results of one probe. Results come on one thread, rounds are made on another."""

    def __init__(self, plan: Plan, source: str) -> None:
        """Count for `plan`; events are in the name of `source`."""
        self.plan = plan
        self._source = source
        self._lock = threading.Lock()
        self._first_ms: int | None = None
        self._success_ms: int | None = None
        self._failures = 0
        self._failures_in_row = 0
        self._good = 0
        self._tried = 0
        self._seconds = 0.0
        self._days = NO_VALUE
        self._life: int | None = None
        self._late = (-plan.fail_after_ms - 1, 0)

    @property
    def series(self) -> Iterable[Series]:
        """What `take` returns values for."""
        plan = self.plan
        metrics = ["mendline.probe.success", plan.metric, "mendline.probe.failures"]
        metrics += ["mendline.tls.certificate.remaining"] if plan.encrypted else []
        return [series(metric, plan.service, **{plan.attribute: plan.label}) for metric in metrics]

    def take(self) -> list[float]:
        """Return the values since the last call; NaN where no try has ended since."""
        with self._lock:
            share = self._good / self._tried if self._tried else NO_VALUE
            seconds = self._seconds / self._good if self._good else NO_VALUE
            self._good = self._tried = 0
            self._seconds = 0.0
            values = [share, seconds, float(self._failures)]
            return [*values, self._days] if self.plan.encrypted else values

    def begun(self, now_ms: int) -> None:
        """Note that a try begins."""
        if self._first_ms is None:
            self._first_ms = now_ms

    def succeeded(
        self, now_ms: int, took_s: float, answer: Answer, process_began: int | None = None
    ) -> ProbeEvent | None:
        """Count a good try; return an event when it is the first one ever, after failures, or of a new process.

        A try that began before the process was started tells nothing about the new one. That no process is found any
        more, or was never found, counts as a new one: whoever says so must hear that the service answers all the same.
        """
        new_life = process_began != self._life and now_ms - took_s * 1000 >= (process_began or 0)
        with self._lock:
            self._tried += 1
            self._good += 1
            self._seconds += took_s
            self._days = NO_VALUE if answer.certificate_days is None else answer.certificate_days
            worth_telling = self._failures_in_row > 0 or self._success_ms is None or new_life
            self._success_ms = now_ms
            self._failures_in_row = 0
            if new_life:
                self._life = process_began
        return self._event(now_ms, took_s) if worth_telling else None

    def late(self, now_ms: int, took_s: float) -> None:
        """Note that a try which counted as failed got its answer after all."""
        self._late = (now_ms, round(took_s * 1000))

    def failed(self, now_ms: int, took_s: float, found: Found) -> ProbeEvent:
        """Count a bad try and return its event."""
        with self._lock:
            self._tried += 1
            self._failures += 1
            self._failures_in_row += 1
        since = self._success_ms if self._success_ms is not None else (self._first_ms or now_ms)
        since = max(since, found.process_began or 0)
        return self._event(now_ms, took_s, min(since, now_ms), found)

    def _late_ms(self, now_ms: int) -> int | None:
        """Return how long the last late answer took, if it came within the time after which all is lost."""
        came, took = self._late
        return took if now_ms - came <= self.plan.fail_after_ms else None

    def _event(self, now_ms: int, took_s: float, since: int | None = None, found: Found | None = None) -> ProbeEvent:
        """Return the event of a failure that was `found`, of a success without one."""
        plan = self.plan
        bad = found or Found("")
        return ProbeEvent(
            id=record_id("probe", self._source, plan.service, plan.label, now_ms, self._failures),
            minor=NEWEST_MINOR,
            source=self._source,
            time=now_ms,
            service=plan.service,
            probe=plan.label,
            ok=found is None,
            latency_ms=round(took_s * 1000, 3),
            failing_since=since,
            fail_after_ms=plan.fail_after_ms,
            attempts=self._failures_in_row,
            error=bad.why,
            process=bad.process,
            failure=bad.failure,
            work=bad.work,
            late_ms=self._late_ms(now_ms) if found else None,
        )
