"""The Kafka log itself: cheap to make; connections belong to what it makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

from mendline.logs.base import LogRefusedError, TopicSettings
from mendline.logs.kafka.options import KafkaOptions, read_options
from mendline.logs.kafka.urls import servers_of

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

    from mendline.logs.base import Consumer, Producer
    from mendline.schemas.stream import Partition

# The client library takes half a second and 30 MB to import: only where a client is made.


class KafkaLog:
    """A log on the brokers that `kafka://HOST:PORT,HOST:PORT` names."""

    def __init__(self, url: str, options: KafkaOptions | Mapping[str, object] | None = None) -> None:
        """Remember where the brokers are. Raises LogRefusedError for a wrong URL or option."""
        self.url = url
        self._options = read_options(options)
        self._servers = servers_of(url)
        self._second = self._options.client == "librdkafka"
        if self._second and find_spec("confluent_kafka") is None:
            msg = "Kafka client librdkafka: confluent-kafka is not installed; run: pip install 'mendline[librdkafka]'"
            raise LogRefusedError(msg)
        self._limits: dict[str, int] = {}

    def ensure_topics(self, topics: Sequence[TopicSettings]) -> None:
        """Make the topics that are missing, with LogAppendTime; warn about those whose settings do not fit."""
        from mendline.logs.kafka.topics import ensure

        with self._admin() as admin:
            ensure(admin, topics, self._servers, self._options.replication_factor)
        self._limits |= {topic.name: topic.max_record_bytes for topic in topics}

    def topics(self) -> Mapping[str, int]:
        """Return the topics this user may see, with their number of partitions."""
        from mendline.logs.kafka.topics import present

        with self._admin() as admin:
            return present(admin)

    def sizes(self) -> Mapping[str, int]:
        """Return what each topic takes on the disk of one broker that has it."""
        from mendline.logs.kafka.topics import sizes

        with self._admin() as admin:
            return sizes(admin)

    def producer(self, name: str) -> Producer:
        """Return a producer. Raises LogUnavailableError and LogRefusedError when no broker can be reached."""
        if self._second:
            from mendline.logs.librdkafka.producer import RdProducer

            return RdProducer(self._servers, self._options, name, self._describe, self._limits)
        from mendline.logs.kafka.producer import KafkaLogProducer

        return KafkaLogProducer(self._servers, self._options, name, self._ask)

    def consumer(self, name: str, group: str | None = None) -> Consumer:
        """Return a consumer. Raises LogUnavailableError and LogRefusedError when no broker can be reached."""
        if self._second:
            from mendline.logs.librdkafka.consumer import RdConsumer

            return RdConsumer(self._servers, self._options, name, group)
        from mendline.logs.kafka.consumer import KafkaLogConsumer

        return KafkaLogConsumer(self._servers, self._options, name, group)

    def delete_before(self, partition: Partition, offset: int) -> None:
        """Delete the partition's records below `offset`; this user needs DELETE on the topic."""
        from mendline.logs.kafka.topics import delete_before

        with self._admin() as admin:
            delete_before(admin, partition, offset)

    def close(self) -> None:
        """Do nothing: the log holds nothing itself."""

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the log."""
        self.close()

    @contextmanager
    def _admin(self) -> Iterator[KafkaAdminClient]:
        from mendline.logs.kafka.admin import admin_client

        with admin_client(self._servers, self._options) as admin:
            yield admin

    def _ask(self, name: str) -> TopicSettings:
        """Return a topic as it is on the brokers, with the smaller limit where `ensure_topics` named one."""
        topic = self._describe(name)
        return replace(topic, max_record_bytes=min(topic.max_record_bytes, self._limits.get(name, 1 << 62)))

    def _describe(self, name: str) -> TopicSettings:
        """Return a topic as it is on the brokers. Raises LogRefusedError when there is none."""
        from mendline.logs.routing import unknown_topic

        topic = self._look_at(name)
        if topic is None:
            raise unknown_topic(name, self.topics())
        return topic

    def _look_at(self, name: str) -> TopicSettings | None:
        if self._second:
            from mendline.logs.librdkafka import topics as second

            return second.describe(self._servers, self._options, name)
        from mendline.logs.kafka.topics import describe

        with self._admin() as admin:
            return describe(admin, name)
