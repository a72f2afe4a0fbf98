"""The files a producer or consumer has open, each opened when first needed."""

from __future__ import annotations

from pathlib import Path

from mendline.logs.base import TopicSettings
from mendline.logs.routing import check_partition, unknown_topic
from mendline.logs.sqlite.options import Options
from mendline.logs.sqlite.store import FILES, Store, StoredTopic, file_of
from mendline.logs.sqlite.tables import Table
from mendline.schemas.stream import Partition


class Stores:
    """Connections to the log's files and the tables in them. Belongs to one thread at a time."""

    def __init__(self, folder: Path, options: Options) -> None:
        """Open nothing yet."""
        self.folder = folder
        self.options = options
        self._open: dict[str, Store] = {}
        self._tables: dict[Partition, Table] = {}

    def store(self, name: str) -> Store:
        """Return a file, opened."""
        if name not in self._open:
            self._open[name] = Store(self.folder, name, self.options.busy_timeout_s)
        return self._open[name]

    def all(self) -> list[Store]:
        """Return all files, opened."""
        return [self.store(name) for name in FILES]

    def topic(self, name: str) -> StoredTopic:
        """Return a topic. Raises LogRefusedError when it does not exist."""
        topic = self.store(file_of(name)).topic(name)
        if topic is None:
            raise unknown_topic(name, self.settings())
        return topic

    def table(self, partition: Partition) -> Table:
        """Return a partition's table. Raises LogRefusedError when there is no such topic or partition."""
        if partition not in self._tables:
            topic = self.topic(partition.topic)
            check_partition(partition, topic.settings.partitions)
            self._tables[partition] = Table(self.store(file_of(partition.topic)), topic, partition.number)
        return self._tables[partition]

    def settings(self) -> dict[str, TopicSettings]:
        """Return the settings of all topics, read anew."""
        return {name: topic.settings for store in self.all() for name, topic in store.topics().items()}

    def counts(self) -> dict[str, int]:
        """Return all topics' numbers of partitions, read anew."""
        return {name: settings.partitions for name, settings in self.settings().items()}

    def sizes(self) -> dict[str, int]:
        """Return the bytes of all topics' keys and values."""
        sql = "SELECT name, sum(bytes) FROM partitions JOIN topics ON topics.id = partitions.topic GROUP BY name"
        return {name: size for store in self.all() for name, size in store.rows(sql)}

    def ends(self, name: str) -> dict[Partition, int]:
        """Return the end offsets of all partitions of a file."""
        sql = "SELECT name, number, next FROM partitions JOIN topics ON topics.id = partitions.topic"
        return {Partition(topic, number): end for topic, number, end in self.store(name).rows(sql)}

    def tag(self, topic: str) -> str:
        """Return a topic's short name in the names of bells."""
        return f"{file_of(topic)[0]}{self.topic(topic).id}"

    def close(self) -> None:
        """Close what is open."""
        for store in self._open.values():
            store.close()
        self._open.clear()
        self._tables.clear()
