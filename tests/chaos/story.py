"""What the sources say: a story that follows from the seed alone, told until the log has acknowledged it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

from mendline.logs.base import Log
from mendline.runtime.outbox import Outbox
from mendline.schemas.records import ProcessEvent, encode_record
from mendline.schemas.rounds import encode_round
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.stream import JSON_HEADERS, ROUND_HEADERS, NewRecord

INTERVAL_MS = 100
SOURCES = tuple(f"host-{number}" for number in range(1, 7))
LEVEL, ODD = "chaos.level", "chaos.odd"
TABLE = SeriesTable([Series(metric=LEVEL), Series(metric=ODD), *(Series(metric=f"chaos.{name}") for name in "abcdef")])

LAST_PID = 1_000_000
"""Of the process whose death is a source's last word: nobody is told that it was started again."""

_CYCLE, _HIGH = 50, 16
_LIFE, _DEAD = 80, 30
_ODD_EVERY, _ODD_FOR = 410, 10


class Storyteller:
    """Tells the story's rounds and events to one log, in order and again until they are acknowledged."""

    def __init__(self, log: Log, topic: str, seed: int, began: int) -> None:
        """Tell it in `topic`, as if round 0 had been at `began` (ms)."""
        self._topic = topic
        self._seed = seed
        self._began = began
        self._outbox = Outbox(log.producer("story"), time.monotonic, "story")
        self.told = 0

    def tell(self, until: int) -> None:
        """Tell the rounds up to number `until`, it not included, with the events that come before each."""
        for number in range(self.told, until):
            self._outbox.append([record for place in range(len(SOURCES)) for record in self._records(number, place)])
        self.told = max(self.told, until)
        self._outbox.settle()

    def finish(self, timeout_s: float) -> None:
        """Tell how every service dies for good, wait until all is acknowledged, and end; fail after `timeout_s`."""
        try:
            last = [_death(source, self._time(self.told), LAST_PID) for source in SOURCES]
            self._outbox.append([self._told_event(one, self.told) for one in last])
            assert self._outbox.drain(time.monotonic() + timeout_s), f"rounds not on the log after {timeout_s:g} s"
        finally:
            self._outbox.close()

    def _records(self, number: int, place: int) -> Iterator[NewRecord]:
        """Yield what the source at `place` has to say in a round."""
        source, phase = SOURCES[place], number + 7 * place
        moment = self._time(number)
        if event := _event(source, phase, moment):
            yield self._told_event(event, number)
        values = _values(f"{self._seed}/{source}/{number}", phase)
        value = encode_round(source, 1, 2 * number + 1, moment, TABLE, values)
        yield NewRecord(self._topic, value, source.encode(), headers=ROUND_HEADERS)

    def _told_event(self, event: ProcessEvent, number: int) -> NewRecord:
        counted = event.model_copy(update={"epoch": 1, "sequence": 2 * number})
        return NewRecord(self._topic, encode_record(counted), event.source.encode(), headers=JSON_HEADERS)

    def _time(self, number: int) -> int:
        return self._began + INTERVAL_MS * number


def _values(key: str, phase: int) -> Sequence[float]:
    """Return a round's values: a level that is too high at times, a steady one that jumps now and then, and noise."""
    noise = random.Random(key)
    level = 9.0 if phase % _CYCLE < _HIGH else 1.0
    odd = 200.0 if phase % _ODD_EVERY > _ODD_EVERY - _ODD_FOR else 100.0
    return [level + noise.random() / 2, odd + noise.gauss(0, 2), *(noise.random() for _ in range(6))]


def _event(source: str, phase: int, time: int) -> ProcessEvent | None:
    """Return what became of the source's service just before a round: it dies, and is started again a little later."""
    life, moment = divmod(phase, _LIFE)
    if not life or moment not in {0, _DEAD}:
        return None
    if moment:
        return ProcessEvent(source=source, time=time, service="web", state="started", pid=life + 1, started_at=time)
    return _death(source, time, life)


def _death(source: str, time: int, pid: int) -> ProcessEvent:
    return ProcessEvent(source=source, time=time, service="web", state="exited", pid=pid, signal="SIGKILL")
