"""Each guard holds what it is there for, lets the rest go, and is missed when it is taken out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mendline.responders import guards
from mendline.responders.facts import ActionFact
from mendline.responders.guards import GUARDS, breaker_opened_at, pause_ms
from mendline.schemas.base import record_id
from mendline.schemas.records import Command, Hold, OrderKind
from mendline.schemas.settings import GuardSettings, PolicySettings, ServiceSettings, Settings, StepSettings
from tests.responders.support import SECOND, Scene, fault, order, outcome, policy, progress, settings

OFTEN = {"cooldown": 0, "attempts": 3, "window": 600 * SECOND, "breaker": 60 * SECOND}


def depending(one: PolicySettings | None = None, /, patience: int = 600_000, **services: tuple[str, ...]) -> Settings:
    """Return settings with services that depend on others."""
    given = {name: ServiceSettings(depends_on=needed) for name, needed in services.items()}
    found = settings(one or policy("auto"), concurrent=9, cooldown=0, patience=patience)
    return found.model_copy(update={"services": given})


def targets(scene: Scene) -> list[str]:
    """Return what commands went out to, in order."""
    return [command.target for command in scene.commands if isinstance(command, Command)]


def stopped() -> Scene:
    """Tell a fault to a planner that a person stopped."""
    scene = Scene()
    scene.say(order("stop"))
    scene.say(fault())
    return scene


def under_maintenance() -> Scene:
    """Tell a fault of a service under maintenance."""
    scene = Scene()
    scene.say(order("maintenance", "web"))
    scene.say(fault())
    return scene


def busy() -> Scene:
    """Tell two faults of one target."""
    scene = Scene(settings(cooldown=0))
    scene.say(fault(), fault(name="hung"))
    scene.commands.pop(0)
    return scene


def host_gone() -> Scene:
    """Tell a fault of a service whose host is gone."""
    scene = Scene()
    scene.say(fault("host-1", name="silent", severity="info"))
    scene.commands.clear()
    scene.say(fault())
    return scene


def needed() -> Scene:
    """Tell a fault of a service that needs one which is dead."""
    scene = Scene(depending(web=("db",), db=()))
    scene.append(fault("host-1/db"))
    scene.run()
    scene.commands.clear()
    scene.say(fault())
    return scene


def left_to_another() -> Scene:
    """Tell a fault that systemd is about to mend."""
    scene = Scene()
    scene.say(fault())
    scene.commands.clear()
    scene.say(outcome(scene.intents[0], "deferred"))
    return scene


def flapping() -> Scene:
    """Tell a fault that comes and goes."""
    scene = Scene()
    scene.say(fault(flapping=True))
    return scene


def delicate() -> Scene:
    """Tell a fault of a kind that the policy does not name."""
    scene = Scene()
    scene.say(fault(name="overloaded"))
    return scene


def stale() -> Scene:
    """Tell a fault whose evidence came late."""
    scene = Scene()
    scene.say(fault(delay_ms=10_001))
    return scene


def crowd() -> Scene:
    """Tell faults of three targets of one service at once."""
    scene = Scene()
    scene.append(*(fault(f"host-{number}/web") for number in range(3)))
    scene.run()
    return scene


def often() -> Scene:
    """Tell a third fault after two actions within the window."""
    scene = Scene(settings(cooldown=0, attempts=2, window=600 * SECOND, breaker=1_000 * SECOND))
    for name in ("first", "second", "third"):
        scene.say(fault(name=name))
        for intent in scene.intents[-1:]:
            scene.say(outcome(intent), fault(name=name, transition="resolved", revision=1))
    scene.commands = scene.commands[2:]
    return scene


def again() -> Scene:
    """Tell a fault right after an action on the same target."""
    scene = Scene()
    scene.say(fault())
    scene.say(outcome(scene.intents[0]), fault(transition="resolved", revision=1))
    scene.say(fault(name="again"))
    scene.commands = scene.commands[1:]
    return scene


def crowded() -> Scene:
    """Tell faults of two targets where one action is allowed at a time."""
    scene = Scene(settings(concurrent=1))
    scene.say(fault(), fault("host-2/db"))
    scene.commands = scene.commands[1:]
    return scene


def grouped(second: str = "host-2/web") -> Scene:
    """Tell faults of two targets of one service, where one action in a group is allowed at a time."""
    found = settings(concurrent=9, concurrent_in_group=1)
    scene = Scene(found.model_copy(update={"groups": {"front": ("host-1", "host-3"), "back": ("host-2",)}}))
    scene.say(fault(), fault(second))
    scene.commands = scene.commands[1:]
    return scene


HELD: dict[str, Callable[[], Scene]] = {
    "stop": stopped,
    "orders": under_maintenance,
    "busy": busy,
    "dependency": host_gone,
    "cause": needed,
    "healer": left_to_another,
    "flapping": flapping,
    "kind": delicate,
    "fresh": stale,
    "blast_radius": crowd,
    "breaker": often,
    "cooldown": again,
    "concurrency": crowded,
    "group": grouped,
}


def test_every_guard_is_in_the_table() -> None:
    """A guard without a scene here would not be tested."""
    assert list(HELD) == [guard.name for guard in GUARDS]


@pytest.mark.parametrize("name", HELD)
def test_a_guard_holds(name: str) -> None:
    """Nothing is commanded, and the hold names the guard."""
    scene = HELD[name]()
    assert scene.commands == []
    assert scene.holds[-1] == name


@pytest.mark.parametrize("name", HELD)
def test_a_guard_is_missed_when_it_is_not_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the same scene ends in a command."""
    monkeypatch.setattr(guards, "GUARDS", [guard for guard in GUARDS if guard.name != name])
    assert HELD[name]().commands


