"""What every log does with places: start, pause, seek by offset and by time, retention, commits, waiting."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from mendline.logs.base import Committed, LogRefusedError
from mendline.schemas.stream import NewRecord, Partition
from tests.logs.support import Case, poll_until

SOON_S = 2.0


def test_reading_begins_where_told(case: Case) -> None:
    """`start` delivers from its offset on, also when called again to seek."""
    topic = case.topic()
    partition = Partition(topic, 0)
    case.append(topic, *[b"%d" % n for n in range(10)])
    with case.reading(partition, offset=7) as reading:
        assert reading.read(3) == [b"7", b"8", b"9"]
        reading.consumer.start(partition, 8)
        assert reading.read(5)[3:] == [b"8", b"9"]


@pytest.mark.slow
def test_nothing_is_delivered_before_start(case: Case) -> None:
    """A member is told what it owns, and gets no record of it until it starts."""
    topic = case.topic()
    partition = Partition(topic, 0)
    case.append(topic, b"x")
    consumer = case.log.consumer("m", f"g-{topic}")
    consumer.subscribe([topic])
    deadline = time.monotonic() + case.patience_s
    assigned: list[Partition] = []
    while not assigned and time.monotonic() < deadline:
        polled = consumer.poll(0.1)
        assigned += polled.assigned
        assert not polled.batches
    assert [partition] == assigned
    assert not consumer.poll(0.3).batches
    consumer.start(partition, 0)
    assert list(consumer.poll(case.patience_s).batches[0].values) == [b"x"]
    consumer.close()


@pytest.mark.slow
def test_paused_partitions_rest(case: Case) -> None:
    """A paused partition delivers nothing, the others go on, and `start` ends the pause."""
    topic = case.topic(2)
    with case.reading(Partition(topic, 0), Partition(topic, 1)) as reading:
        reading.consumer.pause(Partition(topic, 0))
        case.append(topic, b"a", partition=0)
        case.append(topic, b"b", partition=1)
        assert reading.read(1) == [b"b"]
        reading.poll(0.3)
        assert reading.values == [b"b"]
        reading.consumer.start(Partition(topic, 0), 0)
        assert reading.read(2) == [b"b", b"a"]


@pytest.mark.slow
def test_assignment_replaces_assignment(case: Case) -> None:
    """Reading by assignment needs no group, and a second assignment ends the first."""
    topic = case.topic(2)
    with case.reading(Partition(topic, 0)) as reading:
        reading.consumer.assign([Partition(topic, 1)])
        reading.consumer.start(Partition(topic, 1), 0)
        case.append(topic, b"a", partition=0)
        case.append(topic, b"b", partition=1)
        assert reading.read(1) == [b"b"]
        reading.poll(0.3)
        assert reading.values == [b"b"]


def test_commits_need_a_group(case: Case) -> None:
    """A consumer without a group is told that it can neither commit nor subscribe."""
    topic = case.topic()
    with case.reading(Partition(topic, 0)) as reading:
        with pytest.raises(LogRefusedError, match="group"):
            reading.consumer.commit({Partition(topic, 0): Committed(1)})
        with pytest.raises(LogRefusedError, match="group"):
            reading.consumer.subscribe([topic])


def test_ends_are_known(case: Case) -> None:
    """Beginning and end of a partition are told, an empty one's too, and the lag follows reading."""
    topic = case.topic()
    partition = Partition(topic, 0)
    with case.reading(partition) as reading:
        assert (reading.consumer.beginning_offset(partition), reading.consumer.end_offset(partition)) == (0, 0)
        case.append(topic, *[b"x"] * 5)
        assert reading.consumer.end_offset(partition) == 5
        batch = reading.consumer.poll(case.patience_s, max_records=2).batches[0]
        assert (5 - len(batch)) == reading.consumer.lag(partition)
        reading.read(5 - len(batch))
        assert reading.consumer.lag(partition) == 0


def test_retention_moves_the_beginning(case: Case) -> None:
    """Below what was deleted, reading begins at the oldest record; offsets are never used again."""
    topic = case.topic()
    partition = Partition(topic, 0)
    case.append(topic, *[b"%d" % n for n in range(5)])
    case.log.delete_before(partition, 3)
    with case.reading(partition) as reading:
        assert reading.read(2) == [b"3", b"4"]
        assert reading.consumer.beginning_offset(partition) == 3
    case.log.delete_before(partition, 5)
    with case.reading(partition, offset=1) as reading:
        poll_until([reading], lambda: reading.consumer.lag(partition) == 0)
    assert case.append(topic, b"5")[0].offset == 5
    with case.reading(partition, offset=1) as reading:
        assert reading.read(1) == [b"5"]


