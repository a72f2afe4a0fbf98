"""What was so at a moment, about some targets: mostly the answer to why nothing was done then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mendline.detectors.configuring import configure
from mendline.detectors.registry import DetectorError
from mendline.detectors.stage import DetectStage, RoundsStage
from mendline.explaining.deciding import fold_before, guard_answers, guard_lines, policy_link, proposed
from mendline.explaining.links import Link, known, number, score
from mendline.explaining.subjects import entries, journal_of
from mendline.replaying.errors import ReplayError
from mendline.replaying.inputs import INPUTS, specs
from mendline.replaying.letters import read_letters
from mendline.replaying.plan import Span, plan, read_activations
from mendline.replaying.states import States
from mendline.replaying.tracks import Track
from mendline.responders.playbook import matches_target
from mendline.schemas.decode import Decoded, decode
from mendline.schemas.quantities import counted, span
from mendline.schemas.records import ProbeEvent, ProcessEvent
from mendline.subjects import MOST_NAMED
from mendline.words import clock, date, describe, in_force

if TYPE_CHECKING:
    from mendline.detectors.looks import Look, Seen
    from mendline.replaying.inputs import Source
    from mendline.responders.facts import FaultFact
    from mendline.responders.journal import Journal
    from mendline.schemas.stream import Batch, Partition

LATELY_MS = 60_000
HOUR_MS = 3_600_000
CLOSE_MS = 600_000
SHOWN = 8
EVENTS = (ProcessEvent, ProbeEvent)


class NothingRecordedError(Exception):
    """Raised for a moment or a target of which the log holds nothing; the message says what it holds."""


def explain_moment(source: Source, time: int, target: str) -> list[Link]:
    """Return what was so at `time` (append time, ms) about the targets that a pattern means.

    Raises NothingRecordedError, ReplayError, LogError, DumpError.
    """
    _refuse_time(source, time)
    journal = _journal_at(source, time)
    heard = _heard(source, time, target)
    if not any(heard.facts.values()):
        _refuse_target(source, journal, time, target)
    faults = [one for one in journal.faults.values() if matches_target(target, one.latest.target)]
    standing = [one for one in faults if one.open]
    links = [_orders(journal), *(_fault_link(journal, one) for one in standing)]
    if not standing:
        over = [one for one in faults if one.closed_at and journal.log_time - one.closed_at <= CLOSE_MS]
        links.append(_no_fault(journal, target, time, over))
    return [*links, heard, *_scores(source, time, target)]


def _refuse_time(source: Source, time: int) -> None:
    """Raise NothingRecordedError for a moment before the first record, or long after the last one."""
    oldest, newest = source.oldest, source.newest
    if not oldest < time <= newest + LATELY_MS:
        there = f"its records are of {date(oldest)} to {date(newest)} UTC" if newest else "it holds no record"
        msg = f"{source.recording.url} holds nothing of {date(time)} UTC: {there}"
        raise NothingRecordedError(msg)


def _refuse_target(source: Source, journal: Journal, time: int, target: str) -> None:
    """Raise NothingRecordedError for a target that was not heard of for an hour, and of which no fault is known."""
    names = {one.latest.target for one in journal.faults.values()}
    names |= {name for known in journal.targets.values() for name in known}
    for _, found in _decoded(source, time - HOUR_MS, time):
        for block in found.rounds:
            services = {one.service for one in block.table.series}
            names |= {name for host in block.sources for name in _names(host, services)}
        for _, record in found.records:
            if isinstance(record, EVENTS):
                names |= _names(record.source, {record.service})
    if not any(matches_target(target, name) for name in names):
        there = f"; known then: {', '.join(sorted(names)[:MOST_NAMED])}" if names else ""
        msg = f"{source.recording.url} holds nothing of {target!r} in the hour before {date(time)} UTC{there}"
        raise NothingRecordedError(msg)


def _journal_at(source: Source, time: int) -> Journal:
    end = source.recording.offset_at(journal_of(source), time)
    journal, timer, begin = fold_before(source, end)
    for entry in entries(source, begin, end, timer):
        entry.apply_to(journal)
    return journal


def _orders(journal: Journal) -> Link:
    """Return what people had ordered that stood then."""
    found = list(in_force(journal))
    return Link("orders", found or ["nobody had ordered anything"], {"in_force": found})


def _fault_link(journal: Journal, fault: FaultFact) -> Link:
    """Return an open fault, its policy, and what each guard said of what would be done next."""
    about = fault.latest
    lines = [f"{about.id[:8]} {about.target} {about.kind} since {date(about.opened_at)} UTC: {about.reason}"]
    policy = policy_link(journal, fault)
    lines += [f"policy {line}" for line in policy.lines]
    answers: list[Any] = []
    if live := [one for one in fault.intents.values() if one.live]:
        lines += [f"under way: {describe(one.record)}" for one in live]
    elif what := proposed(journal, fault):
        answers = guard_answers(journal, what, journal.log_time)
        lines += [f"next would be {what.action}", *guard_lines(answers, journal.log_time)]
    elif policy.facts["policy"]:
        lines.append("the playbook has nothing more to try")
    if fault.hold:
        lines.append(f"last held by {fault.hold.guard}: {fault.hold.reason}")
    facts = {
        "fault": fault.model_dump(mode="json", exclude_none=True),
        "policy": policy.facts,
        "guards": [one._asdict() for one in answers],
    }
    return Link("fault", lines, facts)


def _no_fault(journal: Journal, target: str, time: int, over: list[FaultFact]) -> Link:
    lines = [f"no fault of {target} was open at {date(time)} UTC"]
    lines += [
        f"{one.id[:8]} {one.latest.target} {one.latest.kind} was over by then: {one.latest.ended}" for one in over
    ]
    if journal.offset < 0:
        lines.append("nothing of the journal before that is kept")
    return Link("faults", lines, {"open": [], "over": [one.id for one in over]})


# What was heard -------------------------------------------------------------------------------------------------------


def _heard(source: Source, time: int, target: str) -> Link:
    """Return what came from the hosts of the targets in the minute before, and what was said of them."""
    rounds: dict[str, int] = {}
    events: list[str] = []
    for batch, found in _decoded(source, time - LATELY_MS, time):
        for block in found.rounds:
            services = {one.service for one in block.table.series}
            for name in block.sources:
                if _is_of(target, name, services):
                    rounds[name] = rounds.get(name, 0) + 1
        events += [
            f"{clock(batch.timestamps[index])} {describe(record)}"
            for index, record in found.records
            if isinstance(record, EVENTS) and _is_of(target, record.source, {record.service})
        ]
    lines = [f"{name}: {counted(count, 'rounds')} in the minute before" for name, count in sorted(rounds.items())]
    lines = lines or [f"no round with {target} came in the minute before: nothing could be seen of it"]
    return Link("heard", [*lines, *events[-SHOWN:]], {"rounds": rounds, "events": events})


def _decoded(source: Source, begin: int, end: int) -> Iterator[tuple[Batch, Decoded]]:
    """Yield the batches that were appended to the metrics in that time (ms)."""
    for place in source.partitions("metrics"):
        first, last = (source.recording.offset_at(place, one) for one in (begin, end))
        for batch in source.recording.batches(place, first, last):
            yield batch, decode(batch)


def _names(host: str, services: set[str]) -> set[str]:
    return {host, *(f"{host}/{one}" for one in services if one)}


def _is_of(target: str, host: str, services: set[str]) -> bool:
    return any(matches_target(target, name) for name in _names(host, services))


# What was scored ------------------------------------------------------------------------------------------------------


@dataclass
class Scored:
    """The newest score of each series of the targets by a detector: (host, series) to what was seen."""

    target: str
    newest: dict[tuple[str, str], Seen] = field(default_factory=dict)

    def __call__(self, look: Look) -> None:
        """Take a step."""
        labels = {one.label: one.service for one in look.columns.series}
        for entry in look.wave.order.tolist():
            host = look.wave.entries.sources[entry]
            for label, service in labels.items():
                if matches_target(self.target, f"{host}/{service}" if service else host):
                    for seen in look.of(host, label):
                        self.newest[host, label] = seen


def _scores(source: Source, time: int, target: str) -> Iterator[Link]:
    """Yield, for each detector, what it made of the series of the targets, or why that cannot be told."""
    watches = {one.name: Scored(target) for one in source.settings.detectors}
    why = [text for place in _places(source) if (text := _look_again(source, *place, time, watches))]
    for one in source.settings.detectors:
        if found := watches[one.name].newest:
            configured = configure(one, source.settings)
            bounds, of = configured.bounds, "" if configured.detector.judges == "measure" else " at a surprise"
            hold = f", for {span(bounds.open_hold)}" if bounds.open_hold else ""
            lines = [f"opens{of} {_bounds_text(bounds.open_above, bounds.open_below)}{hold}"]
            nearest = sorted(found.items(), key=lambda pair: -(known(pair[1].judged) or 0.0))
            lines += [
                f"{host} {label} at {clock(seen.start)}: {_seen(seen)}" for (host, label), seen in nearest[:SHOWN]
            ]
            facts = [{"source": host, "series": label, **_plain(seen)} for (host, label), seen in nearest]
            yield Link(
                "detector", [f"{one.name} ({one.use}) {lines[0]}", *lines[1:]], {"name": one.name, "scores": facts}
            )
    if why:
        yield Link("detector", sorted(set(why)), {"why_not": sorted(set(why))})
    elif not any(one.newest for one in watches.values()):
        yield Link("detector", [f"no detector looks at any series of {target}"], {})


def _places(source: Source) -> Iterator[tuple[str, Partition]]:
    for short in ("windows", "metrics"):
        for place in source.partitions(short):
            yield INPUTS[short][-1], place


def _look_again(source: Source, stage: str, place: Partition, time: int, watches: dict[str, Scored]) -> str:
    """Run a stage on its input up to `time` (append time, ms), for the watches; return why that cannot be done."""
    extent = source.recording.extent(place)
    end = min(source.recording.offset_at(place, time), extent.end)
    if end <= extent.begin:
        return f"{place.topic} partition {place.number}: nothing is kept of the time before"
    try:
        spec = specs(source.settings, letters := read_letters(source.recording, source.name("deadletter")))[stage]
        states = States(source.recording, source.name("state"), spec, place)
        activations = read_activations(source.recording, source.name("journal"))
        planned = plan(spec, place, Span(extent.begin, end - 1, end), activations, states)
        if not planned.stretches:
            return f"{stage} on {place.topic} partition {place.number} cannot be run again: {planned.gaps[0].why}"
        track = Track(spec, place, planned.stretches[-1], letters, lambda *_: None)
        at_work = track.worker.stage
        if isinstance(at_work, DetectStage | RoundsStage):
            at_work.watch(watches)
        for batch in source.recording.batches(place, track.stretch.start, end):
            track.take(batch)
    except (DetectorError, ReplayError) as error:
        return str(error)
    return ""


def _bounds_text(above: float, below: float) -> str:
    texts = [f"above {number(above)}"] if known(above) is not None else []
    return " or ".join([*texts, f"below {number(below)}"] if known(below) is not None else texts) or "never"


def _seen(seen: Seen) -> str:
    band = "" if known(seen.low) is None else f", expected {number(seen.low)} to {number(seen.high)}"
    judged = "" if known(seen.judged) is None else f", judged by {number(seen.judged)}"
    state = seen.state.name.lower()
    return f"{number(seen.value)}{band}{judged}, {score(seen.surprise)}: {state}"


def _plain(seen: Seen) -> dict[str, Any]:
    numbers = {name: known(getattr(seen, name)) for name in ("value", "surprise", "low", "high", "judged")}
    return {"offset": seen.offset, "start": seen.start, **numbers, "state": seen.state.name.lower()}
