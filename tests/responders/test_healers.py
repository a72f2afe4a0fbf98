"""Another healer at work: it comes first, and what it gives up is mended."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mendline.agent.healers import tell_healers
from mendline.responders.action import ActionContext, DeferredError, PermanentError
from mendline.responders.restart import restart_or_leave
from mendline.responders.restart_systemd import RestartUnit
from mendline.schemas.records import Command, Hold
from mendline.schemas.settings import ProcessSettings, ServiceSettings
from tests.producers.support import until
from tests.responders.executing import Deed, Table
from tests.responders.support import SECOND, Scene, fault, order, outcome, policy, settings
from tests.support.systemd import Systemd

UNIT = ServiceSettings(process=ProcessSettings(unit="crashing.service"))


def left(scene: Scene) -> None:
    """Let the host say of the newest command that systemd is about to do it."""
    scene.say(outcome(scene.intents[-1], "deferred", reason="systemd is about to restart it"))


def test_it_is_looked_ever_less_often_whether_the_other_gave_up() -> None:
    """After 2 s, 4 s, 8 s …; each hold says who is at work, and how long it is left alone."""
    scene = Scene()
    scene.say(fault())
    left(scene)
    held = scene.all(Hold)[-1]
    assert ("healer", 2 * SECOND) == (held.guard, held.wait_ms)
    assert "another healer is at work: systemd is about to restart it" == held.reason
    for passed in (2, 4, 8):
        scene.tick((passed - 1) * SECOND)
        before = len(scene.commands)
        scene.tick(SECOND)
        assert before + 1 == len(scene.commands)
        left(scene)


def test_what_is_left_to_another_is_no_try_and_no_action() -> None:
    """Neither its step nor the target's breaker count it, so what comes when the other gave up is the first try."""
    scene = Scene(settings(policy(), attempts=1))
    scene.say(fault())
    left(scene)
    scene.tick(2 * SECOND)
    left(scene)
    scene.tick(4 * SECOND)
    assert 3 == len(scene.commands)
    assert not any(one.tried for one in scene.journal.faults[fault().id].intents.values() if one.outcome)
    assert ["healer", "healer"] == scene.holds


def test_a_person_is_asked_when_the_other_does_not_come_to_an_end() -> None:
    """For `patience` it is looked; then an approval, and only that, makes one try more."""
    scene = Scene(settings(policy(), patience=10 * SECOND))
    scene.say(fault())
    left(scene)
    for _ in range(20):
        scene.tick(SECOND)
        if scene.journal.at_work:
            left(scene)
    count = len(scene.commands)
    assert "escalated" == scene.holds[-1]
    scene.tick(100 * SECOND)
    assert count == len(scene.commands)
    scene.say(order("approve", fault().id))
    assert count + 1 == len(scene.commands)


def test_people_are_told_meanwhile() -> None:
    """A step that tells, or looks, is not held."""
    steps = {"action": "restart"}, {"action": "notify"}
    scene = Scene(settings(policy().model_validate({"name": "all", "mode": "auto", "play": steps})))
    scene.say(fault())
    left(scene)
    assert ["healer"] == scene.holds
    told = Scene(settings(policy().model_validate({"name": "all", "mode": "auto", "play": steps[1:]})))
    told.say(fault())
    left(told)
    assert 2 == len(told.commands)


def test_files_that_were_changed_count_whoever_restarts_the_service() -> None:
    """After a rollback the restart by systemd is as good as our own."""

    def defers(_: ActionContext) -> str:
        msg = "systemd is about to restart web.service itself"
        raise DeferredError(msg)

    assert "systemd is about to restart web.service itself" == restart_or_leave(
        Deed(does=defers), ActionContext("i-1", "host-1", "web", UNIT, 5.0)
    )


def test_an_agent_says_at_its_start_who_else_restarts_its_services(caplog: pytest.LogCaptureFixture) -> None:
    """One warning for each unit with `Restart=`; a systemd that does not answer is no reason to stop."""
    caplog.set_level("INFO")

    def healer(unit: str) -> str:
        if unit == "odd.service":
            msg = "there is no systemctl on this host"
            raise PermanentError(msg)
        return {"keen.service": "on-failure"}.get(unit, "no")

    units = {name: ServiceSettings(process=ProcessSettings(unit=f"{name}.service")) for name in ("keen", "odd", "calm")}
    tell_healers(units | {"own": ServiceSettings(process=ProcessSettings(command=("true",)))}, healer)
    until(lambda: len(caplog.records) == 2)
    assert [
        "keen.service has Restart=on-failure: keen is left to systemd until it gives up",
        "who else restarts odd is not known: there is no systemctl on this host",
    ] == caplog.messages


@pytest.fixture(name="crashing")
def _crashing(systemd: Systemd) -> Callable[[ActionContext], str]:
    """Start a unit that systemd restarts once, some time after its death; return what restarts it."""
    systemd.service("crashing", "/bin/sleep 600", "Restart=on-failure\nRestartSec=600\nStartLimitBurst=1")
    systemd.call("start", "crashing.service")
    unit = RestartUnit(systemd.systemctl)
    return lambda context: unit.run(replace(context, settings=UNIT))


@pytest.mark.heavy
def test_a_unit_is_left_to_a_real_systemd_until_that_gives_up(
    tmp_path: Path, systemd: Systemd, crashing: Callable[[ActionContext], str]
) -> None:
    """Killed, it is held with the reason; when systemd says that it failed, it is restarted and runs."""
    scene = Scene()
    with Table(tmp_path, Deed(does=crashing)) as host:

        def obey() -> None:
            told = scene.commands[-1]
            assert isinstance(told, Command)
            host.take(host.keys.sign(told.model_copy(update={"signature": None})))
            scene.say(host.said())

        systemd.call("kill", "--signal=SIGKILL", "crashing.service")
        until(lambda: systemd.show("crashing.service", "SubState").startswith("auto-restart"))
        scene.say(fault())
        obey()
        held = scene.all(Hold)[-1]
        about = "systemd is about to restart crashing.service itself (Restart=on-failure)"
        assert ("healer", f"another healer is at work: {about}") == (held.guard, held.reason)
        with pytest.raises(subprocess.CalledProcessError):
            systemd.call("start", "crashing.service")  # one start too many: systemd gives up
        until(lambda: systemd.show("crashing.service", "ActiveState") == "failed")
        scene.tick(2 * SECOND)
        obey()
    assert "succeeded" == scene.journal.faults[fault().id].newest.outcome.status  # type: ignore[union-attr]
    assert "active" == systemd.show("crashing.service", "ActiveState")
