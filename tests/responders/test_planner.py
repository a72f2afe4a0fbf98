"""The planner: what it decides, in sentences."""

from __future__ import annotations

import pytest

from mendline.responders.guards import pause_ms
from mendline.responders.planner import decide
from mendline.responders.playbook import MOST_REFUSALS
from mendline.schemas.records import Activation, Cancel, Command, Fault, Hold, OrderKind, Progress, decode_record
from mendline.schemas.settings import GuardSettings, StepSettings
from tests.responders.support import SECOND, START_MS, Scene, batch_of, fault, order, outcome, policy, settings

RESTART = StepSettings(action="restart", attempts=1, timeout=5 * SECOND, verify=10 * SECOND)
PATIENT = {"cooldown": 0, "attempts": 100}


def test_a_dead_service_is_commanded_to_be_restarted_at_once() -> None:
    """A first fault on a healthy target needs no time to pass: fault, intent, command."""
    scene = Scene()
    scene.say(fault())
    (intent,) = scene.intents
    (command,) = scene.commands
    assert isinstance(command, Command)
    assert (command.intent, command.host, command.service, command.action) == (intent.id, "host-1", "web", "restart")
    assert command.deadline == START_MS + 10_000
    assert command.signature
    assert scene.states() == ["effective"]


def test_a_fault_that_no_policy_is_about_is_left_alone() -> None:
    """What no policy matches is neither acted on nor held."""
    scene = Scene(settings(policy(target="db")))
    scene.say(fault())
    assert not scene.intents
    assert not scene.holds


def test_the_first_policy_that_matches_wins() -> None:
    """A shadow policy written first keeps a later one from acting."""
    scene = Scene(settings(policy("shadow", target="host-1/*"), policy("auto")))
    scene.say(fault(), fault("host-2/web"))
    assert [intent.mode for intent in scene.intents] == ["shadow", "auto"]
    assert [command.host for command in scene.commands] == ["host-2"]


def test_a_fault_that_resolves_after_the_action_counts_as_mended() -> None:
    """The verification follows from the outcome and the fault's own end, whichever comes first."""
    scene = Scene()
    scene.say(fault())
    scene.tick()
    scene.say(fault(transition="resolved", revision=1, time=scene.time()))
    assert not scene.verifications
    scene.say(outcome(scene.intents[0]))
    (verification,) = scene.verifications
    assert verification.mended
    assert verification.after_ms == SECOND
    assert scene.states() == ["settled"]
    assert not scene.journal.at_work


def test_an_action_that_does_not_help_is_tried_again_then_the_next_step_then_a_person() -> None:
    """Attempts of a step, then the next step, then escalation; each try is verified first."""
    steps = (RESTART.model_copy(update={"attempts": 2}), StepSettings(action="rollback", attempts=1))
    scene = Scene(settings(policy("auto", *steps), **PATIENT))
    scene.say(fault())
    for _ in range(3):
        scene.say(outcome(scene.intents[-1]))
        scene.tick(10 * SECOND)
    assert [(one.action, one.step, one.attempt) for one in scene.intents] == [
        ("restart", 0, 0),
        ("restart", 0, 1),
        ("rollback", 1, 0),
    ]
    assert [one.mended for one in scene.verifications] == [False, False, False]
    assert scene.holds == ["escalated"]
    scene.tick(30 * SECOND)
    assert len(scene.intents) == 3
    assert scene.holds == ["escalated"]


def test_a_person_may_grant_one_more_try_of_an_escalated_fault() -> None:
    """Approving the fault makes one intent that needs no further word."""
    scene = Scene(settings(policy("auto", RESTART), **PATIENT))
    scene.say(fault())
    scene.say(outcome(scene.intents[0], "failed", reason="no such file"))
    assert scene.holds == ["escalated"]
    scene.say(order("approve", fault().id))
    assert [intent.mode for intent in scene.intents] == ["auto", "auto"]
    assert len(scene.commands) == 2
    scene.say(outcome(scene.intents[1], "failed"))
    assert scene.holds == ["escalated", "escalated"]
    assert len(scene.commands) == 2


def test_a_refused_command_is_no_success_and_is_not_waited_for() -> None:
    """A refusal settles the intent at once."""
    scene = Scene()
    scene.say(fault())
    scene.say(outcome(scene.intents[0], "refused", reason="not allowed"))
    (verification,) = scene.verifications
    assert not verification.mended
    assert "not allowed" in verification.reason


