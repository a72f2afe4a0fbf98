"""What a fleet leaves on its log, and what undisturbed stages say of the very same rounds and windows.

Readers drop repeats by order, and so does this: of a source's windows of one width those that start no later than one
read before, of a fault's records those of no higher revision.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from mendline.reading import ROUTINE, read_batches
from mendline.runtime.logtime import LogClock
from mendline.runtime.worker import cut
from mendline.schemas.decode import decode
from mendline.schemas.records import Fault
from mendline.schemas.stream import Batch, Input, Partition

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.schemas.columnar import WindowBlock
    from mendline.schemas.decode import Decoded
    from mendline.schemas.stream import NewRecord, Stage
    from tests.simulation.fleet.rules import Heard

WindowKey = tuple[str, int, int]
FaultKey = tuple[str, int]
STAGES = ("rounds", "detect")


@dataclass
class Seen:
    """What a reader sees: windows by (source, width, start) as bytes, records of faults by (id, revision).

    `unlike` are those that were said again with other content, `unsure` those that need not be there, `spoken` the
    numbers of what each life of a source said.
    """

    windows: dict[WindowKey, bytes] = field(default_factory=dict)
    faults: dict[FaultKey, Fault] = field(default_factory=dict)
    unlike: set[WindowKey | FaultKey] = field(default_factory=set)
    unsure: set[WindowKey | FaultKey] = field(default_factory=set)
    spoken: dict[tuple[str, int], set[int]] = field(default_factory=lambda: defaultdict(set))
    _starts: dict[tuple[str, int], int] = field(default_factory=dict)

    def take(self, records: Sequence[NewRecord]) -> None:
        """Take what a stage said as if it had been read."""
        if records:
            values, headers = [one.value for one in records], [one.headers for one in records]
            keys, times = [one.key for one in records], [0] * len(records)
            self.read(decode(Batch(Partition("", 0), range(len(records)), times, keys, values, headers)))

    def listen(self, given: Input) -> None:
        """Note the numbers of what sources say."""
        for block in given.rounds:
            for source, epoch, number in zip(block.sources, block.epoch.tolist(), block.sequence.tolist(), strict=True):
                self.spoken[source, epoch].add(number)
        for _, record in given.records:
            if record.epoch is not None and record.sequence is not None:
                self.spoken[record.source, record.epoch].add(record.sequence)

    def read(self, decoded: Decoded) -> None:
        """Take what was read."""
        for block in sorted(decoded.windows, key=lambda block: int(block.index[0])):
            self._take_windows(block)
        for _, record in decoded.records:
            if isinstance(record, Fault) and record.stage in STAGES and record.source in STAGES:
                self._take_fault(record)

    def _take_windows(self, block: WindowBlock) -> None:
        """Take a block's windows, of each the statistics of all series in one piece."""
        statistics = np.stack([block.statistics[name] for name in sorted(block.statistics)], axis=1)
        data, size = statistics.tobytes(), statistics[0].nbytes
        for row, (source, start) in enumerate(zip(block.sources, block.starts.tolist(), strict=True)):
            key, content = (source, block.width_ms, start), data[row * size : (row + 1) * size]
            if start > self._starts.get(key[:2], -1):
                self._starts[key[:2]] = start
                self.windows[key] = content
            elif self.windows.get(key) not in {None, content}:
                self.unlike.add(key)

    def _take_fault(self, fault: Fault) -> None:
        if self.faults.setdefault((fault.id, fault.revision), fault) != fault:
            self.unlike.add((fault.id, fault.revision))


def seen_on(log: Log, partitions: Sequence[Partition]) -> Seen:
    """Return what a reader of these partitions sees."""
    seen = Seen()
    for partition in partitions:
        for batch in read_batches(log, partition):
            if told := _without(ROUTINE, batch):
                seen.read(decode(told))
    return seen


def _without(kinds: Sequence[bytes], batch: Batch) -> Batch | None:
    """Return the batch without records of these kinds, told by their bytes; None if nothing is left."""
    kept = [place for place, value in enumerate(batch.values) if not any(kind in value[:400] for kind in kinds)]
    if not kept:
        return None
    return Batch(
        batch.partition,
        [batch.offsets[place] for place in kept],
        [batch.timestamps[place] for place in kept],
        [batch.keys[place] for place in kept],
        [batch.values[place] for place in kept],
        [batch.headers[place] for place in kept],
    )


def undisturbed(
    log: Log, stages: Mapping[Partition, Sequence[Stage]], reached: Mapping[Partition, int], heard: Heard
) -> Seen:
    """Return what stages say that read their partitions in one pass, in batches as large as they come.

    `heard` takes the rounds that they read. What follows from records at or behind the offset `reached` is `unsure`:
    those who were at work may not have come so far.
    """
    seen = Seen()
    for partition, made in stages.items():
        for given in _inputs(log, partition, reached[partition]):
            seen.listen(given)
            for block in given.rounds:
                heard.listen(block)
            before = len(seen.windows), len(seen.faults)
            for stage in made:
                seen.take(list(stage.fold(given)))
            if given.offsets[0] >= reached[partition]:
                seen.unsure |= {*islice(seen.windows, before[0], None), *islice(seen.faults, before[1], None)}
    return seen


def _inputs(log: Log, partition: Partition, border: int) -> Iterator[Input]:
    """Yield the records as a stage is given them, in batches of which none lies on both sides of the border."""
    clock = LogClock()
    for batch in read_batches(log, partition):
        at = bisect_left(batch.offsets, border)
        for begin, end in ((0, at), (at, len(batch))):
            if begin < end:
                part = cut(batch, begin, end)
                found, times = decode(part), clock.advance(part.timestamps)
                about = (found.append_times, times, found.rounds, found.windows, found.records)
                yield Input(partition, part.offsets, *about, raw=part)
