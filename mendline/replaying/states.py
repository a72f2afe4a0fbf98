"""Snapshots in a recording: the nearest one to an offset of a stage's input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mendline.logs.partitioner import partition_of
from mendline.runtime.snapshots import UNKNOWN, Restored, assemble, is_under, name_of, part_of
from mendline.schemas.base import UnreadableRecordError
from mendline.schemas.stream import Partition

if TYPE_CHECKING:
    from mendline.dumps.recording import Recording
    from mendline.runtime.snapshots import Part
    from mendline.runtime.spec import StageSpec

BACK_MS = (30_000, 600_000, 6 * 3_600_000)
"""How far back a snapshot is looked for, each time further: it is mostly a few seconds old."""


class States:
    """The snapshots of a stage on one partition that were made under its settings."""

    def __init__(self, recording: Recording, topic: str, spec: StageSpec, source: Partition) -> None:
        """Look for them in the state `topic`, which may be missing."""
        self._recording, self._source, self._config = recording, source, spec.config
        self._name = name_of(spec.name, source)
        count = recording.topics().get(topic, 0)
        self._place = Partition(topic, partition_of(self._name, count)) if count else None

    def before(self, offset: int) -> Restored | None:
        """Return the newest snapshot of what was known at or before `offset`; one appended just then may be missed."""
        if self._place is None:
            return None
        oldest, time = self._recording.extent(self._place).begin, self._time_at(offset)
        end = self._recording.offset_at(self._place, time)
        for begin in (*(self._recording.offset_at(self._place, max(time - back, 0)) for back in BACK_MS), oldest):
            found = [one for one in self._between(max(begin, oldest), end) if one.offset <= offset]
            if found:
                return found[-1]
        return None

    def after(self, offset: int) -> Restored | None:
        """Return the first snapshot of what was known behind `offset`."""
        if self._place is None:
            return None
        begin = self._recording.offset_at(self._place, self._time_at(offset))
        between = self._between(begin, self._recording.extent(self._place).end)
        return next((one for one in between if one.offset > offset), None)

    def _time_at(self, offset: int) -> int:
        """Return the append time (ms) of the record at an offset of the input, or of the first one behind it."""
        end = self._recording.extent(self._source).end
        batch = next(iter(self._recording.batches(self._source, offset, end)), None)
        return batch.timestamps[0] if batch else 0

    def _between(self, begin: int, end: int) -> Iterator[Restored]:
        """Yield the whole snapshots among the records of the topic from `begin` up to `end`."""
        parts: list[Part] = []
        for key, value in self._records(begin, end):
            try:
                part = part_of(key, value)
            except UnreadableRecordError:
                parts = []
                continue
            head = part.head
            parts = [part] if head.block == 0 else [*parts, part]
            if head.blocks != UNKNOWN and head.config == self._config and (found := assemble(parts, self._name)):
                yield found

    def _records(self, begin: int, end: int) -> Iterator[tuple[bytes | None, bytes]]:
        if self._place:
            for batch in self._recording.batches(self._place, begin, end):
                pairs = zip(batch.keys, batch.values, strict=True)
                yield from ((key, value) for key, value in pairs if value and is_under(self._name, key))
