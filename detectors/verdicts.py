"""One verdict on a service from all that is known of it: its process, how that ended, its probes.

A process that was seen to die is dead, whatever the probes say; a failing probe then is evidence and no second fault.
One that is only not found is dead when its probes say no better; where they succeed, whoever looks for it is wrong
(`disagreement`). What lives and does not answer for `fail_after` has a `diagnosis`; a shorter stall is nothing. Where a
host asks its peers, what does not answer is unreachable. A stop that was meant is no fault. Data that their check calls
corrupt are worse than all of this: a restart would not mend them, and the rest may come from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from mendline.detectors.diagnosis import Diagnosis, diagnose
from mendline.detectors.endings import MOST_TEXT, describe_end
from mendline.detectors.faults import Severity
from mendline.detectors.transitions import Signal
from mendline.schemas.records import REFUSES, Failure, ProbeEvent, ProcessEvent, Work
from mendline.schemas.series import peer_label

STOPPED_PATIENCE_MS = 5_000
"""How long a process may be stopped when no probe can tell whether that matters: the probes' own default."""

MISSING_PATIENCE_MS = 5_000
"""How long the probes of a process that is not found are waited for: a wrong pidfile is no reason for a restart."""

MEANT_PATIENCE_MS = 30_000
"""A meant stop in the middle of a fault is mostly half a restart; after this long it is taken as the end of it."""

UNHEARD_PATIENCE_MS = 60_000
"""A probe that says nothing for this long after a start is not there any more; those that are say their success."""

CORRUPT_PATIENCE_MS = 600_000
"""A check that called data corrupt and says nothing for this long is not there any more; it repeats its word."""
MOST_PROBES = 100

Condition = Literal["unknown", "running", "stopped", "traced", "missing", "dead", "ended"]

_CONDITIONS: Mapping[str, Condition] = MappingProxyType({
    "continued": "running", "stopped": "stopped", "traced": "traced",
})  # fmt: skip


