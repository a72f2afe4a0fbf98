"""Roles as processes of their own: what stops one before it began is told in one message, and with a status."""

from __future__ import annotations

import signal
import socket
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from mendline.schemas.stream import Partition
from tests.cli.support import ended, one_message, opened, start, until, write_config

# Two dozen processes, each of which takes most of a second to begin.
pytestmark = pytest.mark.heavy

ROLES = ("agent", "process", "detect", "respond", "store", "up")
DETECTOR = [{"name": "one", "use": "no.such:Detector"}]


@pytest.mark.parametrize("role", ["agent", "up"])
def test_a_wrong_configuration(tmp_path: Path, role: str) -> None:
    """Status 2, before anything is touched."""
    config = write_config(tmp_path, statee="x")
    one_message(ended(start(config, role)), 2, "statee", "did you mean state?")
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("role", ["detect", "up"])
def test_an_unknown_detector(tmp_path: Path, role: str) -> None:
    """It is named, with what there is."""
    one_message(ended(start(write_config(tmp_path, detectors=DETECTOR), role)), 2, "no.such")


@pytest.mark.parametrize("role", ["process", "agent"])
def test_a_metrics_port_in_use(tmp_path: Path, role: str) -> None:
    """The key and the address are named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        config = write_config(tmp_path, metrics={"listen": listen})
        one_message(ended(start(config, role)), 3, "metrics.listen", listen)


@pytest.mark.parametrize("role", ROLES)
def test_a_state_folder_that_is_a_file(tmp_path: Path, role: str) -> None:
    """Each role that needs the folder names it."""
    (tmp_path / "state").write_text("mine")
    one_message(ended(start(write_config(tmp_path), role)), 3, str(tmp_path / "state"))


@pytest.mark.parametrize("role", ["agent", "process"])
def test_a_log_that_is_a_file(tmp_path: Path, role: str) -> None:
    """The log names the place."""
    (tmp_path / "log").write_text("mine")
    one_message(ended(start(write_config(tmp_path), role)), 3, str(tmp_path / "log"))


@pytest.mark.skipif(not Path("/sys/kernel").exists(), reason="needs /sys, where not even root may make a folder")
@pytest.mark.parametrize("key", ["log", "state"])
def test_a_place_that_cannot_be_written(tmp_path: Path, key: str) -> None:
    """The place is named, and why."""
    place = "sqlite:///sys/mendline" if key == "log" else "/sys/mendline"
    one_message(ended(start(write_config(tmp_path, **{key: place}), "agent")), 3, "/sys/mendline")


@pytest.mark.parametrize("role", ["agent", "up"])
def test_a_corrupt_log(tmp_path: Path, role: str) -> None:
    """It is told which file, and nothing in it is changed."""
    config = write_config(tmp_path)
    opened(config)[1].close()
    files = [path for path in (tmp_path / "log").rglob("*") if path.is_file()]
    for path in files:
        path.write_bytes(b"garbage" * 1000)
    one_message(ended(start(config, role)), 3, str(tmp_path / "log"))
    assert all(path.read_bytes().startswith(b"garbage") for path in files if path.exists())


def test_a_locked_log_is_waited_for(tmp_path: Path) -> None:
    """A role tells that a foreign program holds the file, and goes on when that lets go."""
    config = write_config(tmp_path)
    opened(config)[1].close()
    with closing(sqlite3.connect(tmp_path / "log" / "control.db", isolation_level=None)) as foreign:
        foreign.execute("BEGIN EXCLUSIVE")
        process = start(config, "process")
        assert process.stderr
        line = process.stderr.readline()
        assert all(word in line for word in ("control.db", "locked", "trying again")), line
    process.terminate()
    ran = ended(process)
    assert (ran.status, "Traceback" in ran.err) == (0, False), ran


def test_two_agents_on_one_state_folder(tmp_path: Path) -> None:
    """The second one says who has it and what to do, and the first goes on."""
    config = write_config(tmp_path)
    first = start(config, "agent")
    try:
        lock = tmp_path / "state" / "agent.lock"
        until("lock of the first agent", lambda: lock.exists() and lock.read_text().strip())
        one_message(ended(start(config, "agent")), 3, f"process {first.pid}", "name")
        assert first.poll() is None
    finally:
        first.terminate()
    assert ended(first).status == 0


@pytest.mark.parametrize("role", ["agent", "detect"])
def test_a_broker_that_is_not_there_is_waited_for(tmp_path: Path, role: str) -> None:
    """It says so and tries again; SIGTERM ends the waiting at once, with status 0."""
    process = start(write_config(tmp_path, log="kafka://127.0.0.1:9"), role)
    assert process.stderr
    assert any("127.0.0.1:9" in line and "trying again" in line for line in process.stderr)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    ran = ended(process)
    assert (ran.status, "Traceback" in ran.err) == (0, False), ran
    assert time.monotonic() - asked < 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """By Ctrl-C or SIGTERM, with status 0 and nothing on standard error."""
    process = start(write_config(tmp_path), "up")
    assert process.stdout
    assert process.stdout.readline().startswith("Mendline is up on sqlite://")
    process.send_signal(number)
    ran = ended(process)
    assert (ran.status, ran.err) == (0, "")


@pytest.mark.parametrize("listen", ["nonsense", "127.0.0.1:99999"])
def test_a_metrics_address_that_makes_no_sense(tmp_path: Path, listen: str) -> None:
    """Told as such, by the configuration or by the endpoint."""
    ran = ended(start(write_config(tmp_path, metrics={"listen": listen}), "process"))
    assert ran.status in (2, 3)
    one_message(ran, ran.status, "metrics.listen", listen)


def mapped(pid: int, libraries: Sequence[str]) -> list[str]:
    """Return those of the libraries that a process has loaded, as Linux sees it."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return [name for name in libraries if name in maps]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_a_running_agent_has_no_numpy(tmp_path: Path) -> None:
    """The whole role, not only its modules: numpy would double its memory."""
    config = write_config(tmp_path)
    process = start(config, "agent")
    try:
        until("first epoch", (tmp_path / "state" / "epoch").exists)
        settings, log = opened(config)
        with log:
            consumer = log.consumer("test")
            part = Partition(settings.topics.topic("metrics"), 0)
            consumer.assign([part])
            until("a round on the log", lambda: consumer.end_offset(part) > 2)
            consumer.close()
        assert mapped(process.pid, ("numpy", "kafka")) == []
    finally:
        process.terminate()
    assert ended(process).status == 0
