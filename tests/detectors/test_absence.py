"""Series that are missing while their source lives, and those that are not missed."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tune
from hypothesis import strategies as st

from mendline.detectors.absence import Absence
from mendline.detectors.stage import DetectStage
from mendline.schemas.records import Fault
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings
from mendline.testing.detectors import Player, run
from tests.detectors.support import (
    BEGIN,
    WINDOWS,
    Host,
    Story,
    Window,
    brief,
    faults,
    rounds_stage,
    said,
    settings,
    table,
    through_snapshot,
)
from tests.support.examples import examples

ABSENCE = {"name": "gone", "use": "absence", "parameters": {"ready": 5}}
BOTH, ONE = table("a", "b"), table("a")


def story_of(*phases: tuple[SeriesTable, int], source: str = "h1") -> Story:
    """Return a story of windows of a source, so many with each layout; every series has a value in each."""
    story, number = Story(partition=WINDOWS), 0
    for layout, count in phases:
        for _ in range(count):
            story.now += 10_000
            story.tell([Window(source, layout, [1.0] * len(layout), BEGIN + number * 10_000)])
            number += 1
    return story


def told(story: Story, **more: Any) -> list[Fault]:
    """Return the faults of the story, affirmations left out; they must not depend on the batches."""
    made = settings(ABSENCE, **more)
    whole = said(DetectStage(made, WINDOWS), story.inputs())
    assert said(DetectStage(made, WINDOWS), story.inputs(range(len(story.told)))) == whole
    return [fault for fault in faults(whole) if fault.transition != "affirmed"]


def in_brief(found: list[Fault]) -> list[tuple[str, str, int]]:
    """Return transition, series, and the number of the window it was seen in."""
    return [(one.transition, one.evidence.series, (one.time - BEGIN) // 10_000 - 1) for one in found]


def test_a_metric_that_vanishes_while_its_source_lives() -> None:
    """A series that is not among those of its source any more is a fault after three intervals, until it is back."""
    found = told(story_of((BOTH, 20), (ONE, 10), (BOTH, 5)))
    assert in_brief(found) == [("opened", "b", 23), ("resolved", "b", 30)]
    assert (found[0].kind, found[0].target) == ("absent", "h1")
    assert "b is missing (surprise 300): it has been missing for 40 s" in found[0].reason
    assert "came every 10 s or more often" in found[0].reason


def test_it_may_come_back_under_another_layout() -> None:
    """A fault resolves under whatever layout its series comes again."""
    assert in_brief(told(story_of((BOTH, 20), (ONE, 10), (table("c", "b", "a"), 5)))) == [
        ("opened", "b", 23), ("resolved", "b", 30),
    ]  # fmt: skip


def test_layouts_that_follow_each_other() -> None:
    """A series that vanished two layouts ago is missed, and each is missed once."""
    story = story_of((table("a", "b", "c"), 20), (table("b", "c"), 2), (table("c", "d"), 10))
    assert in_brief(told(story)) == [("opened", "a", 23), ("opened", "b", 25)]


def test_values_that_are_missing_from_a_layout() -> None:
    """A series whose values are missing is missed as one that is not there."""
    story = Story(partition=WINDOWS)
    for number in range(30):
        story.now += 10_000
        value = math.nan if 15 <= number < 25 else 1.0
        story.tell([Window("h1", BOTH, [1.0, value], BEGIN + number * 10_000)])
    assert in_brief(told(story)) == [("opened", "b", 18), ("resolved", "b", 25)]


@pytest.mark.parametrize("every", [1, 2, 6])
def test_its_own_usual_interval(every: int) -> None:
    """What comes with each so many windows is missing after three times as many, and the measure counts in these."""
    values = [1.0 if not number % every else math.nan for number in range(40 * every)]
    measure = run(Absence, {}, values + [math.nan] * 4 * every).measure
    assert measure is not None
    last = 39 * every
    assert np.nanmax(measure[:last]) < 1.0
    assert int(np.flatnonzero(measure > 3.0)[0]) == last + 3 * every + 1


@pytest.mark.slow
def test_what_comes_at_random_is_not_missed() -> None:
    """Series that come at random, every second window or every tenth in the mean, are next to never missed."""
    there = np.random.default_rng(2).random((4000, 300)) < np.repeat([0.5, 0.3, 0.1], 100)
    player = Player(Absence, {}, 300)
    missed = 0
    for number, row in enumerate(np.where(there, 1.0, np.nan)):
        measure = player.step(row, number).measure
        assert measure is not None
        missed += int((measure > 3.0).sum()) if number > 1000 else 0
    assert missed <= 5


def test_an_outage_does_not_blind() -> None:
    """After an hour of absence it counts as one of three intervals: the next is seen after nine."""
    values = [1.0] * 100 + [math.nan] * 360 + [1.0] * 100 + [math.nan] * 20
    measure = run(Absence, {}, values).measure
    assert measure is not None
    assert int(np.flatnonzero(measure[560:] > 3.0)[0]) == 9
    again = run(Absence, {"memory": 40, "ready": 30}, values).measure
    assert again is not None
    assert int(np.flatnonzero(again[560:] > 3.0)[0]) == 3


def test_a_source_that_was_silent_or_left_is_no_absence() -> None:
    """Time in which the source itself was not heard of does not count, whyever, and after it nothing opens."""
    story = story_of((BOTH, 20))
    story.wait(3600)
    story.tell([Window("h1", BOTH, [1.0, 1.0], BEGIN + 10_000 * 400)])
    story.tell([Window("h1", ONE, [1.0], BEGIN + 10_000 * 401)])
    story.tell([Window("h1", BOTH, [1.0, 1.0], BEGIN + 10_000 * 402)])
    assert told(story) == []


def test_a_client_that_writes_its_series_in_turns() -> None:
    """Layouts that share no series do not miss each other's."""
    story = Story(partition=WINDOWS)
    for number in range(60):
        story.now += 10_000
        layout = ONE if number % 10 else table("c")
        story.tell([Window("h1", layout, [1.0], BEGIN + number * 10_000)])
    assert told(story) == []


