"""Where a consumer reads next, partition by partition, taking turns."""

from __future__ import annotations

from mendline.schemas.stream import Partition


class Places:
    """Next offsets by partition; who was served goes to the end of the queue, so nobody starves."""

    def __init__(self) -> None:
        """Begin without any partition."""
        self._next: dict[Partition, int] = {}
        self._paused: dict[Partition, int] = {}

    def set(self, partition: Partition, offset: int) -> None:
        """Read the partition from `offset` on."""
        self._paused.pop(partition, None)
        self._next[partition] = offset

    def pause(self, partition: Partition) -> None:
        """Read the partition no more until `set`, but know how far it was read."""
        if partition in self._next:
            self._paused[partition] = self._next.pop(partition)

    def drop(self, partition: Partition) -> None:
        """Forget the partition."""
        self._next.pop(partition, None)
        self._paused.pop(partition, None)

    def served(self, partition: Partition, offset: int) -> None:
        """Go on at `offset`, as the last in the queue."""
        self._next.pop(partition, None)
        self._next[partition] = offset

    def turns(self) -> list[tuple[Partition, int]]:
        """Return partitions with their next offsets, the one that waits longest first."""
        return list(self._next.items())

    def lag(self, partition: Partition, end: int) -> int:
        """Return how many records are left up to `end`; 0 for a partition that was never started."""
        return max(0, end - self._next.get(partition, self._paused.get(partition, end)))
