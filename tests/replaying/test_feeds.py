"""How records are handed out: in the order of append time, at the speed asked for, up to the end that was taken."""

from __future__ import annotations

from mendline.dumps.recording import LogRecording
from mendline.logs.base import TopicSettings
from mendline.logs.memory import MemoryLog
from mendline.replaying.feeds import Feed, Pace, run
from mendline.schemas.stream import Batch, NewRecord, Partition
from mendline.testing.clock import ManualClock

ONE, OTHER = Partition("t", 0), Partition("t", 1)


class Replayed:
    """Two partitions, a record a second in turn, and what was handed out of them and when."""

    def __init__(self) -> None:
        """Append ten records."""
        clock = ManualClock(0)
        self.log = MemoryLog(clock=clock)
        self.log.ensure_topics([TopicSettings("t", 2)])
        for number in range(10):
            self.put(number)
            clock.advance(1)
        self.handed_out: list[tuple[float, list[bytes]]] = []
        self.now = 0.0

    def put(self, number: int) -> None:
        """Append one record."""
        self.log.producer("p").append([NewRecord("t", b"%d" % number, partition=number % 2)]).result(1)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def take(self, batch: Batch) -> None:
        """Note what is handed out, and append more meanwhile."""
        self.handed_out.append((self.now, list(batch.values)))
        self.put(10)

    def run(self, speed: float | None) -> int:
        """Hand all out; return how many records were told."""
        told: list[int] = []
        with LogRecording(self.log) as recording:
            feeds = [Feed(one, 0, recording.extent(one).end, [self.take]) for one in (ONE, OTHER)]
            run(recording, feeds, Pace(speed, lambda: self.now, self.sleep), told.append)
        return sum(told)


def test_records_come_in_the_order_in_which_they_were_appended() -> None:
    """At a speed, second by second; what is appended meanwhile is not read."""
    replayed = Replayed()
    assert replayed.run(speed=1) == 10
    assert replayed.handed_out == [(float(number), [b"%d" % number]) for number in range(10)]


def test_ten_times_as_fast_takes_a_tenth_of_the_time() -> None:
    """Of append time."""
    replayed = Replayed()
    replayed.run(speed=10)
    assert [when for when, _ in replayed.handed_out] == [number / 10 for number in range(10)]


def test_as_fast_as_can_be_never_waits() -> None:
    """And takes what there is at once."""
    replayed = Replayed()
    assert replayed.run(speed=None) == 10
    assert (replayed.now, len(replayed.handed_out)) == (0.0, 2)
