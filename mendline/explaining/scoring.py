"""The stage that opened a fault, run once more up to the record which that rests on; and whether it says the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mendline.detectors.registry import DetectorError
from mendline.detectors.stage import DetectStage, RoundsStage
from mendline.explaining.links import Link, known, number, score
from mendline.replaying.errors import ReplayError
from mendline.replaying.inputs import specs
from mendline.replaying.letters import read_letters
from mendline.replaying.plan import Span, Stretch, plan, read_activations
from mendline.replaying.states import States
from mendline.replaying.tracks import Track
from mendline.schemas.records import Fault, readable
from mendline.schemas.stream import Partition
from mendline.words import clock

if TYPE_CHECKING:
    from mendline.detectors.looks import Look, Seen
    from mendline.replaying.inputs import Source
    from mendline.schemas.stream import Batch, NewRecord

SCORES_KEPT = 20
SHOWN = 6
FIRST, LAST = 3, 3
LONG = 40
CAUSE = "`mendline replay --verify` looks for the cause"


@dataclass
class Recomputed:
    """What came of running the stage again: `why_not` it could not be, or from which offset it was, and what it said.

    `scores` are those of the fault's series, the newest last; `said` is the fault that it opened.
    """

    why_not: str = ""
    begin: int = 0
    from_snapshot: bool = False
    said: Fault | None = None
    scores: deque[Seen] = field(default_factory=lambda: deque(maxlen=SCORES_KEPT))


def recompute(source: Source, fault: Fault) -> Recomputed:
    """Run the stage that said `fault`, any revision of its own, again. Raises LogError, DumpError."""
    if fault.stage not in ("rounds", "detect"):
        return Recomputed(f"the stage {fault.stage} is not one that is run here")
    place = Partition(fault.evidence.topic, fault.evidence.partition)
    if not source.recording.topics().get(place.topic):
        return Recomputed(f"the topic {place.topic} was not recorded")
    try:
        stretch, track, found = _track(source, fault, place)
        if stretch and track:
            _run(source, track, fault, found)
    except (DetectorError, ReplayError) as error:
        return Recomputed(str(error))
    return found


def _track(source: Source, fault: Fault, place: Partition) -> tuple[Stretch | None, Track | None, Recomputed]:
    """Return the stage at work on its input, up to the record that the fault rests on, or why it cannot be."""
    last = fault.evidence.offsets[1]
    extent = source.recording.extent(place)
    if extent.begin > last:
        return None, None, Recomputed(f"the records that it rests on are no longer kept: the oldest is {extent.begin}")
    letters = read_letters(source.recording, source.name("deadletter"))
    spec = specs(source.settings, letters)[fault.stage]
    states = States(source.recording, source.name("state"), spec, place)
    activations = read_activations(source.recording, source.name("journal"))
    for begin in dict.fromkeys((_some_before(source, fault, place), last)):
        planned = plan(spec, place, Span(extent.begin, begin, last + 1), activations, states)
        stretch = next((one for one in planned.stretches if one.end == last + 1), None)
        if stretch:
            break
    else:
        return None, None, Recomputed("; ".join(gap.why for gap in planned.gaps) or "its settings are not known")
    found = Recomputed(begin=stretch.start, from_snapshot=stretch.state is not None)

    def say(_: Batch, said: Sequence[NewRecord]) -> None:
        records = (readable(one.value) for one in said)
        found.said = next((one for one in records if isinstance(one, Fault) and _is_one(one, fault)), found.said)

    return stretch, Track(spec, place, stretch, letters, say), found


def _some_before(source: Source, fault: Fault, place: Partition) -> int:
    """Return from which offset on there are some windows, or rounds, before the one that the fault rests on."""
    mine = (one.window for one in source.settings.detectors if one.name == fault.detector)
    time = fault.evidence.event_time - SHOWN * max(next(mine, 0), source.settings.host.interval)
    last = fault.evidence.offsets[1]
    return min(max(source.recording.offset_at(place, time), source.recording.extent(place).begin), last)


def _run(source: Source, track: Track, fault: Fault, found: Recomputed) -> None:
    def look(seen: Look) -> None:
        found.scores.extend(seen.of(fault.host, fault.evidence.series))

    stage = track.worker.stage
    if isinstance(stage, DetectStage | RoundsStage):
        stage.watch({fault.detector: look})
    for batch in source.recording.batches(track.partition, track.stretch.start, track.stretch.end):
        track.take(batch)


def _is_one(one: Fault, fault: Fault) -> bool:
    return (one.id, one.revision) == (fault.id, fault.revision)


# In words -------------------------------------------------------------------------------------------------------------


def detector_link(fault: Fault, found: Recomputed) -> Link:
    """Return the link of the detector: what it said, and whether it says that again."""
    lines = [f"{fault.detector}, run by the stage {fault.stage}, settings {fault.config or 'unknown'}: {_said(fault)}"]
    lines.append(_verdict(fault, found))
    lines += [_score(one) for one in list(found.scores)[-SHOWN:]]
    if found.scores and (learned := found.scores[-1].learned):
        lines.append(f"it remembers by then: {', '.join(f'{name} {_short(one)}' for name, one in learned.items())}")
    facts = {
        "detector": fault.detector,
        "stage": fault.stage,
        "config": fault.config,
        "recomputed": not found.why_not,
        "why_not": found.why_not or None,
        "same": None if found.why_not else found.said == fault,
        "from_offset": None if found.why_not else found.begin,
        "from_snapshot": found.from_snapshot,
        "scores": [_facts(one) for one in found.scores],
        "learned": _plain(found.scores[-1].learned) if found.scores else None,
    }
    return Link("detector", lines, facts)


def _said(fault: Fault) -> str:
    evidence = fault.evidence
    surprise = "" if evidence.surprise is None else f", surprise {number(evidence.surprise)}"
    band = "" if evidence.low is None else f", expected {number(evidence.low)} to {number(evidence.high)}"
    text = fault.reason or evidence.text
    if evidence.value is None or not evidence.series:  # what a rule found, whose value is no series'
        return text
    return f"{evidence.series} = {number(evidence.value)}{band}{surprise}: {text}"


def _verdict(fault: Fault, found: Recomputed) -> str:
    if found.why_not:
        return f"cannot be worked out again: {found.why_not}"
    whence = f"from {'a snapshot at ' if found.from_snapshot else ''}offset {found.begin} on"
    if found.said == fault:
        return f"worked out again {whence}: the same, to the last bit"
    if found.said is None:
        return f"worked out again {whence}: it does not open there; {CAUSE}"
    differing = [name for name in Fault.model_fields if getattr(fault, name) != getattr(found.said, name)]
    return f"worked out again {whence}: differs in {', '.join(differing)}; {CAUSE}"


def _score(one: Seen) -> str:
    band = "" if known(one.low) is None else f", expected {number(one.low)} to {number(one.high)}"
    times = f"{clock(one.start)} + {one.width_ms / 1000:g} s" if one.width_ms else clock(one.start)
    life = one.state.name.lower()
    return f"offset {one.offset}: {times}: {number(one.value)}{band}, {score(one.surprise)}: {life}"


def _short(value: Any) -> str:
    """Return what is remembered of a series; of what is long the ends."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name} {_short(one)}' for name, one in value.items())}}}"
    if isinstance(value, str) and len(value) > LONG:
        return f"{value[:LONG]}… ({len(value):,} characters)"
    if not isinstance(value, list):
        return number(value) if isinstance(value, float) else str(value)
    texts = [_short(one) for one in value]
    shown = texts if len(texts) <= FIRST + LAST else [*texts[:FIRST], "…", *texts[-LAST:]]
    return f"[{', '.join(shown)}]"


def _plain(value: Any) -> Any:
    """Return what arrays hold as JSON can hold it."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return known(value) if isinstance(value, float) else value


def _facts(one: Seen) -> dict[str, Any]:
    numbers = {name: known(getattr(one, name)) for name in ("value", "surprise", "low", "high", "judged")}
    places = {"offset": one.offset, "start": one.start, "width_ms": one.width_ms}
    return {**places, **numbers, "state": one.state.name.lower()}
