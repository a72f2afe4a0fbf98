"""What the stages would have said had the settings given always counted: `replay --diff`, `replay --out`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mendline.replaying.courses import Change, Courses, changes
from mendline.replaying.errors import ReplayError
from mendline.replaying.feeds import Feed, joined
from mendline.replaying.letters import Unread
from mendline.replaying.plan import read_activations
from mendline.replaying.tracks import bounded
from mendline.replaying.twins import Twins, plug_ins, twin_feeds
from mendline.schemas.records import Fault, readable

if TYPE_CHECKING:
    from mendline.replaying.inputs import Place
    from mendline.replaying.plan import Gap
    from mendline.replaying.stages import Stages
    from mendline.replaying.tracks import Say
    from mendline.schemas.stream import Batch, NewRecord

MARK = b'"fault"'


class Anew:
    """The stages, whose faults are compared with those recorded; `keep` is told of all they say."""

    def __init__(self, stages: Stages, keep: Say) -> None:
        """Plan it. Raises ReplayError, DetectorError, LogError, DumpError."""
        self._stages, self._keep = stages, keep
        self._replayed, self._recorded = Courses(), Courses()
        self._unread = Unread(stages.letters)
        _refuse_other_windows(stages)
        settings = stages.source.settings
        self._twins = [Twins(stages, place, one) for place in stages.plans for one in plug_ins(settings, place.stage)]
        self.feeds = joined([*self._tracks(), *self._journal(), *twin_feeds(stages, self._twins)])

    @property
    def gaps(self) -> Mapping[Place, Sequence[Gap]]:
        """What could not be replayed."""
        return {place: one.gaps for place, one in self._stages.plans.items() if one.gaps}

    @property
    def doubts(self) -> Sequence[str]:
        """What makes the answer inexact beside gaps, in words: plug-ins that say what chance wants, unread records."""
        return [*(one.text for twins in self._twins for one in twins.differences()), *self._unread.told]

    @property
    def counts(self) -> tuple[int, int]:
        """How many faults were recorded, and how many are said now."""
        return len(self._recorded.found), len(self._replayed.found)

    def changes(self) -> list[Change]:
        """Return what differs, once all feeds have been run."""
        return changes(self._recorded.found, self._replayed.found)

    def _tracks(self) -> Iterator[Feed]:
        for place in self._stages.plans:
            for track in self._stages.tracks(place, self._say):
                yield Feed(track.partition, track.stretch.start, track.stretch.end, [track.take])

    def _say(self, batch: Batch, said: Sequence[NewRecord]) -> None:
        self._keep(batch, said)
        self._unread.hear(said)
        for one in said:
            self._take(one.value, self._replayed)

    def _journal(self) -> Iterator[Feed]:
        """Yield what was recorded by the stages that are replayed."""
        for partition in self._stages.source.partitions("journal"):
            span = self._stages.spans[partition]
            yield Feed(partition, span.begin, span.end, [bounded(self._take_recorded, span)])

    def _take_recorded(self, batch: Batch) -> None:
        for value in batch.values:
            self._take(value, self._recorded)

    def _take(self, value: bytes, courses: Courses) -> None:
        fault = readable(value) if MARK in value else None
        wanted = self._stages.source.wanted.sources
        if isinstance(fault, Fault) and self._is_replayed(fault) and (not wanted or fault.host in wanted):
            courses.take(fault)

    def _is_replayed(self, fault: Fault) -> bool:
        return fault.source == fault.stage and any(place.stage == fault.stage for place in self._stages.plans)


def _refuse_other_windows(stages: Stages) -> None:
    """Raise ReplayError when the windows that detectors would be given were made under other settings."""
    source, spec = stages.source, stages.specs["windows"]
    found = read_activations(source.recording, source.name("journal")).records
    others = {one.config for one in found if one.stage == spec.name} - {spec.config}
    if others and "detect" in {place.stage for place in stages.plans}:
        msg = (
            f"{source.recording.url}: windows were made under other settings (`windows:`), so there are none for the "
            "detectors of now; replay what reads rounds with --topic metrics"
        )
        raise ReplayError(msg)


def nowhere(_: Batch, __: Sequence[NewRecord]) -> None:
    """Keep nothing."""
