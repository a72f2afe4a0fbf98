"""A damaged embedded log, salvaged by the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mendline.logs.sqlite import SqliteLog
from mendline.schemas.stream import NewRecord, Partition
from tests.cli.support import Caller, one_message, opened, write_config

METRICS = Partition("mendline.metrics", 0)
PAGE = 4096


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return the configuration of a log with a thousand records."""
    config = write_config(tmp_path, log=f"sqlite://{tmp_path / 'log'}")
    _, log = opened(config)
    with log:
        producer = log.producer("p")
        producer.append([NewRecord(METRICS.topic, b"%05d" % n * 200, partition=0) for n in range(1000)]).result(10)
        producer.close()
    return config


def damage(config: Path) -> Path:
    """Overwrite two pages in the midst of the records; return the file."""
    path = config.parent / "log" / "bulk.db"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // PAGE * PAGE
    content[middle : middle + 2 * PAGE] = b"\xff" * 2 * PAGE
    path.write_bytes(content)
    return path


def read_all(config: Path) -> dict[int, bytes]:
    """Return the records that are there by offset."""
    _, log = opened(config)
    with log:
        consumer = log.consumer("reader")
        consumer.assign([METRICS])
        consumer.start(METRICS, 0)
        found: dict[int, bytes] = {}
        while batches := consumer.poll(0.0).batches:
            for batch in batches:
                found |= dict(zip(batch.offsets, batch.values, strict=True))
        consumer.close()
    return found


def test_what_can_be_read_is_kept_and_what_cannot_is_told(call: Caller, config: Path) -> None:
    """Offsets stay; the damaged file is moved aside; readers go on behind what was lost, and appends at the end."""
    path = damage(config)
    tried = call("topics", "salvage", "--dry-run", "-c", config)
    assert tried.status == 1
    assert "damaged" in tried.out
    ran = call("topics", "salvage", "--json", "-c", config)
    assert ran.status == 0, ran.err
    told = next(file for file in map(json.loads, ran.out.splitlines()) if file["file"] == str(path))
    kept = next(one for one in told["partitions"] if one["topic"] == METRICS.topic)
    lost = {offset for first, last in kept["lost_offsets"] for offset in range(first, last + 1)}
    assert 0 < len(lost) == kept["lost"] < 50
    assert Path(told["moved"]).exists()
    assert read_all(config) == {n: b"%05d" % n * 200 for n in range(1000) if n not in lost}
    _, log = opened(config)
    with log:
        producer = log.producer("p")
        (position,) = producer.append([NewRecord(METRICS.topic, b"new", partition=0)]).result(10)
        producer.close()
    assert position.offset == 1000


def test_a_log_without_damage_is_left_as_it_is(call: Caller, config: Path) -> None:
    """Nothing is moved, and that is said."""
    ran = call("topics", "salvage", "-c", config)
    assert ran.status == 0
    assert ran.out.count("not damaged") == 2
    assert not list((config.parent / "log").glob("*.damaged-*"))


def test_a_log_at_work_is_not_salvaged(call: Caller, config: Path) -> None:
    """Who has it open is stopped first."""
    _, log = opened(config)
    assert isinstance(log, SqliteLog)
    with log:
        consumer = log.consumer("reader")
        consumer.assign([METRICS])
        consumer.poll(0.0)
        one_message(call("topics", "salvage", "-c", config), 3, "bulk.db", "stop Mendline")
        consumer.close()


def test_only_the_embedded_log_is_salvaged(call: Caller, tmp_path: Path) -> None:
    """Kafka has its own copies and its own tools."""
    config = write_config(tmp_path, log="kafka://127.0.0.1:9")
    one_message(call("topics", "salvage", "-c", config), 3, "sqlite://")