@pytest.mark.slow
def test_a_series_of_another_unit_is_another() -> None:
    """One that goes on in another unit is not missed in the old one, and an open fault of the old one is orphaned."""
    other = SeriesTable([Series(metric="a"), Series(metric="b", unit="ms")])
    assert told(story_of((BOTH, 20), (other, 90))) == []
    story = story_of((BOTH, 20), (ONE, 10), (other, 2))
    story.wait(700)
    found = told(story)
    assert [one.transition for one in found] == ["opened", "orphaned"]


def test_what_was_there_once_is_not_missed() -> None:
    """A series that has not yet been there for as many intervals as it takes to know it is not missed."""
    assert told(story_of((BOTH, 5), (ONE, 50))) == []


def test_what_is_gone_for_a_day_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of a series that stays away for a day (here: two minutes) is orphaned, and its rows are let go."""
    for module in ("pools", "series_faults", "board", "vanished"):
        monkeypatch.setattr(f"mendline.detectors.{module}.FORGET_MS", 120_000)
    story = Story(partition=WINDOWS)
    for number in range(200):
        story.wait(1)
        story.tell(
            [Window("h1", BOTH if number < 20 else ONE, [1.0, 1.0][: 1 + (number < 20)], BEGIN + number * 10_000)]
        )
    stage = DetectStage(settings(ABSENCE), WINDOWS)
    assert brief(said(stage, story.inputs(range(0, 400, 7)))) == ["opened absent h1", "orphaned absent h1"]
    assert len([block for block in stage.dump() if "pool" in block.values]) == 1


def test_missing_values_age() -> None:
    """Values that are missing from a layout for as long as a fault may be old are the usual from then on."""
    story = Story(partition=WINDOWS)
    for number in range(80):
        story.now += 10_000
        value = math.nan if number >= 15 else 1.0
        story.tell([Window("h1", BOTH, [1.0, value], BEGIN + number * 10_000)])
    found = told(story, faults={"max_age": "5m"})
    assert [one.transition for one in found] == ["opened", "orphaned"]
    assert "which is the usual by now" in found[1].ended


def test_on_single_rounds() -> None:
    """Rounds are missed as windows are, in numbers of them."""
    story = Story()
    host = Host(story)
    for number in range(40):
        story.wait(1)
        host.round(BOTH if number < 20 else ONE, [1.0, 1.0][: 1 + (number < 20)])
    found = faults(said(rounds_stage(settings(ABSENCE | {"window": 0})), story.inputs()))
    assert [(one.transition, one.evidence.series) for one in found] == [("opened", "b")]
    assert "missing for 4 rounds of its source's life, and came every 1 round " in found[0].reason


# What it must not depend on ------------------------------------------------------------------------------------------


def random_story(seed: int, length: int = 60) -> tuple[Settings, Story]:
    """Return a story of sources whose layouts are random choices of a few series, some of two units."""
    lots = random.Random(seed)
    every = [Series(metric=name, unit=unit) for name in "abcd" for unit in ("1", "1", "ms")]
    layouts = [SeriesTable(list({one.label: one for one in lots.sample(every, 4)}.values())) for _ in range(5)]
    story, using = Story(partition=WINDOWS), {f"h{number}": layouts[number] for number in range(3)}
    starts = dict.fromkeys(using, BEGIN)
    for _ in range(length):
        record = []
        for source in lots.sample(sorted(using), lots.randint(0, 3)):
            if lots.random() < 0.25:
                using[source] = lots.choice(layouts)
            starts[source] += lots.choice([10_000, 10_000, 10_000, 0])
            values = [lots.choice([1.0, 1.0, 1.0, math.nan]) for _ in using[source].series]
            record.append(Window(source, using[source], values, starts[source]))
        story.now += lots.choice([1, 10_000])
        story.tell(record)
        if lots.random() < 0.05:
            story.wait(lots.choice([5, 70, 700]))
    given = {**ABSENCE, "parameters": {"above": 1.5, "ready": 2, "memory": 4}}
    return settings(given, faults={"max_age": "3m"}), story


@pytest.mark.slow
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 59)))
@tune(max_examples=examples(15), deadline=None)
def test_neither_batches_nor_the_order_of_sources_matter(seed: int, cuts: list[int]) -> None:
    """What is said depends neither on where batches end nor on the order of windows within a record."""
    made, story = random_story(seed)
    expected = said(DetectStage(made, WINDOWS), story.inputs())
    assert said(DetectStage(made, WINDOWS), story.inputs(cuts)) == expected
    turned = [(time, item[::-1] if isinstance(item, list) else item) for time, item in story.told]
    assert said(DetectStage(made, WINDOWS), Story(turned, partition=WINDOWS).inputs(cuts)) == expected


@pytest.mark.slow
@given(seed=st.integers(0, 10**6), at=st.integers(1, 58))
@tune(max_examples=examples(15), deadline=None)
def test_restore_at_any_place(seed: int, at: int) -> None:
    """A stage that is restored anywhere goes on exactly as the one that was not."""
    made, story = random_story(seed)
    before, *after = story.inputs([at])
    stage = DetectStage(made, WINDOWS)
    said(stage, [before])
    restored = through_snapshot(stage, DetectStage(made, WINDOWS))
    assert said(restored, after) == said(stage, after)


@pytest.mark.slow
def test_stories_are_worth_it() -> None:
    """The random stories open, resolve and orphan faults: else they prove nothing."""
    found = []
    for seed in range(20):
        made, story = random_story(seed)
        found += faults(said(DetectStage(made, WINDOWS), story.inputs()))
    assert {one.transition for one in found} >= {"opened", "resolved", "orphaned"}
