"""A service that two programs stop and start: real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mendline.responders.action import ActionContext, PermanentError
from mendline.responders.restart_commands import RestartByCommands
from mendline.schemas.settings import ProcessSettings, ServiceSettings

SLEEPS = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"


class Daemon:
    """A service that forks away and writes its process id into a file, as many do."""

    def __init__(self, folder: Path) -> None:
        self.pidfile = folder / "web.pid"
        self.started: list[int] = []
        program = folder / "start.sh"
        program.write_text(f"""#!/bin/sh
{sys.executable} -c "import time; time.sleep(600)" > /dev/null 2>&1 &
echo $! > {self.pidfile}
""")
        program.chmod(0o755)
        self.start = (str(program),)

    def pid(self, _: str = "") -> int | None:
        """Return its process."""
        pid = int(self.pidfile.read_text()) if self.pidfile.exists() else 0
        return pid if pid and psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE else None


@pytest.fixture(name="daemon")
def _daemon(tmp_path: Path) -> Iterator[Daemon]:
    one = Daemon(tmp_path)
    yield one
    if pid := one.pid():
        psutil.Process(pid).kill()


def restart(daemon: Daemon, stop: tuple[str, ...], timeout_s: float = 10.0, start: tuple[str, ...] = ()) -> str:
    """Restart the service web by these programs."""
    settings = ProcessSettings(pidfile=str(daemon.pidfile), start=start or daemon.start, stop=stop)
    context = ActionContext("i", "host-1", "web", ServiceSettings(process=settings), timeout_s)
    return RestartByCommands(daemon.pid).run(context)


def old_process(daemon: Daemon, code: str = SLEEPS) -> subprocess.Popen[str]:
    """Start what is to be stopped."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    daemon.pidfile.write_text(str(process.pid))
    return process


def test_what_runs_is_stopped_and_started(daemon: Daemon) -> None:
    """The new process is another one, and outlives the program that started it."""
    with old_process(daemon) as old:
        told = restart(daemon, ("sh", "-c", f"kill $(cat {daemon.pidfile})"))
    assert f"process {old.pid} ended; {daemon.start[0]} started it" == told
    assert daemon.pid() not in (None, old.pid)


@pytest.mark.slow
def test_what_does_not_end_is_killed(daemon: Daemon) -> None:
    """Asked first, then by force, within its time."""
    with old_process(daemon, STUBBORN) as old:
        told = restart(daemon, ("sh", "-c", f"kill $(cat {daemon.pidfile})"), timeout_s=2.0)
    assert f"process {old.pid} did not end and was killed" in told
    assert -9 == old.returncode


def test_what_is_dead_is_only_started(daemon: Daemon) -> None:
    """There is nothing to stop."""
    assert restart(daemon, ("false",)).startswith("nothing ran; ")
    assert daemon.pid()


@pytest.mark.parametrize(
    ("start", "says"),
    [(("sh", "-c", "echo no room; exit 3"), "start ended with 3: no room"),
     (("/nowhere/start",), "start cannot be run: /nowhere/start: No such file")],
)  # fmt: skip
def test_a_program_that_fails_is_named(daemon: Daemon, start: tuple[str, ...], says: str) -> None:
    """With what it said."""
    with pytest.raises(PermanentError, match=says):
        restart(daemon, ("true",), start=start)
