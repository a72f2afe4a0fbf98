"""A real systemd in namespaces of its own, with nothing but a test's units.

Use the fixture `systemd`; import it in the `conftest.py` of the folder that needs it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from tests.support.missing import refuse

PROGRAM = Path("/lib/systemd/systemd")
PACKAGES = "systemd and util-linux, and run the tests as root"
READY_WITHIN_S = 30.0
START = """\
mount --make-rprivate /
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd
exec env SYSTEMD_UNIT_PATH="$UNITS" container=other {program} --system --unit=default.target --log-target=console
"""


class Systemd:
    """A running systemd. `systemctl` is the argument vector that talks to it from outside."""

    def __init__(self, folder: Path) -> None:
        """Keep units and the console's output in `folder`."""
        self.units = folder / "units"
        self.console = folder / "console"
        self.units.mkdir(parents=True)
        self.write("default.target", "[Unit]\nDescription=all\nDefaultDependencies=no\n")
        self._start = folder / "start.sh"
        self._start.write_text(START.format(program=PROGRAM))
        self._outside: subprocess.Popen[bytes] | None = None
        self.pid = 0

    @property
    def systemctl(self) -> Sequence[str]:
        """The argument vector of `systemctl`."""
        return ("nsenter", "-t", str(self.pid), "-m", "-p", "systemctl")

    def write(self, name: str, text: str) -> None:
        """Write a unit file."""
        (self.units / name).write_text(textwrap.dedent(text))

    def service(self, name: str, command: str, more: str = "") -> None:
        """Write a service and make it known."""
        self.write(
            f"{name}.service", f"[Unit]\nDefaultDependencies=no\n[Service]\nExecStart={command}\nTimeoutSec=5\n{more}\n"
        )
        self.call("daemon-reload")

    def call(self, *arguments: str) -> str:
        """Run `systemctl` and return what it says; fails when it does."""
        done = subprocess.run([*self.systemctl, *arguments], capture_output=True, text=True, check=True, timeout=30)
        return done.stdout.strip()

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.call("show", "--value", f"--property={name}", unit)

    def start(self) -> None:
        """Start it and wait until it answers."""
        unshare = ["unshare", "--fork", "--pid", "--mount", "--mount-proc", "--cgroup", "--uts"]
        with self.console.open("wb") as console:
            self._outside = subprocess.Popen(
                [*unshare, "sh", str(self._start)],
                env={**os.environ, "UNITS": str(self.units)},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._ready(self._outside):
            if time.monotonic() > deadline or self._outside.poll() is not None:
                pytest.fail(f"systemd does not come up: {self.console.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it and all it runs, by the pid of its first process."""
        if self._outside is None:
            return
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
        else:
            self._outside.kill()
        self._outside.wait()

    def _ready(self, outside: subprocess.Popen[bytes]) -> bool:
        children = psutil.Process(outside.pid).children()
        if not children or children[0].name() != "systemd":
            return False
        self.pid = children[0].pid
        answer = subprocess.run([*self.systemctl, "is-active", "default.target"], capture_output=True, check=False)
        return answer.stdout.strip() == b"active"


@pytest.fixture(scope="session")
def systemd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systemd]:
    """One systemd for the session: use units of your own."""
    missing = [name for name in ("unshare", "nsenter", "systemctl") if not shutil.which(name)]
    if os.geteuid() != 0 or missing or not PROGRAM.exists():
        refuse(f"NOT TESTED ON SYSTEMD: install {PACKAGES}")
    made = Systemd(tmp_path_factory.mktemp("systemd"))
    try:
        made.start()
        yield made
    finally:
        made.stop()
