"""What only the memory log has: a clock set by hand, and faults on request."""

from __future__ import annotations

import pytest

from mendline.logs.base import Committed, LogRefusedError, LogUnavailableError, TopicSettings
from mendline.logs.memory import MemoryLog
from mendline.schemas.stream import NewRecord, Partition
from mendline.testing.clock import ManualClock
from tests.logs.support import Reading

PARTITION = Partition("t", 0)


@pytest.fixture(name="clock")
def _clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock(1000)


@pytest.fixture(name="log")
def _log(clock: ManualClock) -> MemoryLog:
    """Return a memory log with one topic."""
    log = MemoryLog(clock=clock)
    log.ensure_topics([TopicSettings("t", retention_ms=60_000)])
    return log


def append(log: MemoryLog, value: bytes = b"x") -> int:
    """Append one record and return its append time (ms)."""
    return log.producer("p").append([NewRecord("t", value)]).result(0)[0].timestamp


def values(log: MemoryLog) -> list[bytes]:
    """Return all values there are."""
    consumer = log.consumer("reader")
    consumer.assign([PARTITION])
    consumer.start(PARTITION, 0)
    return [value for batch in consumer.poll(0).batches for value in batch.values]


def test_append_times_follow_the_clock(log: MemoryLog, clock: ManualClock) -> None:
    """Append times are the clock's, and never go back."""
    times = [append(log)]
    for seconds in (2, -1, 5):
        clock.advance(seconds)
        times.append(append(log))
    assert times == [1000, 3000, 3000, 7000]


def test_old_records_go(log: MemoryLog, clock: ManualClock) -> None:
    """Retention by time deletes from the front."""
    append(log, b"old")
    clock.advance(61)
    append(log, b"new")
    assert values(log) == [b"new"]


def test_sizes_are_bounded() -> None:
    """Retention by size keeps the newest records."""
    log = MemoryLog()
    log.ensure_topics([TopicSettings("t", retention_bytes=3)])
    for value in (b"a", b"b", b"c", b"d", b"e"):
        append(log, value)
    assert values(log) == [b"c", b"d", b"e"]


def test_appends_fail_on_request(log: MemoryLog) -> None:
    """The next appends fail as told, with their records lost or there all the same."""
    log.fail_next(times=2)
    log.fail_next(LogRefusedError("no"), arrives=True)
    for value, error in ((b"1", LogUnavailableError), (b"2", LogUnavailableError), (b"3", LogRefusedError)):
        with pytest.raises(error):
            append(log, value)
    append(log, b"4")
    assert values(log) == [b"3", b"4"]


def test_answers_can_be_held(log: MemoryLog) -> None:
    """Held answers keep deliveries open; the records are there."""
    log.hold_answers()
    delivery = log.producer("p").append([NewRecord("t", b"x")])
    assert not delivery.done()
    with pytest.raises(LogUnavailableError):
        delivery.result(0)
    assert values(log) == [b"x"]
    log.release_answers()
    assert delivery.result(0)[0].offset == 0


def test_a_log_that_is_away_answers_nothing(log: MemoryLog) -> None:
    """While it is away, appending, polling and asking raise LogUnavailableError; then all is as before."""
    consumer = log.consumer("m", "g")
    consumer.subscribe(["t"])
    consumer.poll(0)
    log.away = True
    with pytest.raises(LogUnavailableError):
        append(log)
    with pytest.raises(LogUnavailableError):
        consumer.poll(0)
    with pytest.raises(LogUnavailableError):
        consumer.committed(PARTITION)
    log.away = False
    assert append(log) == 1000


def test_sessions_age_by_the_clock(log: MemoryLog, clock: ManualClock) -> None:
    """A member that did not poll for a session by the log's clock is replaced, and its commits do not count."""
    silent, other = Reading(log.consumer("silent", "g"), 1.0), Reading(log.consumer("other", "g"), 1.0)
    silent.consumer.subscribe(["t"])
    other.consumer.subscribe(["t"])
    silent.poll(0)
    other.poll(0)
    assert silent.held == {PARTITION}
    clock.advance(11)
    other.poll(0)
    assert other.held == {PARTITION}
    silent.consumer.commit({PARTITION: Committed(1)})
    assert other.consumer.committed(PARTITION) is None
    silent.poll(0)
    assert silent.held == set()
