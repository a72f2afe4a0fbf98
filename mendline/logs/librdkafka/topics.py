"""Looking at a topic through librdkafka: a fraction of the time that kafka-python takes to connect for it."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from mendline.logs.base import TopicSettings
from mendline.logs.kafka.options import KafkaOptions
from mendline.logs.kafka.room import OVERHEAD_BYTES
from mendline.logs.kafka.topics import DEFAULT_LIMIT
from mendline.logs.librdkafka.connect import Voice, client_settings
from mendline.logs.librdkafka.errors import cause, translate

_ABSENT = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_EXCEPTION}


def describe(servers: list[str], options: KafkaOptions, name: str) -> TopicSettings | None:
    """Return a topic as it is on the brokers; None when it does not exist.

    Raises LogUnavailableError, and LogRefusedError when this user may not see it.
    """
    voice = Voice()
    settings = client_settings(servers, options, "mendline-admin")
    admin = AdminClient(settings | {"error_cb": voice.error, "logger": voice})
    limits = {"request_timeout": options.request_timeout_ms / 1000}
    # Both are asked before either is waited for.
    shape = admin.describe_topics(TopicCollection([name]), **limits)[name]
    config = next(iter(admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)], **limits).values()))
    try:
        partitions = len(shape.result().partitions)
    except KafkaException as raised:
        if cause(raised).code() in _ABSENT:
            return None
        raise translate(cause(raised), f"topic {name!r}", "DESCRIBE") from raised
    return TopicSettings(name, partitions, max_record_bytes=_limit(config))


def _limit(config: Any) -> int:
    """Return the largest record (bytes) that fits, as far as this user may look: the least rights do not let it."""
    try:
        return int(config.result()["max.message.bytes"].value) - OVERHEAD_BYTES
    except KafkaException:
        return DEFAULT_LIMIT
