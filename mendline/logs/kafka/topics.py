"""Topics on Kafka: made when missing and permitted, checked when there, and who must do what when not."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.structs import TopicPartition

from mendline.logs.base import LogRefusedError, LogUnavailableError, TopicSettings
from mendline.logs.kafka.errors import translate, translated
from mendline.logs.kafka.room import OVERHEAD_BYTES
from mendline.schemas.stream import Partition

BATCH_BYTES = 512 << 10
"""What a producer sends at once to a partition: large, because a batch costs far more than the records in it."""
DEFAULT_LIMIT = 1_000_000
REPLACED = {
    # Compaction lets go of what has an empty record of its key behind it, retention of what was never completed.
    "cleanup.policy": "compact,delete",
    # It works on whole segments that are no longer written, so small ones: of 1 GiB, the default, one would often do.
    "segment.bytes": str(64 << 20),
    "delete.retention.ms": "60000",
}
"""Settings of a topic whose records are replaced."""

_logger = logging.getLogger(__name__)


def topic_config(topic: TopicSettings) -> dict[str, str]:
    """Return the topic's settings as Kafka names them.

    >>> topic_config(TopicSettings("t", retention_ms=60_000))["retention.ms"]
    '60000'
    """
    return {
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(-1 if topic.retention_ms is None else topic.retention_ms),
        "retention.bytes": str(-1 if topic.retention_bytes is None else topic.retention_bytes),
        # Kafka's limit counts a whole batch, so it may not be below what a producer puts into one.
        "max.message.bytes": str(max(topic.max_record_bytes, BATCH_BYTES) + OVERHEAD_BYTES),
        **(REPLACED if topic.replaced else {}),
    }


def admin_commands(topics: Iterable[TopicSettings], servers: Sequence[str], replicas: int | None) -> str:
    """Return the shell commands that make the topics."""
    return "\n".join(
        f"  kafka-topics.sh --bootstrap-server {','.join(servers)} --create --topic {topic.name}"
        f" --partitions {topic.partitions}"
        + (f" --replication-factor {replicas}" if replicas else "")
        + "".join(f" --config {name}={value}" for name, value in topic_config(topic).items())
        for topic in topics
    )


def present(admin: KafkaAdminClient, names: Sequence[str] | None = None) -> dict[str, int]:
    """Return the topics that exist (all that this user may see when `names` is None) with their partitions."""
    with translated("list topics"):
        found = admin.describe_topics(None if names is None else list(names))
    return {t["name"]: len(t["partitions"]) for t in found if not t["error_code"] and not t["is_internal"]}


def sizes(admin: KafkaAdminClient) -> dict[str, int]:
    """Return the bytes of each topic: of each partition its largest replica; nothing without the right to ask."""
    with translated("sizes of topics"):
        brokers = admin.describe_log_dirs()
    replicas: dict[tuple[str, int], int] = {}
    for folder in (folder for broker in brokers for folder in broker["log_dirs"]):
        for topic in folder["topics"]:
            for part in topic["partitions"]:
                key = topic["name"], part["partition_index"]
                replicas[key] = max(replicas.get(key, 0), part["partition_size"])
    found: dict[str, int] = {}
    for (name, _), size in replicas.items():
        found[name] = found.get(name, 0) + size
    return found


def ensure(
    admin: KafkaAdminClient, topics: Sequence[TopicSettings], servers: Sequence[str], replicas: int | None
) -> None:
    """Make what is missing and complain about what is there and does not fit. Raises LogRefusedError."""
    there = present(admin, [topic.name for topic in topics])
    missing = [topic for topic in topics if topic.name not in there]
    if missing:
        _create(admin, missing, servers, replicas)
    _complain(admin, [topic for topic in topics if topic.name in there], there, servers)


def _create(
    admin: KafkaAdminClient, topics: Sequence[TopicSettings], servers: Sequence[str], replicas: int | None
) -> None:
    new = [NewTopic(t.name, t.partitions, replicas or -1, topic_configs=topic_config(t)) for t in topics]
    with translated("create topics"):
        answer = admin.create_topics(new, raise_errors=False)
    refused: dict[str, str] = {}
    for topic in answer["topics"]:
        error = kafka_errors.for_code(topic["error_code"])
        if error in (kafka_errors.NoError, kafka_errors.TopicAlreadyExistsError):
            continue
        if issubclass(error, kafka_errors.RetriableError):
            raise LogUnavailableError(f"create topic {topic['name']!r}: {error.__name__}")
        refused[topic["name"]] = f"{error.__name__} {topic.get('error_message') or ''}".strip()
    if refused:
        names = ", ".join(f"{name} ({why})" for name, why in sorted(refused.items()))
        commands = admin_commands([t for t in topics if t.name in refused], servers, replicas)
        raise LogRefusedError(
            f"Kafka does not let this user create topics: {names}; an administrator must run\n{commands}\n"
            "or, for those that exist, let this user DESCRIBE them: `mendline topics acls` prints what must be allowed"
        )
    with translated("wait for new topics"):
        admin.wait_for_topics([topic.name for topic in topics])


def _complain(
    admin: KafkaAdminClient, topics: Sequence[TopicSettings], partitions: Mapping[str, int], servers: Sequence[str]
) -> None:
    configs = _configs(admin, [topic.name for topic in topics])
    for topic in topics:
        config = configs.get(topic.name, {})
        if config.get("message.timestamp.type", "LogAppendTime") != "LogAppendTime":
            _logger.warning(
                "topic %s takes its senders' clocks (CreateTime), so silence and hold times go wrong where they do;"
                " run: kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s"
                " --add-config message.timestamp.type=LogAppendTime",
                topic.name,
                ",".join(servers),
                topic.name,
            )
        if int(config.get("max.message.bytes", topic.max_record_bytes)) < topic.max_record_bytes:
            _logger.warning(
                "topic %s has max.message.bytes=%s; records of up to %d bytes will be refused",
                topic.name,
                config["max.message.bytes"],
                topic.max_record_bytes,
            )
        if topic.replaced and "compact" not in config.get("cleanup.policy", "compact"):
            _logger.warning(
                "topic %s keeps what newer records replaced for as long as any: run: kafka-configs.sh"
                " --bootstrap-server %s --alter --entity-type topics --entity-name %s --add-config %s",
                topic.name,
                ",".join(servers),
                topic.name,
                ",".join(f"{name}=[{value}]" for name, value in REPLACED.items()),
            )
        if partitions[topic.name] != topic.partitions:
            _logger.warning(
                "topic %s has %d partitions, the settings say %d; the topic counts",
                topic.name,
                partitions[topic.name],
                topic.partitions,
            )


def describe(admin: KafkaAdminClient, name: str) -> TopicSettings | None:
    """Return a topic as it is; None when it does not exist. Raises LogRefusedError when this user may not see it."""
    with translated(f"topic {name!r}"):
        found = admin.describe_topics([name])[0]
    error = kafka_errors.for_code(found["error_code"])
    if error in (kafka_errors.UnknownTopicOrPartitionError, kafka_errors.InvalidTopicError):
        return None
    if error is not kafka_errors.NoError:
        raise translate(error(name), f"topic {name!r}", "DESCRIBE")
    config = _configs(admin, [name]).get(name, {})
    limit = int(config["max.message.bytes"]) - OVERHEAD_BYTES if "max.message.bytes" in config else DEFAULT_LIMIT
    return TopicSettings(name, len(found["partitions"]), max_record_bytes=limit)


def delete_before(admin: KafkaAdminClient, partition: Partition, offset: int) -> None:
    """Delete the partition's records below `offset`."""
    with translated(f"delete records of {partition.topic}[{partition.number}]"):
        admin.delete_records({TopicPartition(*partition): offset})


def _configs(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the topics' settings, none for those that this user may not look at (the least rights do not let it)."""
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    try:
        answer: dict[str, dict[str, Any]] = admin.describe_configs(resources, config_filter="all")
    except kafka_errors.KafkaError:
        return {}
    return {
        name: {key: str(entry["value"]) for key, entry in config.items() if isinstance(entry, dict)}
        for name, config in answer.get("topic", {}).items()
    }
