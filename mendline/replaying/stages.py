"""The stages of a replay: with their settings, the state they begin with, and the records they get."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mendline.replaying.inputs import Place, Source, specs
from mendline.replaying.letters import Letters, read_letters
from mendline.replaying.plan import Activations, Planned, Span, plan, plan_anew, read_activations
from mendline.replaying.states import States
from mendline.replaying.tracks import Say, Track

if TYPE_CHECKING:
    from mendline.runtime.spec import StageSpec
    from mendline.schemas.settings import Settings
    from mendline.schemas.stream import Partition


@dataclass(frozen=True)
class Stages:
    """Each stage on each partition of its input, planned by what the recording held when this was made."""

    source: Source
    letters: Letters
    specs: Mapping[str, StageSpec]
    spans: Mapping[Partition, Span]
    plans: Mapping[Place, Planned]

    @staticmethod
    def as_recorded(source: Source) -> Stages:
        """Plan to say again what was said. Raises ReplayError, DetectorError, LogError, DumpError."""
        return _planned(source, read_activations(source.recording, source.name("journal")))

    @staticmethod
    def anew(source: Source) -> Stages:
        """Plan to say what would have been said had the settings always counted. Raises as `as_recorded`."""
        return _planned(source, None)

    def tracks(self, place: Place, say: Say) -> Iterator[Track]:
        """Yield the stage at work on each stretch of its input. Raises DetectorError."""
        for one in self.plans[place].stretches:
            yield Track(self.specs[place.stage], place.partition, one, self.letters, say)

    def fresh_tracks(self, settings: Settings, place: Place, say: Say) -> Iterator[Track]:
        """Yield the stage under other settings and without a state. Raises DetectorError."""
        spec = specs(settings, self.letters)[place.stage]
        for one in self.plans[place].stretches:
            yield Track(spec, place.partition, one._replace(state=None), self.letters, say)


def _planned(source: Source, activations: Activations | None) -> Stages:
    letters = read_letters(source.recording, source.name("deadletter"))
    found = specs(source.settings, letters)
    spans = source.spans()
    plans = {}
    for place in source.places():
        spec, span = found[place.stage], spans[place.partition]
        states = States(source.recording, source.name("state"), spec, place.partition)
        if activations is None:
            plans[place] = plan_anew(span, states)
        else:
            plans[place] = plan(spec, place.partition, span, activations, states)
    return Stages(source, letters, found, spans, plans)
