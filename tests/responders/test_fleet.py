"""Several planners on one journal: what counts for every reader, and what a planner says after a restart."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import settings as tune
from hypothesis import strategies as st

from mendline.responders import planner, sealing
from mendline.responders.journal import Journal
from mendline.responders.playbook import Policies
from mendline.schemas.stream import Input, NewRecord
from tests.responders.fleet import ATTEMPTS, PAUSE_MS, VERSIONS, Fleet, random_steps, through_json
from tests.responders.naive import Naive
from tests.responders.support import SECOND, Entry, Scene, batch_of
from tests.support.examples import examples

TRIES = {Policies.of(one).hash: attempts for one, attempts in zip(VERSIONS, ATTEMPTS, strict=True)}
MOSTLY = 0.7


def told(seed: int, *, two_versions: bool = True) -> Fleet:
    """Return the planners after a story."""
    fleet = Fleet(two_versions=two_versions)
    fleet.play(random_steps(seed))
    return fleet


def folded(entries: Iterable[Entry]) -> Journal:
    """Return what a reader makes of the journal, record by record."""
    reader = Journal()
    for entry in entries:
        reader.apply(entry.record, entry.offset, entry.log_time, entry.append_time)
    return reader


@pytest.mark.slow
@given(st.integers(0, 10**6))
@tune(max_examples=examples(250))
def test_only_what_the_naive_model_admits_is_commanded(seed: int) -> None:
    """However planners of two versions sleep, crash and repeat: every reader admits the same, each command is one."""
    fleet = told(seed)
    entries = fleet.scene.entries
    expected = Naive(entries, TRIES, PAUSE_MS).counted()
    reader = folded(entries)
    admitted = [one for fault in reader.faults.values() for one in fault.intents.values() if one.state != "void"]
    assert sorted(one.record.id for one in admitted) == sorted(expected)
    for one in fleet.planners:
        assert one.stage.journal == reader
        assert list(dict.fromkeys(command.intent for command in one.commands)) == expected
    said = {command.model_dump_json() for one in fleet.planners for command in one.commands}
    assert len(said) == len(expected)


def restarted(stage: planner.PlannerStage, scene: Scene) -> planner.PlannerStage:
    """Return a planner that goes on from the snapshot of another."""
    after = scene.new_planner()
    after.load(through_json(list(stage.dump())))
    return after


def contents(said: Iterable[NewRecord]) -> Counter[bytes]:
    """Return what was said, without its order."""
    return Counter(new.value for new in said)


def batches(entries: Sequence[Entry], lots: random.Random) -> Iterator[Input]:
    """Yield the journal in batches of any size; of most it is told that nothing younger was there."""
    begin = 0
    while begin < len(entries):
        some = entries[begin : begin + lots.choice([1, 1, 3, 8, 30])]
        begin += len(some)
        yield batch_of(some, caught_up=lots.random() < MOSTLY)


@pytest.mark.slow
@given(st.integers(0, 10**6))
@tune(max_examples=examples(80))
def test_neither_batches_nor_restarts_matter_to_a_planner(seed: int) -> None:
    """Restored anywhere, in any batches, it decides as if undisturbed, and commands and seals as in one pass."""
    with patch.object(sealing, "SEALED_EVERY_MS", 5 * SECOND), patch.object(planner, "FAULTS_PER_BLOCK", 2):
        scene, lots = told(seed, two_versions=False).scene, random.Random(seed)
        disturbed, undisturbed, at_once = (scene.new_planner() for _ in range(3))
        expected = contents(at_once.fold(batch_of(scene.entries, caught_up=False)))
        facts = Counter[bytes]()
        for batch in batches(scene.entries, lots):
            disturbed = disturbed if lots.random() < MOSTLY else restarted(disturbed, scene)
            found = contents(disturbed.fold(batch))
            assert found == contents(undisturbed.fold(batch))
            facts += Counter({value: count for value, count in found.items() if value in expected})
    assert facts == expected
    assert disturbed.journal == at_once.journal


@pytest.mark.slow
def test_the_stories_are_worth_it() -> None:
    """Some intents count, some are repeats, and some are void for each of the reasons: else they prove nothing."""
    why: Counter[str] = Counter()
    for seed in range(250):
        scene = told(seed).scene
        intents = [one for fault in folded(scene.entries).faults.values() for one in fault.intents.values()]
        why.update(one.why.partition(":")[0] or one.state for one in intents)
        why["repeat"] += len(scene.intents) - len(intents)
    assert why.keys() >= {
        *("effective", "settled", "repeat"),
        *("fault", "live", "playbook", "policies", "stop", "orders", "cooldown"),
    }
