"""Members of stages: real members of real groups, each append record by record, a step before and after each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mendline.logs.base import LogUnavailableError, MemberFencedError
from mendline.runtime.member import Clocks, Member, Pace
from tests.simulation.process import FOREVER, Process
from tests.simulation.virtual import KilledError

if TYPE_CHECKING:
    import random

    from mendline.logs.base import Consumer, Position, Producer
    from mendline.logs.memory import MemoryLog
    from mendline.runtime.spec import StageSpec
    from mendline.schemas.settings import Settings
    from mendline.schemas.stream import NewRecord, Partition
    from tests.simulation.log import TellingLog
    from tests.simulation.virtual import Time

TURNS_MS = (20, 100, 500)
IDLE_MS = 1_000
AGAIN_MS = 1_000
NEVER_S = 1e9
IDLE = Pace(idle=0.0, again=NEVER_S)
"""What it took to fold is measured in real time: a snapshot that rests on it would come when it likes."""


@dataclass
class _Answer:
    positions: Sequence[Position]

    def done(self) -> bool:
        return True

    def result(self, timeout_s: float | None = None) -> Sequence[Position]:
        return self.positions


@dataclass
class Way:
    """A way to the log: nothing gets through before `cut_until` (ms); `answers_lost`: of how many more nobody hears.

    Of what is appended before `silent_until` the first `arriving` appends arrive, and all are told then that they
    failed: a log answers in order, and takes nothing behind what it lost.
    """

    cut_until: int = 0
    answers_lost: int = 0
    silent_until: int = 0
    arriving: int = 0

    def fall_silent(self, until: int, arriving: int) -> None:
        """Answer nothing before `until`, and then that it failed; so many appends arrive all the same."""
        self.silent_until, self.arriving = until, arriving

    def take(self, answer: _Answer, process: Process) -> Any:
        """Return the answer, or none if it is lost."""
        if not self.answers_lost:
            return answer
        self.answers_lost -= 1
        return _Failure(process, process.time.now)


@dataclass
class _Failure:
    """An answer that comes at some time (ms), and is that nobody knows what became of the append."""

    process: Process
    at: int

    def done(self) -> bool:
        return self.process.time.now >= self.at

    def result(self, timeout_s: float) -> Sequence[Position]:
        left_ms = self.at - self.process.time.now
        if left_ms > 0 and timeout_s > 0:
            self.process.sleep(min(left_ms, timeout_s * 1000))
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
        if self.process.dead:
            raise KilledError
        if self.way.cut_until > self.process.time.now:
            msg = "cut off"
            raise LogUnavailableError(msg)
        if self.way.silent_until > self.process.time.now:
            if self.way.arriving:
                self.way.arriving -= 1
                self._append(records)
            return _Failure(self.process, self.way.silent_until)
        return self.way.take(self._append(records), self.process)

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

    reader: Consumer | None = None

    def producer(self, name: str) -> SteppingProducer:
        """Return a producer."""
        return SteppingProducer(self.process, self.real.producer(name), self.way)

    def consumer(self, name: str, group: str | None = None) -> Consumer:
        """Return a consumer; that of a group is the `reader`."""
        consumer = self.real.consumer(name, group)
        self.reader = consumer if group else self.reader
        return consumer

    def __getattr__(self, name: str) -> Any:
        """Return all else as it is."""
        return getattr(self.real, name)


@dataclass
class Holding:
    """A partition in a member's hands, from when on (ms), and until when at the latest."""

    stage: str
    partition: Partition
    member: str
    since: int
    until: int = FOREVER

    def ends(self, until: int) -> None:
        """Note that it ends then, if it does not before."""
        self.until = min(self.until, until)


class MemberLife(Process):
    """One life of a member of a stage's group: it joins, and works until it ends or another has taken its place.

    `idle_ms` says for how long it rests when there is nothing to do, given whether it has partitions; what it holds is
    noted in `holdings`, and others have it after `session_s` without a sign of life. Its clock is `skew_ms` ahead.
    """

    def __init__(
        self,
        time: Time,
        lots: random.Random,
        log: TellingLog,
        spec: StageSpec,
        settings: Settings,
        name: str,
        *,
        pace: Pace = IDLE,
        idle_ms: Callable[[bool], float] = lambda _: IDLE_MS,
        holdings: list[Holding] | None = None,
    ) -> None:
        """Begin to work as the member `name`."""
        super().__init__(time, lots)
        self._idle_ms = idle_ms
        self.skew_ms = 0
        clocks = Clocks(monotonic=time.monotonic, now_ms=lambda: time.now + self.skew_ms)
        self.way = Way()
        self._log = SteppingLog(self, log, self.way)
        seen: Any = self._log
        self.member = Member(seen, spec, settings.topics, name, pace=pace, clocks=clocks)
        self._session_ms = round(log.session_s * 1000)
        self._holdings = [] if holdings is None else holdings
        self._held: dict[Partition, Holding] = {}
        self._looked = time.now
        self._leaves = False
        self.start(self._work)

    def leave(self) -> None:
        """End in good order, soon: what it holds is handed over at once."""
        self._leaves = True
        self.rouse()

    def die(self) -> None:
        """End at once; others have what it holds when its session is over."""
        super().die()
        self._note(())

    def read_again(self, count: int) -> None:
        """Let up to so many records of each partition be delivered again that it has had already."""
        for partition, offset in self.member.reached.items():
            if self._log.reader:
                self._log.reader.start(partition, max(offset - count, 0))

    def _work(self) -> None:
        self.member.open()
        try:
            while not self._leaves:
                began = self.time.now
                try:
                    self.member.turn()
                except LogUnavailableError:
                    self.sleep(AGAIN_MS)
                self._note(self.member.partitions, began)
                self.doze(self._idle_ms(bool(self.member.partitions)), TURNS_MS)
            self.member.finish()
            self._note((), self.time.now)
            self.member.close()
        except MemberFencedError:
            self._note((), self.time.now)
        self.dead, self.died = True, self.time.now

    def _note(self, held: Sequence[Partition], looked: int | None = None) -> None:
        """Note what it holds now; `looked` is when it asked for that, if it did."""
        if held != tuple(self._held):
            for partition in self._held.keys() - set(held):
                until = self.time.now if looked is None else looked
                self._held.pop(partition).ends(min(until, self._looked + self._session_ms))
            for partition in held:
                if partition not in self._held:
                    self._held[partition] = Holding(self.member.spec.name, partition, self.member.name, self.time.now)
                    self._holdings.append(self._held[partition])
        self._looked = self._looked if looked is None else looked
