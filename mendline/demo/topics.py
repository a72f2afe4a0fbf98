"""Deletes the topics of a demonstration from Kafka. The only part of it that loads a Kafka client."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from kafka.errors import KafkaError

from mendline.logs.base import LogError
from mendline.logs.kafka.admin import admin_client
from mendline.logs.kafka.options import read_options
from mendline.logs.kafka.urls import servers_of

logger = logging.getLogger(__name__)

PATIENCE_MS = 10_000


def delete_topics(url: str, names: Sequence[str]) -> None:
    """Delete the topics; where that is not possible, say which are left."""
    try:
        with admin_client(servers_of(url), read_options(None), PATIENCE_MS) as admin:
            admin.delete_topics(list(names))
    except (LogError, KafkaError) as error:
        logger.warning("the topics %s stay on %s: %s", ", ".join(names), url, error)
