"""The Kafka log on a real broker: what the shared suite cannot know of, and each trap of the client library."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.structs import TopicPartition

from mendline.logs.base import (
    Committed,
    Consumer,
    Delivery,
    LogError,
    LogUnavailableError,
    MemberFencedError,
    Polled,
    RecordTooLargeError,
    TopicSettings,
)
from mendline.logs.kafka import KafkaLog
from mendline.logs.kafka.consumer import KafkaLogConsumer
from mendline.logs.kafka.producer import KafkaLogProducer
from mendline.logs.kafka.topics import REPLACED
from mendline.logs.librdkafka.consumer import RdConsumer
from mendline.logs.librdkafka.producer import RdProducer
from mendline.schemas.stream import NewRecord, Partition
from mendline.testing.kafka import LocalKafka
from tests.logs.support import Reading, poll_until

# The library leaves a socket that was refused to the garbage collector, which tells wherever it happens to run.
pytestmark = [pytest.mark.broker, pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")]

QUICK = {"session_timeout_ms": 3000, "heartbeat_interval_ms": 500}


@pytest.fixture(autouse=True)
def collect_garbage() -> Iterator[None]:
    """Collect refused sockets here, not in another test."""
    yield
    gc.collect()


@pytest.fixture
def log(kafka: LocalKafka, client: str) -> KafkaLog:
    """Return the shared broker as a log, through each client."""
    return KafkaLog(kafka.url, {"client": client})


@pytest.fixture
def topic(log: KafkaLog, request: pytest.FixtureRequest) -> str:
    """Make a topic of two partitions, for one test alone."""
    name = f"{request.node.originalname}-{time.time_ns()}"[:200]
    log.ensure_topics([TopicSettings(name, 2)])
    return name


@contextmanager
def admin_of(kafka: LocalKafka) -> Iterator[KafkaAdminClient]:
    """Connect as an administrator."""
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        yield admin
    finally:
        admin.close()


@contextmanager
def member(log: KafkaLog, name: str, group: str, topic: str) -> Iterator[Reading]:
    """Be a member of a group."""
    consumer = log.consumer(name, group)
    try:
        consumer.subscribe([topic])
        yield Reading(consumer, 60.0)
    finally:
        consumer.close()


def both(topic: str) -> list[Partition]:
    """Name the topic's two partitions."""
    return [Partition(topic, 0), Partition(topic, 1)]


def gather(consumer: Consumer, until: float) -> list[Polled]:
    """Poll until a moment (monotonic) and keep everything."""
    polled = []
    while time.monotonic() < until:
        polled.append(consumer.poll(min(0.2, max(until - time.monotonic(), 0.0))))
    return polled


# Producing -----------------------------------------------------------------------------------------------------------


def limit(kafka: LocalKafka, log: KafkaLog, topic: str) -> None:
    """Let the broker take no more than 20,000 bytes at once from now on."""
    with admin_of(kafka) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "20000"})])
    deadline = time.monotonic() + 30
    while log._describe(topic).max_record_bytes > 20_000:
        assert time.monotonic() < deadline


def works_or_asks_again(act: Callable[[], object]) -> bool:
    """Do something beside a refused record, and say whether it worked or failed in the one way it may."""
    try:
        act()
    except LogUnavailableError as error:
        return "append again, in order" in str(error)
    return True


def test_a_refused_record_does_not_end_producing(kafka: LocalKafka, log: KafkaLog, topic: str) -> None:
    """A record that only the broker refuses is told of; those beside it are to be sent again, and that works (D6)."""
    producer = log.producer("p")
    producer.append([NewRecord(topic, b"first", partition=0)]).result(30)
    limit(kafka, log, topic)
    refused = producer.append([NewRecord(topic, os.urandom(100_000), partition=0)])
    with pytest.raises(RecordTooLargeError, match=r"p: .*MessageSizeTooLarge"):
        refused.result(30)
    with pytest.raises(RecordTooLargeError):
        refused.result(30)
    sent = producer.append([NewRecord(topic, b"second", partition=0)]).result(30)
    assert [position.offset for position in sent] == [1]
    producer.close()


