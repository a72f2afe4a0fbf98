"""The action `restore_data` on a real process, a real systemd unit, and by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mendline.responders.action import ActionContext, OvertakenError, PermanentError, TemporaryError
from mendline.responders.restart_systemd import RestartUnit
from mendline.responders.restore_data import RestoreData
from mendline.responders.snapshots.deadline import Deadline
from mendline.responders.snapshots.saving import save
from mendline.responders.snapshots.store import Store
from mendline.responders.supervisor import Supervisor
from mendline.responders.switch import ServiceSwitch
from mendline.schemas.settings import ServiceSettings
from tests.support.systemd import Systemd

SLEEPS = (sys.executable, "-S", "-c", "import time; time.sleep(600)")
CHECK = ("grep", "-q", "good", "{path}")


@dataclass
class Host:
    """A host with the service `web`, whose data `stock` are one file, good and saved."""

    folder: Path
    process: Mapping[str, object] = field(default_factory=lambda: {"command": SLEEPS})
    given: Mapping[str, object] = field(default_factory=lambda: {"check": CHECK})
    units: RestartUnit = field(default_factory=RestartUnit)

    def __post_init__(self) -> None:
        self.file = self.folder / "stock"
        data = {"stock": {"path": str(self.file), **self.given}}
        self.web = ServiceSettings.model_validate({"process": self.process, "data": data})
        self.supervisor = Supervisor({"web": self.web}, self.folder / "state")
        self.action = RestoreData(self.supervisor, self.units, self.folder / "state")
        self.store = Store(self.folder / "state", "web", "stock")
        self.file.write_text("good")
        self.saved = save(self.store, self.web.data["stock"], 1_700_000_000_000, Deadline.after(10))
        self.file.write_text("bad")

    def context(self, intent: str = "i-1", **parameters: str) -> ActionContext:
        """Return what the action is told."""
        return ActionContext(intent, "host-1", "web", self.web, 20.0, parameters)

    def switch(self) -> ServiceSwitch:
        """Return the switch that the action uses."""
        return ServiceSwitch("web", self.web, self.supervisor, self.units, self.store.folder / "stopped")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """Return a host whose service runs."""
    made = Host(tmp_path)
    first = made.supervisor.start("web").pid
    yield made
    second = made.supervisor.start("web").pid
    made.supervisor.stop("web")
    for pid in {first, second}:
        os.waitpid(pid, 0)


def test_the_service_is_stopped_while_its_data_are_exchanged(host: Host) -> None:
    """Another process runs on the restored data, and the outcome names snapshot, proof and times."""
    before = host.supervisor.start("web").pid
    said = host.action.run(host.context())
    after = host.supervisor.start("web").pid
    assert "good" == host.file.read_text()
    assert before != after
    assert said.startswith(f"stock restored from snapshot {host.saved.id}: 1 file, 4 bytes, every hash verified")
    assert f"digest {host.saved.digest}; recovery point " in said
    assert said.endswith(f"process {after} started")
    assert not (host.store.folder / "stopped").exists()


def test_the_same_intent_restores_only_once(host: Host) -> None:
    """What it said then is said again, and data that were written since stay."""
    first = host.action.run(host.context())
    host.file.write_text("bad again")
    assert first == host.action.run(host.context())
    assert "bad again" == host.file.read_text()
    host.action.run(host.context("i-2"))
    assert "good" == host.file.read_text()


def test_good_data_are_left_alone_unless_a_snapshot_is_named(host: Host) -> None:
    """Somebody has mended them since; who names a snapshot means it."""
    host.file.write_text("good, and newer")
    with pytest.raises(OvertakenError, match="is good"):
        host.action.run(host.context())
    assert "good, and newer" == host.file.read_text()
    host.action.run(host.context(snapshot=host.saved.id))
    assert "good" == host.file.read_text()


def test_a_snapshot_under_way_is_waited_for(host: Host) -> None:
    """By another try."""
    with host.store.locked(), pytest.raises(TemporaryError, match="under way"):
        host.action.run(host.context())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"data": "../../etc"}, "data must match pattern"),
        ({"data": "other"}, "declares no data 'other'"),
        ({"data": "stock", "path": "/etc"}, "path is no parameter; known here: data, snapshot"),
        ({"snapshot": "../../../etc/passwd"}, "there is no snapshot"),
    ],
)
def test_a_record_names_only_what_the_settings_declare(host: Host, parameters: Mapping[str, str], message: str) -> None:
    """Never a path of its own."""
    with pytest.raises(PermanentError, match=message):
        host.action.run(host.context(**parameters))
    assert "bad" == host.file.read_text()


def test_a_service_that_nobody_can_stop_keeps_its_data(tmp_path: Path) -> None:
    """Unless the settings say that it need not stop."""
    host = Host(tmp_path, process={"match": "web"})
    with pytest.raises(PermanentError, match="nobody here can stop and start web"):
        host.action.run(host.context())
    assert "bad" == host.file.read_text()
    running = Host(tmp_path, process={"match": "web"}, given={"check": CHECK, "stop": False})
    running.action.run(running.context())
    assert "good" == running.file.read_text()


def test_data_that_never_change_are_known_by_their_hashes(tmp_path: Path) -> None:
    """Without any check of their own."""
    host = Host(tmp_path, process={"match": "web"}, given={"immutable": True, "stop": False})
    host.action.run(host.context())
    assert "good" == host.file.read_text()
    with pytest.raises(OvertakenError, match="is good"):
        host.action.run(host.context("i-2"))


def test_without_a_name_all_that_are_corrupt_are_restored(tmp_path: Path) -> None:
    """And no other; a second try for the same intent does none of them again."""
    data = {
        name: {"path": str(tmp_path / name), "check": ["grep", "-q", "good", "{path}"], "stop": False}
        for name in ("a", "b", "c")
    }
    web = ServiceSettings.model_validate({"data": data})
    for name, settings in web.data.items():
        (tmp_path / name).write_text("good")
        save(Store(tmp_path / "state", "web", name), settings, 1_700_000_000_000, Deadline.after(10))
        (tmp_path / name).write_text("good, newer" if name == "b" else "bad")
    action = RestoreData(Supervisor({}, tmp_path / "state"), RestartUnit(), tmp_path / "state")
    context = ActionContext("i-1", "host-1", "web", web, 20.0)
    said = action.run(context)
    assert ["good", "good, newer", "good"] == [(tmp_path / name).read_text() for name in ("a", "b", "c")]
    assert "a restored from" in said
    assert "; c restored from" in said
    assert said == action.run(context)
    with pytest.raises(OvertakenError, match="no data of web are corrupt"):
        action.run(replace(context, intent="i-2"))


@pytest.mark.heavy
def test_a_unit_of_a_real_systemd_is_stopped_and_started(systemd: Systemd, tmp_path: Path) -> None:
    """Also one with Restart=; one that a person stopped stays stopped, and one that a crash left stopped does not."""
    systemd.service("stock", "/bin/sleep 600", "Restart=always")
    systemd.call("start", "stock.service")
    before = systemd.show("stock.service", "MainPID")
    host = Host(tmp_path, process={"unit": "stock.service"}, units=RestartUnit(systemd.systemctl))
    said = host.action.run(host.context())
    after = systemd.show("stock.service", "MainPID")
    assert said.endswith(f"stock.service: process {after} started")
    assert after != before
    host.switch().stop(Deadline.after(20))
    assert systemd.show("stock.service", "ActiveState") == "inactive"
    assert "started" in host.switch().start_again(Deadline.after(20))
    systemd.call("stop", "stock.service")
    host.file.write_text("bad")
    assert host.action.run(host.context("i-3")).endswith("did not run before, and stays so")
    assert systemd.show("stock.service", "ActiveState") == "inactive"
    assert "good" == host.file.read_text()
