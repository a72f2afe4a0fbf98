"""Joins that the client itself never ends.

A client that begins to join again because what it knew of the topics changed, and forgets why before the answer comes
(kafka-python 3.0.12: every other member on new topics), never ends that join: no heartbeats, no commits, no rest, no
error, until it is thrown out. So a join that nobody waits for is asked for once more, by whoever polls.
"""

from __future__ import annotations

from kafka import KafkaConsumer


def end_join(client: KafkaConsumer) -> None:
    """Make the client end, when it is polled next, a join that it began and sees no reason for any more.

    To be called before each poll; cheap. It waits for the same answer and sends nothing twice.
    """
    coordinator = client._coordinator  # noqa: SLF001 - nothing public tells, or can be asked for it
    if coordinator.rejoining and not coordinator.need_rejoin():
        coordinator.request_rejoin()