def test_refusals_are_no_tries_but_come_to_an_end() -> None:
    """Nothing was begun, so the next step is not called for; after some a person is told why."""
    scene = Scene(settings(policy("auto", RESTART, StepSettings(action="rollback")), **PATIENT))
    scene.say(fault())
    for number in range(MOST_REFUSALS):
        assert [one.action for one in scene.intents] == ["restart"] * (number + 1)
        scene.say(outcome(scene.intents[-1], "refused", reason="too late"))
    assert scene.intents[-1].action == "rollback"
    assert not any(one.tried for one in scene.journal.faults[fault().id].intents.values() if one.outcome)
    for _ in range(MOST_REFUSALS):
        scene.say(outcome(scene.intents[-1], "refused", reason="not allowed"))
    (hold,) = [one.record for one in scene.entries if isinstance(one.record, Hold)]
    assert (hold.guard, "refused 6 commands, the last because: not allowed" in hold.reason) == ("escalated", True)


def test_refusals_do_not_follow_each_other_at_once() -> None:
    """They pause as deeds do."""
    scene = Scene()
    scene.say(fault())
    scene.say(outcome(scene.intents[0], "refused", reason="too late"))
    assert (len(scene.intents), scene.holds) == (1, ["cooldown"])


def test_what_somebody_else_mended_gets_time_to_resolve_and_was_no_try() -> None:
    """A restart that was overtaken is neither tried again at once nor counted."""
    scene = Scene()
    scene.say(fault())
    scene.say(outcome(scene.intents[0], "overtaken", reason="started anew"))
    scene.tick(SECOND)
    assert len(scene.intents) == 1
    assert not scene.verifications
    scene.say(fault(transition="resolved", revision=1))
    assert [one.mended for one in scene.verifications] == [False]
    assert scene.journal.actions_on("host-1/web") == []


def test_a_command_rests_on_the_newest_evidence_or_outcome() -> None:
    """What was started before the last try counts as tried, not as started by somebody else."""
    scene = Scene(settings(policy("auto", RESTART.model_copy(update={"attempts": 2})), **PATIENT))
    scene.say(fault())
    first = outcome(scene.intents[0], time=scene.time() + SECOND)
    scene.say(first)
    scene.tick(10 * SECOND)
    rests_on = [one.evidence_time for one in scene.commands if isinstance(one, Command)]
    assert [fault().evidence.event_time, first.time] == rests_on


def test_what_a_person_wanted_rests_on_no_evidence() -> None:
    """Who approves a restart wants it of the process as it is then."""
    scene = Scene(settings(policy("ask", RESTART)))
    scene.say(fault())
    scene.say(order("approve", scene.intents[0].id))
    assert [one.evidence_time for one in scene.commands if isinstance(one, Command)] == [None]


def test_a_host_that_says_nothing_is_not_waited_for_for_ever() -> None:
    """Without an outcome the intent is settled when the action's time is long over."""
    scene = Scene()
    scene.say(fault())
    scene.tick(19 * SECOND)
    assert not scene.verifications
    scene.tick(SECOND)
    assert [one.reason for one in scene.verifications] == ["host-1 reported no outcome"]


def test_a_command_is_cancelled_when_its_fault_resolves_first() -> None:
    """A fault that ends by itself calls its command off, and that was no try."""
    scene = Scene()
    scene.say(fault())
    scene.say(fault(transition="resolved", revision=1))
    assert [type(record) for record in scene.commands] == [Command, Cancel]
    scene.say(outcome(scene.intents[0], "refused", reason="cancelled"))
    assert not scene.verifications[0].mended
    assert scene.journal.actions_on("host-1/web") == []


def test_a_stop_of_a_person_cancels_what_has_not_begun() -> None:
    """`stop` in the journal calls off every command without an outcome and holds all others."""
    scene = Scene()
    scene.say(fault())
    scene.say(order("stop"))
    assert isinstance(scene.commands[-1], Cancel)
    scene.say(fault("host-2/web"))
    assert scene.holds == ["stop"]
    scene.say(order("stop", active=False))
    assert [one.target for one in scene.intents] == ["host-1/web", "host-2/web"]


def test_a_shadow_policy_says_once_what_it_would_do() -> None:
    """Shadow mode leaves an intent and nothing else."""
    scene = Scene(settings(policy("shadow")))
    scene.say(fault())
    scene.tick(60 * SECOND)
    assert scene.states() == ["shadow"]
    assert not scene.commands


