"""What every log does with records: order, keys, headers, offsets, times, limits."""

from __future__ import annotations

import os
import threading

import pytest

from mendline.logs.base import LogRefusedError, RecordTooLargeError, TopicSettings
from mendline.logs.partitioner import partition_of
from mendline.schemas.stream import ROUND_HEADERS, Headers, NewRecord, Partition
from tests.logs.support import Case

HEADERS: Headers = (("content-type", b"x/y"), ("again", b"1"), ("again", b""), ("", b"nameless"), ("ü", b"\x00\xff"))


def test_records_come_back_as_they_went_in(case: Case) -> None:
    """Order, keys, values and headers survive, headers with repeats and empty values included."""
    topic = case.topic()
    records = [
        NewRecord(topic, b"one", b"k"),
        NewRecord(topic, b"", None, headers=()),
        NewRecord(topic, b"\x00" * 5000, b"", headers=HEADERS),
        NewRecord(topic, b"four", b"k", headers=ROUND_HEADERS),
    ]
    producer = case.log.producer("p")
    producer.append(records).result(case.patience_s)
    producer.close()
    with case.reading(Partition(topic, 0)) as reading:
        reading.read(4)
    got = [
        (key, value, tuple(headers))
        for batch in reading.batches
        for key, value, headers in zip(batch.keys, batch.values, batch.headers, strict=True)
    ]
    assert [(r.key, r.value, tuple(r.headers)) for r in records] == got


def test_delivery_tells_where_and_when(case: Case) -> None:
    """A delivery gives each record's partition, offset and append time, in the order given, as readers see them."""
    topic = case.topic(2)
    producer = case.log.producer("p")
    delivery = producer.append([NewRecord(topic, b"%d" % n, partition=n % 2) for n in range(6)])
    positions = delivery.result(case.patience_s)
    producer.close()
    assert delivery.done()
    assert [(n % 2, n // 2) for n in range(6)] == [(p.partition.number, p.offset) for p in positions]
    with case.reading(Partition(topic, 0), Partition(topic, 1)) as reading:
        reading.read(6)
    seen = {
        (batch.partition, offset): timestamp
        for batch in reading.batches
        for offset, timestamp in zip(batch.offsets, batch.timestamps, strict=True)
    }
    assert {(p.partition, p.offset): p.timestamp for p in positions} == seen


def test_keys_go_where_kafka_puts_them(case: Case) -> None:
    """A key's partition is the same on each log."""
    topic = case.topic(5)
    keys = [b"host-%d" % n for n in range(50)]
    producer = case.log.producer("p")
    positions = producer.append([NewRecord(topic, b"v", key) for key in keys]).result(case.patience_s)
    producer.close()
    assert [partition_of(key, 5) for key in keys] == [p.partition.number for p in positions]


def test_batches_are_bounded(case: Case) -> None:
    """`poll` brings at most `max_records` records, and no partition starves."""
    topic = case.topic(2)
    for number in range(2):
        case.append(topic, *[b"x"] * 30, partition=number)
    with case.reading(Partition(topic, 0), Partition(topic, 1)) as reading:
        sizes: dict[int, int] = {0: 0, 1: 0}
        while sum(sizes.values()) < 60:
            batches = reading.consumer.poll(case.patience_s, max_records=10).batches
            assert sum(map(len, batches)) <= 10
            for batch in batches:
                sizes[batch.partition.number] += len(batch)
    assert sizes == {0: 30, 1: 30}


def test_large_records_are_refused_alone(case: Case) -> None:
    """A record over the limit is refused before anything is sent, and the producer goes on."""
    topic = case.topic()
    producer = case.log.producer("p")
    with pytest.raises(RecordTooLargeError, match=topic):
        producer.append([NewRecord(topic, b"small"), NewRecord(topic, bytes(2_000_000))])
    producer.append([NewRecord(topic, b"next")]).result(case.patience_s)
    producer.close()
    with case.reading(Partition(topic, 0)) as reading:
        assert reading.read(1) == [b"next"]


def test_nearly_too_large_records_pass(case: Case) -> None:
    """Records just below the limit arrive whole."""
    topic = case.topic()
    value = bytes(950_000)
    case.append(topic, value, value)
    with case.reading(Partition(topic, 0)) as reading:
        assert [value, value] == reading.read(2)


def test_unknown_topics_are_refused(case: Case) -> None:
    """Appending to a topic that does not exist is refused by name, and the producer goes on."""
    topic = case.topic()
    producer = case.log.producer("p")
    with pytest.raises(LogRefusedError, match="no-such-topic"):
        producer.append([NewRecord("no-such-topic", b"x")]).result(case.patience_s)
    assert producer.append([NewRecord(topic, b"x")]).result(case.patience_s)[0].offset == 0
    producer.close()


def test_two_producers_keep_their_order(case: Case) -> None:
    """Records of two producers interleave, but each one's stay in order."""
    topic = case.topic()

    def produce(name: bytes) -> None:
        producer = case.other().producer(name.decode())
        for call in range(20):
            producer.append([NewRecord(topic, b"%s%d" % (name, call * 10 + n)) for n in range(10)])
        producer.close(case.patience_s)

    threads = [threading.Thread(target=produce, args=(name,)) for name in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with case.reading(Partition(topic, 0)) as reading:
        values = reading.read(400)
    for name in (b"a", b"b"):
        assert list(range(200)) == [int(value[1:]) for value in values if value.startswith(name)]
    assert list(range(400)) == [offset for batch in reading.batches for offset in batch.offsets]


def test_topics_are_listed_and_left_alone(case: Case) -> None:
    """`ensure_topics` makes what is missing and changes nothing that exists."""
    topic = case.topic(3)
    case.append(topic, b"kept", partition=2)
    case.log.ensure_topics([TopicSettings(topic, 7), TopicSettings(f"{topic}.journal")])
    topics = case.log.topics()
    assert (topics[topic], topics[f"{topic}.journal"]) == (3, 1)
    with case.reading(Partition(topic, 2)) as reading:
        assert reading.read(1) == [b"kept"]


def test_one_call_appends_to_many_topics(case: Case) -> None:
    """The records of a call may be for several topics, the fully synchronous ones included."""
    topics = [case.topic(), case.topic()]
    case.log.ensure_topics([TopicSettings(f"{topics[0]}.journal")])
    topics.append(f"{topics[0]}.journal")
    producer = case.log.producer("p")
    positions = producer.append([NewRecord(t, b"x") for t in [*topics, *topics]]).result(case.patience_s)
    producer.close()
    assert [(t, n) for n in range(2) for t in topics] == [(p.partition.topic, p.offset) for p in positions]


def test_a_topic_tells_what_it_takes(case: Case) -> None:
    """More with every record, in bytes; an empty one takes next to nothing."""
    empty, full = case.topic(), case.topic()
    producer = case.log.producer("p")
    producer.append([NewRecord(full, os.urandom(10_000)) for _ in range(3)]).result(case.patience_s)
    producer.close()
    sizes = case.log.sizes()
    assert 30_000 <= sizes[full] < 40_000
    assert sizes[empty] < 1_000
