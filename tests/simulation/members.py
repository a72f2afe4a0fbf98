"""Members of stages: real members of real groups, each append record by record, a step before and after each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mendline.logs.base import LogUnavailableError, MemberFencedError
from mendline.runtime.member import Clocks, Member, Pace
from tests.simulation.process import Process

if TYPE_CHECKING:
    import random

    from mendline.logs.base import Position, Producer
    from mendline.logs.memory import MemoryLog
    from mendline.runtime.spec import StageSpec
    from mendline.schemas.settings import Settings
    from mendline.schemas.stream import NewRecord, Partition
    from tests.simulation.virtual import Time

TURNS_MS = (20, 100, 500)
IDLE_MS = 1_000
IDLE = Pace(idle=0.0)


@dataclass
class _Answer:
    positions: Sequence[Position]

    def done(self) -> bool:
        return True

    def result(self, timeout_s: float | None = None) -> Sequence[Position]:
        return self.positions


@dataclass
class Way:
    """A way to the log: nothing gets through before `cut_until` (ms); `answers_lost`: of how many more nobody hears."""

    cut_until: int = 0
    answers_lost: int = 0

    def take(self, answer: _Answer) -> Any:
        """Return the answer, or none if it is lost."""
        if not self.answers_lost:
            return answer
        self.answers_lost -= 1
        return _NoAnswer()


class _NoAnswer:
    def done(self) -> bool:
        return True

    def result(self, timeout_s: float | None = None) -> Sequence[Position]:
        msg = f"no answer within {timeout_s} s"
        raise LogUnavailableError(msg)


@dataclass
class SteppingProducer:
    """Appends one record after the other: between any two its process may die or freeze."""

    process: Process
    real: Producer
    way: Way

    def append(self, records: Sequence[NewRecord]) -> Any:
        """Append. Raises LogUnavailableError when nothing gets through."""
        if self.way.cut_until > self.process.time.now:
            msg = "cut off"
            raise LogUnavailableError(msg)
        return self.way.take(self._append(records))

    def _append(self, records: Sequence[NewRecord]) -> _Answer:
        if not self.process.at_risk:
            return _Answer(self.real.append(records).result(0))
        positions: list[Position] = []
        for record in records:
            self.process.step(deed=record.key is not None)
            positions += self.real.append([record]).result(0)
            self.process.step(deed=record.key is not None)
        return _Answer(positions)

    def forget(self, partition: Partition, name: bytes, before: int, keys: Sequence[bytes]) -> None:
        """Let go of old snapshots."""
        self.process.step()
        self.real.forget(partition, name, before, keys)

    def close(self, timeout_s: float = 5.0) -> None:
        """Do nothing."""


@dataclass
class SteppingLog:
    """The memory log as one process sees it."""

    process: Process
    real: MemoryLog
    way: Way = field(default_factory=Way)

    def producer(self, name: str) -> SteppingProducer:
        """Return a producer."""
        return SteppingProducer(self.process, self.real.producer(name), self.way)

    def __getattr__(self, name: str) -> Any:
        """Return all else as it is."""
        return getattr(self.real, name)


class MemberLife(Process):
    """One life of a member of a stage's group: it joins, and works until it dies or another has taken its place.

    `idle_ms` says for how long it rests when there is nothing to do, given whether it has partitions.
    """

    def __init__(
        self,
        time: Time,
        lots: random.Random,
        log: MemoryLog,
        spec: StageSpec,
        settings: Settings,
        name: str,
        *,
        pace: Pace = IDLE,
        idle_ms: Callable[[bool], float] = lambda _: IDLE_MS,
    ) -> None:
        """Begin to work as the member `name`."""
        super().__init__(time, lots)
        self._idle_ms = idle_ms
        clocks = Clocks(monotonic=time.monotonic, now_ms=time)
        self.way = Way()
        seen: Any = SteppingLog(self, log, self.way)
        self.member = Member(seen, spec, settings.topics, name, pace=pace, clocks=clocks)
        self.start(self._work)

    def _work(self) -> None:
        self.member.open()
        try:
            while True:
                self.member.turn()
                self.doze(self._idle_ms(bool(self.member.partitions)), TURNS_MS)
        except MemberFencedError:
            self.dead = True