def test_an_intent_that_asks_waits_for_approval() -> None:
    """Nothing is commanded before a person said yes, to the intent or to its fault."""
    for subject in ("intent", "fault"):
        scene = Scene(settings(policy("ask")))
        scene.say(fault())
        scene.tick(60 * SECOND)
        assert scene.states() == ["asking"]
        assert not scene.commands
        scene.say(order("approve", scene.intents[0].id if subject == "intent" else fault().id))
        assert len(scene.commands) == 1


def test_a_denied_intent_is_not_asked_again() -> None:
    """A no is final for the fault."""
    scene = Scene(settings(policy("ask")))
    scene.say(fault())
    scene.say(order("deny", scene.intents[0].id))
    scene.tick(60 * SECOND)
    assert scene.holds == ["denied"]
    assert len(scene.intents) == 1


def test_a_question_nobody_answers_expires_and_a_late_yes_is_a_new_try() -> None:
    """After 15 minutes the question is closed; approving the fault then grants a new try."""
    scene = Scene(settings(policy("ask")))
    scene.say(fault())
    for minute in range(15):
        scene.tick(60 * SECOND)
        scene.say(fault(transition="affirmed", revision=minute + 1, time=scene.time()))
    scene.tick(SECOND)
    assert scene.holds == ["escalated"]
    scene.say(order("approve", scene.intents[0].id))
    assert len(scene.intents) == 2
    assert len(scene.commands) == 1


@pytest.mark.parametrize("said", ["approve", "deny"])
def test_a_late_answer_to_what_asked_before_is_none_to_what_asks_now(said: OrderKind) -> None:
    """A person who said yes to a restart has not seen that the rollback asks by now."""
    steps = (StepSettings(action="restart"), StepSettings(action="rollback_config"))
    scene = Scene(settings(policy("ask", *steps), cooldown=0))
    scene.say(fault())
    scene.say(order("approve", scene.intents[0].id))
    scene.say(outcome(scene.intents[0], "failed"))
    scene.say(order(said, scene.intents[0].id))
    assert (scene.states(), len(scene.commands)) == (["settled", "asking"], 1)
    scene.say(order("approve", scene.intents[1].id))
    assert len(scene.commands) == 2


def test_an_approval_that_cannot_count_now_is_answered() -> None:
    """While all is stopped a yes changes nothing, and that is said."""
    scene = Scene(settings(policy("ask")))
    scene.say(fault())
    scene.say(order("stop"))
    scene.say(order("approve", scene.intents[0].id))
    assert scene.holds == ["approval"]
    assert not scene.commands


def test_a_fault_whose_detector_is_gone_is_closed_as_orphaned() -> None:
    """Not affirmed for three minutes while its partition went on."""
    scene = Scene(settings(policy("shadow")))
    scene.say(fault())
    scene.tick(179 * SECOND)
    assert len(scene.all(Fault)) == 1
    scene.tick(2 * SECOND)
    assert [(one.transition, one.revision) for one in scene.all(Fault)] == [("opened", 0), ("orphaned", 1)]
    scene.tick(60 * SECOND)
    assert len(scene.all(Fault)) == 2


def test_a_fault_is_not_orphaned_while_nobody_works_on_its_partition() -> None:
    """Time without a sign of life of the partition does not count against its faults."""
    scene = Scene(settings(policy("shadow")))
    scene.say(fault())
    scene.blind(600 * SECOND)
    scene.tick(60 * SECOND)
    assert len(scene.all(Fault)) == 1


def test_a_fault_is_not_orphaned_while_its_detector_reports_but_does_not_get_on() -> None:
    """A member that hangs behind in its partition has not been silent about the fault: it is not there yet."""
    scene = Scene(settings(policy("shadow")))
    scene.say(fault())
    scene.tick()
    stuck = [one for one in scene.all(Progress) if one.stage == "rounds"][-1]
    for number in range(300):
        scene.now += SECOND
        scene.say(stuck.model_copy(update={"id": f"stuck-{number}", "lag": 5_000_000}))
    assert len(scene.all(Fault)) == 1


def test_a_hold_is_said_once_for_each_reason() -> None:
    """The journal does not fill with the same hold every second."""
    scene = Scene()
    scene.say(fault(delay_ms=60_000))
    scene.tick(30 * SECOND)
    assert scene.holds == ["fresh"]


def test_restoring_repeats_no_decision_but_the_commands() -> None:
    """A planner that reads everything again decides nothing anew and sends the same command again."""
    scene = Scene()
    scene.say(fault())
    reborn = scene.new_planner()
    said = [decode_record(new.value) for new in reborn.fold(batch_of(scene.entries))]
    assert said == scene.commands
    assert reborn.journal == scene.journal


