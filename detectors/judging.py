"""How the verdict on a service becomes a fault: opened, updated where it becomes another one, and resolved.

What `liveness.Liveness`, the fold over a partition, says of its sources and services goes through here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mendline.detectors.faults import AFFIRM_MS, Author, Moments, OpenFault, Said, Sighting, revise
from mendline.detectors.liveness_state import NEVER, Source, Watched
from mendline.detectors.transitions import Emission, Signal, State, advance

if TYPE_CHECKING:
    from mendline.detectors.verdicts import Verdict
    from mendline.schemas.records import Fault, ProbeEvent, ProcessEvent
    from mendline.schemas.settings import LivenessSettings

UPDATE_EVERY_MS = 10_000
"""A service that dies again and again updates its fault at most this often."""


@dataclass(slots=True)
class Judging:
    """The sources of a partition, what was said of them in this batch, and how a verdict has its effect."""

    settings: LivenessSettings
    author: Author
    sources: dict[str, Source] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    _earliest: int = NEVER
    _moments: Moments = field(init=False)

    def _judge(self, source: Source, name: str, index: int, event: ProcessEvent | ProbeEvent | None = None) -> None:
        """Let the verdict on a service, as it is at the record `index`, have its effect; no `event`: time did it."""
        watched, now = source.services[name], self._moments.log_times[index]
        verdict = watched.service.verdict(now)
        signal = self._signal(watched, verdict, now)
        was = watched.state
        watched.state, emits = advance(was, signal)
        if emits is Emission.OPENED or (was is not State.NORMAL and signal is Signal.BAD_HELD):
            self._tell(source, name, verdict, index, event)
        elif emits is Emission.RESOLVED and watched.fault:
            sighting = Sighting(self._time(index, event), text=verdict.reason)
            self._resolve(source, watched.fault, verdict.reason, sighting, index, name, event)
            watched.fault = None
        watched.timer = self._service_timer(watched, verdict)
        self._earlier(source, watched.timer)

    def _signal(self, watched: Watched, verdict: Verdict, now: int) -> Signal:
        if verdict.signal is not Signal.GOOD:
            watched.good_since = -1
            return verdict.signal
        watched.good_since = now if watched.good_since < 0 else watched.good_since
        return Signal.GOOD_HELD if now - watched.good_since >= self.settings.clear_hold else Signal.GOOD

    def _service_timer(self, watched: Watched, verdict: Verdict) -> int:
        timer = NEVER
        if verdict.again_at is not None and (
            watched.fault or watched.service.condition in {"stopped", "traced", "missing"}
        ):
            timer = min(timer, verdict.again_at)
        if watched.state is State.RECOVERING:
            timer = min(timer, watched.good_since + self.settings.clear_hold)
        return timer

    def _tell(
        self, source: Source, name: str, verdict: Verdict, index: int, event: ProcessEvent | ProbeEvent | None
    ) -> None:
        """Open the fault, or update it where it has become another one or the service has died again."""
        watched = source.services[name]
        if watched.fault and not self._is_news(watched, verdict, self._moments.log_times[index]):
            return
        sighting = Sighting(
            self._time(index, event),
            verdict.series,
            value=verdict.value,
            high=verdict.high,
            unit="ms" if verdict.value is not None else "",
            text=verdict.text,
        )
        evidence, cause = sighting.evidence(self._moments, index), event.id or None if event else None
        if not watched.fault:
            fault = self.author.open(
                (source.name, "" if watched.service.is_host else name),
                verdict.kind,
                verdict.severity,
                evidence,
                verdict.reason,
                cause,
            )
        else:
            fault = revise(
                watched.fault.fault,
                "updated",
                kind=verdict.kind,
                severity=verdict.severity,
                reason=verdict.reason,
                evidence=evidence,
                time=evidence.event_time,
                cause=cause,
            )
        watched.fault = self._opened(source, name, fault, index, timed=event is None)
        watched.told_deaths = watched.service.deaths

    @staticmethod
    def _is_news(watched: Watched, verdict: Verdict, now: int) -> bool:
        if not watched.fault or watched.fault.fault.kind != verdict.kind:
            return True
        last_word = watched.fault.affirm_at - AFFIRM_MS
        return watched.service.deaths > watched.told_deaths and now - last_word >= UPDATE_EVERY_MS

    def _time(self, index: int, event: ProcessEvent | ProbeEvent | None) -> int:
        """Return the event time of the evidence: where time itself is the evidence, that of the log."""
        return event.time if event else self._moments.append_times[index]

    def _opened(self, source: Source, name: str, fault: Fault, index: int, *, timed: bool = False) -> OpenFault:
        self.said.append(Said(index, (int(timed), 0, source.name, name), fault))
        affirm_at = self._moments.log_times[index] + AFFIRM_MS
        self._earlier(source, affirm_at)
        opened = OpenFault(fault, affirm_at)
        source.late = source.late or opened.late
        return opened

    def _resolve(
        self,
        source: Source,
        fault: OpenFault,
        reason: str,
        sighting: Sighting,
        index: int,
        name: str = "",
        event: ProcessEvent | ProbeEvent | None = None,
    ) -> None:
        evidence = sighting.evidence(self._moments, index)
        cause = event.id or None if event else None
        closed = revise(fault.fault, "resolved", ended=reason, evidence=evidence, time=sighting.event_time, cause=cause)
        self.said.append(Said(index, (int(event is None), 0, source.name, name), closed))

    def _orphan(self, source: Source, name: str, fault: OpenFault, reason: str, index: int) -> None:
        closed = revise(fault.fault, "orphaned", ended=reason, time=self._moments.append_times[index])
        self.said.append(Said(index, (1, 0, source.name, name), closed))

    def _earlier(self, source: Source, timer: int) -> None:
        source.timer = min(source.timer, timer)
        self._earliest = min(self._earliest, source.timer)
