"""One Kafka broker as a child process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mendline.testing.kafka.errors import BrokerError

READY_S = 120.0
"""Seconds given to a broker to become ready: 4 s on an idle machine, up to 60 s on busy cores."""

_STOP_S = 30.0
_HEAP = ("-Xms256m", "-Xmx512m")
_READY_LINE = b"Kafka Server started"


@dataclass(frozen=True)
class Places:
    """Where one node of a cluster lives. Ports are on loopback; `spare` is for a listener that overrides may add."""

    number: int
    port: int
    controller: int
    spare: int
    folder: Path


class Node:
    """A broker and its folder: settings, `broker.log`, and the data that outlives the process."""

    def __init__(self, places: Places, java: Sequence[str], settings: Mapping[str, str]) -> None:
        """Write the settings. `java` is the command up to the main class's name, without it."""
        self.places = places
        self._java = list(java)
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._log = places.folder / "broker.log"
        self._started_at = 0  # byte of the log at which the present process began
        places.folder.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{key}={value}\n" for key, value in settings.items())
        places.folder.joinpath("server.properties").write_text(lines)
        logging = resources.files(__package__).joinpath("log4j2.properties").read_text()
        places.folder.joinpath("log4j2.properties").write_text(logging)

    @property
    def pid(self) -> int:
        """Return the process id of the last start. Raises BrokerError when there was none."""
        if self._process is None:
            raise BrokerError(f"Kafka node {self.places.number} was never started: call start() first")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Tell whether the process is there, frozen or not."""
        return self._process is not None and self._process.poll() is None

    def format(self, cluster_id: str, options: Sequence[str]) -> None:
        """Prepare the data folder, once in its life. `options` go to Kafka's storage tool."""
        if self.places.folder.joinpath("data", "meta.properties").exists():
            return
        tool = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", "server.properties", *options]
        ran = subprocess.run([*self._java, *tool], cwd=self.places.folder, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise BrokerError(f"Kafka could not format {self.places.folder}/data:\n{(ran.stdout + ran.stderr).strip()}")

    def launch(self) -> None:
        """Start the process if it does not run; returns before it is ready."""
        if self.running:
            return
        self._reap(None)  # a broker that ended by itself, on a full disk, leaves its guard
        options = [*_HEAP, f"-Dkafka.logs.dir={self.places.folder}", "-Dlog4j2.configurationFile=log4j2.properties"]
        command = [self._java[0], *options, *self._java[1:], "kafka.Kafka", "server.properties"]
        with self._log.open("ab") as log:
            self._started_at = log.tell()
            self._process = subprocess.Popen(
                command,
                cwd=self.places.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal is for us, who then stop the broker in order
            )
        self._guard = _guard(self._process.pid)

    def wait_ready(self, deadline: float) -> None:
        """Wait until the broker serves. `deadline` is on the monotonic clock (s).

        Raises BrokerError when it ends by itself or is not ready in time.
        """
        while not self.says_ready():
            self.check()
            if time.monotonic() > deadline:
                raise BrokerError(f"Kafka node {self.places.number} is not ready in time:\n{self.log_tail()}")
            time.sleep(0.05)

    def check(self) -> None:
        """Raise BrokerError, with the last lines of its log, when the process is not there."""
        if not self.running:
            raise BrokerError(f"Kafka node {self.places.number} ended:\n{self.log_tail()}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def freeze(self) -> None:
        """Stop the process by SIGSTOP; returns when it stands still."""
        if self.running:
            self.signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def kill(self) -> None:
        """End the process at once, as a power cut would."""
        self.signal(signal.SIGKILL)
        self._reap(None)

    def wait_stopped(self) -> None:
        """Wait for the end of a process that was asked to stop; after 30 s kill it."""
        try:
            self._reap(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of the broker's log since its last start."""
        return "\n".join(self._since_start().decode(errors="replace").splitlines()[-lines:])

    def says_ready(self) -> bool:
        """Look into the log, since asking over the network would need a client and its own waiting."""
        return _READY_LINE in self._since_start()

    def _since_start(self) -> bytes:
        """Return the log of the present process."""
        if not self._log.exists():
            return b""
        with self._log.open("rb") as log:
            log.seek(self._started_at)
            return log.read()

    def _reap(self, timeout: float | None) -> None:
        """Wait for the process's end (s), then let its guard go."""
        if self._process is not None:
            self._process.wait(timeout)
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None


def _guard(pid: int) -> subprocess.Popen[bytes]:
    """Start a shell that kills the broker when we die without stopping it: it sees our end of its input close.

    A broker left behind would hold its port and 300 MB for ever. (The kernel's parent-death signal will not do: it
    comes when the *thread* that started the child ends.)
    """
    script = 'read -r _; kill -KILL "$1"'
    command = ["/bin/sh", "-c", script, "guard", str(pid)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
