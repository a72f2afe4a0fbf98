"""The most memory that a process had while it was watched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

EVERY_S = 0.01


@dataclass(slots=True)
class Peak:
    """The greatest resident memory seen so far, in bytes."""

    bytes: int = 0


@contextmanager
def highest_memory(pid: int) -> Iterator[Peak]:
    """Watch the process for the time of the block, or to its end: what it last had dies with it."""
    peak, done = Peak(), threading.Event()
    watcher = threading.Thread(target=_watch, args=(psutil.Process(pid), peak, done), name="peak", daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _watch(process: psutil.Process, peak: Peak, done: threading.Event) -> None:
    try:
        while not done.wait(EVERY_S):
            peak.bytes = max(peak.bytes, process.memory_info().rss)
    except psutil.NoSuchProcess:
        return
