"""The checkers are checked: each deliberate defect is found, as the promise that it breaks."""

from __future__ import annotations

import pytest

from tests.simulation.defects import DEFECTS
from tests.simulation.judge import Judge
from tests.simulation.run import workshop

pytestmark = pytest.mark.heavy

INCIDENTS = 40
CALM_MS = 20_000
MOST_WORLDS = 60


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(name: str) -> None:
    """Within a few small worlds, amid harm that brings it out."""
    defect = DEFECTS[name]
    with defect.in_place(), workshop() as work:
        for number in (*range(defect.first, MOST_WORLDS), *range(defect.first)):
            world = work(f"{name}/{number}", harms=defect.amid)
            world.run(INCIDENTS, CALM_MS)
            if any(wrong.kind == defect.breaks for wrong in Judge(world.story()).wrongs()):
                return
    pytest.fail(f"nobody saw that {name}")
