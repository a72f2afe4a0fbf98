"""What the stages say in a replay, kept in a dump: topics of their own, which nothing live reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mendline.dumps.contents import DumpHead, Extent, TopicHead
from mendline.dumps.writer import DumpWriter
from mendline.logs.partitioner import partition_of
from mendline.schemas.stream import Batch, NewRecord, Partition

if TYPE_CHECKING:
    from typing import IO

    from mendline.replaying.inputs import Source

SAID = ("windows", "journal", "commands", "deadletter")
"""The topics that stages write to, but for snapshots."""
AT_ONCE = 1_000


class Keeper:
    """Writes what is said to a dump; a record's append time is that of the last record of its input's batch."""

    def __init__(self, file: IO[bytes], source: Source, made_at: int) -> None:
        """Begin the file; `made_at` in ms. Raises OSError."""
        from mendline import __version__

        counts = source.recording.topics()
        topics = {source.name(short): short for short in SAID if counts.get(source.name(short))}
        heads = {name: TopicHead(name=short, partitions=counts[name]) for name, short in topics.items()}
        head = DumpHead(topics=heads, prefix=source.settings.topics.prefix, made_at=made_at, by=__version__)
        self._writer = DumpWriter(file, head)
        self._counts = {name: counts[name] for name in topics}
        self._ends: dict[Partition, int] = {}
        self._times: dict[Partition, int] = {}
        self._waiting: dict[Partition, list[tuple[int, NewRecord]]] = {}

    @property
    def records(self) -> int:
        """How many records were kept."""
        return sum(self._ends.values()) + sum(map(len, self._waiting.values()))

    def take(self, batch: Batch, said: Sequence[NewRecord]) -> None:
        """Keep what a stage says of a batch. Raises OSError."""
        for record in said:
            if record.topic in self._counts:
                partition = self._partition(record)
                self._times[partition] = max(self._times.get(partition, 0), batch.timestamps[-1])
                waiting = self._waiting.setdefault(partition, [])
                waiting.append((self._times[partition], record))
                if len(waiting) >= AT_ONCE:
                    self._write(partition)

    def finish(self) -> None:
        """Write the rest. Raises OSError."""
        for partition in self._waiting:
            self._write(partition)
        ends = self._ends.items()
        self._writer.finish(
            tuple(Extent(topic=one.topic, partition=one.number, first=0, begin=0, end=end) for one, end in ends)
        )

    def _partition(self, record: NewRecord) -> Partition:
        count = self._counts[record.topic]
        number = partition_of(record.key or b"", count) if record.partition is None else record.partition
        return Partition(record.topic, number)

    def _write(self, partition: Partition) -> None:
        waiting, self._waiting[partition] = self._waiting[partition], []
        if not waiting:
            return
        begin = self._ends.get(partition, 0)
        times, records = zip(*waiting, strict=True)
        self._ends[partition] = begin + len(records)
        self._writer.write(
            Batch(
                partition,
                range(begin, begin + len(records)),
                times,
                [one.key for one in records],
                [one.value for one in records],
                [one.headers for one in records],
            )
        )
