"""What Mendline wrote about the services: faults, what was done about them and why not, with the times of append."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mendline.logs.base import LogUnavailableError
from mendline.schemas.base import UnreadableRecordError
from mendline.schemas.records import (
    CLOSING,
    Cancel,
    Command,
    Fault,
    Hold,
    Intent,
    Order,
    Outcome,
    Record,
    Verification,
    decode_record,
)
from mendline.schemas.stream import Partition

if TYPE_CHECKING:
    from mendline.logs.base import Consumer, Log, Polled
    from mendline.schemas.settings import Settings

POLL_S = 0.2
WANTED = (Fault, Intent, Hold, Order, Command, Cancel, Outcome, Verification)

Kind = TypeVar("Kind", bound=Record)


class Appended(NamedTuple):
    """A record and when the log took it, ms since the epoch."""

    time: int
    record: Record


class Journal:
    """Follows journal and commands, as no group's member, from `start` to `close`."""

    def __init__(self, log: Log, settings: Settings) -> None:
        """Read nothing yet; the topics must exist before `start`."""
        topics = settings.topics
        self._log = log
        self._partitions = [Partition(topics.topic("journal"), 0)]
        self._partitions += [Partition(topics.topic("commands"), number) for number in range(topics.partitions)]
        self._records: list[Appended] = []
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="journal", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Read no more."""
        self._closing.set()
        self._thread.join()

    def since(self, time_ms: float, kind: type[Kind]) -> list[tuple[int, Kind]]:
        """Return what was appended from `time_ms` on of this kind, with its append time, in order."""
        with self._changed:
            found = list(self._records)
        # The log tells whole ms: a record of the same ms came after.
        return [(one.time, one.record) for one in found if one.time >= int(time_ms) and isinstance(one.record, kind)]

    def wait(self, question: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `question` is true, asked again after each new record; say whether it became so in time."""
        with self._changed:
            return self._changed.wait_for(question, timeout_s)

    def quiet(self) -> bool:
        """Say whether every fault is closed, and every command has its outcome and its verification."""
        with self._changed:
            records = [one.record for one in self._records]
        latest = {record.id: record for record in records if isinstance(record, Fault)}
        commands = {record.intent for record in records if isinstance(record, Command)}
        ended = {record.intent for record in records if isinstance(record, Outcome)}
        verified = {record.intent for record in records if isinstance(record, Verification)}
        closed = all(fault.transition in CLOSING for fault in latest.values())
        return closed and commands <= ended & verified

    def _follow(self) -> None:
        consumer = self._log.consumer("demo")
        try:
            consumer.assign(self._partitions)
            for partition in self._partitions:
                consumer.start(partition, 0)
            while not self._closing.is_set():
                self._take(self._poll(consumer))
        finally:
            consumer.close()

    def _poll(self, consumer: Consumer) -> Polled | None:
        try:
            return consumer.poll(POLL_S)
        except LogUnavailableError:
            self._closing.wait(POLL_S)
            return None

    def _take(self, polled: Polled | None) -> None:
        found = [
            Appended(stamp, record)
            for batch in (polled.batches if polled else ())
            for stamp, value in zip(batch.timestamps, batch.values, strict=True)
            if (record := _wanted(value))
        ]
        if found:
            with self._changed:
                self._records += found
                self._changed.notify_all()


def _wanted(value: bytes) -> Record | None:
    try:
        record = decode_record(value)
    except UnreadableRecordError:
        return None  # it stands in the dead letters
    return record if isinstance(record, WANTED) else None
