"""All records of this source, in one order, on their way to the log.

Whoever has something to say hands it over and goes on; the record gets its sequence number at that moment. A thread
appends them, one batch at a time, and tries again until the log acknowledges: what may have arrived is said again
rather than lost, and readers drop repeats by epoch and sequence.

When the log has taken nothing for a second, what waits goes to the spool on the disk, and each second from then on
what is new; it is sent, oldest first, before what is in memory, and by the next agent if this one dies. So while the
log takes what it is given nothing touches the disk. Both queues are bounded: beyond that the oldest rounds fall off
(the oldest events only when there are no rounds left), which shows as a gap in the sequence, and is counted.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from mendline.agent.spool import Kept, Spool
from mendline.logs.base import LogError, LogUnavailableError, RecordTooLargeError
from mendline.responders.clock import since_boot
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
SPOOL_AFTER_S = 1.0
OVERHEAD_BYTES = 300

OnAcknowledged = Callable[["Position", float], None]
Sign = Callable[["Envelope"], "Envelope"]


@dataclass(slots=True, eq=False)
class _Item:
    record: NewRecord
    is_round: bool
    then: Callable[[], None] | None = None

    @property
    def size(self) -> int:
        return len(self.record.value) + OVERHEAD_BYTES

    @property
    def kept(self) -> Kept:
        return Kept(self.record.value, self.is_round)


class Publisher:
    """The queue and the thread that empties it. `round` and `event` may be called from any thread."""

    def __init__(
        self,
        log: Log,
        topic: str,
        source: str,
        epoch: int,
        acknowledged: OnAcknowledged,
        spool: Spool | None = None,
        most_bytes: int = MOST_BYTES,
        prepare: Callable[[], None] = lambda: None,
        sign: Sign = lambda record: record,
    ) -> None:
        """Append to `topic` in the name of `source`.

        `acknowledged` is told each time where the last record went, and how many seconds the log took to say so. What
        is in `spool` comes first; without one all is kept in memory alone. `prepare` is called, on the publisher's
        thread, before the first append, again and again while it raises LogUnavailableError. `sign` returns a counted
        record with what else it needs.
        """
        self._log = log
        self._topic = topic
        self._source = source
        self._epoch = epoch
        self._acknowledged = acknowledged
        self._spool = spool or Spool(None, 0)
        self._most_bytes = most_bytes
        self._prepare = prepare
        self._sign = sign
        self._sequence = 0
        self._items: deque[_Item] = deque()
        self._bytes = 0
        self._under_way: list[_Item] = []
        self._on_disk = False
        self._moving = 0
        self._thens: dict[bytes, Callable[[], None]] = {}
        self._changed = threading.Condition()
        self._closing_at: float | None = None
        self._away_since: float | None = None
        self._producer: Producer | None = None
        self._disk = threading.Lock()
        self._trying_since: float | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="publish", daemon=True)
        self._keeper = threading.Thread(target=self._keep, name="spool", daemon=True)
        self.failure: LogError | None = None
        self._dropped = 0
        self.refused = 0
        self.append_s = float("nan")

    def start(self) -> None:
        """Begin to append."""
        self._thread.start()
        self._keeper.start()

    @property
    def waiting(self) -> int:
        """The number of records that are not acknowledged."""
        return len(self._items) + self._moving + self._spool.count + (0 if self._on_disk else len(self._under_way))

    @property
    def lost(self) -> int:
        """The number of records that fell off a queue."""
        return self._dropped + self._spool.lost

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
            self._put(encode_record(self._sign(counted)), JSON_HEADERS, is_round=False, then=then)

    def close(self, timeout_s: float) -> None:
        """Wait up to `timeout_s` for what is queued, and end. What is left goes to the spool, and that is logged."""
        with self._changed:
            self._closing_at = monotonic() + timeout_s
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._ended.set()
        if self._keeper.is_alive():
            self._keeper.join()
        if self.waiting:
            text = "%d records did not reach the log before the agent ended; %d of them are kept for the next one"
            # A log that refuses for good is told of by whoever runs the agent, in one message.
            told = self.failure is not None or self._spool.count >= self.waiting
            level = logging.INFO if told else logging.WARNING
            logger.log(level, text, self.waiting, self._spool.count)
        if self._producer:
            self._producer.close(max(self._closing_at - monotonic(), 0.1))

    def _put(self, value: bytes, headers: Headers, *, is_round: bool, then: Callable[[], None] | None = None) -> None:
        record = NewRecord(self._topic, value, self._source.encode(), headers=headers)
        self._sequence += 1
        item = _Item(record, is_round, then)
        self._items.append(item)
        self._bytes += item.size
        self._keep_within_bounds()
        self._changed.notify()

    def _keep_within_bounds(self) -> None:
        while self._bytes > self._most_bytes and len(self._items) > 1:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest = next((at for at, item in enumerate(self._items) if item.is_round), 0)
        self._bytes -= self._items[oldest].size
        del self._items[oldest]
        if not self._dropped:
            logger.warning("the log has been away for so long that rounds are being dropped, the oldest first")
        self._dropped += 1

    # On the publisher's own thread ----------------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            while not self._out_of_time() and self._next_batch():
                self._deliver(self._under_way)
        except LogError as error:
            # Trying again is useless (permission, no such topic, damaged files): whoever runs the agent must know.
            self.failure = error
        except Exception as error:
            logger.exception("the publisher failed")
            self.failure = LogError(f"the publisher failed: {error}")
        finally:
            with self._disk:
                self._move_to_disk()

    def _next_batch(self) -> bool:
        """Take the oldest records, from the disk first, or wait for some; return False when it is time to end."""
        with self._changed:
            while not self._items and not self._spool.count and self._closing_at is None:
                self._changed.wait()
        with self._disk:
            if self._spool.count or self._bytes > self._most_bytes // 4:
                self._move_to_disk()
            if kept := self._spool.take():
                self._under_way, self._on_disk = [self._from_disk(one) for one in kept], True
            else:
                self._thens.clear()
                self._under_way, self._on_disk = self._from_memory(), False
            self._trying_since = monotonic()
        return bool(self._under_way)

    def _from_memory(self) -> list[_Item]:
        batch: list[_Item] = []
        size = 0
        with self._changed:
            while (
                self._items and len(batch) < BATCH_RECORDS and (not batch or size + self._items[0].size <= BATCH_BYTES)
            ):
                batch.append(self._items.popleft())
                size += batch[-1].size
            self._bytes -= size
        return batch

    def _from_disk(self, kept: Kept) -> _Item:
        headers = ROUND_HEADERS if kept.is_round else JSON_HEADERS
        record = NewRecord(self._topic, kept.value, self._source.encode(), headers=headers)
        return _Item(record, kept.is_round, self._thens.pop(kept.value, None))

    def _move_to_disk(self) -> None:
        """Put all that waits on the disk, in order, under the lock; what finds no place there stays in memory."""
        if self._under_way and not self._on_disk:
            self._on_disk = self._spool.hold([item.kept for item in self._under_way])
            if not self._on_disk:
                return
        with self._changed:
            moved = list(self._items)
            self._items.clear()
            self._moving, self._bytes = len(moved), 0
        safe = self._spool.append([item.kept for item in moved])
        self._thens |= {item.record.value: item.then for item in moved[:safe] if item.then}
        with self._changed:
            self._items.extendleft(reversed(moved[safe:]))
            self._bytes += sum(item.size for item in moved[safe:])
            self._moving = 0
            self._keep_within_bounds()

    def _deliver(self, batch: Sequence[_Item]) -> None:
        """Append until it is acknowledged. Raises LogError when that is useless."""
        pause_s = FIRST_PAUSE_S
        while not self._out_of_time():
            try:
                producer = self._ready_producer()
                began = since_boot()
                positions = self._append(producer, batch)
            except LogUnavailableError as error:
                self._away(error)
                self._pause(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            except RecordTooLargeError as error:
                self._deliver_singly(batch, error)
                return
            else:
                self._done(batch, positions, since_boot() - began)
                return

    def _pause(self, pause_s: float) -> None:
        """Wait; the agent's end shortens it."""
        with self._changed:
            if self._closing_at is None:
                self._changed.wait_for(lambda: self._closing_at is not None, pause_s)
            else:
                self._changed.wait(min(pause_s, FIRST_PAUSE_S))

    def _deliver_singly(self, batch: Sequence[_Item], error: RecordTooLargeError) -> None:
        if len(batch) > 1:
            for item in batch:
                self._deliver([item])
            return
        if not self.refused:
            logger.warning("a record is dropped: %s", error)
        self.refused += 1
        self._settle(1)

    def _settle(self, count: int) -> None:
        """Let the first records under way go: the log has them, or will never take them."""
        with self._disk:
            self._under_way = self._under_way[count:]
            if not self._under_way and self._on_disk:
                self._spool.forget()
                self._on_disk = False
            self._trying_since = monotonic() if self._under_way else None

    def _ready_producer(self) -> Producer:
        if not self._producer:
            self._prepare()
            self._producer = self._log.producer(f"{self._source}.agent")
        return self._producer

    def _append(self, producer: Producer, batch: Sequence[_Item]) -> Sequence[Position]:
        delivery = producer.append([item.record for item in batch])
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
            logger.warning("%s; trying again, and what happens here is kept until the log is there", error)

    def _out_of_time(self) -> bool:
        return self._closing_at is not None and monotonic() > self._closing_at

    def _done(self, batch: Sequence[_Item], positions: Sequence[Position], took_s: float) -> None:
        if self._away_since is not None:
            logger.warning("the log is back after %.1f s; %d records wait", self.away_s, self.waiting - len(batch))
            self._away_since = None
        self.append_s = took_s
        self._settle(len(batch))
        self._acknowledged(positions[-1], took_s)
        for item in batch:
            if item.then:
                item.then()

    # On the thread that keeps ---------------------------------------------------------------------------------------

    def _keep(self) -> None:
        """Move to the disk what has waited for a second, on a thread of its own: a log may hold the other one up."""
        while not self._ended.wait(SPOOL_AFTER_S):
            with self._disk:
                since = self._trying_since
                if since is not None and monotonic() - since >= SPOOL_AFTER_S:
                    self._move_to_disk()
