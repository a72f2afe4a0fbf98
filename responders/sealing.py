"""Sealing the journal: a digest over what was appended, signed, so that a later change of it can be found.

A seal covers a range of records in a row, as they stand on the log: offset, append time, key, value and headers. The
next range begins right behind it. Its digest is a chain from record to record, so that a planner goes on in the middle
of a range from its snapshot, and it does not depend on earlier ranges, so that one which has lost its snapshots makes
the same seals again. What links the seals is that each stands in the journal itself, in the range of a later one, and
names the digest of the seal before.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from itertools import starmap
from typing import NamedTuple

from pydantic import Field

from mendline.responders.facts import Fact
from mendline.schemas.base import record_id
from mendline.schemas.records import Seal
from mendline.schemas.stream import Batch, Headers

SEALED_EVERY_MS = 60_000
"""Often enough that little is unsealed at any time, and one record beside the hundreds that a minute of progress is.

Ranges end where a minute of append time does: wherever a planner begins to read, it cuts at the same places.
"""

NOTHING = "0" * 64
_PLACE = struct.Struct("<qqi")
_LENGTH = struct.Struct("<i")
_NO_CONTENT = _LENGTH.pack(-1)


class Placed(NamedTuple):
    """A record as it stands on the log; `append_time` in ms."""

    offset: int
    append_time: int
    key: bytes | None
    value: bytes
    headers: Headers


def placed(batch: Batch) -> Iterator[Placed]:
    """Yield the batch record by record."""
    return starmap(Placed, zip(batch.offsets, batch.timestamps, batch.keys, batch.values, batch.headers, strict=True))


def chain(digest: str, record: Placed) -> str:
    """Return the hexadecimal SHA-256 of the digest before and the record; every length stands before its bytes."""
    parts = [digest.encode(), _PLACE.pack(record.offset, record.append_time, len(record.headers))]
    parts += (_framed(record.key), _framed(record.value))
    for name, text in record.headers:
        parts += (_framed(name.encode()), _framed(text))
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _framed(content: bytes | None) -> bytes:
    return _NO_CONTENT if content is None else _LENGTH.pack(len(content)) + content


class Range(Fact):
    """Records in a row: their first and last offset, how many they are, and the digest over them."""

    first: int = -1
    last: int = -1
    records: int = 0
    digest: str = NOTHING

    def add(self, record: Placed) -> None:
        """Take in the next record."""
        if not self.records:
            self.first = record.offset
        self.last = record.offset
        self.records += 1
        self.digest = chain(self.digest, record)


class Sealing(Fact):
    """How far the planner is with the range at hand; `minute` is that of its records.

    `previous` is the digest of the seal before; empty as long as it is not known, after a start without a snapshot.
    """

    range: Range = Field(default_factory=Range)
    minute: int = 0
    previous: str = ""

    def take(self, batch: Batch, source: str, *, muted: bool) -> Iterator[Seal]:
        """Take in records, and yield a seal, not signed yet, for each range that they end.

        Nothing is yielded for what is muted: whoever wrote the outputs of that time has sealed it.
        """
        for record in placed(batch):
            minute = record.append_time // SEALED_EVERY_MS
            if self.range.records and (minute != self.minute or record.offset != self.range.last + 1):
                if not muted:
                    yield self._seal(source, batch, record.append_time)
                self._begin_anew(muted=muted)
            self.minute = minute
            self.range.add(record)

    def _seal(self, source: str, batch: Batch, time: int) -> Seal:
        done = self.range
        return Seal(
            id=record_id("seal", *batch.partition, done.first, done.last),
            source=source,
            time=time,
            first=done.first,
            last=done.last,
            records=done.records,
            digest=done.digest,
            previous=self.previous,
        )

    def _begin_anew(self, *, muted: bool) -> None:
        if self.previous or not muted:
            self.previous = self.range.digest
        self.range = Range()
