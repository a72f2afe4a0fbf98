"""What a dump says of itself: its head, and its index of blocks."""

from __future__ import annotations

from pydantic import Field

from mendline.schemas.base import Frozen
from mendline.schemas.stream import Partition


class TopicHead(Frozen):
    """A topic of the dump: its short name, and how many partitions it has."""

    name: str
    partitions: int = Field(gt=0)


class DumpHead(Frozen):
    """What the file holds: topics by their whole names, begun below `prefix`. `made_at` in ms, `by` which version.

    `anonymised`: names are others, the same for the same, and texts are masked.
    """

    topics: dict[str, TopicHead]
    prefix: str
    made_at: int
    by: str
    anonymised: bool = False


class Extent(Frozen):
    """What a partition has in the log that was dumped, from `first` up to `end`, and in the dump from `begin` on.

    A dump of a span of time has less than the log had.
    """

    topic: str
    partition: int
    first: int
    begin: int
    end: int


class BlockPlace(Frozen):
    """Where a block stands, and which records it has; `first` and `last` offsets, `began` and `ended` times (ms)."""

    at: int
    topic: str
    partition: int
    first: int
    last: int
    began: int
    ended: int
    records: int

    @property
    def where(self) -> Partition:
        """Its partition."""
        return Partition(self.topic, self.partition)


class Index(Frozen):
    """The blocks, in the order of the file, and how far each partition goes."""

    blocks: tuple[BlockPlace, ...]
    extents: tuple[Extent, ...]
