"""The topics Mendline works on, as they are made when they are missing."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mendline.logs.base import TopicSettings
from mendline.rights import TOPICS, Topic

if TYPE_CHECKING:
    from mendline.schemas.settings import TopicsSettings


def topic_settings(topics: TopicsSettings, names: Collection[Topic] = TOPICS) -> list[TopicSettings]:
    """Return the topics of these names, by default all, with their partitions and retention."""
    wanted = {topics.topic(name) for name in names}
    every = [
        TopicSettings(topics.topic("metrics"), topics.partitions, topics.metrics_retention),
        TopicSettings(topics.topic("windows"), topics.partitions, topics.windows_retention),
        TopicSettings(topics.topic("journal"), 1, topics.journal_retention),
        TopicSettings(topics.topic("commands"), topics.partitions, topics.journal_retention),
        TopicSettings(topics.topic("state"), topics.partitions, topics.metrics_retention, replaced=True),
        TopicSettings(topics.topic("deadletter"), 1, topics.windows_retention),
    ]
    return [topic for topic in every if topic.name in wanted]
