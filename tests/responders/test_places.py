"""The index of faults says what all faults say, however the fold came to be."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import settings as tune
from hypothesis import strategies as st

from mendline.responders.facts import service_of
from mendline.responders.journal import KEEP_FAULTS, KEEP_MS, Journal
from mendline.responders.planner import load_journal
from tests.responders.fleet import Fleet, random_steps, through_json
from tests.responders.support import Scene, fault, order, policy, settings
from tests.support.examples import examples


def agrees(journal: Journal) -> None:
    """Compare the index with a walk over all faults."""
    open_now = list(journal.open_faults())
    sick = Counter(service_of(target) for target in {one.latest.target for one in open_now})
    for target in {one.latest.target for one in journal.faults.values()}:
        assert list(journal.open_on(target)) == [one for one in open_now if one.latest.target == target]
    assert all(journal.sick_of(service) == sick[service] for service in journal.targets)


@pytest.mark.slow
@given(st.integers(0, 10**6))
@tune(max_examples=examples(60))
def test_the_index_agrees_with_all_faults(seed: int) -> None:
    """After any story, and in the fold that a snapshot of it gives."""
    fleet = Fleet()
    fleet.play(random_steps(seed))
    stage = fleet.planners[0].stage
    agrees(stage.journal)
    restored = load_journal(through_json(list(stage.dump())))
    assert restored.places == stage.journal.places
    agrees(restored)


def test_what_is_forgotten_is_not_in_the_index() -> None:
    """A fault that left the fold is not counted, and its target is not kept."""
    scene = Scene(settings(policy("shadow")))
    for number in range(3):
        scene.say(fault(f"host-{number}/web"), fault(f"host-{number}/web", transition="resolved", revision=1))
    scene.say(fault("host-2/web", name="again"))
    scene.now += KEEP_MS + 1
    scene.say(order("note"))
    assert len(scene.journal.faults) == 1 < KEEP_FAULTS
    assert [scene.journal.places.faults_of(f"host-{number}/web") for number in range(2)] == [(), ()]
    agrees(scene.journal)


def test_a_fault_that_moves_is_found_where_it_is_now() -> None:
    """Nobody writes so; if somebody does, no reader falls over it."""
    scene = Scene(settings(policy("shadow")))
    first = fault()
    scene.say(first, first.model_copy(update={"target": "host-2/db", "revision": 1}))
    assert list(scene.journal.open_on("host-1/web")) == []
    agrees(scene.journal)
