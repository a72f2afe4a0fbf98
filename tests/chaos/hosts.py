"""Hosts: real agents with real services, which die now and then and are to be mended, each time by one restart."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

AGENTS = ("agent-1", "agent-2")
STEADFAST = "agent-2"
"""Never killed, stopped or reloaded. An agent that was away starts what died meanwhile: nobody hears of that death."""
SERVICES = ("left", "right")
WORKER = Path(__file__).parent / "worker.py"
STEADY_S = 3.0
"""So long a service runs before it may be killed again."""


@dataclass
class Service:
    """A service: each start is a line in `file`, each death was our doing. `since` (s) is when its last start was seen.

    It runs exactly when it was started once more than it died.
    """

    target: str
    file: Path
    deaths: int = 0
    since: float = 0.0
    _seen: int = field(default=0, repr=False)

    @property
    def pids(self) -> list[int]:
        """The process id of every start, in order."""
        return [int(line) for line in self.file.read_text().split()] if self.file.exists() else []

    @property
    def steady(self) -> bool:
        """Whether it has run for a while."""
        starts = len(self.pids)
        if starts != self._seen:
            self._seen, self.since = starts, time.monotonic()
        return starts == 1 + self.deaths and time.monotonic() - self.since >= STEADY_S

    def kill(self) -> None:
        """Let it die."""
        os.kill(self.pids[-1], signal.SIGKILL)
        self.deaths += 1


class Hosts:
    """The hosts' configurations and services."""

    def __init__(self, folder: Path) -> None:
        """Keep what belongs to the hosts in `folder`."""
        self._folder = folder
        self.services = [
            Service(f"{agent}/{name}", folder / f"{agent}-{name}.starts") for agent in AGENTS for name in SERVICES
        ]

    def write(self, common: Mapping[str, Any]) -> None:
        """Write each host's configuration: what is `common` to all members, and what is its own."""
        for agent in AGENTS:
            services = {one.target.partition("/")[2]: one for one in self.services if one.target.startswith(agent)}
            own = {
                "name": agent,
                "state": str(self._folder / f"{agent}.state"),
                "keys": {"directory": str(self._folder / "state" / "keys")},
                "host": {"interval": "500ms", "collect": ["load"]},
                "reflex": {"attempts": 0},
                "services": {name: _service(one.file) for name, one in services.items()},
            }
            self.config_of(agent).write_text(yaml.safe_dump({**common, **own}))

    def config_of(self, agent: str) -> Path:
        """Return the file that an agent is configured by."""
        return self._folder / f"{agent}.yaml"

    def well(self) -> bool:
        """Say whether every service runs again."""
        return all(len(one.pids) == 1 + one.deaths for one in self.services)

    def clear(self) -> None:
        """Leave no service running."""
        for one in self.services:
            if len(one.pids) > one.deaths:
                os.kill(one.pids[-1], signal.SIGKILL)


def _service(starts: Path) -> dict[str, Any]:
    command = [sys.executable, "-I", "-S", str(WORKER), str(starts)]
    return {"process": {"command": command, "grace": "100ms"}, "allow": ["restart"]}
