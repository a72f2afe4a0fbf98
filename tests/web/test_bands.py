"""What was expected of a series over time: what the detector's own code says, of that host alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mendline.detectors.base import Step
from mendline.detectors.configuring import configure
from mendline.detectors.grains import grain
from mendline.logs.memory import MemoryLog
from mendline.schemas.records import encode_record
from mendline.schemas.rounds import Round, Sample
from mendline.schemas.series import Series
from mendline.schemas.settings import DetectorSettings, MatchSettings, Settings
from mendline.schemas.stream import NewRecord
from mendline.schemas.windows import WindowRow, Windows
from mendline.testing.clock import ManualClock
from mendline.topics import topic_settings
from mendline.web.bands import bands
from mendline.web.blocks import Span
from tests.responders.support import START_MS

COUNT = 60
VALUES = [10.0 + place % 3 + (40.0 if place > 50 else 0.0) for place in range(COUNT)]
ALL = Span("host-1", START_MS, START_MS + COUNT * 10_000)


def recorded(width: int, *detectors: DetectorSettings) -> tuple[MemoryLog, Settings]:
    """Return a log with the values as rounds or windows of two hosts, the other one's are far off, and settings."""
    settings = Settings(name="host-1", detectors=detectors)
    log = MemoryLog(clock=ManualClock(ALL.end))
    log.ensure_topics(topic_settings(settings.topics.model_copy(update={"partitions": 1})))
    topic = settings.topics.topic("windows" if width else "metrics")
    producer = log.producer("test")
    for place, value in enumerate(VALUES):
        time = START_MS + place * 10_000
        made = [_record(host, time, width, value + off) for host, off in (("host-2", 900.0), ("host-1", 0.0))]
        producer.append([NewRecord(topic, encode_record(one), b"x", 0) for one in made]).result(10)
    return log, settings


def _record(host: str, time: int, width: int, value: float) -> Round | Windows:
    if width == 0:
        return Round(source=host, time=time, samples=(Sample(metric="queue", unit="{x}", value=value),))
    row = WindowRow(metric="queue", unit="{x}", count=10, mean=value, rate=None)
    return Windows(source=host, time=time, start=time, width_ms=width, rounds=10, rows=(row,))


def zscore(window: int, **more: Any) -> DetectorSettings:
    """Return a detector that learns from few values."""
    return DetectorSettings(name="odd", use="zscore", window=window, **more)


def alone(detector: DetectorSettings) -> Any:
    """Return what the detector says of the values by themselves."""
    made = configure(detector, Settings(detectors=(detector,))).detector
    state = {name: array.rows(1) for name, array in made.arrays().items()}
    times = START_MS + 10_000 * np.arange(COUNT)
    grains, ones = np.full(COUNT, grain(Series(metric="queue", unit="{x}"))), np.ones(COUNT, dtype=np.int64)
    return made.follow(state, Step(np.array(VALUES), times, detector.window, ones < 0, ones, {}, grains))


def known(numbers: Sequence[float]) -> list[float | None]:
    """Return numbers as the answer has them."""
    return [float(one) if np.isfinite(one) else None for one in numbers]


@pytest.mark.parametrize("width", [0, 10_000])
def test_the_detector_itself_says_what_it_expected(width: int) -> None:
    """Of rounds and of windows, to the bit, whatever other hosts are in the partition."""
    detector = zscore(width)
    log, settings = recorded(width, detector)
    (band,) = bands(log, settings, ALL, "queue").bands
    expected = alone(detector)
    assert (known(expected.low), known(expected.high)) == (list(band.low), list(band.high))
    assert known(expected.surprise) == list(band.surprise)
    assert any(one and band.opens and one > band.opens for one in band.surprise)


def test_a_band_is_warm_where_the_span_begins() -> None:
    """What came before it was read as well."""
    log, settings = recorded(0, zscore(0))
    late = ALL._replace(begin=START_MS + 400_000)
    (band,), (whole,) = bands(log, settings, late, "queue").bands, bands(log, settings, ALL, "queue").bands
    assert band.times[0] == late.begin
    assert (band.low, band.high) == (whole.low[40:], whole.high[40:])


def test_only_who_looks_at_the_series_has_a_band() -> None:
    """By metric, host and name; who reads other records has none of these; one that cannot be made is left out."""
    others = (
        DetectorSettings(name="other", use="zscore", window=0, match=MatchSettings(metric="load")),
        DetectorSettings(name="there", use="zscore", window=0, match=MatchSettings(source="host-2")),
        DetectorSettings(name="wide", use="zscore", window=10_000),
        DetectorSettings(name="bad", use="no-such-detector", window=0),
    )
    log, settings = recorded(0, zscore(0), *others)
    assert ["odd"] == [one.detector for one in bands(log, settings, ALL, "queue").bands]
    assert () == bands(log, settings, ALL, "queue", "wide").bands
    assert () == bands(log, settings, ALL, "nothing").bands