def test_a_muted_planner_decides_nothing_and_a_behind_one_neither() -> None:
    """Only a planner that has read all there is may decide."""
    for caught_up, muted in ((False, False), (True, True)):
        scene = Scene()
        scene.append(fault())
        said = list(scene.new_planner().fold(batch_of(scene.entries, caught_up=caught_up, muted=muted)))
        assert said == []


def test_no_decision_is_made_before_the_last_one_was_read_back() -> None:
    """Asked twice before its own intent arrives, the planner says it once."""
    scene = Scene()
    scene.append(fault())
    first = list(scene.stage.fold(batch_of(scene.entries[-1:])))
    assert len(first) == 1
    scene.append(order("note"))
    assert list(scene.stage.fold(batch_of(scene.entries[-1:]))) == []


def test_a_dump_loads_into_the_same_planner() -> None:
    """After dump and load everything goes on as if nothing had been."""
    scene = Scene(settings(policy("ask"), **PATIENT))
    scene.say(fault(), fault("host-2/web"), order("maintenance", "host-3*"))
    scene.say(order("approve", scene.intents[0].id))
    other = scene.new_planner()
    other.load(list(scene.stage.dump()))
    assert other.journal == scene.journal
    scene.append(outcome(scene.intents[0]), fault(transition="resolved", revision=1))
    batch = batch_of(scene.entries[-2:])
    assert list(other.fold(batch)) == list(scene.stage.fold(batch))


def test_the_fold_does_not_depend_on_where_batches_end() -> None:
    """One record at a time or all at once: the same state."""
    scene = Scene(settings(policy(), **PATIENT))
    scene.say(fault())
    scene.say(outcome(scene.intents[0], "failed"))
    single, whole = scene.new_planner(), scene.new_planner()
    for entry in scene.entries:
        list(single.fold(batch_of([entry], caught_up=False)))
    list(whole.fold(batch_of(scene.entries, caught_up=False)))
    assert single.journal == whole.journal == scene.journal


def test_deciding_is_a_pure_function() -> None:
    """Asked twice it says the same, and leaves the fold as it was."""
    scene = Scene()
    scene.append(fault())
    list(scene.stage.fold(batch_of(scene.entries[-1:], caught_up=False)))
    before = scene.journal.model_copy(deep=True)
    first = decide(scene.journal, scene.settings, scene.journal.log_time)
    assert first == decide(scene.journal, scene.settings, scene.journal.log_time)
    assert len(first) == 1
    assert scene.journal == before


def test_policies_are_put_in_force_before_they_are_used() -> None:
    """The first thing a planner says is which policies it goes by; it uses them when it has read that back."""
    scene = Scene()
    (activation,) = scene.all(Activation)
    assert activation.stage == "policies"
    assert scene.journal.policies


def test_a_planner_with_older_policies_falls_silent() -> None:
    """Once younger policies are in force the older planner neither decides nor puts its own in force again."""
    scene = Scene()
    younger = scene.new_planner(settings(policy("shadow")))
    scene.take(younger.fold(batch_of(scene.entries)))
    scene.say(fault())
    scene.tick(5 * SECOND)
    assert not scene.intents
    assert len(scene.all(Activation)) == 2


def test_only_one_intent_is_decided_at_a_time() -> None:
    """Two faults on one target: the second waits for the first's action, and says so."""
    scene = Scene()
    scene.say(fault(), fault(name="hung"))
    assert len(scene.commands) == 1
    assert scene.holds == ["busy"]


def test_the_pause_after_an_action_is_kept_then_the_next_try_goes() -> None:
    """A target that dies again soon after it was mended waits for its cooldown, to the jitter's millisecond."""
    scene = Scene()
    scene.say(fault())
    scene.say(outcome(scene.intents[0]), fault(transition="resolved", revision=1))
    again = fault(name="dead-again")
    scene.say(again)
    assert scene.holds == ["cooldown"]
    until = scene.all(Hold)[0].until
    assert until is not None
    assert 30_000 <= until <= 37_500
    while len(scene.intents) < 2:
        scene.tick()
    assert until <= scene.now < until + SECOND
    assert until == pause_ms(1, scene.intents[1].id, GuardSettings())


def test_finished_faults_leave_the_fold() -> None:
    """An hour of log time after nothing more can come of it a fault is forgotten, with its intents."""
    scene = Scene()
    scene.say(fault())
    scene.say(outcome(scene.intents[0]), fault(transition="resolved", revision=1))
    scene.now += 3_600_000
    scene.tick(0)
    assert scene.journal.faults
    scene.now += 1
    scene.tick(0)
    assert not scene.journal.faults
    assert not scene.journal.intents
    assert not scene.journal.finished


