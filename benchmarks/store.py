"""How fast windows are stored: records of windows, decoded, written and committed with their place.

As a member does that catches up, in transactions of some 16 MB of records, and as one does that keeps up, with a
transaction for each record; and how fast those are made into windows of a minute, and let go. Beside it, in the same
run, how fast the same rows go into a plain table of SQLite, through Python's own module, without keys, ids or places:
the bound. On another database than SQLite without that.

python -m benchmarks.store [--url sqlite://FILE|postgresql://…] [--sources 100] [--series 100] [--windows 60] [--json]
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from benchmarks.common import report
from mendline.schemas.columnar import WindowBlock, encode_windows
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import StoreSettings
from mendline.schemas.stream import WINDOWS_HEADERS, Batch, Partition
from mendline.schemas.windows import STATISTICS
from mendline.store.engine import open_engine, transaction
from mendline.store.schema import migrate
from mendline.store.tables import PLACES, SERIES, WINDOWS
from mendline.store.tables import TIERS as MADE
from mendline.store.tending import Tender
from mendline.store.writer import Place, Writer

PARTITION = Partition("mendline.windows", 0)
WIDTH = 10_000
PORTION_BYTES = 16_000_000
NOW = 1_699_999_200_000
HOUR_MS = 3_600_000
TIERS = StoreSettings.model_validate({"tiers": [{"width": "10s", "keep": "1m"}, {"width": "1m", "keep": "30d"}]})


def records(sources: int, series: int, windows: int) -> list[bytes]:
    """Return the records that say windows of all sources, one poll's windows after the other."""
    table = SeriesTable([Series(metric=f"benchmark.{number}") for number in range(series)])
    names = tuple(f"host-{number}" for number in range(sources))
    random, ones = np.random.default_rng(1), np.ones(sources, dtype=np.int64)
    found: list[bytes] = []
    for number in range(windows):
        values = {name: random.random((sources, series)) + 1.0 for name in STATISTICS}
        values["rate"][:] = np.nan  # as of gauges
        block = WindowBlock(table, WIDTH, -ones, names, NOW + number * WIDTH * ones, ones, 0 * ones, values)
        found += encode_windows([block])
    return found


def batches(values: Sequence[bytes], most_bytes: int) -> Iterator[Batch]:
    """Yield the records in batches of at most so many bytes, or one each."""
    begin = 0
    while begin < len(values):
        end, size = begin, 0
        while end < len(values) and (end == begin or size + len(values[end]) <= most_bytes):
            size += len(values[end])
            end += 1
        some, count = list(values[begin:end]), end - begin
        yield Batch(PARTITION, list(range(begin, end)), [NOW] * count, [None] * count, some, [WINDOWS_HEADERS] * count)
        begin = end


def measure_store(engine: sa.Engine, values: Sequence[bytes], most_bytes: int) -> float:
    """Return how long (s) it takes to store the records, anew."""
    with transaction(engine) as connection:
        for table in (WINDOWS, SERIES, MADE, PLACES):
            connection.execute(sa.delete(table))
    writer = Writer(engine, "mendline.journal")
    place: Place | None = None
    began = time.perf_counter()
    for batch in batches(values, most_bytes):
        place = writer.write([batch], {PARTITION: place})[PARTITION]
    return time.perf_counter() - began


def measure_bound(folder: Path, rows: int) -> float:
    """Return how long (s) it takes SQLite to take as many rows of as many numbers, in one table without keys."""
    numbers = np.random.default_rng(2).random((7, rows)).tolist()
    plain = [(number, NOW + number) for number in range(rows)]
    with sqlite3.connect(folder / "bound.db", isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE plain (a, b, c, d, e, f, g, h, i)")
        began = time.perf_counter()
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO plain VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((*one, *more) for one, *more in zip(plain, *numbers, strict=True)),
        )
        connection.execute("COMMIT")
        took = time.perf_counter() - began
    connection.close()
    return took


def measure_tending(engine: sa.Engine) -> float:
    """Return how long (s) it takes to make windows of a minute of those that are stored, and to let these go."""
    tender = Tender(engine, TIERS, lambda: NOW + HOUR_MS)
    began = time.perf_counter()
    while not tender.work(1.0):
        pass
    return time.perf_counter() - began


def measure(url: str | None, sources: int, series: int, windows: int) -> dict[str, object]:
    """Return all numbers."""
    values, rows = records(sources, series, windows), sources * series * windows
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(url or f"sqlite://{folder}/store.db")
        migrate(engine)
        single = measure_store(engine, values, 0)
        bulk = measure_store(engine, values, PORTION_BYTES)
        result: dict[str, object] = {
            "database": engine.dialect.name,
            "series": sources * series,
            "rows": rows,
            "bulk_rows_per_s": round(rows / bulk),
            "single_rows_per_s": round(rows / single),
            "tended_rows_per_s": round(rows / measure_tending(engine)),
        }
        if engine.dialect.name == "sqlite":
            with transaction(engine) as connection:
                pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one() * 4096
            bound = measure_bound(Path(folder), rows)
            result |= {
                "bytes_per_row": round(pages / rows, 1),
                "bound_rows_per_s": round(rows / bound),
                "share_of_bound": round(bound / bulk, 2),
            }
        engine.dispose()
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument(
        "--url", help="of a store of which nothing is needed: it is emptied; default: a new SQLite file"
    )
    parser.add_argument("--sources", type=int, default=100)
    parser.add_argument("--series", type=int, default=100, help="of each source")
    parser.add_argument("--windows", type=int, default=60, help="of each series")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    report(measure(given.url, given.sources, given.series, given.windows), given.json)


if __name__ == "__main__":
    main()
