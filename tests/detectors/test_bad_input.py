"""What senders may do to their series, and what the detectors make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mendline.detectors.stage import DetectStage
from mendline.schemas.series import Series, SeriesTable
from mendline.scoring import Scorer
from tests.detectors.support import BEGIN, WINDOWS, Host, Story, Window, brief, faults, rounds_stage, said, settings

LIMIT = {"name": "limit", "use": "threshold", "open": {"above": 8}, "clear": {"below": 6}}
ZSCORE = {"name": "z", "use": "zscore", "parameters": {"windows": 5, "ready": 4}}
RATE = {"name": "rate", "use": "threshold", "window": 0, "open": {"above": 100, "below": 0}}
PLAIN = Series(metric="a")


def detected(detector: dict[str, Any], *windows: tuple[Series, float]) -> list[str]:
    """Return what a detector says of one window after the other of a source, each with its own series."""
    story = Story(partition=WINDOWS)
    for number, (series, value) in enumerate(windows):
        story.wait(10)
        story.tell([Window("h1", SeriesTable([series]), [value], BEGIN + number * 10_000)])
    return brief(said(DetectStage(settings(detector, budget=1e6), WINDOWS), story.inputs()))


def test_of_a_series_that_is_there_twice_the_first_counts() -> None:
    """Two rows of one series would open and resolve one fault by turns."""
    story = Story(partition=WINDOWS)
    for number in range(5):
        story.wait(10)
        story.tell([Window("h1", SeriesTable([PLAIN, PLAIN]), [9.0, 1.0], BEGIN + number * 10_000)])
    found = faults(said(DetectStage(settings(LIMIT), WINDOWS), story.inputs()))
    assert [one.transition for one in found if one.transition != "affirmed"] == ["opened"]


def test_other_attributes_are_another_series() -> None:
    """What was learned of one disk says nothing of the next."""
    first, second = (Series(metric="a", attributes={"device": name}) for name in ("sda", "sdb"))
    assert detected(ZSCORE, *[(first, 1.0)] * 8, *[(second, 900.0)] * 3) == []


def test_another_unit_is_another_series() -> None:
    """A value in bytes is no jump of one in KiB: it is learned anew."""
    kib, by = Series(metric="a", unit="KiBy"), Series(metric="a", unit="By")
    assert detected(ZSCORE, *[(kib, 1.0)] * 8, *[(by, 1024.0)] * 3) == []
    assert detected(ZSCORE, *[(kib, 1.0)] * 8, *[(kib, 1024.0)] * 3) != []


@pytest.mark.slow
def test_a_month_of_constants_then_one_change() -> None:
    """A constant has no spread of its own; the first change opens one fault all the same."""
    told = detected({**ZSCORE, "parameters": {"windows": 60}}, *[(PLAIN, 5.0)] * 2_000, (PLAIN, 9.0))
    assert told == ["opened unusual h1"]


STATISTICS = ("auto", "zscore", "ewma", "mad", "ranks", "cusum", "change_point", "seasonal", "extremes", "calibrated")


@pytest.mark.slow
@pytest.mark.parametrize("name", STATISTICS)
def test_constants_are_nothing_and_the_first_change_is_found(name: str) -> None:
    """By each statistic, as the user of a file is told."""
    times = BEGIN + 60_000 * np.arange(4_060)
    told = Scorer(name).score(times, np.repeat([5.0, 9.0], [4_000, 60])).fault
    assert (0, True) == (int(told[:4_000].sum()), bool(told[4_000:].any()))


def test_time_that_goes_back_says_nothing() -> None:
    """A window that begins before the last one of its source is a repeat, whatever it holds."""
    story = Story(partition=WINDOWS)
    for start, value in ((10, 1.0), (20, 1.0), (10, 9.0), (0, 9.0), (30, 1.0)):
        story.wait(10)
        story.tell([Window("h1", SeriesTable([PLAIN]), [value], BEGIN + start * 1000)])
    assert brief(said(DetectStage(settings(LIMIT), WINDOWS), story.inputs())) == []


def test_a_counter_that_begins_anew_has_no_rate_then() -> None:
    """Neither a negative rate nor a huge one: none, until the next round."""
    table = SeriesTable([Series(metric="a", kind="counter")])
    story = Story()
    host = Host(story)
    for value in (1_000.0, 1_010.0, 3.0, 13.0, 23.0):
        story.wait(1)
        host.round(table, [value])
    assert brief(said(rounds_stage(settings(RATE)), story.inputs())) == []


def test_missing_values_change_nothing() -> None:
    """Neither recovery nor anything worse: the fault is open after them as before."""
    nan = float("nan")
    assert detected(LIMIT, (PLAIN, 9.0), *[(PLAIN, nan)] * 5, (PLAIN, 9.0)) == ["opened threshold h1"]
