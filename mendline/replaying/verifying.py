"""What stages say again, compared byte for byte with what they said when it was recorded: `replay --verify`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from mendline.replaying.decisions import Deciding, Decisions
from mendline.replaying.feeds import Feed, Take, joined
from mendline.replaying.inputs import Place
from mendline.replaying.letters import Unread
from mendline.replaying.matching import Difference, Differences, Matcher
from mendline.replaying.said import JournalMatching, Voice
from mendline.replaying.tracks import bounded, split
from mendline.replaying.twins import Twins, other_code, plug_ins, twin_feeds
from mendline.replaying.windows import WindowMatcher
from mendline.schemas.stream import Partition
from mendline.verifying import compare

if TYPE_CHECKING:
    from mendline.replaying.plan import Gap, Planned
    from mendline.replaying.stages import Stages
    from mendline.replaying.tracks import Say, Track
    from mendline.schemas.stream import Batch, NewRecord

SPEAKERS = ("rounds", "detect")
"""The stages that write to the journal what follows from their own input alone."""


@dataclass(frozen=True)
class Verdict:
    """What came out: how much of each kind is equal, what differs, and what could not be replayed exactly, and why.

    `different` counts all differences, `first` are some of them. `untold` counts what was said again of the newest
    records and was not recorded yet, `left_out` decisions under policies that this version reads otherwise.
    """

    equal: Mapping[str, int]
    different: int
    first: Sequence[Difference]
    gaps: Mapping[Place, Sequence[Gap]]
    untold: int
    left_out: int = 0

    @property
    def reproduced(self) -> bool:
        """Whether something was compared, and all of it is equal."""
        return not self.different and any(self.equal.values())


class Verification:
    """What is compared with what; `feeds` are run between its making and its `verdict`."""

    def __init__(self, stages: Stages) -> None:
        """Compare what `stages` say. Raises DetectorError, LogError, DumpError."""
        self._stages, self._source = stages, stages.source
        self._found = {kind: Differences() for kind in ("windows", "said")}
        self._unread = Unread(stages.letters)
        self._windows = dict(self._window_matchers())
        self._journal = self._journal_matching()
        self._decisions = Decisions(self._source.name("journal"))
        self._twins = [
            Twins(stages, place, one) for place in stages.plans for one in plug_ins(self._source.settings, place.stage)
        ]
        self.feeds = joined(chain(self._replayed(), self._compared(), twin_feeds(stages, self._twins)))

    def verdict(self) -> Verdict:
        """Return what came out, once all feeds have been run. Raises LogError, DumpError."""
        for one in self._matchers():
            one.finish()
        seals = list(self._broken_seals())
        decided = list(self._decisions.differences())
        # A plug-in that is not deterministic is the cause of whatever else differs.
        first = [one for twins in self._twins for one in twins.differences()]
        first += self._other_code()
        kinds = [self._unread.differences, self._found["windows"], self._found["said"]]
        count = len(first) + len(decided) + len(seals) + sum(one.count for one in kinds)
        first += [*chain.from_iterable(one.first for one in kinds), *decided, *seals]
        gaps = {place: planned.gaps for place, planned in self._stages.plans.items() if planned.gaps}
        untold = sum(one.untold for one in self._matchers())
        return Verdict(self._equal(), count, first, gaps, untold, self._decisions.left_out())

    def _other_code(self) -> Iterator[Difference]:
        """Yield the plug-ins that find something else in the very windows that were recorded."""
        if not self._found["windows"].count:
            detectors = {name for one in self._journal.matchers.values() for name in one.detectors}
            yield from other_code(self._twins, detectors)

    def _equal(self) -> Counter[str]:
        return sum((one.equal for one in self._matchers()), self._decisions.equal())

    def _matchers(self) -> list[Matcher[Any, Any]]:
        return [*self._windows.values(), *self._journal.matchers.values()]

    def _broken_seals(self) -> Iterator[Difference]:
        """Yield where the journal is not what was sealed, by content: whose the signatures are is not asked here."""
        for place in self._recorded("journal"):
            span = self._stages.spans[place]
            content, again = (self._source.recording.batches(place, span.begin, span.end) for _ in range(2))
            problem = compare(content, again, span.begin, lambda _: None, lambda _: None).problem
            if problem and problem.kind != "unsealed":
                yield Difference(
                    "the journal", f"{place.topic} offsets {problem.first} to {problem.last}", problem.text
                )

    # Who takes what ---------------------------------------------------------------------------------------------------

    def _recorded(self, short: str) -> list[Partition]:
        return self._source.partitions(short)

    def _window_matchers(self) -> Iterator[tuple[Partition, WindowMatcher]]:
        for place, planned in self._stages.plans.items():
            partition = Partition(self._source.name("windows"), place.partition.number)
            if place.stage == "windows" and planned.stretches and partition in self._stages.spans:
                matcher = WindowMatcher(partition, self._source.wanted.sources, self._found["windows"])
                matcher.whole = _in_one_piece(planned)
                matcher.cut_off = self._is_cut_off(partition)
                yield partition, matcher

    def _journal_matching(self) -> JournalMatching:
        voices = {Voice(place.stage, place.partition.number): one for place, one in self._stages.plans.items()}
        begins = {
            voice: min(one.begin for one in planned.stretches)
            for voice, planned in voices.items()
            if voice.stage in SPEAKERS and planned.stretches
        }
        count = len(self._recorded("metrics")) or 1
        found = JournalMatching(
            self._source.name("journal"), begins, count, self._source.wanted.sources, self._found["said"]
        )
        for journal in self._recorded("journal"):
            found.read_reached(self._source.recording, journal, self._stages.spans[journal])
        for voice, matcher in found.matchers.items():
            matcher.whole = _in_one_piece(voices[voice])
            matcher.cut_off = any(map(self._is_cut_off, self._recorded("journal")))
        return found

    def _is_cut_off(self, partition: Partition) -> bool:
        """Say whether the oldest records of what is compared are no longer kept."""
        return self._source.recording.extent(partition).begin > 0

    def _replayed(self) -> Iterator[Feed]:
        for place in self._stages.plans:
            for track in self._stages.tracks(place, self._unread.split(self._say(place))):
                yield Feed(track.partition, track.stretch.start, track.stretch.end, [self._take(track)])

    def _say(self, place: Place) -> Say:
        if place.stage == "windows":
            matcher = self._windows.get(Partition(self._source.name("windows"), place.partition.number))
            return matcher.take_replayed if matcher else _nothing
        voice = Voice(place.stage, place.partition.number)
        return self._journal.take_replayed(voice) if voice in self._journal.matchers else _nothing

    def _take(self, track: Track) -> Take:
        if track.worker.spec.name != "planner":
            matcher = self._journal.matchers.get(Voice(track.worker.spec.name, track.partition.number))
            # What follows from records on both sides of it could be told to follow from neither.
            return split(track.take, matcher.reached) if matcher else track.take
        self._decisions.read(self._source.recording, track.partition, track.stretch)
        return Deciding(track, self._decisions).take

    def _compared(self) -> Iterator[Feed]:
        """Yield what was recorded of outputs whose inputs are replayed."""
        takers = {one: matcher.take_recorded for one, matcher in self._windows.items()}
        takers |= dict.fromkeys(self._recorded("journal"), self._journal.take_recorded)
        for partition, take in takers.items():
            span = self._stages.spans[partition]
            yield Feed(partition, span.begin, span.end, [bounded(take, span)])


def _in_one_piece(planned: Planned) -> bool:
    """Say whether nothing is left out behind the first record that is replayed."""
    return not any(gap.begin > planned.stretches[0].begin for gap in planned.gaps)


def _nothing(_: Batch, __: Sequence[NewRecord]) -> None:
    """Take what there is nothing to compare with."""
