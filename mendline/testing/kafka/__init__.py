"""A real Apache Kafka on this machine, for tests, for benchmarks and for trying Mendline on it.

Kafka comes from Maven Central once (45 MB, kept in the user's cache folder) and runs on Java 17.
"""

from __future__ import annotations

from mendline.testing.kafka.archive import archive_classes
from mendline.testing.kafka.cluster import LocalKafka
from mendline.testing.kafka.errors import BrokerError, JarsError, LocalKafkaError, PortTakenError, ToolMissingError
from mendline.testing.kafka.jars import PACKAGES, cache_folder, fetch_jars, find_java

__all__ = [
    "PACKAGES",
    "BrokerError",
    "JarsError",
    "LocalKafka",
    "LocalKafkaError",
    "PortTakenError",
    "ToolMissingError",
    "archive_classes",
    "cache_folder",
    "fetch_jars",
    "find_java",
]
