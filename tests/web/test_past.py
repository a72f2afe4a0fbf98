"""Series before the log begins: from the store, where there is one and it answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mendline.logs.memory import MemoryLog
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings, StoreSettings
from mendline.store.engine import open_engine, transaction
from mendline.store.schema import migrate
from mendline.store.window_rows import Known, write_windows
from mendline.topics import topic_settings
from mendline.web.blocks import Span
from mendline.web.charts import chart_of_series
from tests.store.support import append_windows
from tests.store.windows import values_block

pytestmark = pytest.mark.slow

BEGIN = 1_699_999_200_000
MINUTE, HOUR = 60_000, 3_600_000
TABLE = SeriesTable([Series(metric="load"), Series(metric="sent", kind="counter", unit="By")])
ALL = Span("host-1", BEGIN, BEGIN + 4 * HOUR)


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Settings:
    """Return settings with a store that has two hours of windows: of an hour, and of a minute of the second."""
    store = StoreSettings(url=f"sqlite://{tmp_path}/store.db")
    engine = open_engine(store.url)
    migrate(engine)
    hours = [values_block(TABLE, "host-1", BEGIN + place * HOUR, HOUR, np.full((4, 2), 9.0)) for place in range(2)]
    minute = values_block(TABLE, "host-1", BEGIN + HOUR, MINUTE, np.full((4, 2), 3.0))
    with transaction(engine) as connection:
        write_windows(connection, [*hours, minute], Known())
    engine.dispose()
    return Settings(log="memory:", store=store)


@pytest.fixture(name="log")
def _log(settings: Settings) -> MemoryLog:
    """Return a log with one window, of the third hour."""
    log = MemoryLog(clock=lambda: BEGIN + 3 * HOUR)
    log.ensure_topics(topic_settings(settings.topics))
    append_windows(log, settings, [values_block(TABLE, "host-1", BEGIN + 2 * HOUR, MINUTE, np.full((4, 2), 5.0))])
    return log


def points(log: MemoryLog, settings: Settings, span: Span, label: str = "load") -> list[tuple[int, float | None]]:
    """Return what is shown of a series: minutes since the begin, and value."""
    chart = chart_of_series(log, settings, span, label)
    return [((time - BEGIN) // MINUTE, one) for time, one in zip(chart.times, chart.curves[0].values, strict=True)]


def test_before_the_log_begins_the_store_is_asked(log: MemoryLog, settings: Settings) -> None:
    """For the windows that reach back the furthest; of a counter for its rate."""
    assert points(log, settings, ALL) == [(60, 9.0), (120, 9.0), (121, 5.0)]
    assert points(log, settings, ALL, "sent") == [(60, 2.0), (120, 2.0), (121, 2.0)]
    assert chart_of_series(log, settings, ALL, "sent").curves[0].unit == "By/s"


def test_of_several_widths_the_narrowest_that_reaches_back(log: MemoryLog, settings: Settings) -> None:
    """Over the second hour alone those of a minute do."""
    assert points(log, settings, Span("host-1", BEGIN + HOUR, BEGIN + 2 * HOUR)) == [(61, 3.0)]


def test_without_a_store_there_is_what_the_log_has(log: MemoryLog, settings: Settings) -> None:
    """As before."""
    assert points(log, settings.model_copy(update={"store": None}), ALL) == [(121, 5.0)]


def test_a_store_that_does_not_answer_hides_nothing(
    log: MemoryLog, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told in the messages."""
    away = StoreSettings(url="postgresql://127.0.0.1:1/x")
    assert points(log, settings.model_copy(update={"store": away}), ALL) == [(121, 5.0)]
    assert "nothing older than the log is shown: postgresql://127.0.0.1:1/x" in caplog.text
