"""Units of a real systemd: stopped, killed, restarted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from mendline.schemas.records import ProcessEvent, decode_record
from tests.support.systemd import Systemd

pytestmark = pytest.mark.heavy

UNIT = "watched.service"


@pytest.fixture
def lines(systemd: Systemd) -> Iterator[IO[str]]:
    """Watch a running unit from inside of the systemd's namespaces."""
    systemd.service("watched", "/bin/sleep 10000")
    systemd.call("start", UNIT)
    inside = ["nsenter", "-t", str(systemd.pid), "-m", "-p"]
    command = [*inside, sys.executable, "-m", "tests.producers.watch_unit", UNIT]
    root = str(Path(__file__).parents[2])  # entering another mount namespace leaves the working directory behind
    env = os.environ | {"PYTHONPATH": root}
    with subprocess.Popen(command, text=True, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as watch:
        assert watch.stdout
        yield watch.stdout
        watch.communicate()
    systemd.call("stop", UNIT)
    systemd.call("reset-failed")


def heard(lines: IO[str]) -> ProcessEvent:
    """Return the next event."""
    event = decode_record(lines.readline().encode())
    assert isinstance(event, ProcessEvent)
    return event


def test_a_stop_is_meant_and_a_kill_is_not(systemd: Systemd, lines: IO[str]) -> None:
    """Each is told with its signal, and the unit is found again when it is started."""
    assert "adopted" == heard(lines).state
    systemd.call("stop", UNIT)
    stopped = heard(lines)
    assert ("exited", "SIGTERM", True) == (stopped.state, stopped.signal, stopped.meant)
    systemd.call("start", UNIT)
    assert "started" == heard(lines).state
    systemd.call("kill", "-s", "KILL", UNIT)
    killed = heard(lines)
    assert ("exited", "SIGKILL", False) == (killed.state, killed.signal, killed.meant)
    assert "result signal" in killed.detail


def test_a_restart_is_meant_and_the_new_process_follows_at_once(systemd: Systemd, lines: IO[str]) -> None:
    """What systemd itself starts anew is watched as soon as the end of the old one is told."""
    old = heard(lines)
    systemd.call("restart", UNIT)
    ended, started = heard(lines), heard(lines)
    assert (old.pid, "exited", True) == (ended.pid, ended.state, ended.meant)
    assert "started" == started.state
    assert started.pid != old.pid
