"""Each guard says what a naive model works out from all records anew, in any story; and cancels go out as it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import settings as tune
from hypothesis import strategies as st

from mendline.responders.guards import GUARDS, Case, Guard
from mendline.responders.playbook import Proposal
from mendline.schemas.base import record_id
from mendline.schemas.records import Cancel, Command
from tests.responders.guard_stories import Story
from tests.responders.naive_guards import NaiveGuards
from tests.support.examples import examples

STEPS = 45
LOOKS_EVERY = 4
ACTIONS = ("restart", "restart", "diagnose")
UNTIL = frozenset({"healer", "breaker", "cooldown"})


def naive(story: Story) -> NaiveGuards:
    """Return what the naive model knows at this point of the story."""
    commanded = {one.intent for one in story.scene.commands if isinstance(one, Command)}
    return NaiveGuards(story.scene.entries, story.scene.settings, commanded)


def cases(story: Story) -> Iterator[Case]:
    """Yield what guards may be asked at this point of the story: one intent about each fault that is open."""
    journal = story.scene.journal
    for fault in story.open_faults():
        policy = journal.policy_for(fault)
        assert policy
        name = record_id("probe", fault.id, len(story.scene.entries))
        intent = Proposal(name, fault.id, fault.target, fault.host, story.lots.choice(ACTIONS), "auto")
        yield Case(journal, intent, policy, story.scene.settings.guards, journal.log_time)


def said(guard: Guard, case: Case) -> int | bool:
    """Return until when a guard holds, True when it does not know, False when it does not hold."""
    found = guard.check(case)
    if found is None:
        return False
    return found[1] if guard.name in UNTIL and found[1] is not None else True


@pytest.mark.slow
@given(st.integers(0, 10**6))
@tune(max_examples=examples(40))
def test_guards_say_what_the_naive_model_says(seed: int) -> None:
    """Of every open fault, again and again in the story, and until when."""
    story = Story.of(seed)
    for number, _ in enumerate(story.steps(STEPS)):
        if number % LOOKS_EVERY == 0:
            model = naive(story)
            for case in cases(story):
                expected = {one.name: getattr(model, one.name)(case.intent, case.policy) for one in GUARDS}
                assert expected == {one.name: said(one, case) for one in GUARDS}, case.intent


@pytest.mark.slow
@given(st.integers(0, 10**6))
@tune(max_examples=examples(40))
def test_what_is_not_wanted_any_more_is_called_off(seed: int) -> None:
    """Exactly what stood without an answer when its fault ended, or people stopped everything."""
    story = Story.of(seed)
    for _ in story.steps(STEPS):
        pass
    assert naive(story).called_off() == {one.intent for one in story.scene.commands if isinstance(one, Cancel)}


@pytest.mark.slow
def test_the_stories_give_each_guard_something_to_say() -> None:
    """Each holds some intents and lets others go, and some of what went out is called off: else they prove nothing."""
    answers: Counter[tuple[str, bool]] = Counter()
    for seed in range(40):
        story = Story.of(seed)
        for number, _ in enumerate(story.steps(STEPS)):
            if number % LOOKS_EVERY == 0:
                answers.update((one.name, bool(said(one, case))) for case in cases(story) for one in GUARDS)
        answers["cancel", True] += sum(isinstance(one, Cancel) for one in story.scene.commands)
    assert answers.keys() == {("cancel", True), *((one.name, held) for one in GUARDS for held in (True, False))}
