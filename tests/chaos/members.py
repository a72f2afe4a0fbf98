"""Two members of every role as real processes, agents too, and a supervisor that starts again what ended by itself."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.chaos.hosts import AGENTS, STEADFAST, Hosts
from tests.chaos.story import INTERVAL_MS, LEVEL, ODD
from tests.faults.fleet import Fleet

ROLES = ("process", "detect", "respond")
PARTITIONS = 2
LEAVE_S = 45.0
"""How long a member may take to end in order, brokers being away included."""

_MEANT = (0, -signal.SIGTERM)
"""How a member may end that was asked to: one only just started does not hear SIGTERM yet."""
_TOO_EARLY = -signal.SIGHUP
"""How a member ends that is told to reload before it can hear that."""


@dataclass
class Members(Fleet):
    """Members called ROLE-N, some of them frozen or leaving; `ended` tells of those that ended by themselves.

    They speak to Kafka through `client`.
    """

    client: str = "kafka-python"
    roles: tuple[str, ...] = (*(f"{role}-{number}" for role in ROLES for number in (1, 2)), *AGENTS)
    frozen: set[str] = field(default_factory=set)
    leaving: dict[str, float] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    reloads: int = 0

    def __post_init__(self) -> None:
        """Write the configurations."""
        super().__post_init__()
        self.hosts = Hosts(self.folder)
        self.hosts.write(self._common())

    def config_of(self, name: str) -> Path:
        """Return the file that a member is configured by: an agent has its own."""
        return self.hosts.config_of(name) if name in AGENTS else self.config

    @property
    def up(self) -> list[str]:
        """The members at work, sorted."""
        return sorted(self.processes.keys() - self.frozen - self.leaving.keys())

    def freeze(self, name: str) -> None:
        """Stop a member by SIGSTOP."""
        self.processes[name].send_signal(signal.SIGSTOP)
        self.frozen.add(name)

    def thaw(self, name: str) -> None:
        """Let a frozen member go on."""
        self.processes[name].send_signal(signal.SIGCONT)
        self.frozen.discard(name)

    def lose(self, name: str) -> None:
        """Kill a member as `kill -9` does; it is none until it is started again."""
        self.kill(name)
        del self.processes[name]

    def leave(self, name: str) -> None:
        """Ask a member to end, by SIGTERM."""
        self.processes[name].terminate()
        self.leaving[name] = time.monotonic() + LEAVE_S

    def reload(self) -> None:
        """Change the configuration (a detector that looks at nothing comes or goes) and tell all but STEADFAST."""
        self.reloads += 1
        self.config.write_text(yaml.safe_dump(self._settings()))
        for name, process in self.processes.items():
            if name != STEADFAST:
                process.send_signal(signal.SIGHUP)

    def supervise(self) -> None:
        """Let go of those who left, and start again who ended unasked; fail when one does not end, or not well."""
        for name, process in list(self.processes.items()):
            status = process.poll()
            if status is None:
                if time.monotonic() > self.leaving.get(name, float("inf")):
                    process.send_signal(signal.SIGABRT)  # which makes it tell what each of its threads is at
                    process.wait()
                    raise AssertionError(f"{name} did not end within {LEAVE_S:g} s: {self.said(name)}")
                continue
            del self.processes[name]
            self.frozen.discard(name)
            if self.leaving.pop(name, None) is not None:
                assert status in (*_MEANT, _TOO_EARLY), f"{name} ended with {status}: {self.said(name)}"
                continue
            if status != _TOO_EARLY:
                self.ended.append(f"{name} ended with {status}: {self.said(name)[-500:]}")
            self.start(name)

    def settle(self) -> None:
        """Let every member go on, and start those that are missing."""
        for name in sorted(self.frozen):
            self.thaw(name)
        self.settle_down()
        self.start(*sorted(set(self.roles) - self.processes.keys()))

    def settle_down(self) -> None:
        """Wait until everyone has left who was asked to."""
        while self.leaving:
            self.supervise()
            time.sleep(0.05)

    def clear(self) -> None:
        """Leave nothing running, whatever happened."""
        for process in self.processes.values():
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
        self.hosts.clear()

    def _common(self) -> dict[str, object]:
        return {
            "log": self.url,
            "topics": {"prefix": self.prefix, "partitions": PARTITIONS},
            "kafka": {"session_timeout": "5s", "client": self.client},
        }

    def _settings(self) -> dict[str, object]:
        return {
            **self._common(),
            "name": "fleet",
            "state": str(self.folder / "state"),
            "keys": {"unsigned": "accept"},
            "host": {"interval": f"{INTERVAL_MS}ms"},
            "windows": {"pane": "500ms", "widths": ["500ms", "2s"]},
            "liveness": {"silent_after": "1d"},
            "detectors": [*_detectors(), *([_toggled()] if self.reloads % 2 else [])],
            "policies": _policies(),
        }


def _detectors() -> list[dict[str, Any]]:
    level = {"use": "threshold", "match": {"metric": LEVEL}, "open": {"above": 5}, "clear": {"below": 3}}
    return [
        {"name": "level-now", "window": 0, **level},
        {"name": "level", "window": "500ms", "statistic": "mean", **level},
        {
            "name": "odd",
            "use": "zscore",
            "match": {"metric": ODD},
            "window": "500ms",
            "statistic": "mean",
            "parameters": {"windows": 40, "ready": 20},
            "open": {"above": 8},
            "clear": {"below": 4},
        },
    ]


def _policies() -> list[dict[str, Any]]:
    """Return what is to be done: services come back, told ones have nobody who obeys, and some only wait for a person.

    A service's deaths have nothing to do with each other, so that none counts as a repair that did not last.
    """
    mended = {"guards": {"cooldown": "0s", "attempts": 1000, "window": "1s", "concurrent": 100, "fresh": "2m"}}
    told = {"guards": {"cooldown": "2s", "attempts": 4, "window": "20s", "breaker": "20s", "concurrent": 4}}
    ask = {"mode": "ask", "play": [{"action": "restart"}]}
    act = {"mode": "auto", "play": [{"action": "restart", "timeout": "1s", "verify": "2s", "attempts": 1}]}
    play = [{"action": "restart", "verify": "60s", "attempts": 50}] * 2
    return [
        {"name": "mended", "when": {"target": "agent-*/*", "kind": ["dead"]}, "mode": "auto", "play": play, **mended},
        {"name": "told", "when": {"target": "host-[1-3]/*", "kind": ["dead"]}, **act, **told},
        {"name": "asked", "when": {"target": "host-4/*", "kind": ["dead"]}, **ask, **told},
        {"name": "shadow", "when": {"kind": ["dead"]}, "play": [{"action": "restart"}]},
    ]


def _toggled() -> dict[str, Any]:
    return {"name": "toggled", "use": "zscore", "match": {"metric": "chaos.absent"}, "window": "2s"}
