"""What a person is asked, before and while it counts: who may say yes, how long, and what is known of it by then."""

from __future__ import annotations

from pathlib import Path

import pytest

from mendline.keys import key_ring
from mendline.responders.journal import ASK_WITHIN_MS
from mendline.responders.questions import Past, Question, past_of, question
from mendline.schemas.records import Fault, Order
from mendline.schemas.settings import Settings, StepSettings
from tests.responders.fleet import through_json
from tests.responders.support import SECOND, START_MS, Scene, fault, order, outcome, policy, settings

STEPS = (
    StepSettings(action="restart", attempts=2, timeout=5 * SECOND, verify=10 * SECOND),
    StepSettings(action="rollback_config", timeout=9 * SECOND, verify=20 * SECOND),
)
MINUTE = 60 * SECOND


def asked(scene: Scene, about: Fault | None = None) -> Question | None:
    """Return what is asked about a fault."""
    return question(scene.journal, scene.journal.faults[(about or fault()).id])


def mended(scene: Scene, about: Fault, after_ms: int, *, helped: bool = True) -> None:
    """Let what is asked be done, and help after so long, or not."""
    scene.say(about)
    scene.say(order("approve", about.id))
    scene.say(outcome(scene.intents[-1]))
    scene.now += after_ms
    if not helped:
        scene.tick(20 * SECOND)
    scene.say(about.model_copy(update={"transition": "resolved", "revision": 9}))
    scene.tick(MINUTE)


def test_the_proposal_is_what_a_yes_sets_off() -> None:
    """The step, its parameters and bounds, and how long there is to answer."""
    scene = Scene(settings(policy("ask", *STEPS)))
    scene.say(fault())
    scene.tick(2 * MINUTE)
    found = asked(scene)
    assert found is not None
    assert (found.subject, found.action, found.target) == (scene.intents[0].id, "restart", "host-1/web")
    assert (found.step, found.steps, found.attempt, found.attempts) == (1, 2, 1, 2)
    assert (found.timeout_ms, found.verify_ms, found.left_ms) == (5 * SECOND, 10 * SECOND, ASK_WITHIN_MS - 2 * MINUTE)


def test_nobody_is_asked_about_what_is_done_by_itself_or_over() -> None:
    """Nor about what is at work, nor where no policy is about the fault."""
    scene = Scene(settings(policy("auto", *STEPS)))
    scene.say(fault())
    assert asked(scene) is None
    scene = Scene(settings(policy("ask", *STEPS), policy("auto", target="db")))
    scene.say(fault(), fault("host-1", name="unusual"))
    scene.say(order("approve", fault().id))
    assert asked(scene) is None
    scene.say(fault(transition="resolved", revision=1))
    assert asked(scene) is None


def test_what_was_given_up_asks_for_one_more_try() -> None:
    """Of the last deed, for as long as the fault is open."""
    scene = Scene(settings(policy("auto", StepSettings(action="restart", attempts=1, verify=SECOND)), cooldown=0))
    scene.say(fault())
    scene.say(outcome(scene.intents[0]))
    scene.tick(3 * SECOND)
    assert scene.holds[-1] == "escalated"
    found = asked(scene)
    assert found is not None
    assert (found.subject, found.action, found.attempt, found.left_ms) == (fault().id, "restart", 2, None)
    scene.say(order("approve", found.subject))
    assert ([0, 1], None) == ([one.attempt for one in scene.intents], asked(scene))


def test_it_tells_what_each_guard_says_and_whether_a_yes_counts_more() -> None:
    """All of them, not only the first; and for how long yet."""
    scene = Scene(settings(policy("ask", *STEPS), concurrent=1))
    scene.say(fault(), fault("host-2/web"))
    assert (found := asked(scene))
    assert found.against == ()
    scene.say(order("approve", fault("host-2/web").id))
    scene.say(order("silence", "host-1/web", expires=START_MS + 30 * SECOND), order("stop"))
    scene.tick(10 * SECOND)
    assert (found := asked(scene))
    assert {one.guard: (one.overruled, one.wait_ms) for one in found.against} == {
        "stop": (False, None),
        "orders": (True, 20 * SECOND),
        "concurrency": (False, None),
    }
    assert ["ann stopped everything", "silence of host-1/web by ann", "1 action is at work already"] == [
        one.reason for one in found.against
    ]


def test_it_tells_how_the_same_went_before() -> None:
    """About the same kind of fault: on this target, and on other hosts; what was refused was no try."""
    steps = (StepSettings(action="restart", attempts=9, timeout=5 * SECOND, verify=10 * SECOND),)
    scene = Scene(settings(policy("ask", *steps), cooldown=0, attempts=1000))
    for number, (target, after_ms) in enumerate([("host-1/web", 1), ("host-1/web", 3), ("host-2/web", 7)]):
        begun = START_MS + scene.now
        mended(scene, fault(target, id=f"f{number}", time=begun, opened_at=begun), after_ms * SECOND)
        scene.tick(11 * MINUTE)
    scene.say(fault(id="other", name="hung", time=scene.time()), fault(id="now", time=scene.time()))
    found = question(scene.journal, scene.journal.faults["now"])
    assert found is not None
    assert found.here == Past(2, 2, 0, 2 * SECOND)
    assert found.elsewhere == Past(1, 1, 0, 7 * SECOND)
    other = question(scene.journal, scene.journal.faults["other"])
    assert other is not None
    assert (other.here, other.elsewhere) == (Past(), Past())


