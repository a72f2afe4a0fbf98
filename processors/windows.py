"""The stage `windows`: collection rounds in, closed windows out.

All in event time of the source itself. A pane `[s, s + pane)` closes when a round at or after `s + pane + grace` has
come; a wider window when one at or after its end plus grace has. Nothing else closes them: no tick, no other source.
Which rounds count is told in `order`, what is counted in `panes`. A pane or window without rounds is not written.

When a source changes its series table, the pane or window that the change falls into has the series of both (`tables`
says in which order); one that has more series than a record can hold loses the last ones. A counter that a pane's
table does not have begins anew after it. A source that was silent for `windows.forget` of log time is forgotten, and
the windows it left open with it: should it come back, it begins anew. If its clock went back by as much meanwhile, it
may say windows again, which readers drop by order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mendline.processors.folding import Folding, Shape
from mendline.processors.order import TALLIES
from mendline.processors.state import dump_sources, load_sources
from mendline.schemas.columnar import RoundBlock, WindowBlock, encode_windows
from mendline.schemas.stream import WINDOWS_HEADERS, Input, NewRecord, Partition, StateBlock

if TYPE_CHECKING:
    from mendline.schemas.settings import Settings

SWEEP_MS = 60_000


class WindowsStage:
    """Windows of every source of one partition."""

    name = "windows"

    def __init__(self, settings: Settings, partition: Partition) -> None:
        """Make windows as `settings.windows` says, on `partition` of the metrics topic."""
        self._topic = settings.topics.topic("windows")
        self._partition = partition
        self._forget = settings.windows.forget
        self._folding = Folding(Shape.of(settings.windows), settings.windows.forget)
        self._swept = 0

    def fold(self, batch: Input) -> Iterator[NewRecord]:
        """Take the rounds in and yield the windows they close."""
        with np.errstate(all="ignore"):
            values = encode_windows(self._closed(batch))
        self._sweep(batch)
        for value in values:
            yield NewRecord(self._topic, value, None, self._partition.number, WINDOWS_HEADERS)

    def dump(self) -> Iterator[StateBlock]:
        """Yield what is kept, in blocks of sources."""
        return dump_sources(self._folding)

    def load(self, blocks: Iterable[StateBlock]) -> None:
        """Take over what `dump` yielded."""
        load_sources(self._folding, blocks)

    def tallies(self) -> dict[str, dict[str, int]]:
        """Return of each source how many of its rounds were repeats, out of order, late, ahead or too many, if any."""
        marks = self._folding.marks
        found: dict[str, dict[str, int]] = {}
        for tally in TALLIES:
            counts = marks.arrays[tally][: len(marks.names)]
            for number in np.flatnonzero(counts).tolist():
                if marks.numbers.get(name := marks.names[number]) == number:
                    found.setdefault(name, {})[tally] = int(counts[number])
        return found

    def _closed(self, batch: Input) -> Iterator[WindowBlock]:
        """Take the rounds in and yield the windows they close, so that few of them are there at a time."""
        for part in self._parts(batch):
            if part:
                yield from self._folding.fold(part, batch)

    def _parts(self, batch: Input) -> Iterator[Sequence[RoundBlock]]:
        """Yield the rounds, cut so that no source can be forgotten in the midst of a part."""
        begin, records = 0, len(batch.log_times)
        while begin < records:
            end = int(np.searchsorted(batch.log_times, batch.log_times[begin] + self._forget, side="right"))
            parts = [_between(block, begin, end) for block in batch.rounds] if end - begin < records else batch.rounds
            yield [part for part in parts if len(part.sources)]
            begin = end

    def _sweep(self, batch: Input) -> None:
        """Free what belongs to sources that would be forgotten if they came back now."""
        now = int(batch.log_times[-1])
        if now - self._swept >= SWEEP_MS:
            self._swept = now
            self._folding.sweep(now - self._forget)


def _between(block: RoundBlock, begin: int, end: int) -> RoundBlock:
    """Return the rounds at positions of the batch from `begin` up to, not including, `end`."""
    rows = np.flatnonzero((block.index >= begin) & (block.index < end))
    sources = [block.sources[row] for row in rows.tolist()]
    columns = {name: getattr(block, name)[rows] for name in ("index", "times", "epoch", "sequence", "values")}
    return replace(block, sources=sources, **columns)