def test_records_beside_a_refused_one_are_to_be_sent_again(kafka: LocalKafka, log: KafkaLog, topic: str) -> None:
    """What was in flight when another record was refused raises LogUnavailableError, or was acknowledged."""
    producer = log.producer("p")
    producer.append([NewRecord(topic, b"x", partition=0)]).result(30)
    limit(kafka, log, topic)
    refused = producer.append([NewRecord(topic, os.urandom(100_000), partition=0)])
    others: list[Delivery] = []
    for number in range(50):
        record = NewRecord(topic, b"%d" % number, partition=0)
        assert works_or_asks_again(lambda record=record: others.append(producer.append([record])))  # type: ignore[misc]
    assert all(works_or_asks_again(partial(other.result, 30)) for other in others)
    with pytest.raises(RecordTooLargeError):
        refused.result(30)
    sent = producer.append([NewRecord(topic, b"again", partition=0)]).result(30)
    assert sent[0].offset >= 1
    producer.close()


def test_small_limits_hold_for_batches(kafka: LocalKafka, log: KafkaLog, topic: str) -> None:
    """Records that fit one by one arrive though together they are over the broker's limit for a batch."""
    limit(kafka, log, topic)
    producer = log.producer("p")
    values = [os.urandom(10_000) for _ in range(60)]
    sent = producer.append([NewRecord(topic, value, partition=0) for value in values]).result(60)
    assert [position.offset for position in sent] == list(range(60))
    with pytest.raises(RecordTooLargeError, match="over its limit of 15904"):
        producer.append([NewRecord(topic, os.urandom(16_000), partition=0)])
    producer.close()


def test_headers_have_a_limit(log: KafkaLog, topic: str) -> None:
    """Headers that would push a record over the broker's limit are refused before anything is sent."""
    producer = log.producer("p")
    with pytest.raises(RecordTooLargeError, match="headers"):
        producer.append([NewRecord(topic, b"", headers=[("h", bytes(5000))])])
    assert len(producer.append([NewRecord(topic, b"")]).result(30)) == 1
    producer.close()


def test_added_partitions_are_used(kafka: LocalKafka, log: KafkaLog, topic: str) -> None:
    """A producer comes to know of partitions that were added to a topic."""
    producer = log.producer("p")
    assert isinstance(producer, KafkaLogProducer | RdProducer)
    producer.append([NewRecord(topic, b"", partition=1)]).result(30)
    with admin_of(kafka) as admin:
        admin.create_partitions({topic: 3})
    deadline = time.monotonic() + 30
    while log.topics()[topic] != 3:
        assert time.monotonic() < deadline
    if isinstance(producer, KafkaLogProducer) and producer._life:
        producer._life.client._metadata.request_update()
    while True:
        producer._checked = 0.0
        try:
            producer.append([NewRecord(topic, b"", partition=2)]).result(30)
            break
        except LogError:
            assert time.monotonic() < deadline
    producer.close()


# Reading -------------------------------------------------------------------------------------------------------------


def test_only_a_poll_is_woken(log: KafkaLog, topic: str) -> None:
    """Who is asked to end while it still joins comes to its first poll, which then ends at once."""
    consumer = log.consumer("early", topic)
    try:
        consumer.wake()
        consumer.subscribe([topic])
        began = time.monotonic()
        assert not consumer.poll(30).batches
        assert time.monotonic() - began < 10
    finally:
        consumer.close()


def test_polls_end_when_a_signal_handler_wakes_them(log: KafkaLog, topic: str) -> None:
    """A poll on the main thread ends at once when a signal's handler calls `wake`."""
    consumer = log.consumer("c")
    consumer.assign(both(topic))
    consumer.start(Partition(topic, 0), 0)
    consumer.poll(1)
    before = signal.signal(signal.SIGALRM, lambda *_: consumer.wake())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        begun = time.monotonic()
        consumer.poll(30)
        assert 0.4 < time.monotonic() - begun < 5
    finally:
        signal.signal(signal.SIGALRM, before)
        consumer.close()


