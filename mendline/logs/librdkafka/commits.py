"""Storing a member's places through librdkafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from mendline.logs.base import Committed, LogUnavailableError
from mendline.logs.kafka.commits import Commits
from mendline.logs.librdkafka.errors import cause, translate
from mendline.schemas.stream import Partition


class RdCommits(Commits):
    """Commits through the client that `client` returns; answers come to `heard`."""

    def __init__(self, client: Callable[[], Any], name: str) -> None:
        """Commit for the member of this name."""
        super().__init__(name)
        self._client = client

    def finish(self, timeout_s: float, serve: Callable[[float], None]) -> None:
        """Wait until all is stored, at most `timeout_s`; `serve` lets the client report for so long.

        Raises LogUnavailableError.
        """
        end = time.monotonic() + timeout_s
        while self.pending and not self.fenced:
            if time.monotonic() >= end:
                msg = f"{self._name}: its places are not stored yet"
                raise LogUnavailableError(msg)
            self.go_on()
            serve(0.01)

    def heard(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """Take the answer to a commit; called by the client while it is polled."""
        error = error or next((one.error for one in partitions if one.error), None)
        ours = translate(error, self._name) if error else None
        self._answered(ours, again=isinstance(ours, LogUnavailableError))

    def _send(self, places: Mapping[Partition, Committed]) -> None:
        offsets = [TopicPartition(*p, place.offset, place.metadata) for p, place in places.items()]
        try:
            self._client().commit(offsets=offsets, asynchronous=True)
        except KafkaException as raised:
            self.heard(cause(raised), [])