@pytest.mark.parametrize("kind", sorted(guards.DELICATE))
def test_a_policy_that_names_a_delicate_kind_acts(kind: str) -> None:
    """Whoever writes `kind: [stopped]` has thought about it."""
    scene = Scene(settings(policy(kind=[kind])))
    scene.say(fault(name=kind))
    assert [] == scene.holds
    assert 1 == len(scene.commands)


def test_people_are_told_of_a_delicate_kind_whatever_the_policy_names() -> None:
    """Telling does no harm."""
    scene = Scene(settings(policy("auto", StepSettings(action="notify"))))
    scene.say(fault(name="stopped"))
    assert [] == scene.holds
    assert 1 == len(scene.commands)


@pytest.mark.parametrize("subject", ["web", "host-1/web", "host-1", "host-*", "*", "w?b", "FAULT"])
@pytest.mark.parametrize("kind", ["maintenance", "silence"])
def test_people_name_what_they_mean_in_many_ways(kind: OrderKind, subject: str) -> None:
    """A service, a target, a host, a pattern, everything, or one fault."""
    scene = Scene()
    scene.say(order(kind, fault().id if subject == "FAULT" else subject))
    scene.say(fault())
    assert scene.holds == ["orders"]


def test_maintenance_of_others_holds_nothing() -> None:
    """An order about another service or host is no concern, nor is one about nothing."""
    scene = Scene()
    scene.say(
        order("maintenance", "db"),
        order("maintenance", ""),
        order("maintenance", "host-2"),
        order("silence", "host-1/db"),
    )
    scene.say(fault())
    assert scene.commands


def test_maintenance_ends_when_it_was_said_to() -> None:
    """It lasts as long as people said, in log time, whatever their clock shows."""
    scene = Scene()
    scene.say(order("maintenance", "web", time=5_000, expires=5_000 + 60 * SECOND))
    scene.say(fault())
    scene.tick(59 * SECOND)
    assert not scene.commands
    scene.tick(SECOND)
    assert scene.commands


def test_maintenance_is_taken_back() -> None:
    """An order that is not active any more ends the earlier one about the same subject."""
    scene = Scene()
    scene.say(order("maintenance", "web"))
    scene.say(fault())
    scene.say(order("maintenance", "web", active=False))
    assert scene.commands


