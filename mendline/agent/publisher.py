"""All records of this source, in one order, on their way to the log.

Whoever has something to say hands it over and goes on; the record gets its sequence number at that moment. A thread
appends them, one batch at a time, and tries again until the log acknowledges: what may have arrived is said again
rather than lost, and readers drop repeats by epoch and sequence. The queue is bounded: beyond it the oldest rounds
fall off (the oldest events only when there are no rounds left), which shows as a gap in the sequence, and is counted.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from mendline.logs.base import LogError, LogUnavailableError, RecordTooLargeError
from mendline.schemas.records import encode_record
from mendline.schemas.rounds import encode_round
from mendline.schemas.stream import JSON_HEADERS, ROUND_HEADERS, Headers, NewRecord

if TYPE_CHECKING:
    from mendline.logs.base import Log, Position, Producer
    from mendline.schemas.base import Envelope
    from mendline.schemas.series import SeriesTable

logger = logging.getLogger(__name__)

MOST_BYTES = 8 * 2**20
BATCH_RECORDS = 500
BATCH_BYTES = 500_000
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
LATE_ANSWER_S = 1.0
OVERHEAD_BYTES = 300

OnAcknowledged = Callable[["Position"], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Item:
    record: NewRecord
    is_round: bool
    then: Callable[[], None] | None = None

    @property
    def size(self) -> int:
        return len(self.record.value) + OVERHEAD_BYTES


class Publisher:
    """The queue and the thread that empties it. `round` and `event` may be called from any thread."""

    def __init__(
        self, log: Log, topic: str, source: str, epoch: int, acknowledged: OnAcknowledged, most_bytes: int = MOST_BYTES
    ) -> None:
        """Append to `topic` in the name of `source`; tell `acknowledged` each time where the last record went."""
        self._log = log
        self._topic = topic
        self._source = source
        self._epoch = epoch
        self._acknowledged = acknowledged
        self._most_bytes = most_bytes
        self._sequence = 0
        self._items: deque[_Item] = deque()
        self._bytes = 0
        self._under_way = 0
        self._changed = threading.Condition()
        self._closing_at: float | None = None
        self._away_since: float | None = None
        self._producer: Producer | None = None
        self._thread = threading.Thread(target=self._serve, name="publish", daemon=True)
        self.failure: LogError | None = None
        self.lost = 0
        self.refused = 0
        self.append_s = float("nan")

    def start(self) -> None:
        """Begin to append."""
        self._thread.start()

    @property
    def waiting(self) -> int:
        """The number of records that are not acknowledged."""
        return len(self._items) + self._under_way

    @property
    def away_s(self) -> float:
        """For how long the log has failed to take what it was given, in seconds; 0 while it does."""
        since = self._away_since
        return monotonic() - since if since is not None else 0.0

    def round(self, time: int, table: SeriesTable, values: Sequence[float]) -> None:
        """Publish a round of event time `time` (ms)."""
        with self._changed:
            value = encode_round(self._source, self._epoch, self._sequence, time, table, values)
            self._put(value, ROUND_HEADERS, is_round=True)

    def event(self, record: Envelope, then: Callable[[], None] | None = None) -> None:
        """Publish a record of any other type; call `then`, on the publisher's thread, once it is on the log."""
        with self._changed:
            counted = record.model_copy(update={"epoch": self._epoch, "sequence": self._sequence})
            self._put(encode_record(counted), JSON_HEADERS, is_round=False, then=then)

    def close(self, timeout_s: float) -> None:
        """Wait up to `timeout_s` for what is queued, and end. What is left is lost, and that is logged."""
        with self._changed:
            self._closing_at = monotonic() + timeout_s
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        if self.waiting:
            logger.warning("%d records did not reach the log before the agent ended", self.waiting)
        if self._producer:
            self._producer.close(max(self._closing_at - monotonic(), 0.1))

    def _put(self, value: bytes, headers: Headers, *, is_round: bool, then: Callable[[], None] | None = None) -> None:
        record = NewRecord(self._topic, value, self._source.encode(), headers=headers)
        self._sequence += 1
        item = _Item(record, is_round, then)
        self._items.append(item)
        self._bytes += item.size
        while self._bytes > self._most_bytes and len(self._items) > 1:
            self._drop_oldest()
        self._changed.notify()

    def _drop_oldest(self) -> None:
        oldest = next((at for at, item in enumerate(self._items) if item.is_round), 0)
        self._bytes -= self._items[oldest].size
        del self._items[oldest]
        if not self.lost:
            logger.warning("the log has been away for so long that rounds are being dropped, the oldest first")
        self.lost += 1

    # On the publisher's own thread ----------------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            while batch := self._next_batch():
                self._deliver(batch)
        except LogError as error:
            # Trying again is useless (permission, no such topic, damaged files): whoever runs the agent must know.
            self.failure = error
        except Exception as error:
            logger.exception("the publisher failed")
            self.failure = LogError(f"the publisher failed: {error}")

    def _next_batch(self) -> list[_Item]:
        """Wait for records; return none when it is time to end."""
        with self._changed:
            while not self._items and self._closing_at is None:
                self._changed.wait()
            batch: list[_Item] = []
            size = 0
            while (
                self._items and len(batch) < BATCH_RECORDS and (not batch or size + self._items[0].size <= BATCH_BYTES)
            ):
                batch.append(self._items.popleft())
                size += batch[-1].size
            self._bytes -= size
            self._under_way += len(batch)
        return batch

    def _deliver(self, batch: list[_Item]) -> None:
        """Append until it is acknowledged. Raises LogError when that is useless."""
        pause_s = FIRST_PAUSE_S
        while not self._out_of_time():
            began = monotonic()
            try:
                positions = self._append(batch)
            except LogUnavailableError as error:
                self._away(error)
                with self._changed:
                    if self._closing_at is None:
                        self._changed.wait_for(lambda: self._closing_at is not None, pause_s)
                    else:
                        self._changed.wait(min(pause_s, FIRST_PAUSE_S))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            except RecordTooLargeError as error:
                self._deliver_singly(batch, error)
                return
            else:
                self._done(batch, positions, monotonic() - began)
                return

    def _deliver_singly(self, batch: list[_Item], error: RecordTooLargeError) -> None:
        if len(batch) > 1:
            for item in batch:
                self._deliver([item])
            return
        if not self.refused:
            logger.warning("a record is dropped: %s", error)
        self.refused += 1
        self._under_way -= 1

    def _append(self, batch: list[_Item]) -> Sequence[Position]:
        if not self._producer:
            self._producer = self._log.producer(f"{self._source}.agent")
        delivery = self._producer.append([item.record for item in batch])
        while True:
            try:
                return delivery.result(LATE_ANSWER_S)
            except LogUnavailableError as error:
                if delivery.done() or self._out_of_time():
                    raise
                # The answer is late, and waited for all the same: a second append may be a repeat.
                self._away(error)

    def _away(self, error: LogUnavailableError) -> None:
        if self._away_since is None:
            self._away_since = monotonic()
            logger.warning("%s; what happens here is kept and sent when the log is back", error)

    def _out_of_time(self) -> bool:
        return self._closing_at is not None and monotonic() > self._closing_at

    def _done(self, batch: list[_Item], positions: Sequence[Position], took_s: float) -> None:
        if self._away_since is not None:
            logger.warning("the log is back after %.1f s; %d records wait", self.away_s, len(self._items))
            self._away_since = None
        self.append_s = took_s
        self._under_way -= len(batch)
        self._acknowledged(positions[-1])
        for item in batch:
            if item.then:
                item.then()
