"""Records that can be read and are not believed: how a stage learns why, and what it says of them."""

from __future__ import annotations

import base64
from typing import Protocol

from mendline.schemas.base import record_id
from mendline.schemas.records import DeadLetter, Event, Order, Outcome, encode_record
from mendline.schemas.stream import Input, NewRecord

Claim = Event | Outcome | Order
"""What counts only with the signature of somebody who may say it."""


class Vouch(Protocol):
    """Says whether a record is by whom it claims to be; `KeyRing.why_not` does."""

    def __call__(self, record: Claim, /) -> str | None:
        """Return why the record is not to be believed, or None. The same record has the same answer."""


def doubted(record: Claim, batch: Input, index: int, stage: str, why: str, topic: str) -> NewRecord:
    """Return the dead letter for `topic` that tells of the record at `index` of the batch, which nobody vouches for."""
    value = encode_record(record)
    key = batch.raw.keys[index] if batch.raw else None
    letter = DeadLetter(
        id=record_id("deadletter", stage, *batch.partition, batch.offsets[index]),
        source=stage,
        time=int(batch.append_times[index]),
        topic=batch.partition.topic,
        partition=batch.partition.number,
        offset=batch.offsets[index],
        stage=stage,
        reason=f"this {record.type} by {record.source} is not believed: {why}",
        key=None if key is None else base64.b64encode(key).decode(),
        value=base64.b64encode(value).decode(),
        size=len(value),
    )
    return NewRecord(topic, encode_record(letter), key)