def test_fresh_evidence_lets_a_stale_fault_go_on() -> None:
    """The next revision with a small delay confirms it."""
    scene = stale()
    scene.tick(30 * SECOND)
    assert not scene.commands
    scene.say(fault(transition="updated", revision=1, time=scene.time(), delay_ms=20_000))
    assert not scene.commands
    scene.say(fault(transition="updated", revision=2, time=scene.time()))
    assert scene.commands


@pytest.mark.parametrize(("late_ms", "commands"), [(0, 1), (11_000, 0)])
def test_a_fresh_affirmation_of_old_evidence_is_enough(late_ms: int, commands: int) -> None:
    """A detector that is up to date still sees the fault; one that catches up proves nothing."""
    scene = stale()
    scene.tick(60 * SECOND)
    first = scene.journal.faults[fault().id].latest
    changes = {"transition": "affirmed", "revision": 1, "time": scene.time() - late_ms}
    scene.say(first.model_copy(update=changes))
    assert len(scene.commands) == commands


def test_a_fault_that_was_written_long_after_it_was_seen_is_stale() -> None:
    """A detector that catches up on an hour of records must not have anything restarted for what was then."""
    scene = Scene()
    scene.now = 3_600 * SECOND
    scene.tick(0)
    scene.say(fault())
    assert scene.holds == ["fresh"]


def test_blindness_holds_fire_until_the_partition_is_heard_of() -> None:
    """Nothing is done on a fault whose detectors have said nothing since."""
    scene = Scene()
    scene.say(order("maintenance", "web"))
    scene.say(fault())
    scene.blind(11 * SECOND)
    scene.say(order("maintenance", "web", active=False))
    assert scene.holds == ["orders", "fresh"]
    scene.tick(0)
    assert scene.commands


def test_two_sick_targets_are_no_crowd() -> None:
    """Both replicas of a service may be mended."""
    scene = Scene(settings(concurrent=5))
    scene.say(fault(), fault("host-2/web"))
    assert len(scene.commands) == 2


def test_a_few_sick_targets_of_many_known_ones_are_mended() -> None:
    """Three of twenty targets of a service are below the blast radius."""
    scene = Scene(settings(policy("auto", kind=("dead",)), concurrent=5))
    for number in range(20):
        name = f"host-{number}/web"
        scene.say(fault(name, name="slow"), fault(name, name="slow", transition="resolved", revision=1))
    scene.append(*(fault(f"host-{number}/web") for number in range(3)))
    scene.run()
    assert len(scene.commands) == 3


def test_the_pause_doubles_with_each_action_up_to_the_window() -> None:
    """30 s, 60 s, 120 s … with up to a quarter more, never the same for two intents."""
    bounds = GuardSettings()
    pauses = [pause_ms(count, "00000000", bounds) for count in (1, 2, 3, 9, 1000)]
    assert pauses == [30_000, 60_000, 120_000, 600_000, 600_000]
    assert pause_ms(1, "ffffffff", bounds) == 37_500
    assert 30_000 < pause_ms(1, "80000000", bounds) < 37_500


def again_after(quiet_ms: int, **bounds: int) -> Scene:
    """Return a scene in which a fault was mended at once, and another came on its target after so long."""
    scene = Scene(settings(**bounds))
    scene.say(fault())
    scene.say(outcome(scene.intents[0]), fault(transition="resolved", revision=1))
    scene.tick(quiet_ms)
    scene.say(fault(name="again", time=scene.time()))
    return scene


def test_a_pause_longer_than_the_window_is_kept() -> None:
    """It does not depend on how long actions are counted."""
    scene = again_after(80 * SECOND, window=2 * SECOND, cooldown=90 * SECOND)
    assert (scene.holds, len(scene.commands)) == (["cooldown"], 1)
    scene.tick(10 * SECOND)
    assert len(scene.commands) == 2


