"""From a dump to a log. The logs that can take over offsets and append times do; the others give their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mendline.logs.base import LogRefusedError, Restorable, TopicSettings
from mendline.schemas.stream import Batch, NewRecord, Partition

if TYPE_CHECKING:
    from mendline.dumps.reader import Dump
    from mendline.logs.base import Log

PATIENCE_S = 30.0
AT_ONCE = 500


class Loaded(NamedTuple):
    """How many records were loaded, and whether offsets and append times are what they were."""

    records: int
    as_recorded: bool


def load(dump: Dump, log: Log, prefix: str, tell: Callable[[int], None] = lambda _: None) -> Loaded:
    """Append all that is in the dump to topics below `prefix`, made where missing, kept for ever.

    Raises LogRefusedError when one of them holds records already, LogError, DumpError.
    """
    names = {name: f"{prefix}.{topic.name}" for name, topic in dump.head.topics.items()}
    _make_topics(dump, log, names)
    put = log.restore if isinstance(log, Restorable) else None
    records = 0
    for batch in _batches(dump, names):
        if put:
            put(batch)
        else:
            _append(log, batch)
        records += len(batch)
        tell(len(batch))
    return Loaded(records, put is not None)


def _make_topics(dump: Dump, log: Log, names: Mapping[str, str]) -> None:
    there = log.topics()
    for old, name in names.items():
        wanted = dump.topics()[old]
        if name in there and there[name] != wanted:
            msg = f"topic {name} has {there[name]} partitions, the dump's has {wanted}: take another prefix (--into)"
            raise LogRefusedError(msg)
        if name in there and _holds_records(log, name, wanted):
            msg = f"topic {name} holds records already: take another prefix (--into) or another log (--log)"
            raise LogRefusedError(msg)
    log.ensure_topics([TopicSettings(name, dump.topics()[old]) for old, name in names.items()])


def _holds_records(log: Log, name: str, partitions: int) -> bool:
    consumer = log.consumer("load")
    try:
        places = [Partition(name, number) for number in range(partitions)]
        consumer.assign(places)
        return any(consumer.end_offset(one) for one in places)
    finally:
        consumer.close()


def _batches(dump: Dump, names: Mapping[str, str]) -> Iterator[Batch]:
    for old, name in names.items():
        for number in range(dump.topics()[old]):
            extent = dump.extent(Partition(old, number))
            for batch in dump.batches(Partition(old, number), extent.begin, extent.end):
                yield replace(batch, partition=Partition(name, number))


def _append(log: Log, batch: Batch) -> None:
    """Append records one behind the other, waiting for the log, so that none is ahead of one that was refused."""
    topic, number = batch.partition
    records = [
        NewRecord(topic, value, key, number, headers)
        for value, key, headers in zip(batch.values, batch.keys, batch.headers, strict=True)
    ]
    producer = log.producer("load")
    try:
        for begin in range(0, len(records), AT_ONCE):
            producer.append(records[begin : begin + AT_ONCE]).result(PATIENCE_S)
    finally:
        producer.close()
