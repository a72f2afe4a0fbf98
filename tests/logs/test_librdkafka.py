"""Kafka's second client: who reads what, what it makes of errors, and what happens between two generations."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from mendline.logs.base import (
    Committed,
    LogError,
    LogRefusedError,
    LogUnavailableError,
    MemberFencedError,
    RecordTooLargeError,
    TopicSettings,
)
from mendline.logs.kafka import KafkaLog
from mendline.logs.kafka.options import KafkaOptions
from mendline.logs.librdkafka.consumer import RdConsumer, _within
from mendline.logs.librdkafka.errors import translate
from mendline.logs.librdkafka.ownership import UNKNOWN, Ownership
from mendline.logs.librdkafka.producer import RdProducer
from mendline.schemas.stream import NewRecord, Partition
from mendline.testing.kafka import LocalKafka
from tests.logs.support import ROOT, Reading, poll_until

ONE, TWO, THREE = (Partition("t", number) for number in range(3))


@pytest.fixture
def log(kafka: LocalKafka) -> KafkaLog:
    """Return the shared broker as a log."""
    return KafkaLog(kafka.url, {"client": "librdkafka"})


@pytest.fixture
def topics(log: KafkaLog) -> list[str]:
    """Make two topics of six partitions, for one test alone."""
    names = [f"{name}-{time.time_ns()}" for name in ("rounds", "windows")]
    log.ensure_topics([TopicSettings(name, 6) for name in names])
    return names


# Without a broker -----------------------------------------------------------------------------------------------------


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who chose librdkafka without having it is told what to install, before anything is connected."""
    monkeypatch.setattr("mendline.logs.kafka.log.find_spec", lambda _: None)
    with pytest.raises(LogRefusedError, match=r"pip install 'mendline\[librdkafka\]'"):
        KafkaLog("kafka://localhost:1", {"client": "librdkafka"})
    KafkaLog("kafka://localhost:1")


