"""The real publisher of an agent, and its spool on real files, on fibres instead of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from mendline.agent import publisher
from mendline.agent.publisher import Publisher
from mendline.logs.base import LogUnavailableError
from mendline.runtime import outbox
from tests.simulation.members import SteppingLog, SteppingProducer

if TYPE_CHECKING:
    from mendline.logs.base import Position
    from mendline.schemas.stream import NewRecord
    from tests.simulation.hosts import Site
    from tests.simulation.process import Process
    from tests.simulation.virtual import Fibre, Time

TURNS_MS = (0, 0, 0, 10)
KEEP_MS = 1_000


@contextmanager
def in_virtual_time(time: Time) -> Iterator[None]:
    """Let publishers measure what passes in `time`, and outboxes wait in it."""
    with (
        patch.object(publisher, "monotonic", time.monotonic),
        patch.object(publisher, "since_boot", time.monotonic),
        patch.object(outbox, "time", SimpleNamespace(sleep=time.nap)),
    ):
        yield


class Turnstile:
    """What a `threading.Condition` is to threads, for the fibres of a process; no lock: one fibre at a time works."""

    def __init__(self, process: Process) -> None:
        """Let nobody wait yet."""
        self._process = process
        self._waiting: Fibre | None = None

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until notified, or for `timeout` seconds."""
        if timeout is not None:
            self._process.sleep(timeout * 1000)
            return True
        self._waiting = self._process.time.current
        self._process.wait()
        self._waiting = None
        return True

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait for something that nobody brings about: for `timeout` seconds."""
        self.wait(timeout)
        return predicate()

    def notify(self, count: int = 1) -> None:
        """Let the one go on who waits."""
        if self._waiting and count:
            waiting, self._waiting = self._waiting, None
            waiting.rouse(self._process.lots.choice(TURNS_MS))

    def notify_all(self) -> None:
        """Do the same."""
        self.notify()


class SteppingPublisher(Publisher):
    """The publisher; when its process is dead it says and keeps nothing any more.

    `safe` is how many of its records it has put on the log or the disk, from the first on.
    """

    def __init__(self, process: Process, *about: Any, **more: Any) -> None:
        """Work in the process."""
        super().__init__(*about, **more)
        self._process = process
        self._keeps = False
        self.safe = 0
        turnstile: Any = Turnstile(process)
        self._changed = turnstile

    def start(self) -> None:
        """Begin to append."""
        self._process.start(self._serve)

    def _move_to_disk(self) -> None:
        self._process.step()
        super()._move_to_disk()
        if self._on_disk or not self._under_way:
            self.safe = self._sequence - len(self._items)

    def _away(self, error: Any) -> None:
        super()._away(error)
        if not self._keeps:
            self._keeps = True
            self._process.start(self._keep, KEEP_MS)

    def _keep(self) -> None:
        """Move to the disk what waits, each second for as long as the log does not answer."""
        while self._trying_since is not None and self._away_since is not None:
            with self._disk:
                self._move_to_disk()
            self._process.sleep(KEEP_MS)
        self._keeps = False


@dataclass
class _SlowAnswer:
    """An answer that takes its time."""

    answer: Any
    process: Process
    at_ms: float

    def done(self) -> bool:
        return self.process.time.now >= self.at_ms and bool(self.answer.done())

    def result(self, timeout_s: float) -> Sequence[Position]:
        left_ms = max(self.at_ms - self.process.time.now, 0)
        self.process.sleep(min(left_ms, timeout_s * 1000))
        if left_ms > timeout_s * 1000:
            msg = "no answer yet"
            raise LogUnavailableError(msg)
        positions: Sequence[Position] = self.answer.result(timeout_s - left_ms / 1000)
        return positions


@dataclass
class HostProducer(SteppingProducer):
    """Appends over the way that a host has to the log, which may be slow."""

    site: Site

    def append(self, records: Sequence[NewRecord]) -> Any:
        """Append. Raises LogUnavailableError when the host is cut off."""
        answer, slow_ms = super().append(records), self.site.slow_ms
        return _SlowAnswer(answer, self.process, self.process.time.now + slow_ms) if slow_ms else answer


class HostLog(SteppingLog):
    """The log as a host sees it."""

    def __init__(self, process: Process, site: Site) -> None:
        """See it from `site`."""
        super().__init__(process, site.log, site.way)
        self._site = site

    def producer(self, name: str) -> HostProducer:
        """Return a producer."""
        return HostProducer(self.process, self.real.producer(name), self.way, self._site)
