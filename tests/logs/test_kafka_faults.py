"""The Kafka log while its broker is frozen, killed and back: nothing lost, nothing twice, nobody stuck."""

from __future__ import annotations

import gc
import logging
import shutil
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from mendline.logs.base import Delivery, LogUnavailableError, MemberFencedError, TopicSettings
from mendline.logs.kafka import KafkaLog
from mendline.logs.kafka.noise import listen
from mendline.schemas.stream import NewRecord, Partition
from mendline.testing.kafka import LocalKafka
from tests.logs.support import Reading, poll_until

# The library leaves a socket that was refused to the garbage collector, which tells wherever it happens to run.
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning"),
]


@pytest.fixture(scope="module")
def broker(kafka_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """Run a broker for this file alone; each test leaves it running."""
    folder = tmp_path_factory.mktemp("outage")
    with LocalKafka(folder, quick=True) as own:
        yield own
    shutil.rmtree(folder)


@pytest.fixture
def log(broker: LocalKafka, client: str) -> Iterator[KafkaLog]:
    """Return the broker as a log that gives up requests after 5 s."""
    yield KafkaLog(broker.url, {"request_timeout_ms": 5000, "max_block_ms": 2000, "client": client})
    broker.thaw()
    gc.collect()


@pytest.fixture
def partition(log: KafkaLog, request: pytest.FixtureRequest) -> Partition:
    """Make a topic of one partition for one test alone."""
    name = f"{request.node.originalname}-{time.time_ns()}"[:200]
    log.ensure_topics([TopicSettings(name)])
    return Partition(name, 0)


class Stream:
    """Appends numbers, 50 a second, while another thread reads them."""

    def __init__(self, log: KafkaLog, partition: Partition) -> None:
        self.partition = partition
        self.producer = log.producer("p")
        self.deliveries: list[Delivery] = []
        self.consumer = log.consumer("c")
        self.consumer.assign([partition])
        self.consumer.start(partition, 0)
        self.got: list[bytes] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = b"%d" % len(self.deliveries)
            self.deliveries.append(self.producer.append([NewRecord(self.partition.topic, value, partition=0)]))
            time.sleep(0.02)

    def finish(self) -> list[bytes]:
        """Return what was read once all is acknowledged, with a second more in which repeats could show."""
        for delivery in self.deliveries:
            delivery.result(60)
        deadline = time.monotonic() + 60
        while len(self.got) < len(self.deliveries) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)
        return self.got

    def close(self) -> None:
        self._stop.set()
        self.consumer.wake()
        self._thread.join()
        self.consumer.close()
        self.producer.close()

    def _read(self) -> None:
        while not self._stop.is_set():
            for batch in self.consumer.poll(0.5).batches:
                self.got += batch.values


@pytest.fixture
def stream(log: KafkaLog, partition: Partition) -> Iterator[Stream]:
    """Run a stream of numbers."""
    made = Stream(log, partition)
    yield made
    made.close()


def test_a_frozen_broker_wedges_nobody(broker: LocalKafka, stream: Stream, caplog: pytest.LogCaptureFixture) -> None:
    """After 12 s without an answer all records arrive once and in order, and waiting took little CPU (D1, D2)."""
    listen()._passed.clear()
    stream.run(2)
    broker.freeze()
    stream.run(6)
    spent, begun = psutil.Process().cpu_times(), time.monotonic()
    stream.run(6)
    now = psutil.Process().cpu_times()
    share = (now.user + now.system - spent.user - spent.system) / (time.monotonic() - begun)
    broker.thaw()
    stream.run(2)
    assert stream.finish() == [b"%d" % n for n in range(len(stream.deliveries))]
    assert share < 0.3
    ours = [r for r in caplog.records if r.name.startswith("mendline") and r.levelno >= logging.WARNING]
    assert len(ours) == 1
    assert "away or slow" in ours[0].getMessage()


def test_a_killed_broker_loses_nothing(broker: LocalKafka, stream: Stream) -> None:
    """Through a SIGKILL and a restart all records arrive once and in order, and the consumer goes on by itself."""
    stream.run(2)
    broker.kill()
    stream.run(5)
    broker.start(wait=False)
    stream.run(3)
    broker.wait_ready()
    stream.run(2)
    assert stream.finish() == [b"%d" % n for n in range(len(stream.deliveries))]


def test_members_keep_their_partitions_through_a_restart(
    broker: LocalKafka, log: KafkaLog, partition: Partition, client: str
) -> None:
    """A member reads on where it was after the broker was killed and restarted, and can still commit.

    A broker that dies while librdkafka joins may have kept a name for the member that it never told: then the member
    is fenced by its own shadow, and its next life reads on.
    """
    producer = log.producer("p")
    consumer = log.consumer("m", partition.topic)
    reading = Reading(consumer, 120.0)
    consumer.subscribe([partition.topic])
    reading.own(partition)
    producer.append([NewRecord(partition.topic, b"before")]).result(30)
    reading.read(1)
    broker.kill()
    broker.start()
    producer.append([NewRecord(partition.topic, b"after")]).result(60)
    try:
        poll_until([reading], lambda: reading.values[-1:] == [b"after"])
    except MemberFencedError:
        assert client == "librdkafka"
        consumer.close()
        consumer = reading.consumer = log.consumer("m", partition.topic)
        consumer.subscribe([partition.topic])
        poll_until([reading], lambda: reading.values[-1:] == [b"after"])
    assert reading.values[:2] in ([b"before", b"after"], [b"before", b"before"])
    consumer.close()
    producer.close()


def test_memory_is_bounded_while_the_broker_is_away(broker: LocalKafka, client: str, partition: Partition) -> None:
    """A producer holds no more than it was told to; what finds no room is not sent and may be appended again (D4)."""
    log = KafkaLog(broker.url, {"in_flight_bytes": 1 << 20, "max_block_ms": 500, "client": client})
    producer = log.producer("p")
    record = NewRecord(partition.topic, bytes(100_000), partition=0)
    producer.append([record]).result(30)
    broker.freeze()
    late = [producer.append([record]) for _ in range(10)][-1]
    with pytest.raises(LogUnavailableError, match="1048576 bytes wait"):
        producer.append([record])
    with pytest.raises(LogUnavailableError, match="not acknowledged yet"):
        late.result(0)
    broker.thaw()
    late.result(60)
    producer.close()


def test_closing_ends_in_time_whatever_the_broker_does(broker: LocalKafka, log: KafkaLog, partition: Partition) -> None:
    """`close` of a producer with records in flight and of a member ends within its time and leaves no thread (D3)."""
    before = set(threading.enumerate())
    producer, consumer = log.producer("p"), log.consumer("m", partition.topic)
    producer.append([NewRecord(partition.topic, b"x")]).result(30)
    consumer.subscribe([partition.topic])
    Reading(consumer, 60.0).own(partition)
    broker.freeze()
    pending = producer.append([NewRecord(partition.topic, b"x")])
    begun = time.monotonic()
    producer.close(2)
    assert time.monotonic() - begun < 6
    consumer.close()
    assert time.monotonic() - begun < 20
    broker.thaw()
    with pytest.raises(LogUnavailableError):
        pending.result(5)
    deadline = time.monotonic() + 10
    while set(threading.enumerate()) - before:
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.1)