def test_what_fails_on_a_thread_is_raised_where_it_is_waited_for() -> None:
    """And not printed by the thread, where nobody hears of it."""
    with pytest.raises(ZeroDivisionError):
        _within(30.0, lambda: 1 // 0)


@pytest.mark.parametrize(
    ("code", "ours", "says"),
    [
        (KafkaError.NOT_ENOUGH_REPLICAS, LogUnavailableError, "NotEnoughReplicasError"),
        (KafkaError.MSG_SIZE_TOO_LARGE, RecordTooLargeError, "MessageSizeTooLargeError"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, LogRefusedError, "mendline topics acls"),
        (KafkaError.FENCED_INSTANCE_ID, MemberFencedError, "same name"),
        (KafkaError.INCONSISTENT_GROUP_PROTOCOL, LogRefusedError, "another client"),
        (KafkaError._TRANSPORT, LogUnavailableError, "_TRANSPORT"),
        (KafkaError._AUTHENTICATION, LogRefusedError, "_AUTHENTICATION"),
    ],
)
def test_errors_mean_what_they_mean_elsewhere(code: int, ours: type[LogError], says: str) -> None:
    """A broker's error has the words it has through kafka-python; the library's own say whether waiting helps."""
    error = translate(KafkaError(code), "append")
    assert (type(error), str(error).startswith("append: "), says in str(error)) == (ours, True, True)


def test_a_rebalance_tells_only_what_moved() -> None:
    """What a rebalance gives back is not news, and nothing is told while it runs."""
    ownership = Ownership()
    ownership.gave([ONE, TWO], 7)
    assert ownership.news() == ([ONE, TWO], [])
    ownership.rest()
    assert (ownership.away, ownership.news()) == (True, ((), ()))
    assert ownership.gave([TWO, THREE], 8) == {TWO}
    assert ownership.news() == ([THREE], [ONE])
    assert ownership.news() == ((), ())


def test_a_missed_generation_takes_everything() -> None:
    """Who was not in a generation begins anew, for others may have read on from there."""
    ownership = Ownership()
    ownership.gave([ONE], 7)
    ownership.news()
    ownership.rest()
    assert ownership.gave([ONE, TWO], 9) == set()
    assert ownership.news() == ([ONE, TWO], [ONE])


def test_generations_that_are_not_told_keep_nothing() -> None:
    """Where the library does not tell the generation, what is given is taken for new each time."""
    ownership = Ownership()
    ownership.gave([ONE], UNKNOWN)
    ownership.news()
    assert ownership.gave([ONE], UNKNOWN) == set()
    assert ownership.news() == ([ONE], [ONE])


def test_what_is_lost_is_told_at_once() -> None:
    """A member that fell out of its group is told without waiting for the next rebalance."""
    ownership = Ownership()
    ownership.gave([ONE], 7)
    ownership.news()
    ownership.lost()
    assert (ownership.news(), ownership.owns(ONE)) == (([], [ONE]), False)


# On a broker ----------------------------------------------------------------------------------------------------------


class Process:
    """A process that is a member of one group for each of its stages, each group with a topic of its own."""

    def __init__(self, log: KafkaLog, name: str, topics: list[str]) -> None:
        self.members: dict[str, Reading] = {}
        self._log, self._name, self._topics = log, name, topics

    def join(self, stage: int) -> None:
        topic = self._topics[stage]
        member = self._log.consumer(f"{self._name}.stage-{stage}", f"g{stage}-{topic}")
        member.subscribe([topic])
        self.members[topic] = Reading(member, 60.0)

    def held(self) -> list[set[int]]:
        return [{partition.number for partition in self.members[topic].held} for topic in self._topics]

    def close(self) -> None:
        for member in self.members.values():
            member.consumer.close()
        self.members.clear()


def settle(processes: list[Process]) -> None:
    """Poll until every partition of both groups has one owner, and shares are even."""

    def even(stage: int) -> bool:
        shares = [process.held()[stage] for process in processes]
        sizes = list(map(len, shares))
        return set().union(*shares) == set(range(6)) and sum(sizes) == 6 and max(sizes) - min(sizes) <= 1

    members = [member for process in processes for member in process.members.values()]
    poll_until(members, lambda: even(0) and even(1))


def test_a_process_holds_the_same_numbers_in_each_of_its_groups(log: KafkaLog, topics: list[str]) -> None:
    """Whatever the order in which members join and leave, the groups of a process agree: so stages can be chained."""
    a, b, c = (Process(log, name, topics) for name in ("host-a", "host-b", "host-c"))
    with ExitStack() as stack:
        for process in (a, b, c):
            stack.callback(process.close)
        for first, second in zip((a, b, c), (c, a, b), strict=True):
            first.join(0)
            second.join(1)
            # Not all at once: each group has a history of its own.
            early = [m for p in (a, b, c) for m in p.members.values()]
            poll_until(early, lambda early=early: all(m.held for m in early))  # type: ignore[misc]
        settle([a, b, c])
        assert all(process.held()[0] == process.held()[1] for process in (a, b, c))
        b.close()
        settle([a, c])
        assert all(process.held()[0] == process.held()[1] for process in (a, c))


def test_members_of_two_clients_do_not_mix(kafka: LocalKafka, log: KafkaLog, topics: list[str]) -> None:
    """Who joins a group whose members read through the other client is told so, whichever of the two it is."""
    other = KafkaLog(kafka.url)
    for number, (first, second) in enumerate(itertools.permutations((log, other))):
        there, late = (one.consumer(f"m{i}", f"mixed-{number}-{topics[0]}") for i, one in enumerate((first, second)))
        there.subscribe([topics[0]])
        member = Reading(there, 60.0)
        poll_until([member], lambda member=member: len(member.held) == 6)  # type: ignore[misc]
        late.subscribe([topics[0]])
        with pytest.raises(LogRefusedError, match="read through another client"):
            poll_until([member, Reading(late, 60.0)], lambda: False)
        late.close()
        there.close()


def test_what_was_lost_and_came_back_is_read_from_where_it_is_started(log: KafkaLog, topics: list[str]) -> None:
    """A partition that was lost is told of, and nothing of it comes before it is started again."""
    partition = Partition(topics[0], 0)
    producer = log.producer("p")
    producer.append([NewRecord(topics[0], b"%d" % n, partition=0) for n in range(10)]).result(30)
    consumer = log.consumer("m", f"g-{topics[0]}")
    assert isinstance(consumer, RdConsumer)
    consumer.subscribe([topics[0]])
    reading = Reading(consumer, 60.0)
    reading.read(10)
    consumer.start(partition, 3)
    consumer._membership._on_lost(consumer._client, [])
    told = consumer.poll(0)
    assert (partition in told.revoked, list(told.batches)) == (True, [])
    consumer.close()
    producer.close()


@pytest.fixture
def filled(log: KafkaLog) -> Iterator[tuple[KafkaLog, list[Partition]]]:
    """Return a log with 5,000 numbered records in each of three partitions."""
    name = f"filled-{time.time_ns()}"
    log.ensure_topics([TopicSettings(name, 3)])
    producer = log.producer("p")
    partitions = [Partition(name, number) for number in range(3)]
    for partition in partitions:
        producer.append([NewRecord(name, b"%d" % n, partition=partition.number) for n in range(5000)]).result(60)
    yield log, partitions
    producer.close()


def test_no_sequence_of_starts_and_pauses_skips_a_record(filled: tuple[KafkaLog, list[Partition]]) -> None:
    """Whatever is started, sought, paused and started again: each partition delivers from its place on, without gap."""
    log, partitions = filled
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    consumer = log.consumer("c")
    consumer.assign(partitions)
    place = dict.fromkeys(partitions, 0)
    running: set[Partition] = set()
    for _ in range(300):
        partition = draw.choice(partitions)
        what = draw.random()
        if what < 0.25:
            consumer.pause(partition)
            running.discard(partition)
        elif what < 0.3:
            place[partition] = draw.randrange(4900)
            consumer.start(partition, place[partition])
            running.add(partition)
        elif what < 0.6:
            consumer.start(partition, place[partition])
            running.add(partition)
        for batch in consumer.poll(0.02, draw.choice([1, 7, 500])).batches:
            assert batch.partition in running
            assert list(batch.offsets) == list(range(place[batch.partition], batch.next_offset))
            assert list(batch.values) == [b"%d" % n for n in batch.offsets]
            place[batch.partition] = batch.next_offset
    for partition in partitions:
        consumer.start(partition, place[partition])
    deadline = time.monotonic() + 60
    while min(place.values()) < 5000:
        assert time.monotonic() < deadline, place
        for batch in consumer.poll(0.2).batches:
            assert list(batch.offsets) == list(range(place[batch.partition], batch.next_offset))
            place[batch.partition] = batch.next_offset
    consumer.close()


class Crowd:
    """Members of one group that come, go and crash, and keep all they read."""

    def __init__(self, log: KafkaLog, topic: str) -> None:
        self.members: dict[str, Reading] = {}
        self.read: set[bytes] = set()
        self._log, self._topic = log, topic

    def come(self, name: str) -> None:
        consumer = self._log.consumer(name, f"g-{self._topic}")
        consumer.subscribe([self._topic])
        self.members[name] = Reading(consumer, 60.0)

    def crash(self, name: str) -> None:
        consumer = self.members.pop(name).consumer
        assert isinstance(consumer, RdConsumer)
        consumer._client.close()

    def turn(self) -> None:
        for member in self.members.values():
            member.poll(0.02)
            for batch in member.batches:
                self.read.update(batch.values)
                member.consumer.commit({batch.partition: Committed(batch.next_offset)})
            member.batches.clear()


def test_members_that_come_and_go_lose_nothing(log: KafkaLog, topics: list[str]) -> None:
    """Through joins, leaves, and crashes with a new life, each record is read by some member."""
    producer, crowd, draw, sent = log.producer("p"), Crowd(log, topics[0]), random.Random(1), 0
    for _ in range(7):
        name = draw.choice("abc")
        if name not in crowd.members:
            crowd.come(name)
        elif len(crowd.members) > 1 and draw.random() < 0.5:
            crowd.members.pop(name).consumer.close()
        else:
            crowd.crash(name)
            crowd.come(name)
        until = time.monotonic() + draw.uniform(0.5, 3.0)
        while time.monotonic() < until:
            producer.append([NewRecord(topics[0], b"%d" % (sent + n), partition=(sent + n) % 6) for n in range(20)])
            sent += 20
            crowd.turn()
    deadline = time.monotonic() + 60
    while len(crowd.read) < sent:
        assert time.monotonic() < deadline, (sent, len(crowd.read), {n: m.held for n, m in crowd.members.items()})
        crowd.turn()
    assert crowd.read == {b"%d" % n for n in range(sent)}
    for member in crowd.members.values():
        member.consumer.close()
    producer.close()


def test_a_member_whose_name_was_taken_closes_without_a_word(
    log: KafkaLog, topics: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Though it hears only then that it is no member any more: there is nothing that it could leave."""
    first, second = (Reading(log.consumer("m", f"taken-{topics[0]}"), 60.0) for _ in range(2))
    assert isinstance(first.consumer, RdConsumer)
    client, deadline = first.consumer._client, time.monotonic() + 60
    first.consumer.subscribe([topics[0]])
    while not client.memberid():
        assert time.monotonic() < deadline, "it joins no group"
        time.sleep(0.01)
    second.consumer.subscribe([topics[0]])
    poll_until([second], partial(bool, second.held))
    with pytest.raises(KafkaException, match=r"FENCED_INSTANCE_ID|_FATAL"):
        client.commit(offsets=[TopicPartition(topics[0], 0, 1)], asynchronous=False)
    first.consumer.close()
    second.consumer.close()
    assert caplog.messages == []


def test_a_member_can_leave_before_it_hears_of_its_place(kafka: LocalKafka, topics: list[str]) -> None:
    """Closing does not wait for ever, with all of its process, where a rebalance ended that was not heard of yet."""
    arguments = [kafka.url, f"leaving-{time.time_ns()}", topics[0], "4"]
    command = [sys.executable, "-m", "tests.logs.leaver", *arguments]
    left = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert (left.returncode, left.stdout, left.stderr) == (0, "all have left\n", "")


def test_batches_shrink_where_the_limit_is_not_told(kafka: LocalKafka, log: KafkaLog) -> None:
    """Records that fit one by one arrive in the end, though nobody may tell the producer how small batches must be."""
    name = f"small-{time.time_ns()}"
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    admin.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": "20000"})])
    admin.wait_for_topics([name])
    admin.close()
    options = KafkaOptions(client="librdkafka")
    producer = RdProducer([kafka.bootstrap], options, "p", TopicSettings, {})
    records = [NewRecord(name, os.urandom(1000), partition=0) for _ in range(100)]
    for _ in range(5):
        with pytest.raises(LogUnavailableError, match="append again, in order"):
            producer.append(records).result(30)
    offsets = [position.offset for position in producer.append(records).result(30)]
    # Those that were sent alone at the head of a call had arrived before.
    assert offsets == list(range(offsets[0], offsets[0] + 100))
    producer.close()