def test_what_mended_for_a_while_is_told_as_both_mended_and_back() -> None:
    """As the report counts it: that the fault was back soon does not undo that it was over."""
    steps = (StepSettings(action="restart", attempts=9, timeout=5 * SECOND, verify=10 * SECOND),)
    scene = Scene(settings(policy("ask", *steps), cooldown=0, attempts=1000))
    for number in range(2):
        mended(scene, fault(id=f"f{number}", time=scene.time(), opened_at=scene.time()), SECOND)
    mended(scene, fault(id="f2", time=scene.time(), opened_at=scene.time()), SECOND, helped=False)
    scene.say(fault(id="now", time=scene.time(), opened_at=scene.time()))
    assert (found := question(scene.journal, scene.journal.faults["now"]))
    assert (3, 2, 2) == found.here[:3]


@pytest.mark.parametrize("together", [False, True])
def test_what_is_back_is_so_in_whatever_batches_it_is_read(*, together: bool) -> None:
    """Whether the first one was mended is told after both were read, where a planner was away."""
    steps = (StepSettings(action="restart", attempts=9, timeout=5 * SECOND, verify=10 * SECOND),)
    scene = Scene(settings(policy("auto", *steps), cooldown=0, attempts=9))
    first = fault(id="first", time=scene.time(), opened_at=scene.time())
    scene.say(first)
    scene.say(outcome(scene.intents[-1]))
    scene.tick(SECOND)
    over = first.model_copy(update={"transition": "resolved", "revision": 1, "time": scene.time()})
    back = fault(id="back", time=scene.time(), opened_at=scene.time())
    for records in [(over, back)] if together else [(over,), (back,)]:
        scene.say(*records)
    assert past_of(scene.journal.actions_on("host-1/web"))[:3] == (1, 1, 1)


def test_an_approval_counts_after_the_planner_has_restarted() -> None:
    """From its snapshot, and from the journal alone: what asks goes on asking, and the yes is heard."""
    scene = Scene(settings(policy("ask", *STEPS)))
    scene.say(fault())
    heir = scene.new_planner()
    heir.load(through_json(list(scene.stage.dump())))
    scene.stage = heir
    scene.tick(MINUTE)
    assert (scene.states(), len(scene.intents)) == (["asking"], 1)
    scene.say(order("approve", fault().id))
    assert (scene.states(), len(scene.commands)) == (["effective"], 1)
    scene.stage, scene._read = scene.new_planner(), 0
    scene.run()
    assert (scene.states(), len(scene.intents), len({one.id for one in scene.commands})) == (["effective"], 1, 1)
    assert (answer := scene.journal.faults[fault().id].intents[scene.intents[0].id].answer)
    assert (answer.by, answer.kind, answer.time) == ("ann", "approve", START_MS)


@pytest.mark.parametrize(("passed_ms", "commands"), [(ASK_WITHIN_MS, 1), (ASK_WITHIN_MS + 1, 0)])
def test_a_question_expires_by_the_journals_own_time(passed_ms: int, commands: int) -> None:
    """Whatever the clock of whoever answers says; a yes that was appended too late counts for nothing."""
    scene = Scene(settings(policy("ask", *STEPS)))
    scene.say(fault())
    # Without a planner at work meanwhile, who would close the question first: a zombie judges alike.
    scene.now += passed_ms
    scene.append(order("approve", fault().id, time=START_MS))
    scene.run()
    assert len(scene.commands) == commands


def test_only_a_signed_order_is_an_answer(tmp_path: Path) -> None:
    """By a key that is trusted, and as it was signed: not another's name on it, nor another subject."""
    ring = key_ring(
        Settings.model_validate({"name": "host-1", "state": str(tmp_path), "keys": {"directory": str(tmp_path)}})
    )
    scene = Scene(settings(policy("ask", *STEPS)), vouch=ring.why_not)
    scene.say(fault())
    unsigned = order("approve", fault().id, source="host-1")
    signed = ring.sign(unsigned)
    forged: list[Order] = [
        unsigned,
        signed.model_copy(update={"by": "bob"}),
        ring.sign(order("deny", fault().id, source="host-1")).model_copy(update={"kind": "approve"}),
    ]
    scene.say(*forged)
    assert (scene.states(), scene.commands, len(scene.letters)) == (["asking"], [], 3)
    scene.say(signed)
    assert scene.states() == ["effective"]
    assert scene.all(Order)[-1].signature is not None
