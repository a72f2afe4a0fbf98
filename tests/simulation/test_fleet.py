"""A few hours of a fleet; `make simulate` takes as many as one likes."""

from __future__ import annotations

import random

import pytest

from tests.simulation.fleet.world import Fleet
from tests.simulation.run import Tally, simulate, workshop

HOURS = 1


PAST = ("51/0", "7/3")


@pytest.fixture(name="tally", scope="module", params=[*PAST, "new"])
def _tally(request: pytest.FixtureRequest) -> Tally:
    """Simulate some hours of worlds that were and of a new one; a failing test shows what was printed."""
    name = request.param if request.param in PAST else f"{random.randrange(10**6)}/0"
    print(f"python -m tests.simulation --fleet --world {name} --hours {HOURS}")
    return simulate([(name, HOURS)], Fleet)


@pytest.mark.slow
def test_nothing_is_lost_or_done_wrongly(tally: Tally) -> None:
    """No record, window, fault or command, whoever dies, freezes, is cut off or reloads."""
    assert tally.wrongs == []
    assert tally.virtual_s >= HOURS * 3600


@pytest.mark.slow
def test_an_hour_happens_again_to_the_byte() -> None:
    """Its name decides everything: the clock of the machine and the memory do not."""
    with workshop(Fleet) as work:
        once, again, another = work("again"), work("again"), work("another")
        for fleet in (once, again, another):
            fleet.run(0.4)
    assert once.story().journal == again.story().journal
    assert once.story().deeds == again.story().deeds
    assert once.story().journal != another.story().journal
