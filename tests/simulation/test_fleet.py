"""A few hours of a fleet; `make simulate` takes as many as one likes."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.simulation import past
from tests.simulation.fleet.world import DenseFleet, Fleet
from tests.simulation.run import Tally, again, simulate, within, workshop, worlds_of

HOURS = 1.0
BUDGET_S = 10.0
MANY_HOURS = 1_000.0


def _new() -> Tally:
    """Simulate new worlds for as long as every build may; a failing test shows what was printed."""
    seed = random.randrange(10**6)
    print(f"python -m tests.simulation --fleet --dense --seed {seed}")
    return simulate(within(BUDGET_S, worlds_of(seed, MANY_HOURS, DenseFleet)), DenseFleet)


def _past(kind: type[Fleet], name: str) -> Callable[[], Tally]:
    return lambda: simulate([(name, HOURS)], kind)


RUNS: dict[str, tuple[type[Fleet], Callable[[], Tally]]] = {
    **{name: (Fleet, _past(Fleet, name)) for name in past.FLEETS},
    **{name: (DenseFleet, _past(DenseFleet, name)) for name in past.DENSE},
    "new": (DenseFleet, _new),
}


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS)
def test_nothing_is_lost_or_done_wrongly(run: str) -> None:
    """No record, window, fault or command, whoever dies, freezes, is cut off or reloads; else a command repeats it."""
    kind, simulated = RUNS[run]
    tally = simulated()
    assert tally.wrongs == [], again(*tally.first_wrong, kind) if tally.first_wrong else ""
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
