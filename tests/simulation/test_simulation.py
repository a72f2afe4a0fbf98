"""A bounded part of the simulation; `make simulate` does as much as one likes."""

from __future__ import annotations

import json
import random

import pytest

from mendline.responders import executor
from tests.simulation import past
from tests.simulation.__main__ import main
from tests.simulation.run import Tally, again, simulate, workshop, worlds_of
from tests.simulation.story import Story
from tests.simulation.world import World

INCIDENTS = 120


@pytest.fixture(name="tally", scope="module")
def _tally() -> Tally:
    """Simulate incidents from a new seed; a failing test shows what was printed."""
    seed = random.randrange(10**6)
    print(f"make simulate SEED={seed} INCIDENTS={INCIDENTS}")
    return simulate(worlds_of(seed, INCIDENTS))


@pytest.mark.slow
def test_no_action_does_harm(tally: Tally) -> None:
    """None without a live fault, none repeated, none that is not allowed or against a guard, and no fault forgotten."""
    assert tally.wrongs == [], again(*tally.first_wrong) if tally.first_wrong else ""


@pytest.mark.slow
def test_no_action_does_harm_where_one_did_once() -> None:
    """In the worlds in which something was wrong, of which there may be none."""
    assert simulate((name, World.per_world) for name in past.INCIDENTS).wrongs == []


@pytest.mark.slow
def test_the_worlds_are_worth_it(tally: Tally) -> None:
    """Much is done, much is mended and much goes wrong: else they prove nothing."""
    assert tally.deeds > INCIDENTS / 10
    assert {"mended", "not mended", "outcome refused", "outcome succeeded"} <= tally.happened.keys()
    assert len(tally.harms) > 10


def told(world: World) -> Story:
    """Return what happens in a world."""
    world.run(20)
    return world.story()


@pytest.mark.slow
def test_a_world_happens_again_to_the_byte() -> None:
    """Its name decides everything: the order of threads, the clock of the machine and the memory do not."""
    with workshop() as work:
        once, again, another = (told(work(name)) for name in ("again", "again", "another"))
    assert once.journal == again.journal
    assert once.commands == again.commands
    assert once.deeds == again.deeds
    assert once.journal != another.journal


@pytest.mark.slow
def test_what_is_wrong_is_told_with_the_one_command_that_repeats_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no more incidents than it takes; here hosts do what they do not allow."""
    refusals = [one for one in executor.REFUSALS if one is not executor._not_allowed]
    monkeypatch.setattr(executor, "REFUSALS", refusals)
    assert main(["--world", "wrong", "--incidents", "20", "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["outside_allow"] > 0
    *_, again = said.err.splitlines()
    command = "again: python -m tests.simulation --world wrong --incidents "
    assert again.startswith(command)
    assert 0 < int(again.removeprefix(command)) <= 20
    assert main(again.removeprefix("again: python -m tests.simulation ").split()) == 1