def test_offsets_are_found_by_time(case: Case) -> None:
    """`offset_at` gives the first record of a time or later, and the end when there is none."""
    topic = case.topic()
    partition = Partition(topic, 0)
    first = case.append(topic, b"x")[0].timestamp
    positions = case.append(topic, b"y")
    while positions[-1].timestamp == first:
        positions += case.append(topic, b"y")
    last = positions[-1]
    with case.reading(partition) as reading:
        offset_at = reading.consumer.offset_at
        assert (offset_at(partition, first - 1000), offset_at(partition, first)) == (0, 0)
        assert last.offset == offset_at(partition, last.timestamp)
        assert last.offset + 1 == offset_at(partition, last.timestamp + 1)


def test_members_resume_at_commits(case: Case) -> None:
    """What was committed, metadata included, is there for the next life of a member; nothing is before."""
    topic = case.topic(2)
    partition = Partition(topic, 1)
    group = f"g-{topic}"
    case.append(topic, *[b"%d" % n for n in range(5)], partition=1)
    with case.member("m", group, topic) as member:
        member.own(Partition(topic, 0), partition)
        assert member.consumer.committed(partition) is None
        member.read(5)
        member.consumer.commit({partition: Committed(2, "early")})
        member.consumer.commit({partition: Committed(3, "snapshot 7")})
        assert Committed(3, "snapshot 7") == member.consumer.committed(partition)
    with case.member("m", group, topic) as member:
        member.own(Partition(topic, 0), partition)
        assert Committed(3, "snapshot 7") == member.consumer.committed(partition)
        assert member.read(2) == [b"3", b"4"]
        assert member.consumer.committed(Partition(topic, 0)) is None


def test_waiting_consumers_see_records_soon(case: Case) -> None:
    """A record ends the wait of a consumer that sleeps in `poll`."""
    topic = case.topic()
    producer = case.other().producer("p")
    arrivals: list[float] = []
    with case.reading(Partition(topic, 0)) as reading:
        reading.poll(0.1)

        def wait() -> None:
            while not reading.consumer.poll(case.patience_s).batches:
                pass
            arrivals.append(time.monotonic())

        thread = threading.Thread(target=wait)
        thread.start()
        producer.append([NewRecord(topic, b"x")]).result(case.patience_s)
        appended = time.monotonic()
        thread.join(case.patience_s)
    producer.close()
    assert arrivals[0] - appended < SOON_S


def test_waiting_consumers_can_be_woken(case: Case) -> None:
    """`wake` from another thread ends a long wait without records."""
    topic = case.topic()
    with case.reading(Partition(topic, 0)) as reading:
        reading.poll(0.1)
        waiting = threading.Event()

        def wake() -> None:
            waiting.wait()
            reading.consumer.wake()

        thread = threading.Thread(target=wake)
        thread.start()
        began = time.monotonic()
        waiting.set()
        polled = reading.consumer.poll(case.patience_s)
        thread.join()
    assert (list(polled.batches), time.monotonic() - began < SOON_S) == ([], True)


@pytest.mark.slow
def test_signal_handlers_can_wake(case: Case) -> None:
    """`wake` may be called by a signal handler that interrupts the very poll."""
    with case.reading(Partition(case.topic(), 0)) as reading:
        reading.poll(0.1)
        before = signal.signal(signal.SIGALRM, lambda *_: reading.consumer.wake())
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            polled = reading.consumer.poll(case.patience_s)
        finally:
            signal.signal(signal.SIGALRM, before)
    assert (list(polled.batches), time.monotonic() - began < SOON_S) == ([], True)


@pytest.mark.slow
def test_polls_without_records_end_in_time(case: Case) -> None:
    """`poll` returns empty after its time, not before."""
    with case.reading(Partition(case.topic(), 0)) as reading:
        reading.poll(0.1)
        began = time.monotonic()
        assert not reading.consumer.poll(0.3).batches
        assert 0.25 < time.monotonic() - began < SOON_S
