"""Commits under way: one at a time, the latest place of each partition wins, and nobody waits."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping

from kafka import KafkaConsumer
from kafka import errors as kafka_errors
from kafka.structs import OffsetAndMetadata, TopicPartition

from mendline.logs.base import Committed
from mendline.schemas.stream import Partition

RETRY_S = 0.5

_logger = logging.getLogger(__name__)


class Commits:
    """The places a member wants stored. Its client reports answers while the caller polls."""

    def __init__(self, client: KafkaConsumer, name: str) -> None:
        """Commit through `client`."""
        self._client = client
        self._name = name
        self._wanted: dict[Partition, Committed] = {}
        self._under_way: dict[Partition, Committed] = {}
        self._retry_at = 0.0
        self.fenced: BaseException | None = None

    def want(self, offsets: Mapping[Partition, Committed]) -> None:
        """Store these places as soon as may be."""
        self._wanted |= offsets
        self.go_on()

    def forget(self, partitions: Collection[Partition]) -> None:
        """Store nothing more for partitions that belong to somebody else by now."""
        for partition in partitions:
            self._wanted.pop(partition, None)

    def go_on(self) -> None:
        """Send what is wanted, unless an answer is still awaited or the last try failed just now."""
        if not self._wanted or self._under_way or time.monotonic() < self._retry_at:
            return
        self._under_way = dict(self._wanted)
        try:
            self._client.commit_async(_as_kafka(self._under_way), callback=self._answered)
        except kafka_errors.KafkaError as error:
            self._answered({}, error)

    def finish(self, timeout_s: float) -> None:
        """Wait until all is stored, at most `timeout_s`. Raises KafkaError."""
        if self._wanted:
            self._client.commit(_as_kafka(self._wanted), timeout_ms=int(timeout_s * 1000))
            self._wanted.clear()

    def _answered(self, _: object, answer: object) -> None:
        sent, self._under_way = self._under_way, {}
        if isinstance(answer, kafka_errors.RetriableError | kafka_errors.RebalanceInProgressError):
            self._retry_at = time.monotonic() + RETRY_S
            return
        for partition, place in sent.items():
            if self._wanted.get(partition) == place:
                del self._wanted[partition]
        if isinstance(answer, kafka_errors.FencedInstanceIdError):
            self.fenced = answer
        elif isinstance(answer, BaseException):
            _logger.warning("%s: places of %d partitions were not stored: %s", self._name, len(sent), answer)


def _as_kafka(offsets: Mapping[Partition, Committed]) -> dict[TopicPartition, OffsetAndMetadata]:
    return {TopicPartition(*p): OffsetAndMetadata(place.offset, place.metadata, -1) for p, place in offsets.items()}