@pytest.mark.slow
@pytest.mark.parametrize("client", ["kafka-python"], indirect=True)
def test_who_reads_alone_waits_in_one_piece(log: KafkaLog, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off the main thread, outside a group, the client waits as long as the poll may last, and not moment by moment."""
    consumer = log.consumer("c")
    assert isinstance(consumer, KafkaLogConsumer)
    asked = Counting(consumer._poll_client)
    monkeypatch.setattr(consumer, "_poll_client", asked)
    with closing(consumer), ThreadPoolExecutor(1) as pool:
        consumer.assign(both(topic))
        consumer.start(Partition(topic, 0), 0)
        pool.submit(consumer.poll, 2.5).result(30)
        alone = asked.count
        consumer.poll(2.5)
    # News of the cluster may end the client's wait before its time, once or so.
    assert 2 * alone < asked.count - alone


class Counting:
    """Counts the calls of what it stands for."""

    def __init__(self, real: Callable[..., Any]) -> None:
        """Stand for `real`."""
        self.count = 0
        self._real = real

    def __call__(self, *arguments: object) -> Any:
        """Count, and do it."""
        self.count += 1
        return self._real(*arguments)


def test_reading_goes_on_after_a_pause_without_a_gap(log: KafkaLog, topic: str) -> None:
    """A partition started where it was paused delivers what follows, each record once, fetched ahead or not."""
    producer = log.producer("p")
    producer.append([NewRecord(topic, b"%d" % n, partition=0) for n in range(1000)]).result(30)
    consumer = log.consumer("c")
    partition = Partition(topic, 0)
    consumer.assign([partition])
    consumer.start(partition, 0)
    got: list[bytes] = []
    while len(got) < 1000:
        for batch in consumer.poll(5, 30).batches:
            got += batch.values
            consumer.pause(partition)
            assert not consumer.poll(0).batches
            consumer.start(partition, batch.next_offset)
    assert got == [b"%d" % n for n in range(1000)]
    assert consumer.lag(partition) == 0
    consumer.close()
    producer.close()


def test_offsets_out_of_range_begin_where_records_are(log: KafkaLog, topic: str) -> None:
    """Below what retention left reading begins at the oldest record, beyond the end at the next one to come."""
    producer = log.producer("p")
    partition = Partition(topic, 0)
    producer.append([NewRecord(topic, b"%d" % n, partition=0) for n in range(10)]).result(30)
    log.delete_before(partition, 4)
    with_reading = Reading(log.consumer("c"), 30.0)
    consumer = with_reading.consumer
    consumer.assign([partition])
    consumer.start(partition, 0)
    poll_until([with_reading], lambda: len(with_reading.values) == 6)
    assert with_reading.batches[0].offsets[0] == 4
    consumer.start(partition, 1_000)
    gather(consumer, time.monotonic() + 3)
    producer.append([NewRecord(topic, b"next", partition=0)]).result(30)
    poll_until([with_reading], lambda: with_reading.values[-1] == b"next")
    consumer.close()
    producer.close()


def test_closing_stores_the_last_places(log: KafkaLog, topic: str) -> None:
    """A commit just before `close` is not lost, and later ones win over earlier ones."""
    with member(log, "a", topic, topic) as reading:
        reading.own(*both(topic))
        for offset in range(50):
            reading.consumer.commit({Partition(topic, 0): Committed(offset, f"m{offset}")})
    with member(log, "a", topic, topic) as reading:
        assert reading.consumer.committed(Partition(topic, 0)) == Committed(49, "m49")


# Groups --------------------------------------------------------------------------------------------------------------


def test_slow_members_lose_and_regain(kafka: LocalKafka, client: str, topic: str) -> None:
    """Who does not poll for too long is told that its partitions are gone and, if nobody else wants them, back."""
    log = KafkaLog(kafka.url, {**QUICK, "max_poll_interval_ms": 3000, "client": client})
    with member(log, "a", topic, topic) as reading:
        reading.own(*both(topic))
        time.sleep(6)
        polled = Polled()
        deadline = time.monotonic() + 60
        while not polled.revoked:
            assert time.monotonic() < deadline
            polled = reading.consumer.poll(1)
        assert list(polled.revoked) == both(topic)
        assigned = list(polled.assigned)
        while not assigned:
            assert time.monotonic() < deadline
            assigned += reading.consumer.poll(1).assigned
        assert assigned == both(topic)


@pytest.mark.parametrize("client", ["kafka-python"])
def test_what_was_read_of_a_partition_that_goes_meanwhile_is_not_delivered(log: KafkaLog, topic: str) -> None:
    """Even if it comes back at once: it is read anew from where it is started, and nothing of it is skipped."""
    producer = log.producer("p")
    producer.append([NewRecord(topic, b"%d" % n, partition=0) for n in range(10)]).result(30)
    with member(log, "a", topic, topic) as reading:
        consumer = reading.consumer
        assert isinstance(consumer, KafkaLogConsumer)
        reading.own(*both(topic))
        client, ownership, asked = consumer._client, consumer._ownership, consumer._client.poll
        tp = TopicPartition(topic, 0)

        def lose(*arguments: int) -> dict[TopicPartition, list[object]]:
            found: dict[TopicPartition, list[object]] = asked(*arguments)
            if found:
                ownership.on_partitions_lost([tp])
                ownership.on_partitions_assigned([tp])
                client.poll = asked
            return found

        reading.read(10)
        client.poll = lose
        consumer.start(Partition(topic, 0), 3)
        while not (polled := consumer.poll(0.05)).revoked:
            assert not polled.batches
        assert (list(polled.assigned), list(polled.batches)) == ([Partition(topic, 0)], [])
        consumer.start(Partition(topic, 0), 10)
        producer.append([NewRecord(topic, b"10", partition=0)]).result(30)
        assert reading.read(11) == [b"%d" % n for n in range(11)]
    producer.close()


def test_rebalances_stop_delivery_only_briefly(log: KafkaLog, topic: str) -> None:
    """While a second member joins and leaves, the first goes on reading what it keeps within seconds (D8)."""
    producer = log.producer("p")
    with member(log, "a", topic, topic) as first:
        first.own(*both(topic))
        seen: list[float] = []

        def read(reading: Reading) -> None:
            before = len(reading.values)
            reading.poll(0.1)
            if len(reading.values) > before:
                seen.append(time.monotonic())
            for number in (0, 1):
                producer.append([NewRecord(topic, b"x", partition=number)])

        second_done = threading.Event()

        def come_and_go() -> None:
            with member(log, "b", topic, topic) as second:
                poll_until([second], lambda: len(second.held) == 1)
                gather(second.consumer, time.monotonic() + 2)
            second_done.set()

        other = threading.Thread(target=come_and_go)
        other.start()
        end = time.monotonic() + 60
        while not second_done.is_set() or len(first.held) < 2:
            assert time.monotonic() < end
            read(first)
        other.join()
        gaps = [b - a for a, b in itertools.pairwise(seen)]
        assert max(gaps) < 8
        assert len(first.held) == 2
    producer.close()


def test_who_lost_its_name_is_told_without_committing(kafka: LocalKafka, client: str, topic: str) -> None:
    """A member whose name another process took over is told, though its client reads on as if nothing had happened."""
    log = KafkaLog(kafka.url, {**QUICK, "client": client})
    with member(log, "a", topic, topic) as old:
        old.own(*both(topic))
        with member(log, "a", topic, topic) as new:
            new.own(*both(topic))
            with pytest.raises(MemberFencedError, match=r"same name|this name"):
                poll_until([old, new], lambda: False)


def test_members_that_fell_out_unnoticed_end(kafka: LocalKafka, client: str, topic: str) -> None:
    """A member that the brokers do not know, and that hears nothing, ends with an error instead of idling for ever."""
    log = KafkaLog(kafka.url, {**QUICK, "client": client})
    with member(log, "a", topic, topic) as reading:
        reading.own(*both(topic))
        reading.consumer._client.unsubscribe()  # type: ignore[attr-defined]
        with pytest.raises(LogError, match="fell out of group"):
            gather(reading.consumer, time.monotonic() + 40)


# Topics --------------------------------------------------------------------------------------------------------------


def test_topics_are_made_as_told(kafka: LocalKafka, log: KafkaLog) -> None:
    """A topic gets its partitions, retention, size limit and the broker's clock."""
    name = f"made-{time.time_ns()}"
    log.ensure_topics(
        [TopicSettings(name, 3, retention_ms=60_000, retention_bytes=1 << 30, max_record_bytes=2_000_000)]
    )
    with admin_of(kafka) as admin:
        config = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])["topic"][name]
    assert {key: entry["value"] for key, entry in config.items()} == {
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": "60000",
        "retention.bytes": str(1 << 30),
        "max.message.bytes": "2004096",
    }
    assert log.topics()[name] == 3


