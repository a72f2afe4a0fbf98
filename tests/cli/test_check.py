from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from mendline.responders.signing import PublicKey
from tests.cli.support import Caller, opened, write_config
from tests.support.fake_docker import fake_docker, inspection
from tests.support.fake_kubernetes import NAMESPACE, fake_kubernetes

FOREIGN = """
from pydantic import BaseModel, ConfigDict, Field

class Free:
    name = "free"

    def run(self, context):
        return "done"

class Purge(Free):
    class Parameters(BaseModel):
        model_config = ConfigDict(extra="forbid")
        days: int = Field(default=7, ge=1, description="age")
"""


def findings(call: Caller, config: Path) -> dict[str, tuple[str, str]]:
    """Return verdict and text of each thing that was looked at; the exit status must fit."""
    ran = call("check", config, "--json")
    found = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.status == (1 if any(one["verdict"] == "wrong" for one in found) else 0)
    return {one["about"]: (one["verdict"], one["text"]) for one in found}


def web(**more: Any) -> dict[str, Any]:
    """Return the services of a file with one service."""
    return {"web": {"process": {"command": [sys.executable, "app.py"]}, "allow": ["restart"]} | more}


def policy(**more: Any) -> dict[str, Any]:
    """Return a policy that acts on everything."""
    return {"name": "p", "mode": "auto", "play": [{"action": "restart"}]} | more


def test_a_good_file_will_work_and_nothing_is_left_behind(call: Caller, tmp_path: Path) -> None:
    """What was looked at is told in words, and no folder is made."""
    config = write_config(tmp_path, services=web(), policies=[policy()])
    ran = call("check", config)
    assert (ran.status, ran.out.splitlines()[-1]) == (0, "This will work.")
    assert ran == call("check", "-c", config)
    assert [config] == list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_wrong(call: Caller, tmp_path: Path) -> None:
    """It is tried, for rights alone do not tell: /proc lets root write, and takes no file."""
    (tmp_path / "file").write_text("")
    found = findings(call, write_config(tmp_path, log="sqlite:///proc/mendline", state="file/state"))
    assert (found["log"][0], found["state"][0]) == ("wrong", "wrong")
    assert "/proc cannot be written" in found["log"][1]


def test_a_webhook_that_stands_elsewhere_is_looked_for(call: Caller, tmp_path: Path) -> None:
    """It is found missing now and not when there is something to tell; what it says is not shown."""
    (tmp_path / "hook").write_text("https://example.com/hunter2\n")
    (tmp_path / "other").write_text("hunter2\n")
    webhooks = [{"webhook": f"file:{name}"} for name in ("hook", "other", "none")]
    found = findings(call, write_config(tmp_path, notify=webhooks, watchdog={"webhook": "env:NO_SUCH_HOOK"}))
    verdicts = [found[f"notify.{number}.webhook"][0] for number in range(3)]
    assert (["ok", "wrong", "wrong"], "wrong") == (verdicts, found["watchdog.webhook"][0])
    assert "hunter2" not in str(found)


@pytest.mark.heavy
def test_agents_that_cannot_be_believed_are_told_of(call: Caller, tmp_path: Path) -> None:
    """Without their keys nothing that they say counts, and without signatures anybody may say it."""
    keys = {"unsigned": "accept"}
    found = findings(call, write_config(tmp_path, log="kafka://127.0.0.1:1", keys=keys))
    assert ("warning", "warning") == (found["keys.agents"][0], found["keys.unsigned"][0])
    assert "`mendline keys init`" in found["keys.agents"][1]
    assert "keys.agents" not in findings(call, write_config(tmp_path))


def test_a_revoked_key_of_ones_own_is_wrong(call: Caller, tmp_path: Path) -> None:
    """Nobody believes what this host signs with it."""
    own = PublicKey.parse(call("keys", "init", "-c", write_config(tmp_path)).out)
    found = findings(call, write_config(tmp_path, keys={"revoked": [own.id]}))
    assert "wrong" == found["keys.revoked"][0]
    assert "`mendline keys rotate`" in found["keys.revoked"][1]


def test_a_damaged_log_is_wrong(call: Caller, tmp_path: Path) -> None:
    """With the way to salvage it."""
    config = write_config(tmp_path)
    _, log = opened(config)
    log.close()
    (tmp_path / "log" / "control.db").write_bytes(b"not a database, but as long as a page" * 200)
    verdict, text = findings(call, config)["log"]
    assert (verdict, "control.db" in text) == ("wrong", True)


@pytest.mark.heavy
def test_a_broker_that_is_not_there_is_wrong(call: Caller, tmp_path: Path) -> None:
    """Within seconds."""
    verdict, text = findings(call, write_config(tmp_path, log="kafka://127.0.0.1:1"))["log"]
    assert (verdict, "is the broker running" in text) == ("wrong", True)


