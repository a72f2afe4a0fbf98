"""Which policy a fault falls under, and what its playbook does step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from mendline.responders.playbook import Policies
from mendline.schemas.base import record_id
from mendline.schemas.playbooks import PLAYBOOKS
from mendline.schemas.records import ConfigurationChange, Evidence, Hold
from mendline.schemas.settings import PolicySettings, ServiceSettings, Settings
from tests.responders.support import SECOND, START_MS, Scene, fault, order, outcome

PAGES = Path(__file__).parents[2] / "docs" / "playbooks"
QUICK = {"cooldown": 0, "attempts": 100}


def policies(*given: dict[str, Any], **services: ServiceSettings) -> Settings:
    """Return settings with these policies, that act by themselves."""
    named = [{"name": f"policy-{number}", "mode": "auto", **one} for number, one in enumerate(given)]
    return Settings.model_validate({"policies": named, "guards": {**QUICK, "concurrent": 9}, "services": services})


def step(action: str = "restart", **fields: Any) -> dict[str, Any]:
    """Return a step that is tried once."""
    return {"action": action, "attempts": 1, "verify": 5 * SECOND, **fields}


def changed(scene: Scene, service: str = "web") -> ConfigurationChange:
    """Return that a file of the service was changed just now."""
    return ConfigurationChange(
        id=record_id("change", service, scene.now), source="host-1", time=scene.time(), service=service,
        path="/etc/web.conf", hash="a",
    )  # fmt: skip


def failing(scene: Scene) -> None:
    """Let the deed that was commanded last come to nothing."""
    scene.say(outcome(scene.intents[-1], "failed", reason="no"))


def actions(scene: Scene) -> list[str]:
    """Return what was decided, in order."""
    return [intent.action for intent in scene.intents]


# Which policy -------------------------------------------------------------------------------------------------------


def test_the_first_policy_that_matches_wins() -> None:
    """By target, kind and severity, as they stand in the file."""
    scene = Scene(policies({"when": {"kind": ["hung"]}, "play": [step("command")]}, {"play": [step("restart")]}))
    scene.say(fault())
    assert ["restart"] == actions(scene)


def test_a_policy_may_be_about_a_group_of_hosts() -> None:
    """By the names of hosts; the first that matches wins, so others come after it."""
    front = {"when": {"group": "front"}, "play": [step("command")]}
    groups = {"groups": {"front": ("host-1", "edge-*"), "back": ("db-*",)}}
    scene = Scene(policies(front, {"play": [step("restart")]}).model_copy(update=groups))
    scene.say(fault(), fault("host-2/web"), fault("edge-7", name="threshold"))
    assert {"host-1/web": "command", "host-2/web": "restart", "edge-7": "command"} == {
        one.target: one.action for one in scene.intents
    }


def test_a_policy_may_be_about_services_with_a_label() -> None:
    """All that it names must be there, wherever the service is; a host has none."""
    shop = {"when": {"labels": {"team": "shop", "tier": "[12]"}}, "play": [step("command")]}
    services = {
        "web": ServiceSettings(labels={"team": "shop", "tier": "1"}),
        "db": ServiceSettings(labels={"team": "shop"}),
    }
    scene = Scene(policies(shop, {"play": [step("restart")]}, **services))
    scene.say(fault(), fault("host-2/db"), fault("host-3", name="threshold"))
    assert {"host-1/web": "command", "host-2/db": "restart", "host-3": "restart"} == {
        one.target: one.action for one in scene.intents
    }


def test_a_policy_may_be_about_some_series() -> None:
    """Metric and attributes of the evidence, by a pattern."""
    one = {"when": {"series": "system.filesystem.*{*mountpoint=/var*}"}, "play": [step("command")]}
    evidence = Evidence(
        event_time=START_MS, topic="t", partition=0, offsets=(0, 0),
        series="system.filesystem.utilization{mountpoint=/var}",
    )  # fmt: skip
    scene = Scene(policies(one, {"play": [step("restart")]}))
    scene.say(fault(evidence=evidence))
    scene.say(fault("host-2/web"))
    assert ["command", "restart"] == actions(scene)


def test_a_changed_configuration_is_a_cause() -> None:
    """Of the very service, within ten minutes before: then what is tried may be another thing than otherwise."""
    both = policies({"when": {"cause": "configuration"}, "play": [step("command")]}, {"play": [step("restart")]})
    scene = Scene(both)
    scene.say(changed(scene, "db"), fault())
    assert ["restart"] == actions(scene)
    scene.say(changed(scene), fault(name="hung"))
    scene.say(outcome(scene.intents[0]), fault(transition="resolved", revision=1))
    assert ["restart", "command"] == actions(scene)


def test_a_configuration_that_was_changed_long_before_is_none() -> None:
    """What breaks by a change mostly breaks within ten minutes."""
    both = policies({"when": {"cause": "configuration"}, "play": [step("command")]}, {"play": [step("restart")]})
    scene = Scene(both)
    scene.say(changed(scene))
    scene.tick(601 * SECOND)
    scene.say(fault(time=scene.time()))
    assert ["restart"] == actions(scene)


def test_what_a_service_depends_on_may_be_the_cause() -> None:
    """As long as that is down; what is done then is up to the policy."""
    about = {"when": {"cause": "dependency"}, "play": [step("notify")]}
    needs = {"web": ServiceSettings(depends_on=("db",)), "db": ServiceSettings()}
    scene = Scene(policies({"when": {"target": "db"}, "mode": "shadow", "play": [step()]}, about, **needs))
    scene.say(fault())
    assert [] == actions(scene)
    scene.say(fault("host-1/db"))
    assert {"policy-0", "policy-1"} == {intent.policy for intent in scene.intents} | {
        hold.policy for hold in scene.all(Hold)
    }


# Step by step -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_failure", "then", "guard"),
    [("next", ["restart", "command"], None), ("ask", ["restart"], "escalated"), ("escalate", ["restart"], "escalated"),
     ("stop", ["restart"], "ended")],
)  # fmt: skip
def test_what_comes_after_a_failure_is_up_to_the_step(on_failure: str, then: list[str], guard: str | None) -> None:
    """The next step, a person, or nothing more."""
    scene = Scene(policies({"play": [step(on_failure=on_failure), step("command")]}))
    scene.say(fault())
    failing(scene)
    assert then == actions(scene)
    assert ([guard] if guard else []) == scene.holds


def test_where_a_playbook_stops_nobody_goes_on() -> None:
    """Not even by an approval: somebody has to change the policy, or mend it by hand."""
    scene = Scene(policies({"play": [step(on_failure="stop"), step("command")]}))
    scene.say(fault())
    failing(scene)
    scene.say(order("approve", fault().id))
    scene.tick(2 * SECOND)
    assert ["restart"] == actions(scene)


def test_where_a_playbook_asks_a_person_lets_it_go_on() -> None:
    """An approval takes what the play has as its last resort."""
    scene = Scene(policies({"play": [step(on_failure="ask"), step("command")]}))
    scene.say(fault())
    failing(scene)
    scene.say(order("approve", fault().id))
    assert ["restart", "command"] == actions(scene)


def test_a_step_may_be_for_some_kinds_only() -> None:
    """On another kind of fault it is left out, and is no failure."""
    play = [step("command", when={"kind": ["hung"]}), step("restart")]
    scene = Scene(policies({"play": play}))
    scene.say(fault(), fault("host-2/web", name="hung"))
    scene.tick()
    assert ["restart", "command"] == actions(scene)


def test_a_step_may_be_for_what_is_critical() -> None:
    """By the severity that the fault has now."""
    scene = Scene(policies({"play": [step("command", when={"severity": ["critical"]}), step("restart")]}))
    scene.say(fault(severity="warning"))
    assert ["restart"] == actions(scene)


def test_a_step_may_come_in_between_after_some_tries_of_the_others() -> None:
    """Once, when the others were tried so often; then they go on, and the end comes when all are used up."""
    between = step("diagnose", when={"after_tries": 2})
    scene = Scene(policies({"play": [between, step("restart", attempts=3)]}))
    scene.say(fault())
    for _ in range(4):
        failing(scene)
        scene.tick(6 * SECOND)
    assert ["restart", "restart", "diagnose", "restart"] == actions(scene)
    assert scene.holds[-1] == "escalated"


def test_tries_that_did_not_last_count_for_the_next_step() -> None:
    """A service that dies again right after each restart is told of after the second, though the fault is another."""
    scene = Scene(policies({"play": [step("notify", when={"after_tries": 2}), step("restart", attempts=9)]}))
    for number in range(2):
        now = scene.time()
        about = fault(id=f"f{number}", time=now, opened_at=now)
        scene.say(about)
        scene.say(outcome(scene.intents[-1]), about.model_copy(update={"revision": 1, "transition": "resolved"}))
        scene.tick(2 * SECOND)
    scene.say(fault(id="last", time=scene.time(), opened_at=scene.time()))
    assert ["restart", "restart", "notify"] == actions(scene)


def test_own_tries_do_not_count_for_a_step() -> None:
    """Nor does what the host refused: nothing was tried."""
    scene = Scene(policies({"play": [step("restart"), step("command", attempts=5, when={"after_tries": 1})]}))
    scene.say(fault())
    for number in range(1, 4):
        scene.say(outcome(scene.intents[-1], "refused", reason="not allowed"))
        while len(scene.intents) == number < 3:
            scene.tick()
    scene.tick(5 * SECOND)
    assert ["restart"] * 3 == actions(scene)
    assert scene.holds[-1] == "escalated"


def test_mended_is_what_stays_away() -> None:
    """A fault that resolves counts as mended after `stable`, not before."""
    scene = Scene(policies({"play": [step(stable=4 * SECOND)]}))
    scene.say(fault())
    scene.say(outcome(scene.intents[0]), fault(transition="resolved", revision=1))
    scene.tick(3 * SECOND)
    assert [] == scene.verifications
    scene.tick(SECOND)
    assert [True] == [one.mended for one in scene.verifications]


def test_what_comes_back_too_soon_was_not_mended() -> None:
    """The same fault is open again within `stable`: the try has failed, and the play goes on."""
    scene = Scene(policies({"play": [step(stable=20 * SECOND), step("command")]}))
    scene.say(fault())
    scene.say(outcome(scene.intents[0]), fault(transition="resolved", revision=1))
    scene.tick(2 * SECOND)
    scene.say(fault(transition="updated", revision=2, time=scene.time()))
    scene.tick(6 * SECOND)
    assert [False] == [one.mended for one in scene.verifications]


def test_who_answers_for_a_policy_is_told() -> None:
    """Where a person is needed, it says which."""
    scene = Scene(policies({"owner": "the shop's team", "play": [step()]}))
    scene.say(fault())
    failing(scene)
    assert scene.all(Hold)[-1].reason.endswith("; the shop's team answers for it")


# Playbooks by name --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_that_comes_with_it_is_a_policy(name: str) -> None:
    """Its steps are valid, and say which faults they are for unless the policy does."""
    one = PolicySettings.model_validate({"name": "p", "playbook": name})
    assert one.play
    assert ("*",) != one.when.kind or one.when.cause != "any"
    other = PolicySettings.model_validate({"name": "p", "playbook": name, "when": {"kind": ["mine"]}})
    assert ("mine",) == other.when.kind


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_has_a_page(name: str) -> None:
    """It says what it does and when not to use it, and its example is valid."""
    page = (PAGES / f"{name}.md").read_text()
    assert "## What it does" in page
    assert "## When not to use it" in page
    example = page.split("```yaml\n")[1].split("```")[0]
    given = yaml.safe_load(example)["policies"][0]
    assert name == given["playbook"]
    PolicySettings.model_validate(given)


def test_there_is_no_page_without_its_playbook() -> None:
    """What is gone is not described."""
    assert set(PLAYBOOKS) == {page.stem for page in PAGES.glob("*.md")}


def test_a_policy_reads_the_same_from_the_journal() -> None:
    """What is in force stands there step by step: a later version may have another playbook of the name."""
    made = Policies(policies=(PolicySettings.model_validate({"name": "p", "playbook": "dead"}),))
    assert made.hash == Policies.model_validate_json(made.model_dump_json()).hash
    assert "playbook" not in made.model_dump_json()


@pytest.mark.parametrize(
    ("given", "says"),
    [({"playbook": "dad"}, "there is no playbook 'dad'; known are dead, hung"),
     ({"playbook": "dead", "play": [step()]}, "give either play or playbook"), ({}, "play")],
)  # fmt: skip
def test_a_wrong_playbook_is_named(given: dict[str, Any], says: str) -> None:
    """With those that there are."""
    with pytest.raises(ValidationError, match=says):
        PolicySettings.model_validate({"name": "p", **given})
