"""What is replayed: stages, each on the partitions of its input, and the records of a recording that they are given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mendline.replaying.errors import ReplayError
from mendline.replaying.plan import Span
from mendline.roles import detect_spec, vouched_planner_spec, vouched_rounds_spec, windows_spec
from mendline.schemas.stream import Partition

if TYPE_CHECKING:
    from mendline.dumps.contents import Extent
    from mendline.dumps.recording import Recording
    from mendline.replaying.letters import Letters
    from mendline.runtime.spec import StageSpec
    from mendline.schemas.records import Cancel, Command, Seal
    from mendline.schemas.settings import Settings

Signed = TypeVar("Signed", "Command", "Cancel", "Seal")

INPUTS = {"metrics": ("windows", "rounds"), "windows": ("detect",), "journal": ("planner",)}
"""The stages by the short name of their input."""


class Place(NamedTuple):
    """A stage and the partition of its input."""

    stage: str
    partition: Partition


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is replayed: the inputs by short name, of which append time (ms; None: no bound), about which sources."""

    topics: Sequence[str] = tuple(INPUTS)
    begin: int | None = None
    end: int | None = None
    sources: frozenset[str] = frozenset()


def unsigned(record: Signed) -> Signed:
    """Return the record as it is: a replay signs nothing, so no host obeys what comes of it."""
    return record


def specs(settings: Settings, letters: Letters) -> dict[str, StageSpec]:
    """Return the stages by name, which believe whom was believed. Raises DetectorError."""
    return {
        "windows": windows_spec(settings),
        "rounds": vouched_rounds_spec(settings, letters.why_not),
        "detect": detect_spec(settings),
        "planner": vouched_planner_spec(settings, unsigned, letters.why_not),
    }


@dataclass(frozen=True, slots=True)
class Source:
    """A recording as the settings name its topics, and what of it is wanted."""

    recording: Recording
    settings: Settings
    wanted: Wanted
    _extents: dict[Partition, Extent] = field(default_factory=dict, init=False, compare=False)

    def name(self, short: str) -> str:
        """Return the whole name of a topic."""
        return self.settings.topics.topic(short)  # type: ignore[arg-type] # one of those in INPUTS, or state

    def partitions(self, short: str) -> list[Partition]:
        """Return the partitions of a topic, none where it was not recorded. Raises ReplayError if it is wanted."""
        name = self.name(short)
        count = self.recording.topics().get(name, 0)
        if not count and short in self.wanted.topics:
            there = ", ".join(sorted(self.recording.topics())) or "none"
            msg = (
                f"{self.recording.url}: the topic {name} was not recorded (there: {there}); "
                "`mendline replay --topic` names what there is; `topics.prefix` must be that of the recording"
            )
            raise ReplayError(msg)
        return [Partition(name, number) for number in range(count)]

    def places(self) -> Iterator[Place]:
        """Yield the stages with the partitions of their inputs. Raises ReplayError."""
        for short, stages in INPUTS.items():
            if short in self.wanted.topics:
                yield from (Place(stage, one) for one in self.partitions(short) for stage in stages)

    @property
    def newest(self) -> int:
        """When the newest record of any input was appended (ms), 0 where there is none. Raises LogError, DumpError.

        What was appended after `spans` was asked does not count: a replay does not see it.
        """
        return max(self._appended(-1), default=0)

    @property
    def oldest(self) -> int:
        """When the oldest record of any input was appended (ms), 0 where there is none. Raises LogError, DumpError."""
        return min(self._appended(0), default=0)

    def _appended(self, which: int) -> Iterator[int]:
        """Yield when the first (0) or last (-1) record of each partition was appended."""
        for short in INPUTS:
            name = self.name(short)
            for number in range(self.recording.topics().get(name, 0)):
                partition = Partition(name, number)
                extent = self._extent(partition)
                if extent.begin < extent.end:
                    at = range(extent.begin, extent.end)[which]
                    for batch in self.recording.batches(partition, at, at + 1):
                        yield int(batch.timestamps[0])

    def spans(self) -> dict[Partition, Span]:
        """Return what there is of each partition by now, those of outputs first. Raises ReplayError.

        So whatever was recorded of an output follows from records of its input that are in its span.
        """
        return {one: self._span(one) for short in ("journal", "windows", "metrics") for one in self.partitions(short)}

    def _span(self, partition: Partition) -> Span:
        extent, wanted = self._extent(partition), self.wanted
        first = extent.begin if wanted.begin is None else self.recording.offset_at(partition, wanted.begin)
        last = extent.end if wanted.end is None else min(self.recording.offset_at(partition, wanted.end), extent.end)
        return Span(extent.begin, min(max(first, extent.begin), last), last)

    def _extent(self, partition: Partition) -> Extent:
        """Return how far the partition went when this was asked first."""
        if partition not in self._extents:
            self._extents[partition] = self.recording.extent(partition)
        return self._extents[partition]
