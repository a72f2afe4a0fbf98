"""Orders of people, signed by this host's key and appended to the journal and, to stop everything, to all commands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mendline.keys import key_ring
from mendline.schemas.base import Envelope, record_id
from mendline.schemas.records import Order, OrderKind, Stop, encode_record
from mendline.schemas.stream import NewRecord
from mendline.words import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mendline.logs.base import Log
    from mendline.schemas.settings import Settings

PATIENCE_S = 10.0
SCOPE = b"default"


def append_order(
    log: Log,
    settings: Settings,
    kind: OrderKind,
    subject: str,
    *,
    by: str,
    text: str = "",
    active: bool = True,
    lasts_ms: int | None = None,
    name: str | None = None,
) -> str:
    """Append an order of the person `by` about `subject`, and return it in words; `lasts_ms` None: until taken back.

    `name` is the order's id if it must count once only, however often it is given.
    Raises LogError and KeyFileError.
    """
    now = time.time_ns() // 1_000_000
    order = Order(
        id=name or record_id("order", kind, subject, by, now),
        source=by,
        time=now,
        kind=kind,
        by=by,
        subject=subject,
        active=active,
        expires=None if lasts_ms is None else now + lasts_ms,
        text=text,
    )
    _append(log, [_journal(settings, key_ring(settings).sign(order))])
    return describe(order)


def stop_everything(log: Log, settings: Settings, *, by: str, text: str, active: bool) -> int:
    """Tell every host and the planners to begin nothing (or, not `active`, to go on); return how many partitions heard.

    Raises LogError and KeyFileError.
    """
    now = time.time_ns() // 1_000_000
    keys = key_ring(settings)
    common = {"source": by, "time": now, "by": by, "active": active}
    order = Order(id=record_id("order", "stop", by, now), kind="stop", text=text, **common)  # type: ignore[arg-type]
    stop = keys.sign(Stop(id=record_id("stop", by, now), reason=text, **common))  # type: ignore[arg-type]
    topic = settings.topics.topic("commands")
    partitions = log.topics().get(topic, 0)
    commands = [NewRecord(topic, encode_record(stop), partition=number) for number in range(partitions)]
    _append(log, [*commands, _journal(settings, keys.sign(order))])
    return partitions


def _journal(settings: Settings, record: Envelope) -> NewRecord:
    return NewRecord(settings.topics.topic("journal"), encode_record(record), SCOPE, 0)


def _append(log: Log, records: Sequence[NewRecord]) -> None:
    producer = log.producer("people")
    try:
        producer.append(records).result(PATIENCE_S)
    finally:
        producer.close()
