"""What a series did, read from a store: for times of which the log has no windows any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from mendline.schemas.quantities import per_second
from mendline.store.engine import open_engine, transaction
from mendline.store.tables import SERIES, WINDOWS

if TYPE_CHECKING:
    from mendline.schemas.settings import StoreSettings

MOST_WINDOWS = 5_000


class _Series(NamedTuple):
    id: int
    width_ms: int
    kind: str
    unit: str


class Past(NamedTuple):
    """Windows of one width (ms): means by the end of the window (ms); of a counter rates, with their unit."""

    width_ms: int
    unit: str
    values: dict[int, float]


def read_past(store: StoreSettings, source: str, label: str, begin: int, end: int) -> Past | None:
    """Return a series of a source over event time [begin, end) in ms, None if nothing is stored of it.

    Of several widths the narrowest of which there are not too many windows, and which reaches back the furthest. Raises
    StoreError, NoStoreError.
    """
    engine = open_engine(store.url, reading=True)
    try:
        with transaction(engine) as connection:
            wanted = (SERIES.c.source == source) & (SERIES.c.label == label)
            columns = SERIES.c.id, SERIES.c.width_ms, SERIES.c.kind, SERIES.c.unit
            several = [_Series(*row) for row in connection.execute(sa.select(*columns).where(wanted))]
            found = [one for one in (_read(connection, series, begin, end) for series in several) if one]
    finally:
        engine.dispose()
    return min(found, key=lambda one: (min(one.values) - begin > one.width_ms, one.width_ms), default=None)


def _read(connection: sa.Connection, series: _Series, begin: int, end: int) -> Past | None:
    width, is_counter = series.width_ms, series.kind == "counter"
    value = WINDOWS.c.rate if is_counter else WINDOWS.c.sum / WINDOWS.c.count
    within = (WINDOWS.c.start >= begin - width) & (WINDOWS.c.start < end - width)
    question = sa.select(WINDOWS.c.start, value).where((WINDOWS.c.series == series.id) & within).limit(MOST_WINDOWS + 1)
    rows = connection.execute(question).all()
    values = {start + width: number for start, number in rows if number is not None}
    if not values or len(rows) > MOST_WINDOWS:
        return None
    return Past(width, per_second(series.unit) if is_counter else series.unit, values)
