"""Liveness: which hosts are heard of, and which services live and answer. A fold over one partition of metrics.

A host is *silent* when nothing was heard of it for too long (`silence`), unless it said that it leaves; *missing* when
the settings expect it and it never came: any host that was heard of is expected without being listed. It is *cloned*
when two agents write under its name or one lost its state (`order.Verdict`). Services are judged by
`verdicts.Service`, and so are the probes of a host, those of its peers. Each service has at most one fault at a time (a
host: one of each of its kinds, and of each of its peers): should it change what it is, a hung service die for instance,
the fault is updated and keeps its id, so that whoever mends it goes on doing so.

All waiting is log time, and is over at the first record of the partition (a tick at the latest) at or after its end:
`Source.timer` is the earliest such moment of a source, or an earlier one. Before a record of a source is taken, its
timers up to the record before are run; so nothing depends on where batches end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mendline.detectors.collectors import judge_collectors
from mendline.detectors.faults import AFFIRM_MS, LATE_MS, Affirmer, Moments, Said, Sighting, revise
from mendline.detectors.judging import Judging
from mendline.detectors.liveness_state import NEVER, Source, Watched, dump_sources, load_sources
from mendline.detectors.order import UNCOUNTED
from mendline.detectors.order import Verdict as Order
from mendline.detectors.silence import Silence
from mendline.detectors.transitions import State
from mendline.detectors.verdicts import Service
from mendline.schemas.records import ConfigurationChange, Heartbeat, Outcome, ProbeEvent, ProcessEvent

if TYPE_CHECKING:
    from mendline.schemas.base import Envelope
    from mendline.schemas.stream import StateBlock

FORGET_MS = 7 * 86_400_000
"""A source not heard of for this long (log time) is forgotten, and its faults are orphaned: memory is bounded."""

CLONE_HOLD_MS = 600_000
"""A source whose order has not gone back for this long is taken as one agent again."""

PEER = "\n"
"""Stands before the names of a host's own probes, those of its peers: each has a fault of its own. No service is so."""

MOST_SERVICES = 1_000
LONGEST_LEAD_MS = 60_000
Told = (Heartbeat, ProcessEvent, ProbeEvent)
"""What an agent tells of its host: believed only with a count, once the source has counted."""