def test_after_a_healthy_window_the_next_action_goes_at_once() -> None:
    """The back-off starts anew when nothing was done within `window`."""
    scene = again_after(100 * SECOND, window=100 * SECOND, cooldown=90 * SECOND)
    assert len(scene.commands) == 2


def test_a_refused_command_that_was_needless_costs_nothing() -> None:
    """When the fault was over before anything was done, the target's next action need not wait."""
    scene = Scene()
    scene.say(fault())
    scene.say(fault(transition="resolved", revision=1))
    scene.say(outcome(scene.intents[0], "refused", reason="cancelled"))
    scene.say(fault(name="again"))
    assert len(scene.intents) == 2


@pytest.mark.parametrize(
    ("actions", "opened"),
    [
        ([], None),
        ([(0, True), (1, True)], None),
        ([(0, True), (1, True), (2, True)], 2),
        ([(0, False), (1, False), (2, False)], 2),
        ([(0, True), (1, True), (12, True)], None),
        ([(0, True), (1, True), (2, True), (50, True)], None),
        ([(0, True), (1, True), (2, True), (50, False)], 50),
        ([(0, True), (1, True), (2, True), (50, None)], 50),
        ([(0, True), (1, True), (2, True), (50, True), (51, True)], None),
        ([(0, True), (1, True), (2, True), (50, True), (51, True), (52, True), (53, True)], 53),
    ],
)
def test_the_breaker_opens_and_closes_by_the_table(actions: list[tuple[int, bool | None]], opened: int | None) -> None:
    """Three within ten open it; the next try closes it if it mends, else it stays open from then on."""
    facts = [ActionFact(time=time, intent=str(time), mended=mended) for time, mended in actions]
    assert breaker_opened_at(facts, GuardSettings(attempts=3, window=10, breaker=40)) == opened


def test_an_open_breaker_lets_one_more_try_through() -> None:
    """Half-open: after `breaker` one action, and with its failure the breaker stays open."""
    scene = Scene(settings(cooldown=0, attempts=1, window=10 * SECOND, breaker=30 * SECOND))
    scene.say(fault())
    scene.say(outcome(scene.intents[0], "failed"))
    assert scene.holds == ["breaker"]
    scene.tick(30 * SECOND)
    assert len(scene.intents) == 2
    scene.say(outcome(scene.intents[1], "failed"))
    scene.tick(29 * SECOND)
    assert len(scene.intents) == 2


def test_what_a_host_did_by_reflex_counts() -> None:
    """An action that the host did on its own while it was cut off makes the next one wait."""
    elsewhere = Scene()
    elsewhere.say(fault())
    done = outcome(elsewhere.intents[0], reflex=True)
    scene = Scene()
    scene.say(done.model_copy(update={"intent": "reflex-1"}))
    scene.say(fault())
    assert scene.holds == ["cooldown"]


def test_a_persons_approval_overrules_patience_but_not_safety() -> None:
    """An approved intent need not wait for a cooldown; it does wait for another action on its target."""
    assert {guard.name for guard in GUARDS if not guard.overruled} == {
        *("stop", "busy", "dependency", "concurrency", "group"),
    }
    scene = Scene(settings(policy("ask")))
    scene.say(fault())
    scene.say(order("approve", scene.intents[0].id), order("maintenance", "web"))
    scene.say(outcome(scene.intents[0], "failed"))
    scene.say(order("maintenance", "web", active=False))
    scene.tick(40 * SECOND)
    scene.say(order("maintenance", "web"))
    scene.say(order("approve", scene.intents[1].id))
    assert len(scene.commands) == 2


def test_a_detector_that_is_far_behind_is_not_acted_upon() -> None:
    """What it says now was so some time ago; when it has caught up and still says so, the action follows."""
    scene = Scene()
    scene.say(progress(scene, behind_ms=10_001), fault())
    assert (scene.holds, scene.commands) == (["fresh"], [])
    scene.tick()
    assert len(scene.commands) == 1


