"""Windows made anew of the recorded rounds, for settings whose windows were not recorded; made once for all of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from mendline.dumps import Dump
from mendline.dumps.contents import Extent
from mendline.dumps.writer import new_dump
from mendline.replaying.feeds import Feed, Pace, Take, joined, run
from mendline.replaying.keeping import Keeper
from mendline.replaying.plan import read_activations
from mendline.replaying.stages import Stages
from mendline.roles import windows_spec
from mendline.schemas.records import Tick, encode_record
from mendline.schemas.stream import NewRecord

if TYPE_CHECKING:
    from pathlib import Path

    from mendline.dumps.recording import Recording
    from mendline.replaying.inputs import Source
    from mendline.replaying.tracks import Track
    from mendline.schemas.stream import Batch, Partition

MADE_BY = "backtest"
Made = Mapping[str, "Path"]
"""Where windows stand that were made, by the hash of their settings."""


def second_by_second() -> Pace:
    """Return a pace that waits for nothing and gives out a second at a time, so that windows have exact times."""
    return Pace(math.inf, time.monotonic, time.sleep)


class Overlay:
    """A recording with other windows than were recorded, from a dump, or none yet; and so without snapshots."""

    def __init__(self, recording: Recording, source: Source, windows: Dump | None) -> None:
        """Lay the windows over those of the recording, as many partitions as there are of rounds."""
        self._recording, self._windows = recording, windows
        self._state, self._topic = source.name("state"), source.name("windows")
        self._count = len(source.partitions("metrics"))
        self.url = recording.url

    def topics(self) -> Mapping[str, int]:
        """Return the topics, with their number of partitions."""
        kept = {name: count for name, count in self._recording.topics().items() if name != self._state}
        return {**kept, self._topic: self._count}

    def extent(self, partition: Partition) -> Extent:
        """Return from where up to where the partition goes."""
        if found := self._of(partition):
            return found.extent(partition)
        return Extent(topic=partition.topic, partition=partition.number, first=0, begin=0, end=0)

    def offset_at(self, partition: Partition, timestamp: int) -> int:
        """Return the offset of the first record appended at `timestamp` (ms) or later; the end offset if none."""
        found = self._of(partition)
        return found.offset_at(partition, timestamp) if found else 0

    def batches(self, partition: Partition, begin: int, end: int) -> Iterator[Batch]:
        """Yield the records of the partition from offset `begin` up to `end`, in order."""
        found = self._of(partition)
        return found.batches(partition, begin, end) if found else iter(())

    def close(self) -> None:
        """Close the dump; the recording belongs to others."""
        if self._windows:
            self._windows.close()

    def _of(self, partition: Partition) -> Recording | None:
        return self._windows if partition.topic == self._topic else self._recording


def with_windows(source: Source) -> Source:
    """Return the source with a topic of windows, empty if none was recorded: they can be made. Raises ReplayError."""
    if source.name("windows") in source.recording.topics():
        return source
    return replace(source, recording=Overlay(source.recording, source, None))


@contextmanager
def laid_over(source: Source, made: Made) -> Iterator[Source]:
    """Give the source with the windows that its settings want: the recorded ones, or those that were made."""
    path = made.get(windows_spec(source.settings).config)
    if path is None:
        yield source
        return
    overlay = Overlay(source.recording, source, Dump(path))
    try:
        yield replace(source, recording=overlay)
    finally:
        overlay.close()


def make_windows(sources: Sequence[Source], folder: Path, tell: Callable[[int], None]) -> Made:
    """Make in the folder the windows that some of the sources' settings want and that were not recorded.

    Raises ReplayError, LogError, DumpError, OSError.
    """
    made: dict[str, Path] = {}
    recorded = recorded_configs(sources[0])
    for source in sources:
        config = windows_spec(source.settings).config
        if config not in made and (recorded is None or recorded - {config}):
            made[config] = folder / config
            _make(source, made[config], tell)
    return made


def recorded_configs(source: Source) -> set[str] | None:
    """Return the hashes of the settings under which windows were recorded, as far as is known; None if none were."""
    if not any(source.recording.extent(one).end for one in source.partitions("windows")):
        return None
    found = read_activations(source.recording, source.name("journal")).records
    return {one.config for one in found if one.stage == "windows"}


def _make(source: Source, path: Path, tell: Callable[[int], None]) -> None:
    """Write the windows to a dump."""
    wanted = replace(source.wanted, topics=("metrics",), begin=None)
    bare = replace(source, recording=Overlay(source.recording, source, None), wanted=wanted)
    with new_dump(path) as file:
        keeper = Keeper(file, bare, 0)
        stages = Stages.anew(bare)
        feeds = [
            Feed(
                track.partition, track.stretch.start, track.stretch.end, [_kept(track, keeper, source.name("windows"))]
            )
            for place in stages.plans
            if place.stage == "windows"
            for track in stages.tracks(place, keeper.take)
        ]
        run(source.recording, joined(feeds), second_by_second(), tell)
        keeper.finish()


def _kept(track: Track, keeper: Keeper, topic: str) -> Take:
    """Return what folds a second of rounds; a tick behind its windows lets their log time go on, as live."""

    def take(batch: Batch) -> None:
        track.take(batch)
        tick = encode_record(Tick(source=MADE_BY, time=batch.timestamps[-1]))
        keeper.take(batch, [NewRecord(topic, tick, partition=track.partition.number)])

    return take