@dataclass(slots=True)
class Liveness(Judging):
    """The fold. Call `begin`, then `take` for each record in order, then `end`; `said` holds what follows."""

    _silence: Silence = field(init=False)
    _expected: Collection[str] = field(init=False)
    _has_begun: bool = False

    def __post_init__(self) -> None:
        """Make what judges silence."""
        self._silence = Silence(self.settings)
        self._expected = frozenset(self.settings.expected)

    def begin(self, moments: Moments) -> None:
        """Begin a batch."""
        self._moments = moments
        self.said = []
        if not self._has_begun:
            self._has_begun = True
            self._wait_for_expected()

    def _wait_for_expected(self) -> None:
        """Wait for the expected sources from the first record on; let go of those that are expected no more."""
        for name in self.settings.expected:
            if name not in self.sources:
                self._source(name, self._moments.log_times[0], 0)
        for source in [one for one in self.sources.values() if not (one.was_heard or one.name in self._expected)]:
            self._forget(source, 0, "it is not expected any more")

    def take(self, index: int, name: str, counted: tuple[int, int, int], record: Envelope | None) -> bool:
        """Take the record at `index` of source `name` with its (epoch, sequence, event time); None is a round.

        Returns whether it is new, so that a round may be looked at by others too.
        """
        now = self._moments.log_times[index]
        source = self._source(name, now, index)
        counted = self._in_time(counted, index)
        if counted[0] == UNCOUNTED and source.mark.epoch != UNCOUNTED and isinstance(record, Told):
            self._went_back(source, Order.STRANGER, index, counted)
            return False
        life = source.mark.epoch
        order = source.mark.take(*counted, is_round=record is None)
        if source.mark.epoch != life:
            self._ask_peers_anew(source, index)
        if isinstance(record, Outcome):
            self._forward(source, record, index)
        if order is Order.REPEAT:
            return False
        if record is None or isinstance(record, Heartbeat):
            self._silence.beat(source, counted[2], self._moments, index, is_round=record is None)
        self._see(source, now, index, counted[2])
        if order is not Order.NEW:
            self._went_back(source, order, index, counted)
            if order is Order.SEQUENCE_WENT_BACK:
                return False
        if record is not None:
            self._event(source, record, index)
        if source.late and self._moments.append_times[index] - counted[2] <= LATE_MS:
            self._affirm_late(source, index)
        return True

    def _ask_peers_anew(self, source: Source, index: int) -> None:
        """Believe no probe of a peer until the new agent speaks of it: it may ask others."""
        for name in [name for name in source.services if name.startswith(PEER)]:
            source.services[name].service.listen_anew(self._moments.log_times[index])
            self._judge(source, name, index)

    def _in_time(self, counted: tuple[int, int, int], index: int) -> tuple[int, int, int]:
        """Return the counts with the time moved to the append time when it is far ahead, as windows take it.

        Otherwise all true records would be older than one that claims to be of next year.
        """
        epoch, sequence, time = counted
        appended = self._moments.append_times[index]
        return (epoch, sequence, appended) if time > appended + LONGEST_LEAD_MS else counted

    def end(self) -> None:
        """End the batch: run the timers that are due by its last record."""
        last = self._moments.log_times[-1]
        if last < self._earliest:
            return
        for source in [source for source in self.sources.values() if source.timer <= last]:
            self._run_timers(source, len(self._moments))
        self._earliest = min((source.timer for source in self.sources.values()), default=NEVER)

    # Sources -------------------------------------------------------------------------------------------------------

    def _source(self, name: str, now: int, index: int) -> Source:
        source = self.sources.get(name)
        if source and source.timer <= now:
            self._run_timers(source, index)
            source = self.sources.get(name)
        if not source:
            source = self.sources[name] = Source(name, now)
            self._reset_timer(source)
        return source

    def _see(self, source: Source, now: int, index: int, time: int) -> None:
        source.seen, source.appended = now, self._moments.append_times[index]
        if self.settings.silent:
            self._earlier(source, self._silence.begins(source))
        if time > source.left >= 0:
            source.left = -1
            self._reset_timer(source)
        if source.silent:
            text = "it is heard of" if source.silent.fault.kind == "missing" else "it is heard of again"
            self._resolve(source, source.silent, text, Sighting(time, text=text), index)
            source.silent = None
            self._reset_timer(source)

    def _event(self, source: Source, record: Envelope, index: int) -> None:
        if isinstance(record, Heartbeat):
            self._heartbeat(source, record, index)
        elif isinstance(record, (ProcessEvent, ProbeEvent)):
            name = PEER + record.probe if isinstance(record, ProbeEvent) and not record.service else record.service
            if name not in source.services and len(source.services) >= MOST_SERVICES:
                return
            watched = source.services.setdefault(name, Watched(Service(is_host=name.startswith(PEER))))
            watched.service.take(record, self._moments.log_times[index])
            self._judge(source, name, index, record)
        elif isinstance(record, ConfigurationChange):
            # Nothing of ours changes by it, but in the journal it may be the cause of a fault.
            self.said.append(Said(index, (0, 0, source.name, record.id), record))

    def _heartbeat(self, source: Source, record: Heartbeat, index: int) -> None:
        before = source.interval_ms, source.left
        if source.interval_ms not in {0, record.interval_ms}:
            source.beats.clear()
        source.interval_ms = record.interval_ms
        source.left = record.time if record.leaving else -1
        if record.services:
            for name in sorted(source.services.keys() - record.services):
                if name.startswith(PEER):
                    continue
                watched = source.services.pop(name)
                if watched.fault:
                    self._orphan(source, name, watched.fault, "the service is not watched any more", index)
        fault = judge_collectors(self.author, source.sick.fault if source.sick else None, record, self._moments, index)
        if fault:
            told = self._opened(source, "", fault, index)
            source.sick = None if fault.ended else told
        if (source.interval_ms, source.left) != before:
            self._reset_timer(source)

    def _forward(self, source: Source, outcome: Outcome, index: int) -> None:
        if outcome.id not in source.outcomes:
            source.outcomes.append(outcome.id)
            self.said.append(Said(index, (0, 0, source.name, ""), outcome))

    def _went_back(self, source: Source, order: Order, index: int, counted: tuple[int, int, int]) -> None:
        source.cloned_at = self._moments.log_times[index]
        if source.cloned:
            return
        where = f", to {counted[0]}.{counted[1]}" if counted[0] != UNCOUNTED else ""
        reason = f"{order.value}{where}: two agents have this name, or one lost its state"
        evidence = Sighting(counted[2], text=reason).evidence(self._moments, index)
        fault = self.author.open((source.name, ""), "cloned", "critical", evidence, reason)
        source.cloned = self._opened(source, "", fault, index)
        self._reset_timer(source)

    # Timers --------------------------------------------------------------------------------------------------------

    def _run_timers(self, source: Source, end: int) -> None:
        """Do for `source` what is due before position `end` of the batch, if it was not heard of since it was to be."""
        self._reset_timer(source)
        while (index := self._moments.first_at(source.timer)) < end:
            self._due(source, index)
            if source.name not in self.sources:
                return
            self._reset_timer(source)

    def _due(self, source: Source, index: int) -> None:
        now = self._moments.log_times[index]
        if now >= self._forgotten_at(source):
            self._forget(source, index, "its source has not been heard of for a week")
            return
        if self._silence.has_begun(source, self._moments, index):
            self._miss(source, index)
        if source.cloned and now - source.cloned_at >= CLONE_HOLD_MS:
            reason = f"its records have been in order for {CLONE_HOLD_MS // 1000} s"
            sighting = Sighting(self._moments.append_times[index], text=reason)
            self._resolve(source, source.cloned, reason, sighting, index)
            source.cloned = None
        for name in sorted(source.services):
            if source.services[name].timer <= now:
                self._judge(source, name, index)
        self._affirm(source, index)

    def _affirm(self, source: Source, index: int) -> None:
        affirmer = Affirmer(self._moments, self.said)
        for name, fault in source.faults():
            affirmer.until(fault, index + 1, (1, 0, source.name, name))

    def _affirm_late(self, source: Source, index: int) -> None:
        """Affirm what rests on old evidence, now that the source has caught up and it still stands."""
        source.late = False
        for name, known in source.faults():
            if known.late:
                fault = revise(known.fault, "affirmed", time=self._moments.append_times[index], cause=None)
                self.said.append(Said(index, (1, 0, source.name, name), fault))
                known.fault, known.affirm_at = fault, self._moments.log_times[index] + AFFIRM_MS

    def _miss(self, source: Source, index: int) -> None:
        kind, sighting = self._silence.missed(source, self._moments, index)
        evidence = sighting.evidence(self._moments, index)
        fault = self.author.open((source.name, ""), kind, "critical", evidence, sighting.text)
        source.silent = self._opened(source, "", fault, index, timed=True)

    def _forgotten_at(self, source: Source) -> int:
        return NEVER if source.name in self._expected else source.seen + FORGET_MS

    def _forget(self, source: Source, index: int, reason: str) -> None:
        for name, fault in source.faults():
            self._orphan(source, name, fault, reason, index)
        del self.sources[source.name]

    def _reset_timer(self, source: Source) -> None:
        timers = [self._silence.begins(source), self._forgotten_at(source)]
        timers += [fault.affirm_at for _, fault in source.faults()]
        timers += [watched.timer for watched in source.services.values()]
        if source.cloned:
            timers.append(source.cloned_at + CLONE_HOLD_MS)
        source.timer = NEVER
        self._earlier(source, min(timers))

    # State ---------------------------------------------------------------------------------------------------------

    def dump(self) -> Iterator[StateBlock]:
        """Return the state in blocks of sources."""
        return dump_sources(self.sources.values())

    def load(self, blocks: Iterable[StateBlock]) -> None:
        """Take over what `dump` returned; other blocks are passed over."""
        self.sources = load_sources(blocks)
        for source in self.sources.values():
            # The state was perhaps made under other settings: what they make due earlier is due then.
            for watched in source.services.values():
                if watched.state is State.RECOVERING:
                    watched.timer = min(watched.timer, watched.good_since + self.settings.clear_hold)
            self._reset_timer(source)
        self._earliest = min((source.timer for source in self.sources.values()), default=NEVER)
