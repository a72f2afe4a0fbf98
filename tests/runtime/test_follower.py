"""Following a topic: from where, who of several, and what comes again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mendline.logs.base import Committed, TopicSettings
from mendline.logs.memory import MemoryLog
from mendline.runtime import follower as module
from mendline.runtime.follower import Follower
from mendline.schemas.records import Heartbeat, Record, encode_record
from mendline.schemas.stream import NewRecord, Partition

PATIENCE_S = 20


class Listener:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.begun: list[tuple[int, int]] = []
        self.needed: int | None = None
        self._changed = threading.Condition()

    def begin(self, start: int, end: int) -> None:
        """Keep where it begins."""
        self.begun.append((start, end))

    def take(self, record: Record, offset: int) -> None:
        """Keep the record's source."""
        assert offset >= self.begun[-1][0]
        with self._changed:
            self.heard.append(record.source)
            self._changed.notify_all()

    def settle(self) -> int | None:
        """Need what is said from outside."""
        return self.needed

    def wait(self, count: int) -> list[str]:
        """Return what was heard once it is so much."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.heard) >= count, PATIENCE_S)
            return self.heard


@pytest.fixture(name="log")
def _log() -> MemoryLog:
    log = MemoryLog()
    log.ensure_topics([TopicSettings("j")])
    return log


def place(log: MemoryLog) -> Committed | None:
    """Return the group's place."""
    return log.consumer("x", "g").committed(Partition("j", 0))


def begin(log: MemoryLog) -> None:
    """Let the group begin with the oldest record."""
    member = log.consumer("x", "g")
    member.subscribe(["j"])
    member.poll(0)
    member.commit({Partition("j", 0): Committed(0)})
    member.close()


def until(reached: Callable[[], bool]) -> None:
    """Look every few ms; fail after a long time."""
    pause, end = threading.Event(), time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < end
        pause.wait(0.005)


def say(log: MemoryLog, *names: str) -> None:
    """Append a record of each source."""
    values = [encode_record(Heartbeat(source=name, time=0, interval_ms=1)) for name in names]
    log.producer("p").append([NewRecord("j", value) for value in values]).result(1)


@contextmanager
def following(log: MemoryLog, listener: Listener, group: str | None) -> Iterator[None]:
    """Follow on a thread of its own."""
    follower, stop = Follower(log, "j", "f", listener, group), threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        follower.wake()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_with_a_group_nothing_is_missed_or_told_twice_over_restarts(log: MemoryLog) -> None:
    """What comes while nobody follows is told later; what was before the first start never."""
    say(log, "before")
    listener = Listener()
    with following(log, listener, "g"):
        until(lambda: place(log) is not None)
        say(log, "a")
        listener.wait(1)
    say(log, "b")
    with following(log, listener, "g"):
        say(log, "c")
        assert listener.wait(3) == ["a", "b", "c"]


@pytest.mark.slow
def test_what_is_needed_again_comes_again_after_a_crash(log: MemoryLog) -> None:
    """The group's place stays there until it is not, and what lies below does not come again."""
    begin(log)
    say(log, "a", "b", "c")
    listener = Listener()
    listener.needed = 1
    with following(log, listener, "g"):
        listener.wait(3)
        until(lambda: place(log) == Committed(1))
    with following(log, listener, "g"):
        assert listener.wait(5) == ["a", "b", "c", "b", "c"]
        assert listener.begun == [(0, 3), (1, 3)]
        listener.needed = None
        until(lambda: place(log) == Committed(3))


def test_what_nobody_can_read_is_passed_over(log: MemoryLog) -> None:
    """It is told as a dead letter, not here."""
    begin(log)
    log.producer("p").append([NewRecord("j", b"\x00nonsense")]).result(1)
    say(log, "a")
    listener = Listener()
    with following(log, listener, "g"):
        assert listener.wait(1) == ["a"]


def test_a_log_that_is_away_is_waited_for(log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is missed meanwhile."""
    monkeypatch.setattr(module, "PAUSE_S", 0.01)
    begin(log)
    say(log, "a")
    listener = Listener()
    log.away = True
    with following(log, listener, "g"):
        log.away = False
        assert listener.wait(1) == ["a"]