def test_policies_are_said_again_every_hour() -> None:
    """A reader that begins anywhere learns soon which policies are in force."""
    scene = Scene()
    scene.now = 3_600_000
    scene.tick(0)
    assert len(scene.all(Activation)) == 1
    scene.tick(SECOND)
    assert len({one.config for one in scene.all(Activation)}) == 1
    assert len(scene.all(Activation)) == 2


def test_who_is_not_believed_is_not_heard_and_that_is_told() -> None:
    """Neither an order nor an outcome; both stand in the dead letters with the reason."""
    scene = Scene(
        settings(policy("ask", RESTART)), vouch=lambda one: "it is not signed" if one.source == "eve" else None
    )
    scene.say(fault())
    scene.say(order("approve", fault().id, source="eve", by="ann"))
    assert (scene.commands, scene.states()) == ([], ["asking"])
    scene.say(order("approve", fault().id))
    scene.say(outcome(scene.intents[0], source="eve"))
    assert scene.states() == ["effective"]
    assert scene.journal.faults[fault().id].intents[scene.intents[0].id].outcome is None
    assert [letter.reason for letter in scene.letters] == [
        "this order by eve is not believed: it is not signed",
        "this outcome by eve is not believed: it is not signed",
    ]


def test_policies_that_were_replaced_are_not_in_force_again_by_a_repeat() -> None:
    """A producer that tries again late must not silence the planner whose policies are in force."""
    scene = Scene()
    (replaced,) = scene.all(Activation)
    scene.settings = settings(policy("auto", StepSettings(action="restart", attempts=9)))
    scene.stage, scene._read = scene.new_planner(), 0
    scene.tick()
    in_force = scene.all(Activation)[-1].config
    assert in_force != replaced.config
    scene.say(replaced)
    scene.say(fault(time=scene.time()))
    assert [in_force] == [one.policy_hash for one in scene.intents]


def test_what_a_person_said_counts_once() -> None:
    """Who says it again, a producer that tries once more or one who has copied it, neither grants nor ends anything."""
    scene = Scene(settings(policy("auto", StepSettings(action="restart", attempts=1)), cooldown=0))
    approval, end = order("approve", fault().id, id="a"), order("maintenance", "web", active=False, id="e")
    scene.say(fault(), order("maintenance", "web", id="b"), end)
    scene.say(outcome(scene.intents[0], "failed"))
    scene.say(approval)
    assert len(scene.commands) == 2
    scene.say(outcome(scene.intents[1], "failed"))
    scene.say(approval)
    assert len(scene.commands) == 2
    scene.say(order("maintenance", "web", id="m"))
    scene.say(end, fault("host-2/web"))
    assert len(scene.commands) == 2


def test_what_a_host_says_of_a_forged_command_is_no_answer_to_the_true_one() -> None:
    """Who can write a command with the id of one that is at work must not make planners begin another beside it."""
    scene = Scene(settings(concurrent=1))
    scene.say(fault())
    scene.say(outcome(scene.intents[0], "refused", id="of another", reason="it is not signed"), fault("host-2/db"))
    assert (scene.verifications, len(scene.commands)) == ([], 1)
    scene.say(outcome(scene.intents[0]), fault(transition="resolved", revision=1))
    assert ([True], 2) == ([one.mended for one in scene.verifications], len(scene.commands))


def test_a_host_that_believes_no_command_is_told_of_when_the_time_for_an_answer_is_over() -> None:
    """Its key may be the wrong one: people must hear why nothing is done."""
    scene = Scene()
    scene.say(fault())
    scene.say(outcome(scene.intents[0], "refused", id="of another", reason="its key is not trusted here"))
    scene.tick(25 * SECOND)
    reasons = [(one.mended, one.reason) for one in scene.verifications]
    assert [(False, "the action was refused: its key is not trusted here")] == reasons


def test_a_refusal_is_no_evidence() -> None:
    """A service that was started anew before the refusal, by a person, is still younger than what is known of it."""
    scene = Scene(settings(policy("auto", StepSettings(action="restart", attempts=3)), cooldown=0))
    scene.say(fault())
    scene.say(outcome(scene.intents[0], "refused", time=scene.time() + 60 * SECOND))
    scene.say(outcome(scene.intents[1], "failed", time=scene.time() + 90 * SECOND))
    times = [one.evidence_time for one in scene.commands if isinstance(one, Command)]
    seen = scene.journal.faults[fault().id].latest.evidence.event_time
    assert [seen, seen, scene.time() + 90 * SECOND] == times