def test_an_approval_overrules_a_pause() -> None:
    """One try that follows at once; the pause holds again after it."""
    scene = Scene(settings(policy("auto", StepSettings(action="restart", attempts=9)), cooldown=600_000))
    scene.say(fault())
    scene.say(outcome(scene.intents[0]), fault(transition="resolved", revision=1))
    scene.say(fault(revision=2))
    assert (scene.holds, len(scene.commands)) == (["cooldown"], 1)
    scene.say(order("approve", fault().id))
    assert len(scene.commands) == 2
    scene.say(outcome(scene.intents[1]), fault(transition="resolved", revision=3))
    scene.say(fault(revision=4))
    assert (scene.holds, len(scene.commands)) == (["cooldown", "cooldown"], 2)


def test_a_hold_says_how_long_it_lasts() -> None:
    """In the journal's log time, from when it was said."""
    scene = Scene(settings(policy("auto", StepSettings(action="restart", attempts=9)), cooldown=60_000))
    scene.say(fault())
    scene.say(outcome(scene.intents[0]), fault(transition="resolved", revision=1))
    scene.tick(10 * SECOND)
    scene.say(fault(revision=2, time=scene.time()))
    hold = next(one.record for one in scene.entries if isinstance(one.record, Hold))
    assert hold.until is not None
    assert hold.wait_ms == hold.until - scene.now


def test_a_play_goes_on_where_it_was_when_its_fault_is_soon_back() -> None:
    """A service that dies again right after each restart gets the next step, then a person; later it begins anew."""
    steps = (StepSettings(action="restart", attempts=2), StepSettings(action="rollback", attempts=1))
    scene = Scene(settings(policy("auto", *steps), cooldown=0, window=60 * SECOND))

    def live_and_die(life: int) -> None:
        again = fault(time=scene.time(), id=record_id("fault", life), opened_at=scene.time())
        before = len(scene.intents)
        scene.say(again)
        for intent in scene.intents[before:]:
            scene.say(outcome(intent))
        scene.say(again.model_copy(update={"transition": "resolved", "revision": 1}))

    for life in range(4):
        live_and_die(life)
        scene.tick(5 * SECOND)
    assert [intent.action for intent in scene.intents] == ["restart", "restart", "rollback"]
    assert scene.holds == ["escalated"]
    (hold,) = (one.record for one in scene.entries if isinstance(one.record, Hold))
    assert hold.reason.startswith("3 actions did not mend it, or not for long; `mendline approve")
    scene.tick(60 * SECOND)
    live_and_die(5)
    assert scene.intents[-1].action == "restart"


def test_a_breaker_is_not_closed_by_what_does_not_last() -> None:
    """A service that starts and dies again at once gets one try each time, however often its fault resolves."""
    scene = Scene(settings(policy("auto", StepSettings(action="restart", attempts=99)), **OFTEN))
    for life in range(40):
        again = fault(time=scene.time(), id=record_id("fault", life), opened_at=scene.time())
        scene.say(again)
        if len(scene.intents) > len(scene.verifications):
            scene.say(outcome(scene.intents[-1]))
        scene.say(again.model_copy(update={"transition": "resolved", "revision": 1}))
        scene.tick(5 * SECOND)
    assert len(scene.commands) == 3 + (40 * 5 - 10) // 60
    assert scene.holds.count("breaker") > 20


def test_a_policy_may_act_on_what_flaps() -> None:
    """Its word is in the policy, so every reader judges alike."""
    scene = Scene(settings(policy().model_copy(update={"flapping": "act"})))
    scene.say(fault(flapping=True))
    assert len(scene.commands) == 1


def test_the_cause_is_mended_and_not_the_symptom() -> None:
    """What depends on a faulty service, near or far, waits; the service itself does not; then all go on."""
    scene = Scene(depending(web=("app",), app=("db",), db=()))
    scene.say(fault("host-1/db"))
    scene.say(fault("host-1/web"), fault("host-2/web"))
    assert targets(scene) == ["host-1/db", "host-2/web"]
    assert scene.holds[-1] == "cause"
    scene.say(outcome(scene.intents[0]), fault("host-1/db", "resolved", 1))
    scene.say(fault("host-1/web", "affirmed", 1))
    assert targets(scene)[-1] == "host-1/web"


