"""What stands on the log: how much, how old, and how far each group of readers is behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mendline.logs.base import LogRefusedError
from mendline.schemas.stream import Partition

if TYPE_CHECKING:
    from mendline.logs.base import Consumer, Log
    from mendline.schemas.settings import Settings, TopicsSettings

Name = Literal["metrics", "windows", "journal", "commands", "state", "deadletter"]

GROUPS: Mapping[Name, Sequence[str]] = {
    "metrics": ("windows", "rounds"),
    "windows": ("detect", "store"),
    "journal": ("planner", "notifier", "store"),
    "commands": (),
    "state": (),
    "deadletter": (),
}
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic: its size in bytes, append times of its oldest and newest record (ms), records that groups have to read.

    None where it is not known or there is no record; a group that never stored a place is left out.
    """

    topic: str
    partitions: int
    records: int = 0
    bytes: int | None = None
    oldest: int | None = None
    newest: int | None = None
    lag: Mapping[str, int] | None = None


def take_stock(log: Log, settings: Settings) -> Iterator[TopicFacts]:
    """Yield the facts of each of Mendline's topics; one that is missing has no partitions. Raises LogError."""
    there, sizes = log.topics(), log.sizes()
    for name, groups in GROUPS.items():
        topic = settings.topics.topic(name)
        if topic not in there:
            yield TopicFacts(topic, 0)
            continue
        partitions = [Partition(topic, number) for number in range(there[topic])]
        yield _facts(log, settings.topics, partitions, groups, sizes.get(topic))


def _facts(
    log: Log, topics: TopicsSettings, partitions: Sequence[Partition], groups: Sequence[str], size: int | None
) -> TopicFacts:
    consumer = log.consumer("inventory")
    try:
        consumer.assign(partitions)
        spans = {one: (consumer.beginning_offset(one), consumer.end_offset(one)) for one in partitions}
        filled = [(one, begin, end) for one, (begin, end) in spans.items() if begin < end]
        oldest = [_append_time(consumer, one, begin) for one, begin, _ in filled]
        newest = [_append_time(consumer, one, end - 1) for one, _, end in filled]
    finally:
        consumer.close()
    lags = {group: _lag(log, f"{topics.prefix}.{group}", spans) for group in groups}
    return TopicFacts(
        topic=partitions[0].topic,
        partitions=len(partitions),
        records=sum(end - begin for begin, end in spans.values()),
        bytes=size,
        oldest=min(filter(None, oldest), default=None),
        newest=max(filter(None, newest), default=None),
        lag={group: lag for group, lag in lags.items() if lag is not None},
    )


def _append_time(consumer: Consumer, partition: Partition, offset: int) -> int | None:
    """Return the append time (ms) of the record at `offset`, or of the next that retention left."""
    consumer.start(partition, offset)
    for batch in consumer.poll(PATIENCE_S, 1).batches:
        if batch.partition == partition:
            consumer.pause(partition)
            return batch.timestamps[0]
    consumer.pause(partition)
    return None


def _lag(log: Log, group: str, spans: Mapping[Partition, tuple[int, int]]) -> int | None:
    consumer = log.consumer("inventory", group)
    try:
        places = {one: consumer.committed(one) for one in spans}
    except LogRefusedError:
        return None
    finally:
        consumer.close()
    if all(place is None for place in places.values()):
        return None
    # What retention took is no longer to be read.
    return sum(
        end - max(begin, place.offset if (place := places[one]) else begin) for one, (begin, end) in spans.items()
    )
