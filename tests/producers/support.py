"""Helpers: events that can be waited for, and small programs to be watched."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from mendline.producers.base import Collected
from mendline.schemas.records import Event, ProbeEvent, ProcessEvent

PATIENCE_S = 30.0

Kind = TypeVar("Kind", ProcessEvent, ProbeEvent)


class Heard:
    """Keeps the events that are emitted; `wait` returns the first that fits, however late it comes."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait(self, kind: type[Kind], fits: Callable[[Kind], bool]) -> Kind:
        found: list[Kind] = []

        def there() -> bool:
            found[:] = [event for event in self.events if isinstance(event, kind) and fits(event)]
            return bool(found)

        with self._changed:
            assert self._changed.wait_for(there, PATIENCE_S), f"no such event among {self.events}"
        return found[0]

    def states(self) -> list[str]:
        return [event.state for event in self.events if isinstance(event, ProcessEvent)]


def until(fits: Callable[[], bool], step_s: float = 0.01) -> None:
    """Wait until `fits()`; fail after a generous time."""
    pause, deadline = threading.Event(), monotonic() + PATIENCE_S
    while not fits():
        assert monotonic() < deadline, "it never came about"
        pause.wait(step_s)


def program(text: str) -> list[str]:
    """Return the command of a small Python program."""
    return [sys.executable, "-S", "-c", text]


def sleeper() -> subprocess.Popen[bytes]:
    """Start a process that does nothing."""
    return subprocess.Popen(["sleep", "1000"])


def by_label(collected: Collected) -> dict[str, float]:
    """Return the values by the labels of their series."""
    assert len(collected.series) == len(collected.values)
    return {series.label: value for series, value in zip(collected.series, collected.values, strict=True)}
