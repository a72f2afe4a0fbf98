"""The data of services on the command line: saved, listed, checked, verified and restored."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import yaml

from mendline.config import load_settings
from mendline.responders.snapshots.store import Store
from mendline.responders.supervisor import Supervisor
from tests.cli.support import Caller, Ran, ended, one_message, start, until, write_config

CHECK = ["grep", "-q", "good", "{path}"]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a configuration with the data `stock` of `web`, one good file, and `fixed`, which never change."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stock").write_text("good")
    (tmp_path / "fixed").write_text("good")
    data = {
        "stock": {"path": "stock", "check": CHECK, "check_every": "100ms"},
        "fixed": {"path": "fixed", "immutable": True},
    }
    process = {"command": [sys.executable, "-S", "-c", "import time; time.sleep(600)"]}
    return write_config(tmp_path, services={"web": {"process": process, "data": data, "allow": ["restore_data"]}})


def data(call: Caller, config: Path, *words: str) -> Ran:
    """Call `mendline data …`."""
    return call("data", *words, "-c", config)


def lines(ran: Ran) -> list[dict[str, object]]:
    """Return what was printed as JSON."""
    return [json.loads(line) for line in ran.out.splitlines()]


def supervisor(config: Path) -> Supervisor:
    """Return what knows which processes of services run now."""
    return Supervisor(load_settings(config).services, config.parent / "state")


def test_a_snapshot_is_taken_listed_and_verified(call: Caller, config: Path) -> None:
    """For people and as JSON; what has none says so."""
    (taken,) = lines(data(call, config, "save", "web/stock", "--json"))
    assert [taken] == lines(data(call, config, "list", "--json"))
    ran = data(call, config, "list")
    assert str(taken["snapshot"]) in ran.out
    assert "web/fixed: no snapshot yet" in ran.out
    ran = data(call, config, "verify")
    assert (0, f"web/stock {taken['snapshot']}: every hash verified\n") == ran[:2]


def test_damage_to_a_snapshot_is_the_answer_no(call: Caller, config: Path) -> None:
    """With the file that it is about."""
    data(call, config, "save", "web/stock")
    (content,) = (config.parent / "state" / "data" / "web" / "stock" / "objects").glob("*/*")
    content.chmod(0o600)
    content.write_text("bad!")
    ran = data(call, config, "verify", "web/stock", "--json")
    assert (1, ["stock: its content is not what it was"]) == (ran.status, lines(ran)[0]["damage"])


def test_corrupt_data_are_told_and_not_saved(call: Caller, config: Path) -> None:
    """Both is the answer no; what never changes may be accepted as it is."""
    for name in ("stock", "fixed"):
        data(call, config, "save", f"web/{name}")
    assert 0 == data(call, config, "check").status
    for name in ("stock", "fixed"):
        (config.parent / name).write_text("bad")
    ran = data(call, config, "check", "--json")
    assert (1, ["corrupt", "corrupt"]) == (ran.status, [one["health"] for one in lines(ran)])
    for name in ("stock", "fixed"):
        assert 1 == data(call, config, "save", f"web/{name}").status
    assert 0 == data(call, config, "save", "web/fixed", "--accept").status
    assert 0 == data(call, config, "check", "web/fixed").status


def test_data_are_restored_here_where_no_agent_is_at_work(call: Caller, config: Path) -> None:
    """And a service that did not run is not started: nobody would look after it."""
    data(call, config, "save", "web/stock")
    (config.parent / "stock").write_text("bad")
    ran = data(call, config, "restore", "web/stock", "--yes")
    assert (0, "good") == (ran.status, (config.parent / "stock").read_text())
    assert "every hash verified" in ran.out
    assert "did not run before, and stays so" in ran.out


def test_wrong_use_is_told(call: Caller, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data that are not declared, or several; a snapshot that is not there; nobody who says yes."""
    for words in (("list", "web"), ("save", "db/stock"), ("check", "web/../stock")):
        ran = data(call, config, *words)
        assert ran.status == 2
        assert "web/fixed, web/stock" in ran.err
    one_message(data(call, config, "restore", "web/stock", "--yes", "--snapshot", "x"), 3, "there is no snapshot 'x'")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert 130 == data(call, config, "restore", "web/stock").status
    (config.parent / "stock").unlink()
    one_message(data(call, config, "save", "web/stock"), 3, "No such file")


@pytest.mark.slow
def test_an_agent_that_is_at_work_restores_what_a_person_wants(call: Caller, config: Path) -> None:
    """It stops and starts its own service; what it refuses is the person's message."""
    agent = start(config, "agent")
    settings = load_settings(config)
    try:
        store = Store(config.parent / "state", "web", "stock")
        until("a snapshot", store.ids)
        snapshot = store.ids()[0]
        (config.parent / "stock").write_text("bad")
        ran = data(call, config, "restore", "web/stock", "--yes", "--timeout", "20s")
        assert (0, "good") == (ran.status, (config.parent / "stock").read_text())
        assert "started" in ran.out
        good = data(call, config, "restore", "web/stock", "--yes", "--timeout", "20s")
        one_message(good, 3, f"the agent of {settings.name} says: overtaken")
        named = data(call, config, "restore", "web/stock", "--yes", "--snapshot", snapshot, "--timeout", "20s")
        assert 0 == named.status
    finally:
        agent.send_signal(signal.SIGTERM)
        assert 0 == ended(agent).status
        supervisor(config).stop("web")  # it outlives its agent


def digest(folder: Path) -> str:
    """Return a hash over all files of the folder."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.iterdir()))).hexdigest()


@pytest.mark.heavy
@pytest.mark.parametrize("after_s", [0.0, 0.15])
def test_who_dies_in_the_middle_of_a_restore_ends_it_in_its_next_life(
    call: Caller, config: Path, after_s: float
) -> None:
    """The data are the old or the restored ones as a whole at once; then nothing is left beside them, and all works."""
    folder = config.parent / "big"
    folder.mkdir()
    for number in range(20):
        (folder / str(number)).write_bytes(os.urandom(4_000_000))
    written = yaml.safe_load(config.read_text())
    web = written["services"]["web"]
    web["data"] = {"big": {"path": "big", "immutable": True, "check_every": "100ms", "confirm": 1}}
    play = [{"action": "restore_data", "verify": "20s", "attempts": 100}]
    policy = {"name": "data", "when": {"kind": ["corrupt"]}, "mode": "auto", "play": play}
    guards = {"cooldown": "0s", "attempts": 100}
    config.write_text(yaml.safe_dump(written | {"policies": [policy], "guards": guards}))
    good = digest(folder)
    store, side = Store(config.parent / "state", "web", "big"), config.parent / ".big.mendline-restored"
    first = start(config, "up")
    try:
        until("a snapshot", store.ids)
        for path in folder.iterdir():
            path.write_bytes(b"bad")
        bad = digest(folder)
        until("a restore", side.exists)
        time.sleep(after_s)
    finally:
        first.kill()
        ended(first)
    assert digest(folder) in (good, bad)
    second = start(config, "agent")
    try:
        until("the second life", lambda: (config.parent / "state" / "epoch").read_text() == "2")
        until("order", lambda: not (store.folder / "restoring").exists() and not (store.folder / "stopped").exists())
        until("the service", supervisor(config).adopt_all)
        assert not side.exists()
        if digest(folder) == bad:
            assert 0 == data(call, config, "restore", "web/big", "--yes").status
        assert digest(folder) == good
    finally:
        second.send_signal(signal.SIGTERM)
        assert 0 == ended(second).status
        supervisor(config).stop("web")
