"""Hands recorded partitions out to whoever wants them, all in the order in which their records were appended."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.runtime.worker import cut

if TYPE_CHECKING:
    from mendline.dumps.recording import Recording
    from mendline.schemas.stream import Batch, Partition

Take = Callable[["Batch"], None]
SLICE_MS = 1_000


class Feed(NamedTuple):
    """The records `begin` up to `end` of a partition, and who takes them, one after the other."""

    partition: Partition
    begin: int
    end: int
    takers: Sequence[Take]


def joined(feeds: Iterable[Feed]) -> list[Feed]:
    """Return one feed for each partition; each taker must know by itself what it wants."""
    found: dict[Partition, list[Feed]] = defaultdict(list)
    for one in feeds:
        found[one.partition].append(one)
    return [
        Feed(
            partition,
            min(one.begin for one in some),
            max(one.end for one in some),
            [take for one in some for take in one.takers],
        )
        for partition, some in found.items()
    ]


class Pace:
    """How fast append time goes by: `speed` times as fast as it did, None as fast as can be.

    What was appended before `since` (ms) is not waited for. `reached`: all that was appended before that time (ms) has
    been handed out; None before anything was.
    """

    def __init__(
        self, speed: float | None, clock: Callable[[], float], sleep: Callable[[float], object], since: int = 0
    ) -> None:
        """Measure by `clock` (s), wait by `sleep`."""
        self.speed, self._clock, self._sleep, self._since = speed, clock, sleep, since
        self.reached: int | None = None
        self._began: tuple[float, int] | None = None

    def wait_for(self, append_time: int) -> None:
        """Wait until it is time for what was appended then (ms)."""
        self.reached = append_time
        if self.speed is None or append_time < self._since:
            return
        if self._began is None:
            self._began = self._clock(), append_time
        began, first = self._began
        left = began + (append_time - first) / 1000 / self.speed - self._clock()
        if left > 0:
            self._sleep(left)


def run(recording: Recording, feeds: Sequence[Feed], pace: Pace, tell: Callable[[int], None]) -> None:
    """Hand out all feeds; `tell` is told how many more records were handed out. Raises LogError, DumpError."""
    for feed, batch in _merged(recording, feeds, sliced=pace.speed is not None):
        pace.wait_for(batch.timestamps[0])
        for take in feed.takers:
            take(batch)
        tell(len(batch))


def _merged(recording: Recording, feeds: Sequence[Feed], *, sliced: bool) -> Iterator[tuple[Feed, Batch]]:
    """Yield the batches of all feeds by the append time they begin with; `sliced`: each of a second at most."""
    sources = [_batches(recording, feed, sliced=sliced) for feed in feeds]
    heap = [(batch.timestamps[0], number, batch) for number, one in enumerate(sources) if (batch := next(one, None))]
    heapq.heapify(heap)
    while heap:
        _, number, batch = heap[0]
        yield feeds[number], batch
        if after := next(sources[number], None):
            heapq.heapreplace(heap, (after.timestamps[0], number, after))
        else:
            heapq.heappop(heap)


def _batches(recording: Recording, feed: Feed, *, sliced: bool) -> Iterator[Batch]:
    for batch in recording.batches(feed.partition, feed.begin, feed.end):
        if sliced:
            yield from _slices(batch)
        else:
            yield batch


def _slices(batch: Batch) -> Iterator[Batch]:
    """Yield the batch in parts of a second of append time."""
    begin, times = 0, np.asarray(batch.timestamps)
    while begin < len(times):
        later = np.flatnonzero(times[begin:] >= times[begin] + SLICE_MS)
        end = begin + int(later[0]) if len(later) else len(times)
        yield cut(batch, begin, end)
        begin = end
