"""What only the SQLite log has: retention by its producers, leases, bells, two files, idleness."""

from __future__ import annotations

import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mendline.logs import open_log
from mendline.logs.base import Committed, LogRefusedError, TopicSettings
from mendline.logs.sqlite import SqliteLog
from mendline.logs.sqlite.wake import Bell, Ringer
from mendline.schemas.stream import NewRecord, Partition
from mendline.testing.clock import ManualClock
from tests.logs.support import Reading, start_python


def open_sqlite(folder: Path, **options: object) -> SqliteLog:
    """Open a log in a folder, with one topic `t`."""
    log = SqliteLog(f"sqlite://{folder}", **options)
    log.ensure_topics([TopicSettings("t")])
    return log


def test_old_records_go(tmp_path: Path) -> None:
    """Producers delete what is older than the topic's retention, and the beginning moves."""
    clock = ManualClock()
    log = SqliteLog(f"sqlite://{tmp_path}/log", clock=clock, sweep_interval_s=0.0)
    log.ensure_topics([TopicSettings("t", retention_ms=60_000)])
    producer, consumer = log.producer("p"), log.consumer("c")
    for _ in range(5):
        producer.append([NewRecord("t", b"x")] * 700).result()
        clock.advance(30)
    assert consumer.beginning_offset(Partition("t", 0)) == 1400
    assert consumer.end_offset(Partition("t", 0)) == 3500
    producer.close()
    consumer.close()


@pytest.mark.slow
def test_excess_records_go(tmp_path: Path) -> None:
    """Producers delete the oldest records beyond the topic's size, in step with what they append."""
    log = SqliteLog(f"sqlite://{tmp_path}/log", sweep_interval_s=0.0)
    log.ensure_topics([TopicSettings("t", retention_bytes=100_000)])
    producer, consumer = log.producer("p"), log.consumer("c")
    for _ in range(10):
        producer.append([NewRecord("t", bytes(100))] * 3000).result()
    assert consumer.end_offset(Partition("t", 0)) - consumer.beginning_offset(Partition("t", 0)) == 1000
    producer.close()
    consumer.close()


def test_append_times_never_go_back(tmp_path: Path) -> None:
    """When the clock is set back they go on at its pace, in another process too, until it has caught up."""
    clock = ManualClock(10_000)
    producers = [open_sqlite(tmp_path / "log", clock=clock).producer(name) for name in "pq"]
    times = []
    for number, step in enumerate((0, -5, 3, 4, 10)):
        clock.advance(step)
        times.append(producers[number % 2].append([NewRecord("t", b"x")]).result()[0].timestamp)
    for producer in producers:
        producer.close()
    assert times == [10_000, 10_000, 13_000, 17_000, 22_000]


def test_two_processes_can_make_the_log_at_once(tmp_path: Path) -> None:
    """Many that open a folder for the first time at the same moment all succeed."""
    with ThreadPoolExecutor(8) as pool:
        logs = list(pool.map(lambda _: open_sqlite(tmp_path / "log"), range(8)))
    assert all(log.topics() == {"t": 1} for log in logs)


def test_journal_and_commands_are_apart(tmp_path: Path) -> None:
    """Journal and commands are in the fully synchronous file, all others and the offsets in the relaxed one."""
    log = open_sqlite(tmp_path / "log")
    log.ensure_topics([TopicSettings("x.journal"), TopicSettings("x.commands"), TopicSettings("x.windows")])
    with log.stores() as stores:
        assert set(stores.store("control").topics()) == {"x.journal", "x.commands"}
        assert stores.store("control").rows("PRAGMA synchronous") == [(2,)]
        assert set(stores.store("bulk").topics()) == {"t", "x.windows"}
        assert stores.store("bulk").rows("PRAGMA synchronous") == [(1,)]


