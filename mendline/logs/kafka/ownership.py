"""What a member of a group owns, as its client hears it and as the caller was told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence

from kafka import KafkaConsumer
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.structs import TopicPartition

from mendline.schemas.stream import Partition


class Ownership(ConsumerRebalanceListener):  # type: ignore[misc]
    """Records what the group gives and takes, and holds what is new back until somebody says where to start.

    The client calls the listener on its I/O thread while the caller is in `poll`; only calls that do not block are
    allowed there.
    """

    def __init__(self, client: KafkaConsumer, changed: Callable[[], None]) -> None:
        """Listen for `client`; `changed` is called after each change."""
        self._client = client
        self._changed = changed
        self._lock = threading.Lock()
        self._owned: set[Partition] = set()
        self._told: set[Partition] = set()
        self._taken: set[Partition] = set()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Hold back what is new."""
        hold(self._client, assigned)
        with self._lock:
            self._owned |= {Partition(*tp) for tp in assigned}
        self._changed()

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Remember what is gone."""
        with self._lock:
            gone = {Partition(*tp) for tp in revoked}
            self._owned -= gone
            self._taken |= gone
        self._changed()

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        """Remember what another member may own already."""
        self.on_partitions_revoked(lost)

    def owns(self, partition: Partition) -> bool:
        """Say whether the group gave the partition to this member."""
        return partition in self._owned

    def news(self) -> tuple[Sequence[Partition], Sequence[Partition]]:
        """Return what was assigned and what was revoked since the last call.

        A partition that was lost and came back is in both: its state is to be dropped first.
        """
        if not self._taken and self._owned == self._told:
            return (), ()
        with self._lock:
            revoked = self._taken & self._told
            assigned = self._owned - (self._told - revoked)
            self._told = set(self._owned)
            self._taken = set()
        return sorted(assigned), sorted(revoked)


def hold(client: KafkaConsumer, partitions: Collection[TopicPartition]) -> None:
    """Deliver nothing of the partitions yet.

    A position saves the client from asking for one, which would delay the group's other partitions.
    """
    client.pause(*partitions)
    for tp in partitions:
        client.seek(tp, 0)