@dataclass(slots=True)
class Probe:
    """What a probe said last. `heard` is the log time (ms) of that, -1 if it was before the process began."""

    ok: bool
    heard: int
    time: int
    failing_since: int
    fail_after: int
    error: str
    process: str
    failure: Failure | None = None
    work: Work | None = None
    late_ms: int | None = None
    data: str = ""

    @property
    def failing_ms(self) -> int:
        """For how long it has not succeeded, at the time it last said so (ms of event time)."""
        return 0 if self.ok else self.time - self.failing_since

    @property
    def failed(self) -> bool:
        """Whether it has failed for as long as it must."""
        return not self.ok and self.heard >= 0 and self.failing_ms >= self.fail_after

    def dump(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        work = self.work.model_dump(mode="json") if self.work else None
        return {one.name: getattr(self, one.name) for one in fields(self)} | {"work": work}

    @staticmethod
    def load(state: dict[str, Any]) -> Probe:
        """Return what `dump` gave."""
        work = state.get("work")
        return Probe(**{**state, "work": Work.model_validate(work) if work else None})


class Verdict(NamedTuple):
    """What is to be thought of a service now; `again_at` is the log time (ms) at which time alone may change that."""

    signal: Signal
    kind: str = ""
    severity: Severity = "critical"
    reason: str = ""
    text: str = ""
    value: float | None = None
    high: float | None = None
    again_at: int | None = None
    series: str = ""


@dataclass(slots=True)
class Service:
    """All that is known of a service. `began` is event time, `changed` log time (ms); `deaths` counts unmeant ends.

    `is_host`: it is a host, with probes and without a process.
    """

    condition: Condition = "unknown"
    pid: int = 0
    started_at: int | None = None
    began: int = 0
    changed: int = 0
    answered: bool = True
    ending: str = ""
    last_words: str = ""
    deaths: int = 0
    probes: dict[str, Probe] = field(default_factory=dict)
    is_host: bool = False

    def take(self, event: ProcessEvent | ProbeEvent, now: int) -> None:
        """Take an event of its process, or of a probe of it, into account at log time `now`."""
        if isinstance(event, ProcessEvent):
            self._process(event, now)
        else:
            self._probe(event, now)

    def _process(self, event: ProcessEvent, now: int) -> None:
        if event.state in {"started", "adopted"}:
            self._begin(event, now)
        elif event.state == "exited":
            if not self._is_earlier_life(event) and not self._is_known_end(event):
                self._end(event, now, meant=event.meant)
        elif event.state == "missing":
            known_dead = self.condition == "dead"
            self._end(event, now, meant=event.meant or self.condition == "ended")
            if self.condition == "dead" and not known_dead:
                self.condition = "missing"
        elif self.condition not in {"missing", "dead", "ended"}:
            self.condition = _CONDITIONS[event.state]
            self.changed = now

    def _probe(self, event: ProbeEvent, now: int) -> None:
        if event.probe not in self.probes and len(self.probes) >= MOST_PROBES:
            return
        since = event.time if event.failing_since is None else event.failing_since
        self.probes[event.probe] = Probe(
            event.ok,
            now,
            event.time,
            since,
            event.fail_after_ms,
            event.error[:MOST_TEXT],
            event.process,
            event.failure,
            event.work,
            event.late_ms,
            event.data or "",
        )
        if event.ok and event.time >= self.began and not event.data:
            self.answered = True

    def _begin(self, event: ProcessEvent, now: int) -> None:
        self.condition, self.pid, self.started_at = "running", event.pid, event.started_at
        self.began = event.time
        self.listen_anew(now)

    def listen_anew(self, now: int) -> None:
        """Believe no probe any more until it speaks again: from log time `now` on it is another process, or agent."""
        self.changed, self.answered = now, not self._asked
        for probe in self._asked.values():
            probe.heard = -1

    @property
    def _asked(self) -> Mapping[str, Probe]:
        """The probes that ask the service itself; its data are no other ones because its process is."""
        return {name: probe for name, probe in self.probes.items() if not probe.data}

    def _end(self, event: ProcessEvent, now: int, *, meant: bool) -> None:
        self.changed = now
        self.condition = "ended" if meant else "dead"
        self.ending, self.last_words = describe_end(event), "\n".join(event.error_lines)[-MOST_TEXT:]
        self.deaths += not meant

    def _is_earlier_life(self, event: ProcessEvent) -> bool:
        """Say whether the event is about a process before the one that runs: its end may be explained late."""
        alive = self.condition in {"running", "stopped", "traced"}
        if not alive or event.started_at is None or self.started_at is None:
            return False
        return event.pid != self.pid and event.started_at < self.started_at

    def _is_known_end(self, event: ProcessEvent) -> bool:
        """Say whether this end was told before: an agent tells anew of one that it may not have lived to tell."""
        return self.condition in {"dead", "ended"} and event.pid == self.pid

    def verdict(self, now: int) -> Verdict:
        """Return what is to be thought of it at log time `now`."""
        return self._corrupt(now) or self._alive(now)

    def _alive(self, now: int) -> Verdict:
        """Judge by its process and by what answers."""
        if self.condition == "dead":
            return Verdict(Signal.BAD_HELD, "dead", reason=self.ending, text=self.last_words)
        if self.condition == "ended":
            over = Verdict(Signal.GOOD, reason="it was stopped on purpose")
            return _wait(now, self.changed + MEANT_PATIENCE_MS, over)
        if self.condition == "missing":
            return self._missing(now)
        failed = [name for name, probe in self._asked.items() if probe.failed]
        if failed:
            return self._not_answering(max(failed, key=lambda name: self.probes[name].failing_ms))
        if self.condition in {"stopped", "traced"} and not self._asked:
            return _wait(now, self.changed + STOPPED_PATIENCE_MS, self._stopped())
        return self._recovered(now)

    def _corrupt(self, now: int) -> Verdict | None:
        """Say that data are corrupt, by the check that has said so for longest."""
        found = [probe for probe in self.probes.values() if probe.data and probe.failed]
        heard = [probe for probe in found if now < probe.heard + CORRUPT_PATIENCE_MS]
        if not heard:
            return None
        worst = max(heard, key=lambda probe: probe.failing_ms)
        also = f"; {self.ending}" if self.condition == "dead" else ""
        reason = f"data {', '.join(sorted(probe.data for probe in heard))} are corrupt{also}"
        again_at = max(probe.heard for probe in heard) + CORRUPT_PATIENCE_MS
        return Verdict(Signal.BAD_HELD, "corrupt", reason=reason, text=worst.error, again_at=again_at)

    def _missing(self, now: int) -> Verdict:
        """Judge a process that is not found: its probes are asked before it counts as dead."""
        good = [name for name, probe in self._asked.items() if probe.ok and probe.heard >= self.changed]
        if good:
            reason = f"{self.ending}, but probe {good[0]} succeeds: what looks for the process may be wrong"
            return Verdict(Signal.BAD_HELD, "disagreement", "warning", reason)
        dead = Verdict(Signal.BAD_HELD, "dead", reason=self.ending, text=self.last_words)
        heard = [probe for probe in self._asked.values() if probe.heard >= self.changed and not probe.ok]
        # That one answer did not come in time may be the machine's fault; where nobody listens, nobody lives.
        if any(probe.failed or probe.failure == "refused" for probe in heard):
            return dead
        return _wait(now, self.changed + MISSING_PATIENCE_MS, dead)

    def _recovered(self, now: int) -> Verdict:
        if any(not probe.ok and probe.heard >= 0 for probe in self._asked.values()):
            return Verdict(Signal.BETWEEN)
        healthy = Verdict(Signal.GOOD, reason=self._well())
        return healthy if self.answered else _wait(now, self.changed + UNHEARD_PATIENCE_MS, healthy)

    def _well(self) -> str:
        process = f"process {self.pid} runs" if self.condition == "running" else ""
        answers = "its probe succeeds" if self._asked and self.answered else ""
        return " and ".join(filter(None, (process, answers))) or "nothing is wrong with it any more"

    def _not_answering(self, name: str) -> Verdict:
        probe = self.probes[name]
        found = self._diagnosis(probe)
        if not found:
            return Verdict(Signal.BETWEEN)
        well = [other for other, one in self._asked.items() if one.ok and one.heard >= 0]
        failed = [other for other, one in self._asked.items() if one.failed and other != name]
        lists = (("these probes fail too", failed), ("these probes succeed", well))
        told = (f"{what}: {', '.join(names)}" for what, names in lists if names)
        text = "\n".join(filter(None, (probe.error, *told)))[:MOST_TEXT]
        reason = f"probe {name} has not succeeded for {probe.failing_ms / 1000:.1f} s; {found.reason}"
        value, high = float(probe.failing_ms), float(probe.fail_after)
        series = peer_label(name) if self.is_host else ""
        return Verdict(Signal.BAD_HELD, found.kind, found.severity, reason, text, value, high, series=series)

    def _diagnosis(self, probe: Probe) -> Diagnosis | None:
        if self.is_host:
            # Which of the two is cut off, the host or its peer, only others can tell: incidents put that together.
            there = f"; {REFUSES}" if probe.failure == "refused" else ""
            return Diagnosis("unreachable", "warning", f"the host cannot reach it{there}")
        return diagnose(self.condition, probe.process, probe.failure, probe.work, probe.late_ms)

    def _stopped(self) -> Verdict:
        if self.condition == "traced":
            return Verdict(Signal.BAD_HELD, "traced", "warning", "a debugger holds its process")
        return Verdict(Signal.BAD_HELD, "stopped", reason="its process is stopped (SIGSTOP)")

    def dump(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        probes = {name: probe.dump() for name, probe in self.probes.items()}
        return {one.name: getattr(self, one.name) for one in fields(self)} | {"probes": probes}

    @staticmethod
    def load(state: dict[str, Any]) -> Service:
        """Return what `dump` gave."""
        return Service(**{**state, "probes": {name: Probe.load(probe) for name, probe in state["probes"].items()}})


def _wait(now: int, until: int, verdict: Verdict) -> Verdict:
    """Return the verdict, but nothing either way as long as log time is below `until`."""
    return verdict if now >= until else Verdict(Signal.BETWEEN, again_at=until)
