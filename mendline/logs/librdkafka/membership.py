"""A consumer's place in its group: what it is given and what is taken from it, whether it is still in, and its leaving.

The client tells of a rebalance while it is polled or closed, on the caller's thread, with Python's lock held. Whoever
it tells must not wait for it: it would wait for itself.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from mendline.logs.kafka.admin import leave_group
from mendline.logs.kafka.connect import safe_name
from mendline.logs.kafka.options import KafkaOptions
from mendline.logs.kafka.watchdog import Watchdog
from mendline.logs.librdkafka.commits import RdCommits
from mendline.logs.librdkafka.errors import cause, translate, translated
from mendline.logs.librdkafka.ownership import Ownership, generation_of
from mendline.logs.librdkafka.reading import Reading
from mendline.logs.librdkafka.troubles import Troubles
from mendline.schemas.stream import Partition


class _Watchdog(Watchdog):
    """Looks after a member that reads through librdkafka, which heeds its heartbeats itself."""

    def _member_id(self) -> str:
        return self._client.memberid() or ""


class Membership:
    """The place in `group` of the consumer `name`, which stores its places by `commits` and reads by `reading`."""

    def __init__(self, client: Any, name: str, reading: Reading, commits: RdCommits, troubles: Troubles) -> None:
        """Begin as a member of nothing."""
        self._client = client
        self._name = name
        self._reading = reading
        self._commits = commits
        self._troubles = troubles
        self._ownership = Ownership()
        self._watchdog: Watchdog | None = None
        self._ending = False

    def join(self, servers: Sequence[str], options: KafkaOptions, group: str, topics: Collection[str]) -> None:
        """Become a member of the group. Raises LogUnavailableError, LogRefusedError."""
        with translated(self._name):
            self._client.subscribe(
                list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
        self._watchdog = _Watchdog(self._client, servers, options, group, safe_name(self._name))

    def owns(self, partition: Partition) -> bool:
        """Say whether the group gave the partition to this member."""
        return self._ownership.owns(partition)

    def news(self) -> tuple[Sequence[Partition], Sequence[Partition]]:
        """Return what was assigned and what was revoked since the last call; nothing during a rebalance."""
        return self._ownership.news()

    def look_after(self) -> None:
        """Do what is due before a poll. Raises what ended the consumer, and what `Watchdog.look` raises."""
        self._troubles.over = self._troubles.over or self._commits.fenced
        if self._troubles.over:
            raise self._troubles.over
        if self._watchdog:
            self._watchdog.look(owns=self._reading.is_at_work)
        self._commits.go_on()
        if not self._ownership.away:
            self._reading.apply_changes()

    # Called by the client while it is polled. What the library itself raises must not leave as it is: before Python
    # 3.12 it hands on what is no exception, and whoever polls or closes gets a SystemError that tells nothing.

    def _on_assign(self, client: Any, given: list[TopicPartition]) -> None:
        if self._ending:
            self._reading.let_go()
            return
        kept = self._ownership.gave([Partition(tp.topic, tp.partition) for tp in given], generation_of(client))
        self._reading.go_on(kept)

    def _on_revoke(self, client: Any, taken: list[TopicPartition]) -> None:
        self._commits.go_on()
        self._ownership.rest()
        self._reading.let_go()

    def _on_lost(self, client: Any, taken: list[TopicPartition]) -> None:
        self._ownership.lost()
        self._reading.let_go()

    # Leaving.

    def end(self) -> None:
        """Take nothing on any more."""
        self._ending = True

    @property
    def member_id(self) -> str:
        """What the brokers call the member; empty where it is none."""
        return (self._client.memberid() or "") if self._watchdog else ""

    def settle(self, patience_s: float) -> None:
        """Hear of the last rebalance, and take part in none that is still on its way. Raises LogUnavailableError.

        Closing, the client would ask what nobody answers any more about one that it has not heard of yet, and all of
        the process stand still (https://github.com/confluentinc/librdkafka/issues/4884).
        """
        if self._watchdog is None:
            return
        self._reading.rest()
        end = time.monotonic() + patience_s
        self._hear_all(end)
        if not self._ownership.settled and self._unsubscribed():
            self._hear_all(end)

    def leave(self, servers: Sequence[str], options: KafkaOptions, group: str, member_id: str) -> None:
        """Leave the group for good once the client is closed, unless its place is another's. Raises LogError."""
        if not (self._troubles.over or self._commits.fenced):
            leave_group(servers, options, group, self._name, member_id)

    def _unsubscribed(self) -> bool:
        """Take part in no rebalance any more; say False where it is no member anyway. Raises LogError."""
        try:
            self._client.unsubscribe()
        except KafkaException as raised:
            if cause(raised).code() != KafkaError._FATAL:  # noqa: SLF001 - public all the same
                raise translate(cause(raised), self._name) from raised
            self._troubles.heed(cause(raised))
        return self._troubles.over is None

    def _hear_all(self, end: float) -> None:
        """Let the client report until it has nothing to say, or until `end`; records are no longer wanted."""
        while time.monotonic() < end:
            try:
                if self._client.poll(0) is None:
                    return
            except KafkaException as raised:
                self._troubles.heed(cause(raised))
