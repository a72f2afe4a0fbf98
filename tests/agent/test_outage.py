"""What the publisher does with its spool while the log is away: kill -9, restarts, full disks, partial sends."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from mendline.agent import publisher as module
from mendline.agent.publisher import Publisher
from mendline.agent.spool import Spool
from mendline.logs.base import LogUnavailableError
from mendline.logs.memory import MemoryLog
from mendline.schemas.records import Heartbeat
from mendline.schemas.series import Series, SeriesTable
from tests.agent.support import METRICS, memory_log, said
from tests.producers.support import until

TABLE = SeriesTable([Series(metric="m")])
MANY = 2**30


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPOOL_AFTER_S", 0.02)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.1)


@pytest.fixture
def log() -> MemoryLog:
    """Return a log with the topics an agent needs."""
    return memory_log()


@contextmanager
def publishing(
    log: MemoryLog, folder: Path, epoch: int, most_bytes: int = MANY, *, first: Sequence[Heartbeat] = ()
) -> Iterator[tuple[Publisher, Spool]]:
    """Run a publisher for the time of the block, which has something to say when it begins, or nothing."""
    spool = Spool(folder, most_bytes)
    publisher = Publisher(log, METRICS.topic, "host", epoch, lambda *_: None, spool)
    for one in first:
        publisher.event(one)
    publisher.start()
    try:
        yield publisher, spool
    finally:
        publisher.close(0.05)


def heartbeat() -> Heartbeat:
    """Return a small event."""
    return Heartbeat(source="host", time=0, interval_ms=1000)


def order(log: MemoryLog) -> list[tuple[int, int]]:
    """Return the epochs and sequences on the log, in order."""
    return [(one.epoch, one.sequence) for one in said(log)]


def news(log: MemoryLog) -> list[tuple[int, int]]:
    """Return what a reader that drops repeats by order takes."""
    taken: list[tuple[int, int]] = []
    for place in order(log):
        if not taken or place > taken[-1]:
            taken.append(place)
    return taken


def say(publisher: Publisher, count: int) -> None:
    """Publish rounds."""
    for time in range(count):
        publisher.round(time, TABLE, [0.0])


@pytest.mark.slow
def test_nothing_touches_the_disk_while_the_log_is_there(
    log: MemoryLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither before an outage nor after it."""
    monkeypatch.setattr(module, "SPOOL_AFTER_S", 0.5)
    with publishing(log, tmp_path / "spool", 1) as (publisher, spool):
        for _ in range(2):
            say(publisher, 500)
            until(lambda: not publisher.waiting)
            assert 0 == spool._number
    log.away = True
    with publishing(log, tmp_path / "spool", 2) as (publisher, spool):
        say(publisher, 1)
        until(lambda: spool.count == 1)
        log.away = False
        until(lambda: not publisher.waiting)
        number = spool._number
        say(publisher, 500)
        until(lambda: not publisher.waiting)
        assert (number, []) == (spool._number, [*(tmp_path / "spool").iterdir()])


@pytest.mark.slow
def test_an_outage_changes_neither_order_nor_callbacks(log: MemoryLog, tmp_path: Path) -> None:
    """What is on the disk goes first, what came after it follows, and who waits for an event hears of it."""
    told: list[int] = []
    with publishing(log, tmp_path / "spool", 1) as (publisher, spool):
        log.away = True
        for number in range(40):
            publisher.event(heartbeat(), lambda number=number: told.append(number))  # type: ignore[misc]
            say(publisher, 40)
            if number % 10 == 0:
                until(lambda count=41 * (number + 1): spool.count == count)  # type: ignore[misc]
        log.away = False
        say(publisher, 20)
        until(lambda: not publisher.waiting)
    assert [(1, number) for number in range(40 * 41 + 20)] == order(log)
    assert [*range(40)] == told


@pytest.mark.slow
def test_a_next_life_says_what_the_last_could_not(log: MemoryLog, tmp_path: Path) -> None:
    """Ends with the log away, one after the other: the records of the older epoch come first."""
    log.away = True
    for epoch in (1, 2):
        with publishing(log, tmp_path / "spool", epoch) as (publisher, _):
            say(publisher, 10)
    log.away = False
    with publishing(log, tmp_path / "spool", 3, first=[heartbeat()]) as (publisher, _):
        until(lambda: not publisher.waiting)
    assert [*((epoch, number) for epoch in (1, 2) for number in range(10)), (3, 0)] == order(log)


