"""How far readers are behind, and how old what they read is."""

from __future__ import annotations

from mendline.inventory import TopicFacts, take_stock
from mendline.logs.base import Committed
from mendline.logs.memory import MemoryLog
from mendline.schemas.settings import Settings
from mendline.schemas.stream import NewRecord, Partition
from mendline.testing.clock import ManualClock
from mendline.topics import topic_settings

SETTINGS = Settings.model_validate({"topics": {"partitions": 2}})


def stocked() -> tuple[MemoryLog, ManualClock]:
    """Return a log with three rounds in each partition, a minute apart."""
    clock = ManualClock(1_000_000)
    log = MemoryLog(clock=clock)
    log.ensure_topics(topic_settings(SETTINGS.topics))
    for _ in range(3):
        log.producer("p").append([NewRecord("mendline.metrics", b"{}", partition=number) for number in range(2)])
        clock.advance(60)
    return log, clock


def facts_of(log: MemoryLog, topic: str) -> TopicFacts:
    """Return the facts of one topic."""
    return next(one for one in take_stock(log, SETTINGS) if one.topic == topic)


def test_size_and_age_are_those_of_all_partitions() -> None:
    """From the oldest record of any to the newest of any."""
    log, _ = stocked()
    metrics = facts_of(log, "mendline.metrics")
    assert (metrics.partitions, metrics.records, metrics.bytes) == (2, 6, 12)
    assert (metrics.oldest, metrics.newest) == (1_000_000, 1_120_000)
    assert facts_of(log, "mendline.windows") == TopicFacts("mendline.windows", 2, 0, 0, lag={})


def test_lag_is_what_a_group_has_still_to_read() -> None:
    """Of partitions where it never stored a place all there is, and nothing that retention took."""
    log, _ = stocked()
    member = log.consumer("m", "mendline.windows")
    member.subscribe(["mendline.metrics"])
    member.poll(0)
    member.commit({Partition("mendline.metrics", 0): Committed(2)})
    assert facts_of(log, "mendline.metrics").lag == {"windows": 1 + 3}
    log.delete_before(Partition("mendline.metrics", 1), 2)
    assert facts_of(log, "mendline.metrics").lag == {"windows": 1 + 1}
