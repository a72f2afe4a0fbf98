"""What the consumers of the embedded logs have in common: what they hold, and where they read next."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mendline.logs.base import LogRefusedError, MemberFencedError
from mendline.logs.places import Places
from mendline.logs.routing import without_group
from mendline.schemas.stream import Batch, Partition


class Reader:
    """The partitions a consumer holds, by assignment or as a group's member, and its places in them."""

    def __init__(self, name: str, group: str | None) -> None:
        """Hold nothing yet."""
        self.name = name
        self.held: set[Partition] = set()
        self.places = Places()
        self._group = group

    @property
    def group(self) -> str:
        """The group's name. Raises LogRefusedError for a consumer without one."""
        if self._group is None:
            raise without_group(self.name)
        return self._group

    def fenced(self) -> MemberFencedError:
        """Return the error for a member whose place was taken."""
        return MemberFencedError(f"another consumer took the place of {self.name!r} in group {self._group!r}: stop")

    def hold_exactly(self, partitions: Collection[Partition]) -> None:
        """Hold these partitions and no others."""
        self.lose(self.held.difference(partitions))
        self.held = set(partitions)

    def gain(self, partitions: Iterable[Partition]) -> list[Partition]:
        """Hold these partitions too, and return those that are new."""
        gained = sorted(set(partitions) - self.held)
        self.held.update(gained)
        return gained

    def lose(self, partitions: Collection[Partition]) -> set[Partition]:
        """Hold these partitions no more, and return those that were held."""
        lost = self.held.intersection(partitions)
        self.held -= lost
        for partition in lost:
            self.places.drop(partition)
        return lost

    def start(self, partition: Partition, offset: int, first: int, end: int) -> None:
        """Read from `offset` on, but from no further than the end: records that come must not be skipped.

        Raises LogRefusedError for a partition that is not held.
        """
        if partition not in self.held:
            msg = f"{self.name!r} does not hold {partition.topic}/{partition.number}: it cannot start there"
            raise LogRefusedError(msg)
        self.places.set(partition, max(first, min(offset, end)))

    def read_batch(self, batch: Batch) -> int:
        """Note that a batch was read, and return its number of records."""
        self.places.served(batch.partition, batch.next_offset)
        return len(batch)
