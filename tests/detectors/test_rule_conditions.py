"""Every rule opens by one condition and clears by another, each with a hold of its own."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mendline.detectors.stage import DetectStage
from mendline.schemas.series import SeriesTable
from tests.detectors.support import BEGIN, WINDOWS, Story, Window, faults, said, settings, table

MOVING = [float(5 + number % 3) for number in range(200)]
STEEP = [50.0 * number for number in range(60)]
GAUGE, COUNTER, TWO = table("m"), table("m", kind="counter"), table("m", "whole")
RULES: dict[str, tuple[dict[str, Any], dict[str, Any], SeriesTable, list[float]]] = {
    "threshold": ({"above": 8.0}, {"below": 6.5}, GAUGE, [*MOVING, *[9.0] * 60]),
    "threshold of a rate": ({"above": 2.0}, {"below": 1.0}, GAUGE, [*MOVING, *STEEP]),
    "n_of_m": ({"above": 2.5}, {"below": 1.0}, GAUGE, [*MOVING, *[9.0] * 60]),
    "ratio": ({"above": 0.8}, {"below": 0.75}, TWO, [*MOVING, *[9.0] * 60]),
    "absence": ({"above": 3.0}, {"below": 1.0}, GAUGE, [*MOVING, *[math.nan] * 60]),
    "flat_line": ({"above": 6.0}, {"below": 1.0}, GAUGE, [*MOVING, *[9.0] * 60]),
    "stuck": ({"above": 6.0}, {"below": 1.0}, COUNTER, [*MOVING, *[0.0] * 60]),
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "threshold of a rate": {"of": "rate"},
    "n_of_m": {"high": 8.0},
    "ratio": {"numerator": "m", "denominator": "whole"},
}


def windows_told(rule: str, opens: dict[str, Any], clears: dict[str, Any] | None, after: int = 0) -> list[int]:
    """Return the numbers of the windows in which a fault opened and resolved, in turns."""
    _, _, layout, values = RULES[rule]
    story = Story(partition=WINDOWS)
    for number, value in enumerate([*values, *MOVING[after : after + 30]]):
        story.now += 10_000
        # The statistic `rate` of these windows is twice their value, which is the same to a rule about progress.
        story.tell([Window("h1", layout, [value, 10.0][: len(layout)], BEGIN + number * 10_000)])
    one = {
        "name": "d",
        "use": rule.split(maxsplit=1)[0],
        "parameters": PARAMETERS.get(rule, {}),
        "open": opens,
        "clear": clears,
    }
    made = faults(said(DetectStage(settings(one), WINDOWS), story.inputs()))
    told = [fault for fault in made if fault.transition in {"opened", "resolved"}]
    assert [fault.transition for fault in told] == ["opened", "resolved"]
    return [(fault.time - BEGIN) // 10_000 - 1 for fault in told]


@pytest.mark.parametrize("rule", RULES)
def test_open_and_clear_have_holds_of_their_own(rule: str) -> None:
    """With holds of 30 s and 20 s a fault opens two windows of 10 s later, and resolves one later."""
    opens, clears, _, values = RULES[rule]
    opened, resolved = windows_told(rule, opens, clears)
    assert 200 <= opened < len(values) <= resolved
    if rule not in {"n_of_m", "threshold of a rate"}:
        assert resolved <= len(values) + 1
    held = windows_told(rule, opens | {"for": "30s"}, clears | {"for": "20s"})
    assert held[0] == opened + 2
    assert held[1] > resolved


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "good"), [("threshold", 6.5), ("ratio", 0.65)])
def test_between_the_two_conditions_a_fault_stays(rule: str, good: float) -> None:
    """A value that is no more bad and not yet good keeps a fault open; without `clear` what is not bad is good."""
    opens, _, _, values = RULES[rule]
    # The first window after the bad ones is 7: between; the second is 5.
    assert windows_told(rule, opens, None, after=2)[1] == len(values)
    assert windows_told(rule, opens, {"below": good}, after=2)[1] == len(values) + 1
    assert windows_told(rule, opens, {"below": good, "for": "20s"}, after=2)[1] == len(values) + 2
