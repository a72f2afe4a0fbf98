"""When what fills up is full: as plain sums over the raw values say it, and by the windows on a log."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from mendline.logs.memory import MemoryLog
from mendline.reports.history import History, Span
from mendline.reports.outlook import LEAST_PARTS, PARTS, SURE, USUAL, Levels, Limit, limits, parts_left, read_levels
from mendline.reports.report import make_report
from mendline.reports.sections import sections
from mendline.schemas.columnar import WindowBlock, encode_windows
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import MatchSettings, Settings
from mendline.schemas.stream import WINDOWS_HEADERS, NewRecord
from mendline.schemas.windows import STATISTICS
from mendline.testing.clock import ManualClock
from mendline.topics import topic_settings

WIDTH, BEGIN = 60_000, 1_700_000_000_000
WINDOWS = 600
END = BEGIN + WINDOWS * WIDTH
DISK = Series(metric="system.filesystem.utilization", attributes={"system.filesystem.mountpoint": "/"})
CERTIFICATE = Series(service="web", metric="mendline.tls.certificate.remaining", unit="d")
LOAD = Series(metric="system.cpu.load")
FULL = Limit(MatchSettings(), 1.0, "up")
Z = 1.645


def walk(seed: int, drift: float, noise: float, begin: float = 0.3) -> list[float]:
    """Return the values of windows: a line, give or take."""
    chance = random.Random(seed)
    return [begin + drift * number + chance.gauss(0, noise) for number in range(WINDOWS)]


def block(series: Sequence[Series], values: Sequence[Sequence[float]], source: str = "host-1") -> WindowBlock:
    """Return windows of these series, one after the other."""
    count = len(values[0])
    means = np.array(values, dtype=float).T
    zeros = np.zeros(count, dtype=np.int64)
    starts = BEGIN + WIDTH * np.arange(count, dtype=np.int64)
    statistics = {name: means if name == "mean" else np.full_like(means, np.nan) for name in STATISTICS}
    return WindowBlock(SeriesTable(series), WIDTH, zeros - 1, [source] * count, starts, zeros, zeros, statistics)


def taken(*blocks: WindowBlock) -> Levels:
    """Return the levels of windows."""
    levels = Levels(BEGIN, END, USUAL)
    for one in blocks:
        levels.take(one)
    return levels


# The plain way ------------------------------------------------------------------------------------------------------


def naive_left(points: Sequence[float]) -> tuple[float, float, float] | None:
    """Return the parts left until 1.0, by the formulas as the books have them; None without a drift."""
    steps = [later - earlier for earlier, later in pairwise(points)]
    count = len(steps)
    drift = sum(steps) / count
    rest = [step - drift for step in steps]
    lags = math.isqrt(count) + 1
    covariance = [sum(a * b for a, b in zip(rest, rest[lag:], strict=False)) / (count - 1) for lag in range(lags)]
    variance = covariance[0] + 2 * sum((1 - lag / lags) * covariance[lag] for lag in range(1, lags))
    spread = Z * math.sqrt(max(variance, covariance[0] / lags))
    gap = 1.0 - points[-1] - drift / 2

    def band(ahead: float, sign: int) -> float:
        return drift * ahead + sign * spread * math.sqrt(ahead * (1 + ahead / count)) - gap

    latest = bisected(lambda ahead: band(ahead, -1)) if drift > spread / math.sqrt(count) else math.inf
    return bisected(lambda ahead: band(ahead, 1)), gap / drift, latest


def bisected(function: object) -> float:
    """Return where an increasing function is 0."""
    low, high = 0.0, 1e9
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if function(middle) > 0 else (middle, high)  # type: ignore[operator]
    return low


@pytest.mark.parametrize("seed", range(8))
def test_the_interval_is_that_of_the_books(seed: int) -> None:
    """Worked out by bisection and with plain sums."""
    values = walk(seed, 0.0006, 0.02)
    part = WINDOWS // PARTS
    points = [sum(values[first : first + part]) / part for first in range(0, WINDOWS, part)]
    found = parts_left(np.array(points), FULL)
    assert found is not None
    assert pytest.approx(naive_left(points), rel=1e-6) == found
    (told,) = taken(block([DISK], [values])).outlook()
    expected = [END + left * part * WIDTH for left in naive_left(points) or ()]
    assert told.latest is not None
    assert pytest.approx(expected, abs=2) == [told.earliest, told.likely, told.latest]
    assert pytest.approx(points) == told.points
    assert pytest.approx(points[-1]) == told.value


# What is told of, and what is not -----------------------------------------------------------------------------------


def test_what_goes_nowhere_or_away_from_its_limit_is_not_told_of() -> None:
    """Nor is what goes up and down, or has no limit; they were looked at all the same."""
    flat, falling = walk(1, 0.0, 0.01), walk(2, -0.0003, 0.01)
    waves = [0.5 + 0.3 * math.sin(number / 20) for number in range(WINDOWS)]
    made = ((f"h-{at}", one) for at, one in enumerate((flat, falling, waves)))
    levels = taken(*(block([DISK, LOAD], [one, walk(3, 0.01, 0.0)], name) for name, one in made))
    assert ([], 3) == (levels.outlook(), len(levels))


def test_a_certificate_ends_when_it_says() -> None:
    """Days that are left go down by a day a day."""
    values = [3.0 - number * WIDTH / 86_400_000 for number in range(WINDOWS)]
    (told,) = taken(block([CERTIFICATE], [values])).outlook()
    assert pytest.approx(BEGIN + 3 * 86_400_000, abs=WIDTH) == told.likely
    assert ("web mendline.tls.certificate.remaining", "d", 0.0) == (told.series, told.unit, told.limit)


def test_what_is_full_is_told_first() -> None:
    """It reached its limit already."""
    full, filling = [1.0] * WINDOWS, walk(1, 0.0006, 0.01)
    first, second = taken(block([DISK], [filling], "h-1"), block([DISK], [full], "h-2")).outlook()
    assert (("h-2", END), "h-1") == ((first.source, first.likely), second.source)


def test_after_a_gap_only_what_came_since_counts() -> None:
    """And too little of it foretells nothing."""
    values = walk(1, 0.0006, 0.001)
    part = WINDOWS // PARTS

    def holed(parts: int) -> list[float]:
        gap = WINDOWS - part * parts
        return [math.nan if gap - part <= at < gap else one for at, one in enumerate(values)]

    (told,) = taken(block([DISK], [holed(LEAST_PARTS)])).outlook()
    assert 1 == sum(one is None for one in told.points)
    assert [] == taken(block([DISK], [holed(LEAST_PARTS - 1)])).outlook()
    assert [] == taken().outlook()


def test_chance_makes_no_outlook() -> None:
    """Of a thousand walks that go nowhere hardly one is told of, as the bound says."""
    chance = np.random.default_rng(7)
    walks = 0.5 + np.cumsum(chance.normal(0, 0.001, (1000, PARTS)), axis=1)
    found = sum(parts_left(one, FULL) is not None for one in walks)
    assert found <= 1000 * 10**-SURE * 20 + 3


def test_detectors_of_the_settings_say_what_else_has_a_limit() -> None:
    """With their own limits, before what has one as a matter of course."""
    settings = Settings.model_validate(
        {
            "detectors": [
                {"name": "heap", "use": "exhaustion", "match": {"metric": "heap"}, "parameters": {"limit": 5e8}},
                {"name": "odd", "use": "zscore", "match": {"metric": "heap"}},
            ]
        }
    )
    assert [("heap", 5e8, "up")] == [(one.match.metric, one.limit, one.direction) for one in limits(settings)[:-5]]


def test_windows_of_a_log_are_read() -> None:
    """Those of one width alone, of all partitions, in the time of the report; and told in the report."""
    settings = Settings()
    log = MemoryLog(clock=ManualClock(END))
    log.ensure_topics(topic_settings(settings.topics))
    made = block([DISK], [walk(1, 0.0006, 0.01)])
    topic = settings.topics.topic("windows")
    records = [NewRecord(topic, value, headers=WINDOWS_HEADERS) for value in encode_windows([made])]
    log.producer("test").append(records).result(5)
    levels = read_levels(log, settings, BEGIN, END)
    assert taken(made).outlook() == levels.outlook()
    report = make_report(History(lambda _: None, Span()), (), levels)
    (section,) = (one for one in sections(report) if one.title == "Capacity outlook")
    assert ["host-1", DISK.label] == [cell.text for cell in section.rows[0][:2]]
    assert "of 1 series those whose trend is sure" in section.method
