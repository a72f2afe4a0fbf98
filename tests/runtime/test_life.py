"""The life of a long-running process: what signals, failures and reloads ask of it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable

import pytest

from mendline import life as module
from mendline.life import Stop, life
from mendline.logs.base import LogRefusedError
from mendline.logs.memory import MemoryLog
from mendline.runtime.together import Runner
from mendline.schemas.settings import Settings


class Doing:
    """A runner that does one thing and then waits for its end."""

    name = "doing"

    def __init__(self, act: Callable[[], None]) -> None:
        """Do `act`."""
        self._act = act

    def run(self, stop: threading.Event) -> None:
        """Act, and wait."""
        self._act()
        stop.wait()

    def wake(self) -> None:
        """Do nothing: `stop` has woken it."""


def stops(*acts: Callable[[], None]) -> list[Stop]:
    """Live with one runner for each life, and return what told each that its time was over."""
    seen: list[Stop] = []

    def make(_: Settings, __: object, ___: object, stop: Stop) -> list[Runner]:
        seen.append(stop)
        return [Doing(acts[len(seen) - 1])]

    with contextlib.suppress(LogRefusedError):
        life("agent", lambda: (Settings(), MemoryLog()), make)
    return seen


def signals(*numbers: int) -> Callable[[], None]:
    """Return what sends signals to this process, all at once."""

    def send() -> None:
        for number in numbers:
            os.kill(os.getpid(), number)

    return send


def fail() -> None:
    """Fail as a log does that was deleted."""
    raise LogRefusedError("gone")


def test_only_a_signal_is_a_meant_end() -> None:
    """A log that failed is no reason to stop the services that run well, and neither is a reload."""
    assert [False] == [stop.meant for stop in stops(fail)]
    assert [False, True] == [stop.meant for stop in stops(signals(signal.SIGHUP), signals(signal.SIGTERM))]


def test_two_signals_at_once_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """`timeout -s INT` signals the process and its group: the end stays an orderly one."""
    monkeypatch.setattr(module, "SAME_SIGNAL_S", 60.0)
    assert [True] == [stop.meant for stop in stops(signals(signal.SIGINT, signal.SIGTERM))]


@pytest.mark.slow
def test_a_second_signal_later_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever cannot wait for the end does not have to."""
    left: list[int] = []
    monkeypatch.setattr(module, "SAME_SIGNAL_S", -1.0)
    monkeypatch.setattr(os, "_exit", left.append)
    both = threading.Event()

    def one_after_the_other() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        both.wait(0.2)
        os.kill(os.getpid(), signal.SIGTERM)

    stops(one_after_the_other)
    assert [module.KILLED_BY_INTERRUPT] == left


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_between_two_lives_is_heard(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """One that comes while the next life is being made ends that one: it had gone on for ever."""

    class Interrupted(Stop):
        made = 0

        def __init__(self) -> None:
            super().__init__()
            Interrupted.made += 1
            if Interrupted.made == 3:  # the first is there before any life
                os.kill(os.getpid(), number)

    monkeypatch.setattr(module, "Stop", Interrupted)
    seen = stops(signals(signal.SIGHUP), lambda: None, signals(signal.SIGTERM))
    assert [stop.meant for stop in seen[1:]] == ([True] if number == signal.SIGTERM else [False, True])


def test_the_end_may_be_asked_for_by_a_signal_at_the_moment_of_waiting() -> None:
    """The handler runs on the thread that waits, within its lock: neither may hang."""
    stop = Stop()
    with stop._cond:
        stop.set()
    assert stop.wait(0)