def test_the_next_waits_for_the_proof_that_the_cause_is_mended() -> None:
    """A fault that resolved may be back in a moment: what depends on the service goes on when it has stayed away."""
    lasting = policy("auto", StepSettings(action="restart", attempts=3, stable=5 * SECOND))
    scene = Scene(depending(lasting, web=("db",), db=()))
    scene.say(fault("host-1/db"), fault("host-1/web"))
    scene.say(outcome(scene.intents[0]), fault("host-1/db", "resolved", 1))
    scene.tick(4 * SECOND)
    assert ["host-1/db"] == targets(scene)
    scene.tick(SECOND)
    assert ["host-1/db", "host-1/web"] == targets(scene)


def test_a_service_waits_while_one_that_it_needs_is_worked_on_for_another_reason() -> None:
    """A leak is no outage, but its mending is: nobody starts into that."""
    scene = Scene(depending(web=("db",), db=()))
    scene.say(fault("host-1/db", name="leaking"))
    scene.say(fault("host-1/web"))
    assert (["host-1/db"], ["cause"]) == (targets(scene), scene.holds)
    scene.say(outcome(scene.intents[0]), fault("host-1/db", "resolved", 1, name="leaking"))
    assert ["host-1/db", "host-1/web"] == targets(scene)


def test_a_person_is_asked_when_the_cause_is_not_mended_in_time() -> None:
    """Nobody waits for ever: the wait is bounded, an approval ends it, and so does the cause's own mending."""
    for mended in (False, True):
        scene = Scene(depending(policy("auto", target="web"), patience=60 * SECOND, web=("db",), db=()))
        scene.say(fault("host-1/db"), fault("host-1/web"))
        scene.tick(59 * SECOND)
        assert ["cause"] == scene.holds
        scene.tick(10 * SECOND)
        assert (["cause", "escalated"], []) == (scene.holds, targets(scene))
        scene.say(fault("host-1/db", "resolved", 1) if mended else order("approve", fault("host-1/web").id))
        assert ["host-1/web"] == targets(scene)


def test_people_are_told_of_a_service_whose_cause_is_another() -> None:
    """Telling and looking wait for nothing."""
    for action in ("notify", "diagnose"):
        scene = Scene(depending(policy("auto", StepSettings(action=action), target="web"), web=("db",), db=()))
        scene.say(fault("host-1/db"), fault("host-1/web"))
        assert (["host-1/web"], []) == (targets(scene), scene.holds)


def test_a_metric_of_what_is_needed_holds_nobody() -> None:
    """A service that is only unusual still serves: none waits for it."""
    scene = Scene(depending(policy("auto", target="web"), web=("db",), db=()))
    scene.say(fault("host-1/db", name="unusual", severity="warning", detector="z"))
    scene.say(fault("host-1/web"))
    assert ["host-1/web"] == targets(scene)


def test_services_in_a_circle_are_mended_all_the_same() -> None:
    """None of them is the cause of the others more than they of it: they do not wait for each other for ever."""
    scene = Scene(depending(web=("db",), db=("web",)))
    scene.say(fault("host-1/web"), fault("host-1/db"))
    assert sorted(targets(scene)) == ["host-1/db", "host-1/web"]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("host-2/web", "1 action is at work on web already"),
        ("host-3/db", "1 action is at work in group front already"),
        ("host-3", "1 action is at work in group front already"),
        ("host-2/db", None),
        ("host-4/db", None),
    ],
)
def test_a_group_is_what_serves_one_purpose(second: str, said: str | None) -> None:
    """The targets of one service, and the hosts of one group; what is of neither need not wait."""
    scene = grouped(second)
    assert [hold.reason for hold in scene.all(Hold)] == ([said] if said else [])
    assert len(scene.commands) == (said is None)
    scene.say(outcome(scene.intents[0]), fault(transition="resolved", revision=1))
    assert len(scene.commands) == 1