KILLED = """
import sys, threading
from pathlib import Path
from mendline.agent import publisher as module
from mendline.agent.spool import Spool
from tests.agent.support import METRICS, memory_log
from tests.agent.test_outage import say
module.SPOOL_AFTER_S = 0.001
log = memory_log()
log.away = True
spool = Spool(Path(sys.argv[1]), 2**30)
publisher = module.Publisher(log, METRICS.topic, "host", int(sys.argv[2]), lambda *_: None, spool)
publisher.start()
for _ in range(5000):  # beyond 10,000 that wait in memory for a slow disk the oldest would be dropped
    say(publisher, 1)
    print(spool.count, flush=True)
while True:
    print(spool.count, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 300, 2000])
def test_kill_9_loses_nothing_that_was_on_the_disk(log: MemoryLog, tmp_path: Path, after: int) -> None:
    """At any moment while it writes; the next life sends all of it, in order and without a gap, before its own."""
    safe = [_killed_after(tmp_path / "spool", epoch, after) for epoch in (1, 2)]
    with publishing(log, tmp_path / "spool", 3) as (publisher, _):
        say(publisher, 3)
        until(lambda: not publisher.waiting)
    counts = [sum(place[0] == epoch for place in order(log)) for epoch in (1, 2, 3)]
    assert [(epoch, number) for epoch in (1, 2, 3) for number in range(counts[epoch - 1])] == order(log)
    assert counts[0] >= safe[0] >= after
    assert sum(counts[:2]) >= safe[1]
    assert counts[2] == 3


def _killed_after(folder: Path, epoch: int, count: int) -> int:
    """Run a publisher until `count` records more are on the disk, kill it; return how many were there."""
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    before = Spool(folder, MANY).count
    argv = [sys.executable, "-c", KILLED, str(folder), str(epoch)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as child:
        assert child.stdout
        safe = next(number for line in child.stdout if (number := int(line)) >= before + count)
        child.send_signal(signal.SIGKILL)
        child.stdout.read()
    return safe


@pytest.mark.slow
def test_a_partial_send_is_repeated_in_order(log: MemoryLog, tmp_path: Path) -> None:
    """A life that dies after a batch arrived, and before it knew: the batch comes again, and readers see no gap."""
    log.away = True
    with publishing(log, tmp_path / "spool", 1) as (publisher, _):
        say(publisher, 1200)
        until(lambda: publisher._spool.count == 1200)
    log.away = False
    log.fail_next(LogUnavailableError("who knows"), arrives=True)
    with publishing(log, tmp_path / "spool", 2) as (publisher, _):
        until(lambda: len(order(log)) > 0)
        log.away = True
        shutil.copytree(tmp_path / "spool", tmp_path / "dead")
    log.away = False
    with publishing(log, tmp_path / "dead", 3) as (publisher, _):
        say(publisher, 1)
        until(lambda: not publisher.waiting)
    assert [*((1, number) for number in range(1200)), (3, 0)] == news(log)


@pytest.mark.slow
def test_a_full_disk_keeps_the_agent_alive(
    log: MemoryLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What waits stays in memory, in order, while the disk refuses, comes and goes."""
    with publishing(log, tmp_path / "spool", 1) as (publisher, spool):
        log.away = True
        say(publisher, 10)
        until(lambda: spool.count == 10)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", _full)
            say(publisher, 10)
            until(lambda: spool.errors > 2)
            assert 20 == publisher.waiting
        say(publisher, 10)
        until(lambda: spool.count == 30)
        monkeypatch.setattr(os, "fdatasync", _full)
        say(publisher, 10)
        log.away = False
        until(lambda: not publisher.waiting)
    assert [(1, number) for number in range(40)] == order(log)
    assert 0 == publisher.lost
    assert "No space left on device" in caplog.text


def _full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_ten_minutes_fit_with_room() -> None:
    """At a round a second of 400 series the default size holds ten minutes more than ten times."""
    from mendline.schemas.settings import HostSettings

    names = [Series(metric=f"system.metric.{n % 40}", attributes={"device": f"sd{n}"}, unit="By/s") for n in range(400)]
    log = memory_log()
    publisher = Publisher(log, METRICS.topic, "host", 1, lambda *_: None)
    publisher.round(0, SeriesTable(names), [float(n) for n in range(400)])
    assert publisher._items[0].kept.size * 600 * 10 < HostSettings().spool
