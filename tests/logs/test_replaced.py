"""What newer records replace is let go: by its keys, below an offset, and nothing else."""

from __future__ import annotations

import logging

import pytest

from mendline.logs.base import LogUnavailableError, TopicSettings
from mendline.logs.memory import MemoryLog
from mendline.logs.sqlite import tables
from mendline.schemas.stream import NewRecord, Partition
from tests.logs.support import Case, poll_until

OLD, NEW = [b"a/1/0", b"a/1/1"], [b"a/2/0", b"a/2/1"]


def fill(case: Case, *keys: bytes, size: int = 1000) -> Partition:
    """Append a record under each key to a topic of its own, and return where they are."""
    topic = case.topic(replaced=True)
    producer = case.log.producer("p")
    producer.append([NewRecord(topic, key.ljust(size, b"."), key) for key in keys]).result(case.patience_s)
    producer.close()
    return Partition(topic, 0)


def forget(case: Case, where: Partition, before: int, keys: list[bytes] | None = None) -> None:
    """Let go of what stands under `a` there."""
    producer = case.log.producer("p")
    producer.forget(where, b"a", before, OLD if keys is None else keys)
    producer.close()


def left(case: Case, where: Partition) -> dict[bytes, int]:
    """Return the keys that are there, with the offsets of what is not empty."""
    consumer = case.log.consumer("r")
    end = consumer.end_offset(where)
    consumer.close()
    with case.reading(where) as reading:
        poll_until([reading], lambda: bool(reading.batches) and reading.batches[-1].next_offset == end)
        found = reading.batches
    return {
        key or b"": offset
        for batch in found
        for offset, key, value in zip(batch.offsets, batch.keys, batch.values, strict=True)
        if value
    }


def test_what_is_kept_stays_where_it_was(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    """Under other names, under none, and from the offset on; nobody misses what is gone."""
    others = [b"ab/1/0", b"b"]
    where = fill(case, OLD[0], others[0], OLD[1], *NEW, others[1], b"a")
    forget(case, where, 3)
    kept = left(case, where)
    assert {**dict.fromkeys(OLD, 0), **kept}.keys() == {*OLD, *others, *NEW, b"a"}
    assert [kept[name] for name in (*others, *NEW, b"a")] == [1, 5, 3, 4, 6]
    assert [] == [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


@pytest.mark.parametrize("rows", [1, 1000])
def test_what_is_let_go_takes_no_room(case: Case, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much that is, known by key to the caller or not; the front goes for good, so offsets begin later."""
    if case.kind == "kafka":
        pytest.skip("brokers delete later, in whole segments")
    monkeypatch.setattr(tables, "TRIM_ROWS", rows)
    where = fill(case, b"a", *OLD, b"c", *OLD, *NEW)
    before = case.log.sizes()[where.topic]
    forget(case, where, 6, [])
    consumer = case.log.consumer("r")
    assert consumer.beginning_offset(where) == 3
    assert left(case, where) == {b"c": 3, NEW[0]: 6, NEW[1]: 7}
    assert before - case.log.sizes()[where.topic] >= 5_000
    forget(case, where, 8, [])
    assert left(case, where) == {b"c": 3}
    consumer.close()


def test_a_partition_may_become_empty(case: Case) -> None:
    """The next record gets the next offset all the same."""
    if case.kind == "kafka":
        pytest.skip("brokers delete later, in whole segments")
    where = fill(case, *OLD)
    forget(case, where, 2)
    assert case.log.sizes()[where.topic] == 0
    assert [2] == [one.offset for one in case.append(where.topic, b"x")]
    assert left(case, where) == {b"": 2}


def test_a_log_that_is_away_says_so() -> None:
    """What is not let go now is next time."""
    log = MemoryLog()
    log.ensure_topics([TopicSettings("t")])
    log.away = True
    with pytest.raises(LogUnavailableError, match="away"):
        log.producer("p").forget(Partition("t", 0), b"a", 1, [])
