"""From a log to a dump: topics, or what was appended to them in a span of time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mendline.dumps.contents import DumpHead, Extent, TopicHead
from mendline.dumps.writer import DumpWriter, new_dump
from mendline.schemas.stream import Batch, Partition

if TYPE_CHECKING:
    from mendline.dumps.recording import Recording

Change = Callable[[Batch], Batch]
Tell = Callable[[int], None]


class Wanted(NamedTuple):
    """What is dumped: topics by whole name with their short ones, of which time (append time in ms; None: no bound)."""

    topics: Mapping[str, str]
    begin: int | None = None
    end: int | None = None


def extents(recording: Recording, wanted: Wanted) -> list[Extent]:
    """Return what of each partition is dumped, up to its end now. Raises LogError, DumpError."""
    counts = recording.topics()
    partitions = [Partition(name, number) for name in wanted.topics for number in range(counts.get(name, 0))]
    return [_narrowed(recording, one, wanted) for one in partitions]


def _narrowed(recording: Recording, partition: Partition, wanted: Wanted) -> Extent:
    whole = recording.extent(partition)
    begin = whole.begin if wanted.begin is None else recording.offset_at(partition, wanted.begin)
    end = whole.end if wanted.end is None else recording.offset_at(partition, wanted.end)
    end = min(end, whole.end)
    return whole.model_copy(update={"begin": min(max(begin, whole.begin), end), "end": end})


def dump(
    recording: Recording,
    path: Path,
    head: DumpHead,
    spans: Sequence[Extent],
    *,
    change: Change = lambda batch: batch,
    tell: Tell = lambda _: None,
) -> int:
    """Write a dump to `path`, in whole or not at all, and return the number of records.

    `change` may alter records on the way, `tell` is told how many more were read. Raises LogError, DumpError.
    """
    with new_dump(path) as file:
        writer = DumpWriter(file, head)
        for span in spans:
            for batch in recording.batches(Partition(span.topic, span.partition), span.begin, span.end):
                writer.write(change(batch))
                tell(len(batch))
        writer.finish(tuple(spans))
        return writer.records


def head_of(recording: Recording, wanted: Wanted, prefix: str, made_at: int, *, anonymised: bool = False) -> DumpHead:
    """Return the head of a dump of what is wanted; topics that do not exist are left out."""
    from mendline import __version__

    counts = recording.topics()
    topics = {
        name: TopicHead(name=short, partitions=counts[name]) for name, short in wanted.topics.items() if name in counts
    }
    return DumpHead(topics=topics, prefix=prefix, made_at=made_at, by=__version__, anonymised=anonymised)
