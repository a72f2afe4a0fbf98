"""Restarting: which way is taken, and what a real systemd makes of it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mendline.responders.action import ActionContext, DeferredError, OvertakenError, PermanentError
from mendline.responders.registry import ACTION_NAMES, built_in_actions
from mendline.responders.restart import Restart, RestartProcess
from mendline.responders.restart_systemd import RestartUnit
from mendline.responders.supervisor import StopTimeoutError, Supervisor
from mendline.schemas.settings import NotifySettings, ProcessSettings, ServiceSettings, Settings
from tests.responders.executing import Deed
from tests.support.systemd import Systemd

PATIENCE_S = 20.0


def context(timeout_s: float = 10.0, **process: object) -> ActionContext:
    """Return what the action is told about `web`."""
    settings = ServiceSettings(process=ProcessSettings.model_validate(process) if process else None)
    return ActionContext("i-1", "host-1", "web", settings, timeout_s)


def saying(word: str) -> Deed:
    """Return an action that says `word`."""
    return Deed(does=lambda _: word)


def test_the_way_is_that_of_the_process_settings() -> None:
    """A command is restarted by the supervisor, a unit by systemctl, and so on; nothing else can be."""
    action = Restart({name: saying(name) for name in ("command", "unit", "program", "container", "workload", "start")})
    assert action.run(context(command=["true"])) == "command"
    assert action.run(context(unit="web.service")) == "unit"
    assert action.run(context(program="web")) == "program"
    assert action.run(context(container="web")) == "container"
    assert action.run(context(workload="deployment/web")) == "workload"
    assert action.run(context(pidfile="/run/web.pid", start=["a"], stop=["b"])) == "start"
    for other in (context(pidfile="/run/web.pid"), context(match="web"), context()):
        with pytest.raises(PermanentError, match="have none of command, unit, program, container, workload, start"):
            action.run(other)


def test_a_process_younger_than_the_evidence_is_left_alone() -> None:
    """The evidence is about another one, however this one is run."""
    deed = Deed()
    for one in (context(command=["true"]), context(unit="web.service")):
        with pytest.raises(OvertakenError, match="started anew"):
            Restart({"command": deed, "unit": deed}).run(replace(one, started_since="web was started anew"))
    assert not deed.asked


def test_the_registry_knows_all_built_in_actions(tmp_path: Path) -> None:
    """By the names that settings use."""
    settings = Settings(notify=(NotifySettings(webhook="http://127.0.0.1:1/"),))
    actions = built_in_actions(Supervisor({}, tmp_path), settings, lambda _: None)
    assert tuple(sorted(actions)) == ACTION_NAMES
    assert all(action.name == name for name, action in actions.items())


def test_a_process_is_restarted_and_named(tmp_path: Path) -> None:
    """The result says which process took whose place."""
    web = ServiceSettings(process=ProcessSettings(command=(sys.executable, "-c", "import time; time.sleep(600)")))
    supervisor = Supervisor({"web": web}, tmp_path)
    action = RestartProcess(supervisor)
    told = ActionContext("i-1", "host-1", "web", web, 10.0)
    first = supervisor.start("web").pid
    assert action.run(told) == f"process {supervisor.start('web').pid} in place of {first}"
    second = supervisor.start("web").pid
    os.kill(second, signal.SIGKILL)
    os.waitpid(second, 0)
    said = action.run(told)
    assert said == f"process {supervisor.start('web').pid} started"
    supervisor.stop("web")
    for child in (first, int(said.split()[1])):
        os.waitpid(child, 0)


def test_what_the_supervisor_cannot_do_is_final_or_timed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing program fails; a process that outlives SIGKILL times out."""
    web = ServiceSettings(process=ProcessSettings(command=("/no/such/program",)))
    supervisor = Supervisor({"web": web}, tmp_path)
    with pytest.raises(PermanentError, match="does not exist"):
        RestartProcess(supervisor).run(ActionContext("i-1", "host-1", "web", web, 1.0))

    def never(*_: object) -> None:
        raise StopTimeoutError("it waits for a device")

    monkeypatch.setattr(supervisor, "restart", never)
    with pytest.raises(TimeoutError, match="device"):
        RestartProcess(supervisor).run(ActionContext("i-1", "host-1", "web", web, 1.0))


def fake(tmp_path: Path, **state: str) -> RestartUnit:
    """Return the action with a `systemctl` that shows this state and does nothing."""
    shown = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "Result": "success"} | state
    lines = "\n".join(f"{name}={value}" for name, value in ({"Restart": "no", "MainPID": "7"} | shown).items())
    script = tmp_path / "systemctl"
    script.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\ncat <<END\n{lines}\nEND\n')
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    return RestartUnit([str(script)])


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({"LoadState": "not-found"}, PermanentError, "systemd knows no unit web.service"),
        (
            {"SubState": "auto-restart", "ActiveState": "activating"},
            DeferredError,
            "about to restart web.service itself",
        ),
        ({"ActiveState": "inactive", "SubState": "dead"}, PermanentError, "stopped on purpose"),
        ({"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"}, PermanentError, "after its restart"),
    ],
)
def test_units_that_must_not_or_cannot_be_restarted(
    tmp_path: Path, state: dict[str, str], error: type[Exception], message: str
) -> None:
    """Unknown, in systemd's own hands, stopped on purpose, or failed again."""
    with pytest.raises(error, match=message):
        fake(tmp_path, **state).run(context(unit="web.service"))