def test_topics_of_what_is_replaced_are_compacted(
    kafka: LocalKafka, log: KafkaLog, caplog: pytest.LogCaptureFixture
) -> None:
    """In small segments, and by age as well; one that was made otherwise is told, with the command to change it."""
    name = f"made-{time.time_ns()}"
    log.ensure_topics([TopicSettings(name, replaced=True)])
    log.ensure_topics([TopicSettings(name, replaced=True)])
    with admin_of(kafka) as admin:
        config = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])["topic"][name]
    assert REPLACED.items() <= {key: entry["value"] for key, entry in config.items()}.items()
    log.ensure_topics([TopicSettings(f"{name}-kept")])
    assert [] == [line for line in caplog.messages if "replaced" in line]
    log.ensure_topics([TopicSettings(f"{name}-kept", replaced=True)])
    (said,) = [line for line in caplog.messages if f"{name}-kept" in line]
    assert "--add-config cleanup.policy=[compact,delete],segment.bytes=[67108864]," in said


def test_topics_that_do_not_fit_are_named(kafka: LocalKafka, log: KafkaLog, caplog: pytest.LogCaptureFixture) -> None:
    """A topic with its senders' clocks, too low a limit or other partitions is left alone and warned about."""
    name = f"foreign-{time.time_ns()}"
    with admin_of(kafka) as admin:
        config = {"message.timestamp.type": "CreateTime", "max.message.bytes": "5000"}
        admin.create_topics([NewTopic(name, 1, 1, topic_configs=config)])
        admin.wait_for_topics([name])
    log.ensure_topics([TopicSettings(name, 2)])
    said = [record.getMessage() for record in caplog.records if name in record.getMessage()]
    assert [
        needle in line
        for needle, line in zip(("CreateTime", "max.message.bytes=5000", "1 partitions"), said, strict=True)
    ]


