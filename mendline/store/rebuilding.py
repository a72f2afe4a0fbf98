"""Makes a store anew from the log.

What the log can bring again is removed, and the places set back, in one transaction; then all is read and written as
by any member. So one that was killed is gone on with by the next, or by a member at work: of two, one writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from mendline.logs.base import LogUnavailableError
from mendline.reading import PATIENCE_S, read_batches
from mendline.schemas.decode import decode
from mendline.schemas.stream import Partition
from mendline.store import tables as t
from mendline.store.engine import transaction
from mendline.store.member import AT_ONCE
from mendline.store.writer import OvertakenError, Place, Writer

if TYPE_CHECKING:
    from mendline.logs.base import Consumer, Log
    from mendline.schemas.settings import TopicsSettings


class Span(NamedTuple):
    """What the log has of a partition: offsets [begin, end)."""

    partition: Partition
    begin: int
    end: int


def spans(log: Log, topics: TopicsSettings) -> list[Span]:
    """Return what the log has of what is stored. Raises LogError."""
    there = log.topics()
    names = [topics.topic("windows"), topics.topic("journal")]
    consumer = log.consumer("store")
    try:
        partitions = [Partition(name, number) for name in names for number in range(there.get(name, 0))]
        consumer.assign(partitions)
        return [Span(one, consumer.beginning_offset(one), consumer.end_offset(one)) for one in partitions]
    finally:
        consumer.close()


def begins(log: Log, topics: TopicsSettings, there: list[Span]) -> dict[str, int]:
    """Return, by source, the start (ms) of the oldest window that the log has, by reading all of them."""
    found: dict[str, int] = {}
    for span in there:
        if span.partition.topic == topics.topic("windows"):
            for batch in read_batches(log, span.partition, span.begin, span.end):
                for block in decode(batch).windows:
                    for source, start in zip(block.sources, block.starts.tolist(), strict=True):
                        found[source] = min(start, found.get(source, start))
    return found


def empty(engine: sa.Engine, journal_begin: int, windows_begin: dict[str, int]) -> None:
    """Remove what the log can bring again and set the places back: what follows from the journal from an offset on.

    And windows of each source from the oldest on that the log has; wider ones are made again. Raises StoreError.
    """
    with transaction(engine) as connection:
        for table in t.JOURNAL:
            connection.execute(sa.delete(table).where(table.c.journal_offset >= journal_begin))
        widths = connection.execute(sa.select(t.TIERS.c.width_ms).distinct()).scalars().all()
        for source, begin in windows_begin.items():
            _empty_windows(connection, source, begin, widths)
        for table in (t.PLACES, t.FOLDS):
            connection.execute(sa.delete(table))


def empty_all(engine: sa.Engine) -> None:
    """Remove everything. Raises StoreError."""
    with transaction(engine) as connection:
        for table in (*t.JOURNAL, t.WINDOWS, t.SERIES, t.TIERS, t.PLACES, t.FOLDS):
            connection.execute(sa.delete(table))


def _empty_windows(connection: sa.Connection, source: str, begin: int, widths: Sequence[int]) -> None:
    """Remove the windows of a source from `begin` (ms) on, also those that were made of narrower ones."""
    mine = t.WINDOWS.c.series.in_(sa.select(t.SERIES.c.id).where(t.SERIES.c.source == source))
    connection.execute(sa.delete(t.WINDOWS).where(mine & (t.WINDOWS.c.start >= begin)))
    for width in widths:
        mark = -(-begin // width) * width
        later = (t.TIERS.c.source == source) & (t.TIERS.c.width_ms == width) & (t.TIERS.c.made_to > mark)
        connection.execute(sa.update(t.TIERS).where(later).values(made_to=mark))


def fill(log: Log, engine: sa.Engine, topics: TopicsSettings, there: list[Span], tell: Callable[[int], None]) -> None:
    """Write all that the log had; `tell` is told how many more offsets are done. Raises LogError, StoreError."""
    writer = Writer(engine, topics.topic("journal"))
    for span in there:
        consumer = log.consumer("store")
        try:
            consumer.assign([span.partition])
            at = span.begin
            for place in _fill(consumer, writer, span):
                tell(min(place, span.end) - at)
                at = min(place, span.end)
        finally:
            consumer.close()


def _fill(consumer: Consumer, writer: Writer, span: Span) -> Iterator[int]:
    """Write the span, and yield how far it is."""
    place = _start(consumer, writer, span)
    while (place.offset if place else span.begin) < span.end:
        batches = consumer.poll(PATIENCE_S, AT_ONCE).batches
        if not batches:
            msg = f"{span.partition.topic}: no answer within {PATIENCE_S:g} s; run it again, and it goes on"
            raise LogUnavailableError(msg)
        try:
            place = writer.write(batches, {span.partition: place})[span.partition]
        except OvertakenError:  # a member is at it, too
            place = _start(consumer, writer, span)
        yield place.offset if place else span.begin


def _start(consumer: Consumer, writer: Writer, span: Span) -> Place | None:
    place, at = writer.begin(span.partition, span.begin)
    consumer.start(span.partition, at)
    return place
