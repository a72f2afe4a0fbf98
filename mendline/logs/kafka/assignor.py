"""Who reads what in a Kafka group: the same rule as on the embedded logs, moved in two steps as KIP-429 asks for.

A member keeps its partitions while a rebalance runs. What is to move is first taken from its owner, and only in the
next round, when nobody holds it, given to the one who should have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor, RebalanceProtocol
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription

from mendline.logs.groups import share_out
from mendline.schemas.stream import Partition

VERSION = 2
"""Of the group protocol: the one from which on a claim to a partition tells how old it is."""


class SharingAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """Shares partitions out evenly, one number of all topics to the same member, moving as little as possible."""

    name = "mendline-sharing"
    version = VERSION

    def __init__(self) -> None:
        """Begin owning nothing."""
        self._owned: list[Partition] = []
        self._generation = -1

    def supported_protocols(self) -> list[RebalanceProtocol]:
        """Return that members keep their partitions during a rebalance."""
        return [RebalanceProtocol.COOPERATIVE]

    def metadata(self, topics: set[str]) -> ConsumerProtocolSubscription:
        """Return what the leader is to know of this member."""
        claims = [
            ConsumerProtocolSubscription.TopicPartition(topic=topic, partitions=numbers)
            for topic, numbers in _by_topic(self._owned)
        ]
        return ConsumerProtocolSubscription(
            version=VERSION,
            topics=sorted(topics),
            user_data=b"",
            owned_partitions=claims,
            generation_id=self._generation,
        )

    def on_assignment(self, assignment: ConsumerProtocolAssignment, generation: int) -> None:
        """Remember what this member owns from now on."""
        self._owned = [Partition(*tp) for tp in assignment.partitions()]
        self._generation = generation

    def assign(self, cluster: Any, members: Sequence[Any]) -> dict[str, ConsumerProtocolAssignment]:
        """Return what each member may read after this round."""
        topics = {member.member_id: list(member.metadata.topics) for member in members}
        owners = _owners(members)
        counts = _counts(cluster, {topic for wanted in topics.values() for topic in wanted}, owners)
        targets = share_out(topics, counts, owners)
        return {
            member: ConsumerProtocolAssignment(
                VERSION,
                _by_topic([p for p, target in targets.items() if target == member == owners.get(p, member)]),
                b"",
            )
            for member in topics
        }


def _owners(members: Sequence[Any]) -> dict[Partition, str]:
    """Return who owns what, by the youngest claim: a member that was thrown out still claims what it lost."""
    claims: dict[Partition, tuple[int, str]] = {}
    for member in members:
        for claimed in member.metadata.owned_partitions or ():
            claim = (getattr(member.metadata, "generation_id", -1), member.member_id)
            for number in claimed.partitions:
                partition = Partition(claimed.topic, number)
                claims[partition] = max(claim, claims.get(partition, claim))
    return {partition: member for partition, (_, member) in claims.items()}


def _counts(cluster: Any, topics: set[str], owners: dict[Partition, str]) -> dict[str, int]:
    """Return the topics' numbers of partitions; one the leader has not heard of yet is as large as what is owned."""
    counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
    for topic, number in owners:
        if topic in counts:
            counts[topic] = max(counts[topic], number + 1)
    return counts


def _by_topic(partitions: Sequence[Partition]) -> list[tuple[str, list[int]]]:
    numbers: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        numbers.setdefault(topic, []).append(number)
    return list(numbers.items())
