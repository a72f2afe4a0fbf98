"""Outputs on their way to the log: in order, tried again until acknowledged, and only then counted as done.

What follows from an acknowledgement (an offset may be committed, a snapshot is usable) is given along as a function
and called when this append and all before it are acknowledged. So a crash can repeat records but never lose one.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mendline.logs.base import LogUnavailableError

if TYPE_CHECKING:
    from mendline.logs.base import Delivery, Position, Producer
    from mendline.schemas.stream import NewRecord, Partition

OnAcknowledged = Callable[[Sequence["Position"]], None]

logger = logging.getLogger(__name__)

MOST_PENDING = 64
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0


@dataclass(slots=True)
class _Entry:
    records: Sequence[NewRecord]
    then: OnAcknowledged | None
    delivery: Delivery | None = None

    @property
    def sent(self) -> bool:
        return self.delivery is not None or not self.records


class Outbox:
    """A queue of appends through one producer. Used by one thread; nothing here blocks but `drain`."""

    def __init__(
        self, producer: Producer, clock: Callable[[], float], name: str, retried: Callable[[], None] = lambda: None
    ) -> None:
        """Append through `producer`; `clock` is monotonic, in seconds; `name` stands in messages.

        `retried` is called each time the log did not answer and what waits will be sent again.
        """
        self._producer = producer
        self._clock = clock
        self._name = name
        self._entries: deque[_Entry] = deque()
        self._retry_at = 0.0
        self._pause_s = 0.0
        self._retried = retried

    def __len__(self) -> int:
        """Return the number of appends that are not acknowledged yet."""
        return len(self._entries)

    @property
    def full(self) -> bool:
        """Whether the log is so far behind that nothing more should be read."""
        return len(self._entries) >= MOST_PENDING

    @property
    def unavailable(self) -> bool:
        """Whether the log did not take the last append."""
        return self._pause_s > 0

    def append(self, records: Sequence[NewRecord], then: OnAcknowledged | None = None) -> None:
        """Queue the records and send them if nothing waits before them; no record at all is an empty append.

        Raises LogRefusedError when the log refuses a record for good.
        """
        self._entries.append(_Entry(records, then))
        self.settle()

    def settle(self) -> None:
        """Send what waits, and run what follows from the appends that are acknowledged by now.

        Raises LogRefusedError when the log refuses a record for good.
        """
        self._send()
        while self._entries and self._entries[0].sent:
            head = self._entries[0]
            if head.delivery is None:
                positions: Sequence[Position] = ()
            elif head.delivery.done():
                try:
                    positions = head.delivery.result(0)
                except LogUnavailableError as error:
                    self._lost(error)
                    return
            else:
                return
            self._entries.popleft()
            if head.then:
                head.then(positions)

    def drain(self, deadline: float) -> bool:
        """Wait until all is acknowledged, at most until `deadline` on the monotonic clock; say whether it is.

        Raises LogRefusedError.
        """
        while self._entries:
            self.settle()
            left = deadline - self._clock()
            if left <= 0:
                return not self._entries
            if self._entries:
                self._wait(min(left, 0.1))
        return True

    def forget(self, partition: Partition, name: bytes, before: int, keys: Sequence[bytes]) -> None:
        """Let go of what newer records replace, as the producer does. Raises LogUnavailableError, LogRefusedError."""
        self._producer.forget(partition, name, before, keys)

    def close(self) -> None:
        """Let go of the producer. Never raises."""
        self._producer.close()

    def _wait(self, seconds: float) -> None:
        delivery = self._entries[0].delivery
        if delivery is None:
            # The log was away at the last try: the pause before the next one is all there is to wait for.
            time.sleep(min(seconds, max(self._retry_at - self._clock(), 0.0)))
            return
        try:
            delivery.result(seconds)
        except LogUnavailableError:
            return  # not there yet, or lost: `settle` tells them apart by `done`

    def _send(self) -> None:
        if self._clock() < self._retry_at:
            return
        for entry in self._entries:
            if not entry.sent:
                try:
                    entry.delivery = self._producer.append(entry.records)
                except LogUnavailableError as error:
                    self._away(error)
                    return
            # Before the next one is sent: readers drop by order what comes after that.
            if failure := _failure(entry.delivery):
                self._lost(failure)
                return
        if self._pause_s:
            logger.warning("%s: the log takes records again", self._name)
            self._pause_s = 0.0

    def _lost(self, error: LogUnavailableError) -> None:
        """Send everything again, in order, that is not acknowledged: readers drop what they have already."""
        for entry in self._entries:
            entry.delivery = None
        self._away(error)

    def _away(self, error: LogUnavailableError) -> None:
        if not self._pause_s:
            logger.warning("%s: %s; waiting, %d appends kept", self._name, error, len(self._entries))
        self._retried()
        self._pause_s = min(max(FIRST_PAUSE_S, 2 * self._pause_s), LONGEST_PAUSE_S)
        self._retry_at = self._clock() + self._pause_s


def _failure(delivery: Delivery | None) -> LogUnavailableError | None:
    """Return what the log answered instead of taking an append; None when it took it, or has not answered yet."""
    if delivery is None or not delivery.done():
        return None
    try:
        delivery.result(0)
    except LogUnavailableError as error:
        return error
    return None
