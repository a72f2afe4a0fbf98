"""Commits under way: one at a time, the latest place of each partition wins, and nobody waits."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping

from kafka import KafkaConsumer
from kafka import errors as kafka_errors
from kafka.structs import OffsetAndMetadata, TopicPartition

from mendline.logs.base import Committed, LogError, MemberFencedError
from mendline.logs.kafka.errors import translate
from mendline.logs.kafka.joins import end_join
from mendline.schemas.stream import Partition

RETRY_S = 0.5
SETTLE_MS = 100

_logger = logging.getLogger(__name__)


class Commits(ABC):
    """The places a member wants stored. Its client reports answers while the caller polls."""

    def __init__(self, name: str) -> None:
        """Commit for the member of this name."""
        self._name = name
        self._wanted: dict[Partition, Committed] = {}
        self._under_way: dict[Partition, Committed] = {}
        self._retry_at = 0.0
        self.fenced: MemberFencedError | None = None

    @property
    def pending(self) -> bool:
        """Whether places are still to be stored."""
        return bool(self._wanted)

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
        self._send(self._under_way)

    @abstractmethod
    def _send(self, places: Mapping[Partition, Committed]) -> None:
        """Send the places; `_answered` is called once, at once or later."""

    def _answered(self, error: LogError | None, *, again: bool = False) -> None:
        """Take the answer to what was sent last; `again`: it is worth another try."""
        sent, self._under_way = self._under_way, {}
        if again:
            self._retry_at = time.monotonic() + RETRY_S
            return
        for partition, place in sent.items():
            if self._wanted.get(partition) == place:
                del self._wanted[partition]
        if isinstance(error, MemberFencedError):
            self.fenced = error
        elif error:
            _logger.warning("%s: places of %d partitions were not stored: %s", self._name, len(sent), error)


class ClientCommits(Commits):
    """Commits through kafka-python."""

    def __init__(self, client: KafkaConsumer, name: str) -> None:
        """Commit through `client`."""
        super().__init__(name)
        self._client = client

    def finish(self, timeout_s: float) -> None:
        """Wait until all is stored, at most `timeout_s`. Raises KafkaError.

        A group that has just settled who is in it takes no places until each member has heard what is its: then that
        is waited for first.
        """
        deadline = time.monotonic() + timeout_s
        while self._wanted:
            try:
                self._client.commit(_as_kafka(self._wanted), timeout_ms=_ms_until(deadline))
            except kafka_errors.RebalanceInProgressError:
                if time.monotonic() >= deadline:
                    raise
                end_join(self._client)
                self._client.poll(SETTLE_MS)
            else:
                self._wanted.clear()

    def _send(self, places: Mapping[Partition, Committed]) -> None:
        try:
            self._client.commit_async(_as_kafka(places), callback=self._heard)
        except kafka_errors.KafkaError as error:
            self._heard({}, error)

    def _heard(self, _: object, answer: object) -> None:
        again = isinstance(answer, kafka_errors.RetriableError | kafka_errors.RebalanceInProgressError)
        self._answered(translate(answer, self._name) if isinstance(answer, BaseException) else None, again=again)


def _ms_until(deadline: float) -> int:
    return max(int((deadline - time.monotonic()) * 1000), 1)


def _as_kafka(offsets: Mapping[Partition, Committed]) -> dict[TopicPartition, OffsetAndMetadata]:
    return {TopicPartition(*p): OffsetAndMetadata(place.offset, place.metadata, -1) for p, place in offsets.items()}
