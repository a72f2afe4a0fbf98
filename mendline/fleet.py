"""The hosts that are heard of and the services each watches, by their heartbeats on the topic of metrics.

    fleet = Fleet()
    fleet.hear(batch)         # any batch of the topic, by whoever follows it
    fleet.hosts["host-1"]

`read_fleet` does that once, for commands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from mendline.reading import read_batches
from mendline.schemas.base import UnreadableRecordError
from mendline.schemas.decode import content_type
from mendline.schemas.records import Heartbeat, decode_record
from mendline.schemas.stream import JSON, Partition

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.schemas.settings import Settings
    from mendline.schemas.stream import Batch

LOOK_BACK_MS = 60_000
"""Agents promise a heartbeat every ten seconds at most."""
PATIENCE_S = 10.0
MOST_HOSTS = 100_000


class Host(NamedTuple):
    """A host: the services it watches, when it was heard of last (append time, ms), whether it said that it leaves.

    `interval_ms` is how often it promises to be heard of, `program` what it runs, `sick` its collectors that fail, each
    with why.
    """

    services: tuple[str, ...]
    heard_at: int
    leaving: bool
    interval_ms: int
    program: str
    sick: Mapping[str, str]


class Fleet:
    """The newest heartbeat of each host, of the first `MOST_HOSTS`."""

    def __init__(self) -> None:
        """Know of no host yet."""
        self.hosts: dict[str, Host] = {}

    def hear(self, batch: Batch) -> None:
        """Take in the heartbeats of a batch; what is none, or cannot be read, is passed over."""
        for append_time, value, headers in zip(batch.timestamps, batch.values, batch.headers, strict=True):
            if content_type(value, headers) == JSON and b'"heartbeat"' in value:
                self._take(value, append_time)

    def _take(self, value: bytes, append_time: int) -> None:
        try:
            record = decode_record(value)
        except UnreadableRecordError:
            return  # the stages send it to the dead letters
        if isinstance(record, Heartbeat) and (record.source in self.hosts or len(self.hosts) < MOST_HOSTS):
            self.hosts[record.source] = Host(
                record.services, append_time, record.leaving, record.interval_ms, record.program, record.sick or {}
            )


def read_fleet(log: Log, settings: Settings) -> Mapping[str, Host]:
    """Return the hosts heard of in the newest minute that the log has of metrics. Raises as `read_batches`."""
    fleet = Fleet()
    topic = settings.topics.topic("metrics")
    for number in range(log.topics().get(topic, 0)):
        for batch in _newest(log, Partition(topic, number)):
            fleet.hear(batch)
    return dict(sorted(fleet.hosts.items()))


def _newest(log: Log, partition: Partition) -> Iterator[Batch]:
    consumer = log.consumer("fleet")
    try:
        consumer.assign([partition])
        oldest, end = consumer.beginning_offset(partition), consumer.end_offset(partition)
        if oldest >= end:
            return
        consumer.start(partition, end - 1)
        stamps = [stamp for batch in consumer.poll(PATIENCE_S, 1).batches for stamp in batch.timestamps]
        begin = consumer.offset_at(partition, max(stamps, default=0) - LOOK_BACK_MS)
    finally:
        consumer.close()
    yield from read_batches(log, partition, max(begin, oldest))
