"""The faults that there would have been: the stages over the recording, under several settings side by side.

Each process reads a recording once, however many settings it has. Settings that do not differ in windows and detectors
have the same faults, and share one run.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from mendline.backtesting.past import Heard, Period, heard_at
from mendline.backtesting.windows import Made, laid_over
from mendline.detectors.stage import RoundsStage
from mendline.replaying.anew import MARK
from mendline.replaying.errors import ReplayError
from mendline.replaying.feeds import Feed, Pace, joined, run
from mendline.replaying.letters import Unread
from mendline.replaying.stages import Stages
from mendline.replaying.twins import Twins, plug_ins
from mendline.replaying.verifying import SPEAKERS
from mendline.roles import detect_spec, windows_spec
from mendline.schemas.records import Fault, readable

if TYPE_CHECKING:
    from mendline.replaying.inputs import Source
    from mendline.schemas.settings import Settings
    from mendline.schemas.stream import Batch, NewRecord


class Kind(NamedTuple):
    """What faults depend on, as hashes of settings: those with the same kind find the same."""

    windows: str
    rounds: str
    detect: str

    @staticmethod
    def of(settings: Settings) -> Kind:
        """Return the kind of the settings. Raises DetectorError."""
        return Kind(windows_spec(settings).config, RoundsStage.config(settings), detect_spec(settings).config)


class Detected(NamedTuple):
    """The faults of a kind in the period, in order, and what could not be replayed exactly, in words."""

    heard: Sequence[Heard]
    gaps: Sequence[str]


def detect(sources: Sequence[Source], made: Made, period: Period, tell: Callable[[int], None]) -> list[Detected]:
    """Return what each source's settings find, which share a recording.

    Raises ReplayError, also where a plug-in is not deterministic; DetectorError, LogError, DumpError.
    """
    with ExitStack() as stack:
        ears = [_Ear(stack.enter_context(laid_over(one, made)), period) for one in sources]
        for some in _together(ears).values():
            feeds = joined(feed for ear in some for feed in ear.feeds)
            run(some[0].source.recording, feeds, Pace(None, time.monotonic, time.sleep), tell)
        return [ear.detected() for ear in ears]


def _together(ears: Sequence[_Ear]) -> dict[str, list[_Ear]]:
    """Return those together that read the same windows."""
    found: dict[str, list[_Ear]] = defaultdict(list)
    for one in ears:
        found[windows_spec(one.source.settings).config].append(one)
    return found


class _Ear:
    """Hears what the stages say under one setting."""

    def __init__(self, source: Source, period: Period) -> None:
        self.source, self._period = source, period
        self._heard: list[Heard] = []
        self._stages = Stages.anew(source)
        places = [place for place in self._stages.plans if place.stage in SPEAKERS]
        self._gaps = [
            f"{place.stage} on {topic} partition {number} before offset {gap.end}: {gap.why}"
            for place in places
            for topic, number in [place.partition]
            for gap in self._stages.plans[place].gaps
        ]
        self._unread = Unread(self._stages.letters)
        self._twins = [
            Twins(self._stages, place, one) for place in places for one in plug_ins(source.settings, place.stage)
        ]
        self.feeds = list(self._feeds())

    def _feeds(self) -> Iterator[Feed]:
        for place, planned in self._stages.plans.items():
            if place.stage in SPEAKERS:
                stretch = planned.stretches[0]
                takers = [track.take for track in self._stages.tracks(place, self._say)]
                takers += [one.take for one in self._twins if one.place == place]
                yield Feed(place.partition, stretch.start, stretch.end, takers)

    def _say(self, batch: Batch, said: Sequence[NewRecord]) -> None:
        self._unread.hear(said)
        for one in said:
            fault = readable(one.value) if MARK in one.value else None
            if isinstance(fault, Fault):
                self._hear(Heard(heard_at(fault, batch.timestamps[-1]), fault))

    def _hear(self, one: Heard) -> None:
        if self._period.holds(one.at):
            self._heard.append(one)

    def detected(self) -> Detected:
        """Return all that was heard. Raises ReplayError where a plug-in says something else each time."""
        for twins in self._twins:
            for difference in twins.differences():
                msg = f"{difference.text}; what it would have found is chance"
                raise ReplayError(msg)
        return Detected(sorted(self._heard, key=lambda one: one.at), [*self._gaps, *self._unread.told])
