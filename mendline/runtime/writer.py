"""Appends records to the journal for those who are no stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mendline.runtime.member import SCOPE
from mendline.schemas.records import Record, encode_record
from mendline.schemas.stream import NewRecord

if TYPE_CHECKING:
    from mendline.logs.base import Log, Producer

PATIENCE_S = 10.0


class JournalWriter:
    """Appends, and waits until it is known to be there. Its producer is made with the first record."""

    def __init__(self, log: Log, topic: str, name: str) -> None:
        """Append to `topic` of `log`; `name` is the producer's."""
        self._log, self._topic, self._name = log, topic, name
        self._producer: Producer | None = None

    def __call__(self, records: Sequence[Record]) -> None:
        """Append the records. Raises LogError; some of them may be there then."""
        producer = self._producer = self._producer or self._log.producer(self._name)
        new = [NewRecord(self._topic, encode_record(record), SCOPE, 0) for record in records]
        producer.append(new).result(PATIENCE_S)

    def close(self) -> None:
        """Let go of the log. Never raises."""
        if self._producer:
            self._producer.close()
