"""Wider windows are what they would be over all the values, made once they are complete; what is old goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from mendline.reading import Stored
from mendline.schemas.columnar import WindowBlock
from mendline.schemas.records import decode_record, encode_record
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import StoreSettings
from mendline.store import tiers as tiers_module
from mendline.store.engine import transaction
from mendline.store.journal_rows import write_journal
from mendline.store.tending import Tender
from mendline.store.window_rows import Known, write_windows
from tests.store.support import stored_windows, story
from tests.store.windows import values_block

HOUR = 3_600_000
BEGIN = 1_699_999_200_000
"""A whole hour."""
TABLE = SeriesTable([Series(metric="load"), Series(metric="time", kind="counter", unit="s")])
WIDTH = 60_000
SETTINGS = StoreSettings.model_validate({"tiers": [{"width": "1m", "keep": "2h"}, {"width": "1h", "keep": "30d"}]})


def drawn(source: str, begin: int, count: int, seed: int) -> tuple[list[WindowBlock], list[np.ndarray[Any, Any]]]:
    """Return windows of one minute each, and the values that they were made of: (values, series) each."""
    random = np.random.default_rng(seed)
    blocks, values = [], []
    for number in range(count):
        rows = random.integers(-99, 99, (random.integers(1, 7), len(TABLE))).astype(np.float64)
        values.append(rows)
        blocks.append(values_block(TABLE, source, begin + number * WIDTH, WIDTH, rows))
    return blocks, values


def write(engine: sa.Engine, blocks: Sequence[WindowBlock]) -> None:
    """Store windows."""
    with transaction(engine) as connection:
        write_windows(connection, blocks, Known())


def tend(engine: sa.Engine, now: int, settings: StoreSettings = SETTINGS) -> None:
    """Do all that is due."""
    tender = Tender(engine, settings, lambda: now)
    while not tender.work():
        pass


def of_width(engine: sa.Engine, width_ms: int) -> dict[tuple[str, str, int], tuple[Any, ...]]:
    """Return the windows of one width, by source, label and start."""
    return {(key[0], key[2], key[3]): row for key, row in stored_windows(engine).items() if key[1] == width_ms}


@pytest.mark.parametrize("most_rows", [10, 100_000])
def test_a_wider_window_is_what_all_its_values_make(
    engine: sa.Engine, most_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are made at a time; the last hour, which is not complete, is not made."""
    monkeypatch.setattr(tiers_module, "MOST_ROWS", most_rows)
    blocks, values = drawn("host-1", BEGIN, 150, seed=1)
    write(engine, blocks)
    tend(engine, BEGIN + 2 * HOUR)
    made = of_width(engine, HOUR)
    assert {start for _, _, start in made} == {BEGIN, BEGIN + HOUR}
    for hour in range(2):
        rows = np.concatenate(values[60 * hour : 60 * hour + 60])
        for place, series in enumerate(TABLE.series):
            count, total, std, least, most, last, rate = made["host-1", series.label, BEGIN + hour * HOUR]
            one = rows[:, place]
            assert (count, total, least, most, last) == (len(one), one.sum(), one.min(), one.max(), one[-1])
            assert std == pytest.approx(one.std(), rel=1e-12)
            assert rate == (None if series.kind == "gauge" else pytest.approx(2.0))


def test_it_goes_on_where_it_was(engine: sa.Engine) -> None:
    """What comes later is made later, over a gap of days; what is made already stays as it is."""
    write(engine, drawn("host-1", BEGIN, 90, seed=2)[0])
    tend(engine, BEGIN + 2 * HOUR)
    before = of_width(engine, HOUR)
    later = BEGIN + 72 * HOUR
    write(engine, drawn("host-1", BEGIN + 90 * WIDTH, 30, seed=3)[0])
    write(engine, drawn("host-1", later, 61, seed=4)[0])
    tend(engine, BEGIN + 2 * HOUR)
    made = of_width(engine, HOUR)
    assert {start for _, _, start in made} == {BEGIN, BEGIN + HOUR, later}
    assert before.items() <= made.items()


def test_a_width_that_the_log_brings_is_not_made(engine: sa.Engine) -> None:
    """Its windows are the log's."""
    write(engine, drawn("host-1", BEGIN, 61, seed=5)[0])
    write(engine, [values_block(TABLE, "host-1", BEGIN - HOUR, HOUR, np.ones((3, 2)))])
    tend(engine, BEGIN + 2 * HOUR)
    assert {start for _, _, start in of_width(engine, HOUR)} == {BEGIN - HOUR}


def test_what_is_old_goes_once_wider_windows_are_made(engine: sa.Engine) -> None:
    """The incomplete hour stays, for nothing is made of it yet; until its wider window would be old, too."""
    write(engine, drawn("host-1", BEGIN, 90, seed=6)[0])
    tend(engine, BEGIN + 3 * HOUR)
    assert {start for _, _, start in of_width(engine, WIDTH)} == set(range(BEGIN + HOUR, BEGIN + 90 * WIDTH, WIDTH))
    tend(engine, BEGIN + 40 * 24 * HOUR)
    assert stored_windows(engine) == {}


def test_windows_of_another_width_stay_as_long_as_the_next_wider(engine: sa.Engine) -> None:
    """And nothing is made of them."""
    write(engine, [values_block(TABLE, "host-1", BEGIN, 10_000, np.ones((3, 2)))])
    tend(engine, BEGIN + 2 * HOUR - 1)
    assert len(of_width(engine, 10_000)) == 2
    tend(engine, BEGIN + 2 * HOUR + 1)
    assert stored_windows(engine) == {}


def test_what_is_over_for_long_goes_and_what_is_open_stays(engine: sa.Engine) -> None:
    """With all that is told of it."""
    closed, still_open = list(story(0)), list(story(1))[:-5]
    with transaction(engine) as connection:
        told = map(decode_record, map(encode_record, [*closed, *still_open]))
        write_journal(connection, [Stored(offset, BEGIN, 0, one) for offset, one in enumerate(told)])
    settings = SETTINGS.model_copy(update={"journal": HOUR})
    tend(engine, BEGIN + HOUR - 1, settings)
    assert rows(engine, "faults") == 2
    tend(engine, BEGIN + HOUR + 1, settings)
    counted = {name: rows(engine, name) for name in ("faults", "fault_changes", "intents", "holds", "verifications")}
    assert counted == {"faults": 1, "fault_changes": 1, "intents": 1, "holds": 1, "verifications": 1}


def rows(engine: sa.Engine, table: str) -> int:
    """Return how many rows there are."""
    with transaction(engine) as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())  # noqa: S608
