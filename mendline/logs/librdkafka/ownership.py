"""What a member of a group owns, and what of it has not been told yet.

Each rebalance takes everything and then gives everything anew. In between nothing is read, and nothing is told.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from typing import Any

from mendline.schemas.stream import Partition

_GENERATION = struct.Struct("=i")
_MAGIC = b"CGMDv2:"
UNKNOWN = -2
"""As a generation, it follows on none: what is given is taken for new each time."""


class Ownership:
    """What the group gave, against what the caller knows of. Not guarded: all happens while the caller polls."""

    def __init__(self) -> None:
        """Begin owning nothing. `away`: a rebalance is running."""
        self._owned: set[Partition] = set()
        self._told: set[Partition] = set()
        self._taken: set[Partition] = set()
        self._generation = UNKNOWN
        self.away = False

    def gave(self, partitions: Collection[Partition], generation: int) -> set[Partition]:
        """Note what a rebalance gave, and return what may be read on where it was.

        A generation that this member was not in may have given its partitions to others, who read on from there.
        """
        if generation != self._generation + 1:
            self._taken |= self._owned
        kept = self._owned.intersection(partitions) - self._taken
        self._owned = set(partitions)
        self._generation = generation
        self.away = False
        return kept

    def rest(self) -> None:
        """Note that a rebalance began."""
        self.away = True

    def lost(self) -> None:
        """Note that the member fell out of its group: others may read all it had already."""
        self._taken |= self._owned
        self._owned = set()
        self._generation = UNKNOWN
        self.away = False

    @property
    def settled(self) -> bool:
        """Whether the member has its place in the group, and knows of no rebalance."""
        return self._generation != UNKNOWN and not self.away

    def owns(self, partition: Partition) -> bool:
        """Say whether the group gave the partition to this member."""
        return partition in self._owned

    def news(self) -> tuple[Sequence[Partition], Sequence[Partition]]:
        """Return what was assigned and what was revoked since the last call; nothing during a rebalance.

        A partition that was lost and came back is in both: its state is to be dropped first.
        """
        if self.away or (not self._taken and self._owned == self._told):
            return (), ()
        revoked = {p for p in self._told if p in self._taken or p not in self._owned}
        assigned = self._owned - (self._told - revoked)
        self._told = set(self._owned)
        self._taken = set()
        return sorted(assigned), sorted(revoked)


def generation_of(client: Any) -> int:
    """Return the group's generation that the client is in; UNKNOWN when it does not tell.

    Nothing public tells it but the text that is meant for a producer's transactions, which begins with it.
    """
    text = client.consumer_group_metadata()
    if not isinstance(text, bytes) or not text.startswith(_MAGIC):
        return UNKNOWN
    return int(_GENERATION.unpack_from(text, len(_MAGIC))[0])
