"""How much a producer may hold unacknowledged, and what a record counts for."""

from __future__ import annotations

import threading

from mendline.logs.base import RecordTooLargeError
from mendline.schemas.stream import NewRecord

RECORD_COST = 700
"""What the client keeps for a record in flight beside its bytes, measured."""
OVERHEAD_BYTES = 4096
"""Room beside a record's key and value, for its headers and the batch around it."""


class Room:
    """A bound on bytes in flight."""

    def __init__(self, size: int) -> None:
        """Begin with `size` free bytes."""
        self._size = size
        self._used = 0
        self._freed = threading.Condition()

    def take(self, size: int, timeout_s: float) -> bool:
        """Wait until there is room and take it; say whether there was. Anything fits into an empty room."""
        with self._freed:
            there = self._freed.wait_for(lambda: self._used == 0 or self._used + size <= self._size, timeout_s)
            self._used += size if there else 0
            return there

    def give(self, size: int) -> None:
        """Give room back."""
        with self._freed:
            self._used -= size
            self._freed.notify()


def size_of(record: NewRecord) -> int:
    """Return what the record takes up in flight (bytes). Raises RecordTooLargeError for more headers than fit."""
    headers = sum(len(name) + len(value) + 10 for name, value in record.headers)
    if headers > OVERHEAD_BYTES - 512:
        msg = f"record for {record.topic!r} has {headers} bytes of headers, over the {OVERHEAD_BYTES - 512} allowed"
        raise RecordTooLargeError(msg)
    return len(record.value) + len(record.key or b"") + headers + RECORD_COST
