"""One metric divided by another of the same source, and the faults that follow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mendline.detectors.configuring import configure
from mendline.detectors.ratio import Ratio
from mendline.detectors.registry import DetectorError
from mendline.detectors.stage import DetectStage
from mendline.schemas.records import Fault
from mendline.schemas.series import Series, SeriesTable
from mendline.testing.detectors import make_step
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

SHARE = {"numerator": "errors", "denominator": "requests", "floor": 10.0}
BOTH = table("errors", "cpu", "requests", service="web")


def told(one: dict[str, Any], layout: SeriesTable, rows: list[list[float]]) -> list[Fault]:
    """Return the faults that windows with these values lead to, affirmations left out."""
    story = Story(partition=WINDOWS)
    for number, values in enumerate(rows):
        story.now += 10_000
        story.tell([Window(host, layout, values, BEGIN + number * 10_000) for host in ("h1", "h2")])
    made = settings({"name": "d", "use": "ratio", "parameters": SHARE, **one})
    stage = DetectStage(made, WINDOWS)
    return [fault for fault in faults(said(stage, story.inputs())) if fault.transition != "affirmed"]


def answers(columns: list[Series], values: list[float]) -> list[float]:
    """Return the ratios of one source."""
    rule = Ratio(Ratio.Parameters(numerator="used", denominator="limit", above=0.9))
    measure = rule.step({}, make_step(np.array(values), 0, columns)).measure
    assert measure is not None
    return [float(one) for one in measure]


def test_opens_and_clears_with_bounds_and_holds_of_its_own() -> None:
    """A fault opens when the share was above its bound for a while, and resolves by another; it says of what."""
    shares = [0.01] * 3 + [0.2] + [0.01] * 3 + [0.2] * 4 + [0.07] * 5 + [0.01] * 4
    one = {"open": {"above": 0.1, "for": "30s"}, "clear": {"below": 0.05, "for": "20s"}}
    happened = told(one, BOTH, [[200.0 * share, 0.5, 200.0] for share in shares])
    assert [(f.transition, f.kind, f.target, (f.time - BEGIN) // 10_000) for f in happened] == [
        ("opened", "ratio", "h1/web", 10),
        ("opened", "ratio", "h2/web", 10),
        ("resolved", "ratio", "h1/web", 18),
        ("resolved", "ratio", "h2/web", 18),
    ]
    assert "web errors is 40 (expected: at most 20; surprise 300): 0.2 of web requests, 200" in happened[0].reason


def test_few_requests_say_nothing() -> None:
    """Where the denominator is at its floor or below there is no answer: nothing opens, and nothing resolves."""
    one = {"open": {"above": 0.1}}
    assert told(one, BOTH, [[requests, 0.0, requests] for requests in (1.0, 10.0, 0.0, -5.0)]) == []
    kept = told(one, BOTH, [[100.0, 0.0, 100.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    assert [fault.transition for fault in kept] == ["opened", "opened"]


def test_attributes_choose_the_denominator() -> None:
    """A series is divided by the one of its service that has none but its attributes, and of these the most."""
    disk = {"device": "sda"}
    columns = [
        Series(metric="used", attributes=disk | {"state": "used"}),
        Series(metric="used", attributes={"device": "sdb"}),
        Series(metric="used", service="web"),
        Series(metric="limit"),
        Series(metric="limit", attributes=disk),
        Series(metric="limit", attributes={"device": "sdc"}),
    ]
    nan = float("nan")
    assert answers(columns, [3.0, 5.0, 7.0, 10.0, 4.0, 1.0]) == pytest.approx([0.75, 0.5, *[nan] * 4], nan_ok=True)


def test_each_source_is_divided_by_its_own() -> None:
    """Sources of one step do not mix, and a value that is missing or infinite has no ratio."""
    columns = [Series(metric="limit"), Series(metric="used")]
    nan, inf = float("nan"), float("inf")
    values = [2.0, 1.0, 4.0, 1.0, nan, 1.0, 5.0, nan, inf, 1.0, 1.0, inf]
    assert answers(columns, values)[1::2] == pytest.approx([0.5, 0.25, nan, nan, nan, inf], nan_ok=True)


def test_counters_are_divided_by_their_growth_from_round_to_round() -> None:
    """On single rounds too it is the ratio of the rates of two counters, and goes on after a restart of the stage."""
    layout, story = table("errors", "requests", kind="counter"), Story()
    host = Host(story)
    for number in range(20):
        story.wait(1)
        host.round(layout, [5.0 * max(number - 9, 0), 100.0 * number])
    one = {"name": "d", "use": "ratio", "window": 0, "parameters": SHARE, "open": {"above": 0.04, "for": "6s"}}
    first, second = story.inputs([25])
    stage = rounds_stage(settings(one))
    before = said(stage, [first])
    after = said(through_snapshot(stage, rounds_stage(settings(one))), [second])
    assert (brief(before), brief(after)) == ([], ["opened ratio h1"])
    assert said(rounds_stage(settings(one)), story.inputs()) == before + after


@pytest.mark.parametrize(
    ("given", "words"),
    [({}, "give above or below"), ({"above": 1.0, "denominator": "errors"}, "both errors; give two metrics")],
)
def test_refuses(given: dict[str, Any], words: str) -> None:
    """Rules that say nothing are refused."""
    made = settings({"name": "d", "use": "ratio", "parameters": SHARE | given})
    with pytest.raises(DetectorError, match=words):
        configure(made.detectors[0], made)
