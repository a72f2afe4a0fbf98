"""Which partition each record of a call goes to, and which records are refused before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from mendline.logs.base import LogRefusedError, RecordTooLargeError, TopicSettings
from mendline.logs.partitioner import partition_of
from mendline.schemas.stream import Batch, NewRecord, Partition


def without_group(name: str) -> LogRefusedError:
    """Return the error for a consumer of that name that does what only members of a group can."""
    return LogRefusedError(f"consumer {name!r} has no group: it can neither subscribe nor commit")


def unknown_topic(name: str, known: Mapping[str, object]) -> LogRefusedError:
    """Return the error for a topic that does not exist."""
    if not known:
        return LogRefusedError(f"topic {name!r} does not exist, nor any other: `mendline up` makes them when it starts")
    there = ", ".join(sorted(known))
    return LogRefusedError(f"topic {name!r} does not exist (there: {there}); create it with `mendline topics create`")


def check_partition(partition: Partition, partitions: int) -> None:
    """Raise LogRefusedError when the topic has no partition of that number."""
    if not 0 <= partition.number < partitions:
        msg = f"topic {partition.topic!r} has partitions 0 to {partitions - 1}, not {partition.number}"
        raise LogRefusedError(msg)


def check_restored(batch: Batch, end: int | None, last_ms: int, *, whole: bool) -> None:
    """Raise LogRefusedError when records do not follow on what is there, up to offset `end` (None: nothing).

    `whole`: there must be no gap, neither before them nor among them.
    """
    offsets, times = batch.offsets, [last_ms, *batch.timestamps]
    first = offsets[0] if end is None else end
    steps = [after - before for before, after in pairwise([first - 1, *offsets])]
    sound = set(steps) == {1} if whole else min(steps) > 0
    if not sound or any(after < before for before, after in pairwise(times)):
        where = f"{batch.partition.topic}/{batch.partition.number}"
        msg = f"{where}: offsets {offsets[0]} to {offsets[-1]} cannot be taken over: there are others, or gaps"
        raise LogRefusedError(msg)


class Router:
    """Sorts the records of a call by partition. A record without key and partition goes where its call's turn is."""

    def __init__(self) -> None:
        """Begin the turns at 0."""
        self._turn = 0

    def route(self, records: Sequence[NewRecord], topics: Mapping[str, TopicSettings]) -> dict[Partition, list[int]]:
        """Return, by partition, the indices of the records that go there, in order.

        Raises LogRefusedError for an unknown topic or partition, RecordTooLargeError for a record whose key and value
        are together over the topic's limit.
        """
        self._turn += 1
        routes: dict[tuple[str, int], list[int]] = {}
        for index, record in enumerate(records):
            topic = topics.get(record.topic)
            if topic is None:
                raise unknown_topic(record.topic, topics)
            key = record.key
            if len(record.value) + (len(key) if key else 0) > topic.max_record_bytes:
                raise _too_large(record, topic)
            number = record.partition
            if number is None:
                number = self._turn % topic.partitions if key is None else partition_of(key, topic.partitions)
            routes.setdefault((topic.name, number), []).append(index)
        for name, number in routes:
            check_partition(Partition(name, number), topics[name].partitions)
        return {Partition(*route): indices for route, indices in routes.items()}


def _too_large(record: NewRecord, topic: TopicSettings) -> RecordTooLargeError:
    """Return the error for a record over its topic's limit."""
    size = len(record.value) + len(record.key or b"")
    return RecordTooLargeError(
        f"record of {size} bytes for {topic.name!r} is over its limit of {topic.max_record_bytes}"
    )