@pytest.mark.slow
def test_members_that_lost_their_lease_start_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who did not poll for a session commits in vain, is told what it lost, and joins again."""
    log = open_sqlite(tmp_path / "log", session_timeout_s=0.3)
    partition = Partition("t", 0)
    slow, quick = Reading(log.consumer("slow", "g"), 5.0), Reading(log.consumer("quick", "g"), 5.0)
    slow.consumer.subscribe(["t"])
    slow.own(partition)
    quick.consumer.subscribe(["t"])
    quick.own(partition)
    with caplog.at_level(logging.WARNING):
        slow.consumer.commit({partition: Committed(7)})
        polled = slow.consumer.poll(1.0)
    assert polled.revoked == [partition]
    assert "lost its place" in caplog.text
    assert quick.consumer.committed(partition) is None
    quick.consumer.close()
    slow.own(partition)
    slow.consumer.close()


@pytest.mark.slow
def test_partitions_wait_for_their_live_owner(tmp_path: Path) -> None:
    """A partition is not given away before its live owner was told."""
    log = open_sqlite(tmp_path / "log", session_timeout_s=60.0)
    log.ensure_topics([TopicSettings("two", 2)])
    one, two = Reading(log.consumer("one", "g"), 5.0), Reading(log.consumer("two", "g"), 5.0)
    one.consumer.subscribe(["two"])
    one.own(Partition("two", 0), Partition("two", 1))
    two.consumer.subscribe(["two"])
    for _ in range(3):
        two.poll()
    assert two.held == set()
    one.poll()
    two.own(Partition("two", 1))
    one.consumer.close()
    two.consumer.close()


@pytest.mark.slow
def test_commits_are_bounded_in_time(tmp_path: Path) -> None:
    """A commit is written while its consumer waits in `poll`, about 50 ms later."""
    log = open_sqlite(tmp_path / "log")
    partition = Partition("t", 0)
    member, other = Reading(log.consumer("m", "g"), 5.0), log.consumer("o", "g")
    member.consumer.subscribe(["t"])
    member.own(partition)
    member.consumer.commit({partition: Committed(3, "x")})
    assert other.committed(partition) is None
    member.poll(0.2)
    assert other.committed(partition) == Committed(3, "x")
    member.consumer.close()
    other.close()


def test_dead_bells_are_removed(tmp_path: Path) -> None:
    """A FIFO whose owner died is removed by the next writer; live ones ring for their topics only."""
    ringer = Ringer(tmp_path)
    dead, live = Bell(tmp_path), Bell(tmp_path)
    dead.listen(["b1"])
    live.listen(["b1", "b2"])
    ringer.ring(["b2"])
    os.close(dead._fd)
    ringer.ring(["b1"])
    assert len(list(tmp_path.iterdir())) == 1
    live.clear()
    ringer.ring(["c1"])
    began = time.monotonic()
    live.wait(0.1)
    assert time.monotonic() - began > 0.05
    ringer.close()
    live.close()


def test_bells_whose_owner_died_as_it_made_them_are_removed(tmp_path: Path) -> None:
    """After a minute: until then it may be about to open it."""
    for name, age_s in ((".1-dead", 61), (".2-young", 10)):
        os.mkfifo(tmp_path / name)
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    Ringer(tmp_path).ring()
    assert [one.name for one in tmp_path.iterdir()] == [".2-young"]


@pytest.mark.slow
def test_full_bells_ring(tmp_path: Path) -> None:
    """A consumer that does not wake up for long blocks no writer."""
    ringer, bell = Ringer(tmp_path), Bell(tmp_path)
    bell.listen(["b1"])
    for _ in range(70_000):
        ringer.ring(["b1"])
    bell.wait(5.0)
    bell.clear()
    ringer.close()
    bell.close()


def test_closed_consumers_leave_no_bell(tmp_path: Path) -> None:
    """`close` removes the FIFO, may be called twice, and `wake` afterwards does no harm."""
    consumer = open_sqlite(tmp_path / "log").consumer("c")
    consumer.assign([Partition("t", 0)])
    wake = tmp_path / "log" / "wake"
    assert len(list(wake.iterdir())) == 1
    consumer.close()
    consumer.close()
    consumer.wake()
    assert list(wake.iterdir()) == []


def test_relative_folders_are_fixed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sqlite://FOLDER` is relative to where the log was opened, also after a change of directory."""
    monkeypatch.chdir(tmp_path)
    log = open_log("sqlite://here/log")
    monkeypatch.chdir("/")
    log.ensure_topics([TopicSettings("t")])
    assert (tmp_path / "here" / "log" / "bulk.db").is_file()


@pytest.mark.parametrize("url", ["sqlite:", "sqlite://", "mysql://x", "", "kafka:broker:9092"])
def test_wrong_urls_are_refused(url: str) -> None:
    """A URL of no known form is refused with the forms there are."""
    with pytest.raises(LogRefusedError, match="expected"):
        open_log(url)


@pytest.mark.heavy
def test_idle_members_cost_nothing(tmp_path: Path) -> None:
    """A member that waits needs less than 0.5 % of a core, its lease included."""
    log = open_sqlite(tmp_path / "log")
    member = Reading(log.consumer("m", "g"), 5.0)
    member.consumer.subscribe(["t"])
    member.own(Partition("t", 0))
    cpu, began = time.process_time(), time.monotonic()
    member.poll(10.0)
    used, took = time.process_time() - cpu, time.monotonic() - began
    member.consumer.close()
    assert took > 9
    assert used / took < 0.005


def test_logs_are_imported_when_asked_for() -> None:
    """`import mendline.logs` imports no implementation."""
    process = start_python("tests.logs.imports")
    assert process.communicate()[0].split() == []
