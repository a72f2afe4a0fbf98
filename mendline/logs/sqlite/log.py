"""The SQLite log itself: topics, and what is made from it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from mendline.logs.base import LogRefusedError, TopicSettings
from mendline.logs.sqlite.consumer import SqliteConsumer
from mendline.logs.sqlite.options import Options
from mendline.logs.sqlite.producer import SqliteProducer
from mendline.logs.sqlite.store import file_of
from mendline.logs.sqlite.stores import Stores
from mendline.logs.sqlite.tables import Limits
from mendline.logs.sqlite.wake import Ringer
from mendline.schemas.stream import Batch, Partition

_SCHEME = "sqlite://"


class SqliteLog:
    """The log in a folder. Holds nothing open itself; what it makes has connections of its own."""

    def __init__(self, url: str, **options: Any) -> None:
        """Name the folder; `options` are the fields of `Options`. Raises LogRefusedError for a URL without a folder."""
        folder = url.removeprefix(_SCHEME)
        if not url.startswith(_SCHEME) or not folder:
            msg = f"log {url!r}: expected sqlite://RELATIVE/FOLDER or sqlite:///ABSOLUTE/FOLDER"
            raise LogRefusedError(msg)
        self.url = url
        self.folder = Path(folder).expanduser().absolute()
        self._options = Options(**options)

    def ensure_topics(self, topics: Sequence[TopicSettings]) -> None:
        """Make the topics that are missing; leave those that exist as they are."""
        with self.stores() as stores:
            for topic in topics:
                stores.store(file_of(topic.name)).create_topic(topic)

    def topics(self) -> Mapping[str, int]:
        """Return the topics that exist, with their number of partitions."""
        with self.stores() as stores:
            return stores.counts()

    def sizes(self) -> Mapping[str, int]:
        """Return the bytes of each topic's keys and values; the files hold a little more, and what was deleted."""
        with self.stores() as stores:
            return stores.sizes()

    def producer(self, name: str) -> SqliteProducer:
        """Return a producer; its files are opened at its first append."""
        return SqliteProducer(Stores(self.folder, self._options), self._ringer())

    def consumer(self, name: str, group: str | None = None) -> SqliteConsumer:
        """Return a consumer; an empty `name` makes a member without a place to come back to."""
        name = name or f"dynamic-{uuid.uuid4().hex[:12]}"
        return SqliteConsumer(Stores(self.folder, self._options), self._ringer(), name, group)

    def delete_before(self, partition: Partition, offset: int) -> None:
        """Delete the partition's records below `offset` for good."""
        with self.stores() as stores:
            table = stores.table(partition)
            while table.trim(Limits(offset=offset)):
                pass

    def restore(self, batch: Batch) -> None:
        """Append the records with the offsets and append times they have. Raises LogError."""
        with self.stores() as stores:
            table = stores.table(batch.partition)
            with stores.store(file_of(batch.partition.topic)).transaction():
                table.restore(batch)

    def close(self) -> None:
        """Do nothing: nothing is held open."""

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the log."""
        self.close()

    @contextmanager
    def stores(self) -> Iterator[Stores]:
        """Open files for the length of a call."""
        stores = Stores(self.folder, self._options)
        try:
            yield stores
        finally:
            stores.close()

    def _ringer(self) -> Ringer:
        """Return a ringer of this folder's bells."""
        return Ringer(self.folder / "wake")