def test_a_taken_port_is_wrong(call: Caller, tmp_path: Path) -> None:
    """The metrics' endpoint needs one of its own."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        told = findings(call, write_config(tmp_path, metrics={"listen": listen}))["metrics.listen"]
    assert ("wrong", f"{listen} cannot be listened on: Address already in use; choose another address") == told


def test_a_missing_program_or_folder_is_wrong(call: Caller, tmp_path: Path) -> None:
    """Mendline could not start the service."""
    about = "services.web.process.command"
    missing = findings(call, write_config(tmp_path, services=web(process={"command": ["nowhere"]})))[about]
    assert ("wrong", "there is no program nowhere that this user can run") == missing
    process = {"command": ["true"], "cwd": "nowhere"}
    missing = findings(call, write_config(tmp_path, services=web(process=process)))[about]
    assert ("wrong", f"its working directory {tmp_path}/nowhere does not exist") == missing


def test_a_program_is_looked_for_in_the_working_directory(call: Caller, tmp_path: Path) -> None:
    """As it is when it is started."""
    program = tmp_path / "app"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    config = write_config(tmp_path, services=web(process={"command": ["./app"]}))
    assert findings(call, config)["services.web.process.command"][0] == "ok"


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a systemctl first in PATH that prints the file it returns."""
    folder = tmp_path / "bin"
    folder.mkdir()
    shown = folder / "shown"
    program = folder / "systemctl"
    program.write_text(f'#!/bin/sh\nwhile read -r line; do echo "$line"; done < "{shown}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return shown


@pytest.mark.parametrize(
    ("shown", "verdict", "words"),
    [
        ("LoadState=loaded\nActiveState=active\nRestart=no\n", "ok", "web.service is active"),
        ("LoadState=loaded\nActiveState=active\nRestart=always\n", "warning", "two healers"),
        ("LoadState=not-found\nActiveState=inactive\n", "wrong", "systemd knows no unit web.service"),
    ],
)
def test_units_are_asked_for(
    call: Caller, tmp_path: Path, systemctl: Path, shown: str, verdict: str, words: str
) -> None:
    """A unit must be there, and one that systemd restarts by itself has two healers."""
    systemctl.write_text(shown)
    config = write_config(tmp_path, services=web(process={"unit": "web.service"}))
    told = findings(call, config)["services.web.process.unit"]
    assert (told[0], words in told[1]) == (verdict, True), told


@pytest.mark.parametrize(
    ("inspected", "verdict", "words"),
    [
        (inspection(), "ok", "shop is running"),
        (inspection(healer="always"), "warning", "Docker restarts it by itself (policy always): two healers"),
        ({"message": "No such container: shop"}, "wrong", "is not Docker"),
    ],
)
def test_containers_are_asked_for(
    call: Caller, tmp_path: Path, inspected: dict[str, Any], verdict: str, words: str
) -> None:
    """A container must be there, and one that Docker restarts by itself has two healers."""
    with fake_docker(tmp_path / "s", {"GET /containers/shop/json": (200, inspected)}) as docker:
        config = write_config(tmp_path, services=web(process={"container": "shop", "docker": docker.url}))
        found = findings(call, config)["services.web.process.container"]
    assert (found[0], words in found[1]) == (verdict, True), found


@pytest.mark.parametrize(
    ("workload", "verdict", "words"),
    [
        ("deployment/web", "ok", "2 of 2 pods are available"),
        ("deployment/gone", "wrong", 'deployments.apps "gone" not found'),
        ("pod/web-0", "ok", "it is there"),
        ("pod/gone-0", "warning", "it is not there now"),
    ],
)
def test_workloads_are_asked_for(call: Caller, tmp_path: Path, workload: str, verdict: str, words: str) -> None:
    """A workload must be there, and of a pod it is no wonder if it is not."""
    with fake_kubernetes() as cluster:
        cluster.add("deployments")
        cluster.kubeconfig(tmp_path)
        process = {"workload": workload, "namespace": NAMESPACE, "kubeconfig": "kubeconfig"}
        config = write_config(tmp_path, services=web(process=process))
        found = findings(call, config)["services.web.process.workload"]
    assert (found[0], words in found[1]) == (verdict, True), found


def test_a_docker_that_is_missing_is_wrong(call: Caller, tmp_path: Path) -> None:
    """Nobody could watch or restart the container."""
    process = {"container": "shop", "docker": f"unix://{tmp_path}/nowhere"}
    found = findings(call, write_config(tmp_path, services=web(process=process)))["services.web.process.container"]
    assert found[0] == "wrong"
    assert "there is no such socket; start Docker" in found[1]


def test_a_probe_says_whether_somebody_listens_now(call: Caller, tmp_path: Path) -> None:
    """Nobody there is only a warning: Mendline may be about to start the service."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        config = write_config(tmp_path, services=web(probes=[{"tcp": address}]))
        assert ("ok", f"{address}: somebody listens") == findings(call, config)["services.web.probes"]
    assert "warning" == findings(call, config)["services.web.probes"][0]


def test_data_that_cannot_be_saved_or_restored_are_told_of(call: Caller, tmp_path: Path) -> None:
    """A path that is missing, or that no copy can take the place of; a check that cannot run, or that there is none."""
    (tmp_path / "stock").write_text("good")
    path = str(tmp_path / "stock")
    data = {
        "good": {"path": path, "check": ["true", "{path}"]},
        "gone": {"path": str(tmp_path / "gone"), "check": ["/no/such/program"]},
        "mount": {"path": "/proc"},
        "root": {"path": "/"},
        "blind": {"path": path},
        "dump": {"kind": "command", "save": ["true"], "restore": ["/no/such/program"]},
    }
    services = {"db": {"data": data, "probes": [{"dns": "localhost"}]}}
    found = findings(call, write_config(tmp_path, services=services))
    of = {name.removeprefix("services.db.data."): text for name, text in found.items() if ".data." in name}
    assert {name: verdict for name, (verdict, _) in of.items()} == {
        "good": "ok",
        "good.check": "ok",
        "gone.path": "warning",
        "gone.check": "wrong",
        "mount.path": "wrong",
        "root.path": "wrong",
        "blind": "warning",
        "dump.save": "ok",
        "dump.restore": "wrong",
    }
    assert of["good"][1].endswith("a snapshot every 1 h")
    assert "is a mount point" in of["mount.path"][1]


def test_an_unknown_detector_is_wrong(call: Caller, tmp_path: Path) -> None:
    """The registered ones are named."""
    config = write_config(tmp_path, detectors=[{"name": "a", "use": "nope"}])
    ran = call("check", config)
    assert (ran.status, "'nope'; registered: absence, auto, " in ran.out) == (1, True)


@pytest.mark.parametrize(
    ("policies", "allow", "words"),
    [
        ([policy(), policy(name="q")], ["restart"], "never reached: a policy before it matches all"),
        (
            [policy(play=[{"action": "restart", "attempts": 2}, {"action": "restart", "when": {"after_tries": 3}}])],
            ["restart"],
            "play.1 (restart) is never reached: the other steps are tried 2 times at most",
        ),
        ([policy(when={"target": "db"})], ["restart"], "no service on this host matches target db"),
        ([policy(when={"labels": {"team": "ops"}})], ["restart"], "no service on this host matches labels team: ops"),
        (
            [
                policy(when={"kind": ["dead"]}),
                policy(name="q", when={"kind": ["hung"]}),
                policy(name="r", when={"target": "web", "kind": ["dead", "hung"]}),
            ],
            ["restart"],
            "never reached on this host",
        ),
        ([policy()], [], "services.web.allow does not list restart: this host will refuse it"),
    ],
)
def test_a_policy_that_can_do_nothing_is_told(
    call: Caller, tmp_path: Path, policies: list[Any], allow: list[str], words: str
) -> None:
    """It is no mistake, but seldom meant."""
    config = write_config(tmp_path, services=web(allow=allow), policies=policies)
    ran = call("check", config)
    assert ran.status == 0
    assert [line for line in ran.out.splitlines() if line.startswith("warning") and words in line], ran.out


def test_looking_and_telling_need_no_allow(call: Caller, tmp_path: Path) -> None:
    """The host does them whatever its list says."""
    play = [{"action": name, "attempts": 1} for name in ("diagnose", "notify")]
    config = write_config(tmp_path, services=web(allow=[]), policies=[policy(play=play)])
    assert "does not list" not in call("check", config).out


def test_a_step_that_does_not_fit_an_action_of_ones_own_is_wrong(
    call: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the model that the action has for it, with file, line, and what to do; one without a model takes anything."""
    (tmp_path / "foreign_purge.py").write_text(FOREIGN)
    monkeypatch.syspath_prepend(str(tmp_path))
    steps = [{"action": f"foreign_purge:{name}", "parameters": given} for name, given in
             (("Purge", {"days": 7}), ("Purge", {"days": 0}), ("Purge", {"dayz": 7}), ("Free", {"x": 1}))]  # fmt: skip
    config = write_config(tmp_path, policies=[policy(play=steps)])
    found = {about: told for about, told in findings(call, config).items() if ".parameters" in about}
    line = config.read_text().splitlines().index("      days: 0") + 1
    assert {
        "policies.0.play.1.parameters.days": (
            "wrong",
            f"{config}:{line}: of foreign_purge:Purge: days must be greater than or equal to 1 (age); given: 0",
        ),
        "policies.0.play.2.parameters.dayz": (
            "wrong",
            f"{config}:{line + 3}: of foreign_purge:Purge: dayz is no parameter; did you mean days?",
        ),
    } == found


def test_what_will_work_and_do_nothing_is_a_warning(call: Caller, tmp_path: Path) -> None:
    """Without services, without policies, or with a process that cannot be found now."""
    ran = call("check", write_config(tmp_path))
    assert (ran.status, "services: there are none" in ran.out) == (0, True)
    assert ran.out.splitlines()[-1] == "This will work; mind the warnings above (1)."
    ran = call("check", write_config(tmp_path, services={"web": {"process": {"pidfile": "/no/such.pid"}}}))
    assert "policies: there are none" in ran.out
    assert "there is no /no/such.pid now" in ran.out
