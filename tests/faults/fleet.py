"""A small deployment in child processes: one agent with one service, and the other roles, each of which may be killed.

What the deployment must have written is worked out afresh from its inputs: the stages fold the recorded metrics in
one undisturbed pass, and what stands on the log must be the same by content.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from mendline.config import load_settings, log_of
from mendline.topics import topic_settings

ROLES = ("agent", "process", "detect", "respond")
SERVICE = Path(__file__).parent / "service.py"


def free_port() -> int:
    """Return a port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, question: Callable[[], object], seconds: float = 60.0) -> None:
    """Ask until the answer is true; fail, naming `what`, when it never is."""
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.01)


@dataclass
class Fleet:
    """Roles as child processes on one log."""

    folder: Path
    url: str
    prefix: str = "mendline"
    roles: tuple[str, ...] = ROLES
    port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Write the configuration."""
        self.starts = self.folder / "starts"
        self.config = self.folder / "mendline.yaml"
        self.config.write_text(yaml.safe_dump(self._settings()))

    def _settings(self) -> dict[str, object]:
        return {
            "name": "host-1",
            "log": self.url,
            "state": str(self.folder / "state"),
            "topics": {"prefix": self.prefix},
            "host": {"interval": "200ms", "collect": ["load", "memory"]},
            "web": {"listen": None},
            "windows": {"pane": "1s", "widths": ["1s", "5s"]},
            "reflex": {"attempts": 0},
            "services": {
                "web": {
                    "process": {
                        "command": [sys.executable, "-S", "-E", str(SERVICE), str(self.port), str(self.starts)],
                        "grace": "100ms",
                    },
                    "probes": [{"http": f"http://127.0.0.1:{self.port}/", "every": "200ms", "timeout": "500ms"}],
                    "allow": ["restart"],
                }
            },
            "policies": [
                {
                    "name": "web",
                    "when": {"target": "web"},
                    "mode": "auto",
                    "play": [{"action": "restart", "attempts": 50, "verify": "20s"}],
                }
            ],
            "guards": {"cooldown": "0s", "attempts": 1000, "window": "1s"},
        }

    def config_of(self, name: str) -> Path:
        """Return the file that a member is configured by."""
        return self.config

    def start(self, *names: str) -> None:
        """Start members, called by their roles (`ROLE`, or `ROLE-N` of several); their output goes to files."""
        for name in names:
            with (self.folder / f"{name}.out").open("ab") as output:
                self.processes[name] = subprocess.Popen(
                    [
                        sys.executable,
                        "-X",
                        "faulthandler",
                        "-m",
                        "mendline",
                        name.partition("-")[0],
                        "-c",
                        str(self.config_of(name)),
                    ],
                    cwd=self.folder,
                    stdout=output,
                    stderr=output,
                    stdin=subprocess.DEVNULL,
                )

    def alive(self) -> None:
        """Fail when a role that should be there has ended."""
        for role, process in self.processes.items():
            assert process.poll() is None, f"{role} ended with {process.returncode}: {self.said(role)}"

    def kill(self, role: str) -> None:
        """Kill a role as `kill -9` does."""
        self.processes[role].kill()
        self.processes[role].wait()

    def stop(self, *roles: str) -> None:
        """End these roles by SIGTERM; fail when one does not end well."""
        for role in roles:
            process = self.processes[role]
            process.terminate()
            # One that was only just started may not have got as far as to hear SIGTERM.
            assert process.wait(30) in (0, -signal.SIGTERM), (
                f"{role} ended with {process.returncode}: {self.said(role)}"
            )
            del self.processes[role]

    def said(self, role: str) -> str:
        """Return the end of what a role printed."""
        return (self.folder / f"{role}.out").read_text(errors="replace")[-3000:]

    def clear(self) -> None:
        """Leave nothing running, whatever happened."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        for pid in self.service_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def service_pids(self) -> list[int]:
        """Return the process id of every start of the service so far, in order."""
        return [int(line) for line in self.starts.read_text().split()] if self.starts.exists() else []

    def answers(self) -> bool:
        """Say whether the service answers."""
        self.alive()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextlib.contextmanager
def deployed(fleet: Fleet) -> Iterator[Fleet]:
    """Make the topics, start the fleet, give it once its service answers, and leave nothing behind."""
    settings = load_settings(fleet.config)
    with log_of(settings) as log:
        log.ensure_topics(topic_settings(settings.topics))
    try:
        fleet.start(*fleet.roles)
        wait_for("first answer of the service", fleet.answers)
        yield fleet
    finally:
        fleet.clear()
