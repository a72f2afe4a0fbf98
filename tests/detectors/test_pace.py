"""Single rounds and `for`: what breaks a hold goes by the intervals in which a series comes, not by the settings."""

from __future__ import annotations

import math

import pytest

from mendline.detectors.stage import RoundsStage
from tests.detectors.support import Host, Round, Story, brief, faults, rounds_stage, said, settings, table

HELD = {
    "name": "raw", "use": "threshold", "window": 0,
    "open": {"above": 8, "for": "60s"}, "clear": {"below": 8, "for": "20s"},
}  # fmt: skip
ONE = table("load")
OTHER = table("load", "swap")
OPENED = ["opened threshold h1"]


def story_of(*steps: float, value: float = 9.0) -> Story:
    """Return a story of a host that makes a round after each of the steps, in seconds, all of them bad."""
    story = Story()
    host = Host(story)
    for step in steps:
        story.wait(step)
        host.round(ONE, [value])
    return story


def stage() -> RoundsStage:
    """Return a stage of a member whose own interval is a second."""
    return rounds_stage(settings(HELD, liveness={"silent_after": "1h"}))


def opened_after(*steps: float) -> float | None:
    """Return after how many seconds from the first round a fault opens."""
    told = faults(said(stage(), story_of(*steps).inputs()))
    first = story_of(*steps[:1]).now
    return (told[0].evidence.event_time - first) / 1000 if told else None


@pytest.mark.parametrize("interval", [0.1, 0.5, 1, 2, 3, 3.5, 5, 10, 15, 30, 60, 300])
def test_a_hold_is_known_at_any_interval(interval: float) -> None:
    """A fault opens when it has lasted, counted at the latest from the fourth round, however seldom those come."""
    after = opened_after(*[interval] * math.ceil(60 / interval + 4))
    assert after is not None
    assert 60 <= after <= max(60, math.ceil(60 / interval) * interval) + 3 * interval


@pytest.mark.parametrize(
    ("steps", "opens"),
    [
        ([10] * 6, True),  # nothing happens
        ([29, 10, 10, 11], True),  # two rounds are missing
        ([31, 10, 10, 10], False),  # three are
        ([31, 10, 10, 31, 10], False),  # twice in eight rounds: the first has not made the second usual
        ([19, 1] * 3, True),  # rounds that were held up, each with the next on its heels
        ([1] * 60, True),  # it measures more often from now on
        ([0.25, 0.25, 0.25, 9.25] * 6, True),  # it tells four rounds at a time
    ],
)
def test_what_breaks_a_hold(steps: list[float], opens: bool) -> None:
    """A hold goes on over less than three of its source's own intervals and not over more."""
    healthy = story_of(*[10] * 12, value=1.0)
    host = Host(healthy, sequence=12)
    for step in [10, *steps]:
        healthy.wait(step)
        host.round(ONE, [9.0])
    assert brief(said(stage(), healthy.inputs())) == (OPENED if opens else [])


def test_an_interval_that_changes_is_known_after_two() -> None:
    """The third round of a source that measures more seldom from now on is no gap."""
    assert opened_after(*[1] * 30, *[20] * 5) == 29 + 20 * 5


def test_a_series_goes_by_its_own_rounds() -> None:
    """What is asked every ten seconds of a source that measures every second opens as well."""
    story = Story()
    host = Host(story)
    for second in range(120):
        story.wait(1)
        host.round(OTHER, [9.0 if second % 10 == 0 else math.nan, 1.0])
    assert brief(said(stage(), story.inputs())) == OPENED


@pytest.mark.parametrize("jump", [-3_600_000, 3_600_000])
def test_a_clock_that_jumps_spoils_nothing(jump: int) -> None:
    """After a step of an hour the interval is what it was, and the hold begins anew."""
    story = story_of(*[10] * 3)
    for number in range(8):
        story.wait(10)
        story.tell(Round("h1", ONE, [9.0], story.now + jump, 1, 4 + number))
    (opened,) = faults(said(stage(), story.inputs()))
    assert opened.evidence.event_time == story.now + jump - 10_000
