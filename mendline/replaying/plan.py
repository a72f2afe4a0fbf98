"""From which state a stage is replayed on a partition, and which of its records cannot be replayed exactly, and why.

Settings take effect by an activation in the journal. Between two of them a stage worked under one hash of settings;
where that is the hash of the settings given, what it said there must come out again. The state it begins with is that
of the nearest snapshot, or a fresh one where the stage was fresh.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mendline.replaying.states import States
from mendline.runtime.snapshots import Restored
from mendline.schemas.records import Activation, readable
from mendline.schemas.stream import Parted, Partition

if TYPE_CHECKING:
    from mendline.dumps.recording import Recording
    from mendline.runtime.spec import StageSpec

MARK = b'"activation"'
NO_STATE = "neither a snapshot nor the records that its state follows from are left"


class Stretch(NamedTuple):
    """Records `begin` up to `end` of the input, whose outputs count; folded from `start` on, from `state` or fresh."""

    start: int
    begin: int
    end: int
    state: Restored | None


class Gap(NamedTuple):
    """Records `begin` up to `end` of the input that are not replayed, or not exactly, with the reason."""

    begin: int
    end: int
    why: str


class Span(NamedTuple):
    """Records `begin` up to `end` of a partition whose oldest is `oldest`."""

    oldest: int
    begin: int
    end: int


class Planned(NamedTuple):
    """What of a partition is replayed, and what is not."""

    stretches: Sequence[Stretch]
    gaps: Sequence[Gap]


class Reign(NamedTuple):
    """From offset `since` on one hash of settings counted (None: unknown); of that the records `begin` up to `end`.

    `fresh_from`: the stage knew nothing then, and read from there on. None: it took something over.
    """

    since: int
    begin: int
    end: int
    config: str | None
    fresh_from: int | None


class Activations(NamedTuple):
    """The activations in a journal, in order; `whole`: there were none before the first."""

    records: Sequence[Activation] = ()
    whole: bool = True


def read_activations(recording: Recording, journal: str) -> Activations:
    """Return the activations in the journal; none where it was not recorded. Raises LogError, DumpError."""
    if not recording.topics().get(journal):
        return Activations(whole=False)
    place = Partition(journal, 0)
    extent = recording.extent(place)
    batches = recording.batches(place, extent.begin, extent.end)
    found = (readable(value) for batch in batches for value in batch.values if MARK in value)
    return Activations([one for one in found if isinstance(one, Activation)], whole=extent.begin == 0)


def plan(spec: StageSpec, partition: Partition, span: Span, activations: Activations, states: States) -> Planned:
    """Return how to replay exactly what the stage said of the records in `span`."""
    reigns = _reigns(activations, spec, partition, span)
    found = [one for reign in reigns for one in _plan_reign(spec, span, reign, states)]
    return Planned([one for one in found if isinstance(one, Stretch)], [one for one in found if isinstance(one, Gap)])


def plan_anew(span: Span, states: States) -> Planned:
    """Return how to replay the span as if the settings given had always counted."""
    before = states.before(span.begin) if span.begin else None
    if before and before.offset >= span.oldest:
        return Planned([Stretch(before.offset, span.begin, span.end, before)], [])
    gaps = [Gap(0, span.oldest, NO_STATE)] if span.oldest else []
    return Planned([Stretch(span.oldest, span.begin, span.end, None)], gaps)


def _reigns(activations: Activations, spec: StageSpec, partition: Partition, span: Span) -> list[Reign]:
    """Return under which settings the stage worked on the records of the span, in order."""
    mine = [one for one in activations.records if (one.stage, one.topic, one.partition) == (spec.name, *partition)]
    takes_over = isinstance(spec.make(partition), Parted)
    first = mine[0].offset if mine else span.end
    reigns = [Reign(0, span.begin, min(first, span.end), None if spec.config else "", 0)]
    for before, one, after in zip([None, *mine], mine, [*mine[1:], None], strict=False):
        fresh = not takes_over or (before.config == one.config if before else activations.whole)
        at = one.offset if one.read_from is None else one.read_from
        end = min(after.offset if after else span.end, span.end)
        reigns.append(Reign(one.offset, max(one.offset, span.begin), end, one.config, at if fresh else None))
    return [one for one in reigns if one.begin < one.end]


def _plan_reign(spec: StageSpec, span: Span, reign: Reign, states: States) -> Iterator[Stretch | Gap]:
    if reign.config not in (None, spec.config):
        yield Gap(reign.begin, reign.end, f"other settings counted there (hash {reign.config})")
        return
    fresh = reign.fresh_from if reign.fresh_from is not None and reign.fresh_from >= span.oldest else None
    before = states.before(reign.begin)
    if before and before.offset >= max(span.oldest, reign.since):
        yield Stretch(before.offset, reign.begin, reign.end, before)
    elif fresh is not None:
        yield Stretch(fresh, reign.begin, reign.end, None)
    else:
        yield from _from_later(reign, states.after(reign.begin))


def _from_later(reign: Reign, after: Restored | None) -> Iterator[Stretch | Gap]:
    """Yield that a first part is lost, and how the rest goes on from the first snapshot in it, if there is one."""
    at = after.offset if after and after.offset < reign.end else reign.end
    yield Gap(reign.begin, at, NO_STATE)
    if at < reign.end:
        yield Stretch(at, at, reign.end, after)