def test_a_unit_name_is_never_an_option(tmp_path: Path) -> None:
    """It stands behind `--`, whatever it is called."""
    fake(tmp_path).run(context(unit="--force.service"))
    assert all(" -- --force.service" in line for line in (tmp_path / "calls").read_text().splitlines())


def test_a_second_healer_is_known(tmp_path: Path) -> None:
    """By Restart= in the unit; while systemd does not use it, a hung unit is restarted all the same."""
    action = fake(tmp_path, Restart="always")
    assert "process 7 in place of 7" in action.run(context(unit="web.service"))
    assert "always" == action.healer("web.service")


def test_a_systemctl_that_hangs_or_is_missing(tmp_path: Path) -> None:
    """The first times out, the second is final."""
    script = tmp_path / "systemctl"
    script.write_text("#!/bin/sh\nexec sleep 600\n")
    script.chmod(0o755)
    with pytest.raises(TimeoutError, match="did not answer in time"):
        RestartUnit([str(script)]).run(context(0.05, unit="web.service"))
    with pytest.raises(PermanentError, match="cannot be run"):
        RestartUnit([str(tmp_path / "nowhere")]).run(context(unit="web.service"))


def until(true: Callable[[], object], what: str) -> None:
    """Wait until something outside became true."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.mark.heavy
def test_a_hung_unit_of_a_real_systemd_is_restarted(systemd: Systemd) -> None:
    """Frozen by SIGSTOP: afterwards another process runs."""
    systemd.service("hung", "/bin/sleep 600")
    systemd.call("start", "hung.service")
    systemd.call("kill", "--signal=SIGSTOP", "hung.service")
    before = systemd.show("hung.service", "MainPID")
    said = RestartUnit(systemd.systemctl).run(context(unit="hung.service"))
    after = systemd.show("hung.service", "MainPID")
    assert after != before
    assert said == f"hung.service: process {after} in place of {before}"


@pytest.mark.heavy
def test_a_killed_unit_of_a_real_systemd_is_restarted(systemd: Systemd) -> None:
    """Failed by a signal, so not meant: it is started again, start limit or not."""
    systemd.service("killed", "/bin/sleep 600", "StartLimitBurst=1")
    systemd.call("start", "killed.service")
    systemd.call("kill", "--signal=SIGKILL", "killed.service")
    until(lambda: systemd.show("killed.service", "ActiveState") == "failed", "it does not fail")
    RestartUnit(systemd.systemctl).run(context(unit="killed.service"))
    assert systemd.show("killed.service", "ActiveState") == "active"


@pytest.mark.heavy
def test_a_unit_that_people_stopped_stays_stopped(systemd: Systemd) -> None:
    """`systemctl stop` is somebody's will."""
    systemd.service("meant", "/bin/sleep 600")
    systemd.call("start", "meant.service")
    systemd.call("stop", "meant.service")
    with pytest.raises(PermanentError, match=r"meant\.service was stopped on purpose"):
        RestartUnit(systemd.systemctl).run(context(unit="meant.service"))
    assert systemd.show("meant.service", "ActiveState") == "inactive"


@pytest.mark.heavy
def test_a_unit_that_systemd_restarts_itself_is_left_to_it(systemd: Systemd) -> None:
    """While Restart= waits for its RestartSec, this action defers."""
    systemd.service("own", "/bin/sleep 600", "Restart=always\nRestartSec=600")
    systemd.call("start", "own.service")
    systemd.call("kill", "--signal=SIGKILL", "own.service")
    until(lambda: systemd.show("own.service", "SubState").startswith("auto-restart"), "systemd does not care")
    with pytest.raises(DeferredError, match=r"restart own.service itself \(Restart=always\)"):
        RestartUnit(systemd.systemctl).run(context(unit="own.service"))


@pytest.mark.heavy
def test_a_unit_that_does_not_come_up_fails_with_its_state(systemd: Systemd) -> None:
    """The unit's own word, not only systemctl's."""
    systemd.service("broken", "/bin/false", "Type=oneshot")
    with pytest.raises(subprocess.CalledProcessError):
        systemd.call("start", "broken.service")
    with pytest.raises(PermanentError, match=r"broken\.service"):
        RestartUnit(systemd.systemctl).run(context(unit="broken.service"))


@pytest.mark.heavy
def test_a_unit_that_systemd_does_not_know(systemd: Systemd) -> None:
    """A typing error in the settings is said as one."""
    with pytest.raises(PermanentError, match=r"knows no unit nowhere\.service"):
        RestartUnit(systemd.systemctl).run(context(unit="nowhere.service"))
