"""From a dump to a log. The logs that can take over offsets and append times do; the others give their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mendline.logs.base import LogRefusedError, Restorable, TopicSettings
from mendline.reading import read_batches
from mendline.runtime.worker import cut
from mendline.schemas.stream import Batch, NewRecord, Partition

if TYPE_CHECKING:
    from mendline.dumps.reader import Dump
    from mendline.logs.base import Log

PATIENCE_S = 30.0
AT_ONCE = 500


class Loaded(NamedTuple):
    """How many records are there, from before too, and whether offsets and append times are what they were."""

    records: int
    as_recorded: bool


def load(dump: Dump, log: Log, prefix: str, tell: Callable[[int], None] = lambda _: None) -> Loaded:
    """Append all that is in the dump to topics below `prefix`, made where missing, kept for ever.

    Where they hold the beginning of it already, for it was interrupted, it goes on behind that.

    Raises LogRefusedError when one of them holds anything else, LogError, DumpError.
    """
    names = {name: f"{prefix}.{topic.name}" for name, topic in dump.head.topics.items()}
    there = _make_topics(dump, log, names)
    put = log.restore if isinstance(log, Restorable) else None
    records = sum(there.values())
    for batch in _behind(there, _batches(dump, names)):
        if put:
            put(batch)
        else:
            _append(log, batch)
        records += len(batch)
        tell(len(batch))
    return Loaded(records, put is not None)


def _make_topics(dump: Dump, log: Log, names: Mapping[str, str]) -> Mapping[Partition, int]:
    """Make what is missing, and return how many of the dump's records each partition holds already."""
    there, held = log.topics(), dict[Partition, int]()
    for old, name in names.items():
        wanted = dump.topics()[old]
        if name in there and there[name] != wanted:
            msg = f"topic {name} has {there[name]} partitions, the dump's has {wanted}: take another prefix (--into)"
            raise LogRefusedError(msg)
        for number in range(wanted if name in there else 0):
            place = Partition(name, number)
            held[place] = _held(dump, Partition(old, number), log, place)
    log.ensure_topics([TopicSettings(name, dump.topics()[old]) for old, name in names.items()])
    return held


def _held(dump: Dump, old: Partition, log: Log, place: Partition) -> int:
    """Return how many records a partition holds. Raises LogRefusedError unless they are the dump's first ones."""
    extent = dump.extent(old)
    recorded = ((key, value) for one in dump.batches(old, extent.begin, extent.end) for key, value in _pairs(one))
    held = [pair == next(recorded, None) for batch in read_batches(log, place) for pair in _pairs(batch)]
    if not all(held) or (not held and _was_written(log, place)):
        msg = f"topic {place.topic} holds other records already: take another prefix (--into)"
        raise LogRefusedError(msg)
    return len(held)


def _was_written(log: Log, place: Partition) -> bool:
    """Say whether there ever was a record."""
    consumer = log.consumer("load")
    try:
        consumer.assign([place])
        return consumer.end_offset(place) > 0
    finally:
        consumer.close()


def _pairs(batch: Batch) -> Iterator[tuple[bytes | None, bytes]]:
    return zip(batch.keys, batch.values, strict=True)


def _behind(there: Mapping[Partition, int], batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the batches without the first records of each partition that are there."""
    left = dict(there)
    for batch in batches:
        known = min(left.get(batch.partition, 0), len(batch))
        left[batch.partition] = left.get(batch.partition, 0) - known
        if known < len(batch):
            yield cut(batch, known, len(batch)) if known else batch


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
