"""Two members of every role as real processes, with a supervisor that starts again what ended by itself."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from typing import Any

import yaml

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
    roles: tuple[str, ...] = tuple(f"{role}-{number}" for role in ROLES for number in (1, 2))
    frozen: set[str] = field(default_factory=set)
    leaving: dict[str, float] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    reloads: int = 0

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
        """Change the configuration (a detector that has nothing to look at comes or goes) and tell all members."""
        self.reloads += 1
        self.config.write_text(yaml.safe_dump(self._settings()))
        for process in self.processes.values():
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

    def _settings(self) -> dict[str, object]:
        return {
            "name": "fleet",
            "log": self.url,
            "state": str(self.folder / "state"),
            "keys": {"unsigned": "accept"},
            "topics": {"prefix": self.prefix, "partitions": PARTITIONS},
            "kafka": {"session_timeout": "5s", "client": self.client},
            "host": {"interval": f"{INTERVAL_MS}ms"},
            "windows": {"pane": "500ms", "widths": ["500ms", "2s"]},
            "liveness": {"silent_after": "1d"},
            "detectors": [*_detectors(), *([_toggled()] if self.reloads % 2 else [])],
            "policies": [{"name": "dead", "when": {"kind": ["dead"]}, "play": [{"action": "restart"}]}],
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


def _toggled() -> dict[str, Any]:
    return {"name": "toggled", "use": "zscore", "match": {"metric": "chaos.absent"}, "window": "2s"}