def test_topics_that_one_broker_has_not_heard_of_yet_are_asked_for_again(
    log: KafkaLog, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else has just made the topic: the answer that it is not there is not the last word."""
    with closing(log.consumer("early")) as consumer:
        assert isinstance(consumer, KafkaLogConsumer | RdConsumer)
        answers = iter([set[int]()])
        known = consumer._partitions_of
        monkeypatch.setattr(consumer, "_partitions_of", lambda name: next(answers, None) or known(name))
        consumer.assign([Partition(topic, 1)])
        assert next(answers, None) is None


def test_unreachable_brokers_are_explained(client: str) -> None:
    """A port where nothing listens and a host that nobody knows are named within the time that is given."""
    begun = time.monotonic()
    for url, says in (("kafka://localhost:1", "nothing listens there"), ("kafka://no.invalid:1", "not known")):
        log = KafkaLog(url, {"bootstrap_timeout_ms": 1000, "client": client})
        with pytest.raises(LogUnavailableError, match=f"{url[8:]} .*{says}"):
            log.producer("p")
        with pytest.raises(LogUnavailableError, match=f"{url[8:]} .*{says}"):
            log.consumer("c", "g")
        with pytest.raises(LogUnavailableError, match=f"{url[8:]} .*{says}"):
            log.topics()
    assert time.monotonic() - begun < 30


def test_failed_connections_leave_nothing_behind(client: str) -> None:
    """Trying in vain to reach a broker, again and again, leaves no thread."""
    before = threading.active_count()
    for _ in range(3):
        with pytest.raises(LogUnavailableError):
            KafkaLog("kafka://localhost:1", {"bootstrap_timeout_ms": 500, "client": client}).consumer("c")
    assert threading.active_count() == before
