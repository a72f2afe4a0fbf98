"""Services that depend on each other, run and mended by a real deployment."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from mendline.config import load_settings, log_of
from mendline.logs.base import Log
from mendline.schemas.records import Fault
from mendline.schemas.settings import Settings
from tests.faults.fleet import Fleet, deployed, free_port, wait_for
from tests.faults.judging import read_journal

pytestmark = pytest.mark.heavy

LINK = Path(__file__).with_name("link.py")
NEEDS = {"web": ["app"], "app": ["db"], "db": []}
CAUSE_FIRST = ("db", "app", "web")
STARTING_S = 0.5


class Chain(Fleet):
    """Three services, each of which needs another and takes its time until it answers."""

    def _settings(self) -> dict[str, object]:
        play = [{"action": "restart", "attempts": 9, "verify": "30s", "stable": "300ms"}]
        return super()._settings() | {
            "services": {name: self._service(name) for name in NEEDS},
            "policies": [{"name": "all", "mode": "auto", "play": play}],
            "guards": {"cooldown": "0s", "attempts": 100, "window": "1s", "concurrent": 9},
        }

    def _service(self, name: str) -> dict[str, object]:
        port = free_port()
        command = [sys.executable, "-S", "-E", str(LINK), name, str(port), str(self.starts), str(STARTING_S)]
        return {
            "process": {"command": command, "grace": "100ms"},
            "probes": [{"http": f"http://127.0.0.1:{port}/", "every": "100ms", "timeout": "1s", "fail_after": "30s"}],
            "depends_on": NEEDS[name],
            "allow": ["restart"],
        }

    def notes(self) -> list[tuple[str, int, str]]:
        """Return what the services noted, in order: name, process, `starts` or `answers`."""
        lines = self.starts.read_text().splitlines() if self.starts.exists() else []
        return [(name, int(pid), what) for name, pid, what in map(str.split, lines)]

    def service_pids(self) -> list[int]:
        """Return the processes of all services so far."""
        return [pid for _, pid, what in self.notes() if what == "starts"]

    def answers(self) -> bool:
        """Say whether each service has answered."""
        self.alive()
        return {name for name, _, what in self.notes() if what == "answers"} == set(NEEDS)

    def kill_service(self, name: str) -> None:
        """Kill the newest process of a service."""
        os.kill([pid for one, pid, _ in self.notes() if one == name][-1], signal.SIGKILL)


def targets(log: Log, settings: Settings) -> set[str]:
    """Return which targets had a fault."""
    return {one.target for one in read_journal(log, settings) if isinstance(one, Fault)}


def test_restarts_go_cause_first_and_each_waits_until_the_one_before_answers(tmp_path: Path) -> None:
    """All three die one after the other: none is started before what it needs serves again, proven by its probe."""
    chain = Chain(tmp_path, f"sqlite://{tmp_path}/log", roles=("up",))
    settings = load_settings(chain.config)
    with deployed(chain), log_of(settings) as log:
        before = len(chain.notes())
        for name in CAUSE_FIRST:
            chain.kill_service(name)
            wait_for(f"the fault of {name}", lambda at=f"host-1/{name}": at in targets(log, settings))  # type: ignore[misc]
        wait_for("an answer of each", lambda: len(chain.notes()) >= before + 2 * len(NEEDS))
        order = [(name, what) for name, _, what in chain.notes()[before:]]
    assert [(name, what) for name in CAUSE_FIRST for what in ("starts", "answers")] == order
