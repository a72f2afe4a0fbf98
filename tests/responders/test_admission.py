"""Admission: which intents count, for every reader alike, whatever zombies write."""

from __future__ import annotations

import pytest

from mendline.responders.playbook import intent_id
from mendline.schemas.records import Command, Intent
from tests.responders.support import (
    Scene,
    batch_of,
    fault,
    order,
    outcome,
    settings,
)


def late(scene: Scene, **changes: object) -> Intent:
    """Return the intent that a planner which saw only the fault would write now, changed a little."""
    zombie = Scene(scene.settings)
    zombie.append(fault())
    (entry,) = zombie.entries[-1:]
    zombie.take(zombie.stage.fold(batch_of([entry])))
    return zombie.intents[0].model_copy(update=changes)


def test_the_first_intent_with_an_id_counts_and_a_repeat_does_not() -> None:
    """A zombie that writes the same intent again changes nothing."""
    scene = Scene()
    scene.say(fault())
    before = scene.journal.model_copy(deep=True)
    scene.say(late(scene))
    assert len(scene.commands) == 1
    assert scene.journal.faults == before.faults


def test_a_zombies_intent_that_is_still_called_for_is_as_good_as_any() -> None:
    """Who wrote it does not matter: the living planner's own is then the repeat."""
    scene = Scene()
    scene.append(fault())
    scene.append(late(scene))
    scene.run()
    assert scene.states() == ["effective"]
    assert len(scene.commands) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"action": "format-disk"},
        {"parameters": {"force": True}},
        {"target": "host-2/web"},
        {"host": "host-2"},
        {"mode": "ask"},
        {"step": 1},
        {"attempt": 1},
        {"id": "made-up"},
        {"policy": "another"},
        {"policy_hash": "of other policies"},
        {"timeout_ms": 1},
        {"basis": 1_000_000},
        {"fault": "unknown"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_intent_that_the_playbook_does_not_call_for_is_void(change: dict[str, object]) -> None:
    """Whatever it differs in, no command follows from it."""
    scene = Scene()
    scene.append(fault())
    intent = late(scene, **change)
    scene.append(intent)
    scene.run()
    assert all(command.intent != intent.id or intent.id == scene.intents[-1].id for command in scene.commands)
    assert scene.states().count("effective") == 1
    assert [one.action for one in scene.commands if isinstance(one, Command)] == ["restart"]


def test_a_late_intent_about_a_resolved_fault_is_void() -> None:
    """What is over is not acted on."""
    scene = Scene()
    intent = late(scene)
    scene.say(order("maintenance", "web"))
    scene.say(fault(), fault(transition="resolved", revision=1))
    scene.say(intent)
    assert scene.states() == ["void"]


def test_a_late_intent_is_judged_by_the_guards_at_its_own_place() -> None:
    """A stop that came before it in the journal voids it, though its writer did not know."""
    scene = Scene()
    intent = late(scene)
    scene.say(order("stop"))
    scene.say(fault())
    scene.say(intent)
    assert scene.states() == ["void"]
    assert not scene.commands


def test_attempts_that_somebody_left_out_are_no_trap() -> None:
    """A void intent with a high attempt number does not make the planner run into its id later."""
    scene = Scene(settings(cooldown=0, attempts=100))
    intent = late(scene, attempt=2, id=intent_id(fault().id, 0, 2))
    scene.append(fault())
    scene.say(intent)
    for _ in range(3):
        scene.say(outcome(scene.intents[-1], "failed"))
    assert [one.attempt for one in scene.intents] == [2, 3, 4, 5]
    assert scene.holds[-1] == "escalated"


def test_a_void_intent_uses_up_its_id_but_is_no_try() -> None:
    """The next intent has another attempt number, and all three tries are still there."""
    scene = Scene(settings(cooldown=0))
    intent = late(scene)
    scene.say(order("maintenance", "web"))
    scene.say(fault())
    scene.say(intent)
    scene.say(order("maintenance", "web", active=False))
    for _ in range(3):
        scene.say(outcome(scene.intents[-1], "failed"))
    assert [one.attempt for one in scene.intents] == [0, 1, 2, 3]
    assert scene.holds[-1] == "escalated"
