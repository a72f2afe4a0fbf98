"""Outputs on their way to the log: no append may come before one that was queued earlier."""

from __future__ import annotations

from functools import partial

import pytest

from mendline.logs.base import TopicSettings
from mendline.logs.memory import MemoryLog
from mendline.reading import read_batches
from mendline.runtime.outbox import LONGEST_PAUSE_S, Outbox
from mendline.schemas.stream import NewRecord, Partition

TOPIC = Partition("t", 0)


class Bench:
    """An outbox on a log in memory, with a clock set by hand (s)."""

    def __init__(self) -> None:
        """Begin empty."""
        self.now = 0.0
        self.log = MemoryLog()
        self.log.ensure_topics([TopicSettings(TOPIC.topic)])
        self.done: list[bytes] = []
        self.outbox = Outbox(self.log.producer("p"), lambda: self.now, "test")

    def append(self, *values: bytes) -> None:
        """Queue an append for each value."""
        for value in values:
            self.outbox.append([NewRecord(TOPIC.topic, value)], partial(self._note, value))

    def _note(self, value: bytes, _: object) -> None:
        self.done.append(value)

    def settle(self) -> None:
        """Try again after a pause."""
        self.now += LONGEST_PAUSE_S
        self.outbox.settle()

    def there(self) -> list[bytes]:
        """Return what stands on the log."""
        return [value for batch in read_batches(self.log, TOPIC) for value in batch.values]


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_nothing_overtakes_an_append_that_fails_again(failures: int) -> None:
    """While the first is not on the log, those behind it wait: a reader would drop the first as out of order."""
    bench = Bench()
    bench.log.fail_next(times=failures)
    bench.append(b"1", b"2", b"3")
    for _ in range(failures):
        bench.settle()
    assert [b"1", b"2", b"3"] == bench.there()
    assert [b"1", b"2", b"3"] == bench.done
