"""The topics Mendline works on, as they are made when they are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mendline.logs.base import TopicSettings

if TYPE_CHECKING:
    from mendline.schemas.settings import TopicsSettings


def topic_settings(topics: TopicsSettings) -> list[TopicSettings]:
    """Return every topic with its partitions and retention."""
    return [
        TopicSettings(topics.topic("metrics"), topics.partitions, topics.metrics_retention),
        TopicSettings(topics.topic("windows"), topics.partitions, topics.windows_retention),
        TopicSettings(topics.topic("journal"), 1, topics.journal_retention),
        TopicSettings(topics.topic("commands"), topics.partitions, topics.journal_retention),
        TopicSettings(topics.topic("state"), topics.partitions, topics.metrics_retention),
        TopicSettings(topics.topic("deadletter"), 1, topics.windows_retention),
    ]
