"""The publisher: order, repeats, what falls off, what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mendline.agent import publisher as module
from mendline.agent.publisher import Publisher
from mendline.logs.base import LogUnavailableError, Position, TopicSettings
from mendline.logs.memory import MemoryLog
from mendline.schemas.records import Heartbeat, ProcessEvent
from mendline.schemas.series import Series, SeriesTable
from tests.agent.support import METRICS, memory_log, said
from tests.producers.support import until

TABLE = SeriesTable([Series(metric="m")])


@pytest.fixture
def log() -> MemoryLog:
    """Return a log with the topics an agent needs."""
    return memory_log()


@pytest.fixture
def acknowledged() -> list[Position]:
    """Collect where the log said that records went."""
    return []


@pytest.fixture
def publisher(log: MemoryLog, acknowledged: list[Position]) -> Iterator[Publisher]:
    """Run a publisher with a small queue."""
    made = Publisher(log, METRICS.topic, "host", 7, lambda place, _: acknowledged.append(place), most_bytes=4000)
    made.start()
    yield made
    made.close(5.0)


def heartbeat(program: str = "") -> Heartbeat:
    """Return a small event."""
    return Heartbeat(source="host", time=0, interval_ms=1000, program=program)


def sequences(log: MemoryLog) -> list[int]:
    """Return what stands on the log, in order."""
    return [one.sequence for one in said(log)]


def test_records_are_told_when_they_are_on_the_log(
    publisher: Publisher, log: MemoryLog, acknowledged: list[Position]
) -> None:
    """Whoever gave a record can hear when it is acknowledged, and the log's time is known from then on."""
    told: list[str] = []
    publisher.event(heartbeat(), lambda: told.append("there"))
    until(lambda: bool(told))
    assert [METRICS] == [position.partition for position in acknowledged]
    assert (7, 0) == said(log)[0][:2]


def test_the_time_that_the_log_took_to_answer_is_told(log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """From before the append on, without what making a connection took."""
    passed = iter((10.0, 13.5))
    monkeypatch.setattr(module, "since_boot", lambda: next(passed))
    took: list[float] = []
    publisher = Publisher(log, METRICS.topic, "host", 7, lambda _, took_s: took.append(took_s))
    publisher.start()
    publisher.event(heartbeat())
    until(lambda: bool(took))
    publisher.close(5.0)
    assert [3.5] == took


def test_what_may_have_arrived_is_said_again(publisher: Publisher, log: MemoryLog) -> None:
    """A repeat has the same epoch and sequence, by which readers drop it."""
    log.fail_next(LogUnavailableError("who knows"), arrives=True)
    publisher.event(heartbeat())
    until(lambda: not publisher.waiting)
    assert [0, 0] == sequences(log)


@pytest.mark.slow
def test_a_late_answer_is_waited_for(publisher: Publisher, log: MemoryLog) -> None:
    """A record on its way is not sent twice, however long the answer takes; meanwhile the log counts as away."""
    log.hold_answers()
    publisher.event(heartbeat())
    until(lambda: publisher.away_s > 0)
    log.release_answers()
    until(lambda: not publisher.waiting)
    assert [0] == sequences(log)
    assert 0 == publisher.away_s


def test_rounds_fall_off_before_events(publisher: Publisher, log: MemoryLog) -> None:
    """When the queue is full the oldest rounds go, are counted, and leave a gap in the sequence."""
    log.away = True
    publisher.event(heartbeat())
    until(lambda: publisher.away_s > 0)
    publisher.event(ProcessEvent(source="host", time=0, service="web", state="exited", pid=1))
    for time in range(20):
        publisher.round(time, TABLE, [0.0])
    log.away = False
    until(lambda: not publisher.waiting)
    assert publisher.lost > 0
    kept = 20 - publisher.lost
    assert [0, 1, *range(22 - kept, 22)] == sequences(log)


def test_a_record_that_is_too_large_is_dropped_alone() -> None:
    """The others of its batch are appended."""
    small = MemoryLog()
    small.ensure_topics([TopicSettings(METRICS.topic, max_record_bytes=1000)])
    small.away = True
    publisher = Publisher(small, METRICS.topic, "host", 1, lambda *_: None)
    publisher.start()
    publisher.event(heartbeat())
    until(lambda: publisher.away_s > 0)
    publisher.event(heartbeat("x" * 2000))
    publisher.event(heartbeat())
    small.away = False
    until(lambda: not publisher.waiting)
    assert [0, 2] == sequences(small)
    assert 1 == publisher.refused
    publisher.close(1.0)


@pytest.mark.slow
def test_closing_gives_up_in_time(log: MemoryLog, caplog: pytest.LogCaptureFixture) -> None:
    """A log that stays away does not keep the agent from ending; what is lost is logged."""
    log.away = True
    publisher = Publisher(log, METRICS.topic, "host", 1, lambda *_: None)
    publisher.start()
    publisher.event(heartbeat())
    publisher.close(0.2)
    assert "1 records did not reach the log" in caplog.text
