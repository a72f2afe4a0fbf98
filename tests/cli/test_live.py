from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from mendline.cli.options import as_typed, typed
from mendline.config import parse_settings
from mendline.live import Greeting
from mendline.schemas.settings import Settings
from tests.cli.support import Caller, start, until, write_config

ROOT = Path(__file__).parents[2]
WEB = "services: {web: {process: {command: [app]}, allow: [restart]}, db: {process: {unit: db.service}}}\n"


def greeted(settings: Settings, *pids: int | None) -> list[str]:
    """Return what is printed when the service's process is seen as `pids` tell, one after the other."""
    stop, looks, printed = threading.Event(), iter(pids), io.StringIO()
    greeting = Greeting(
        settings, Path("here.yaml"), lambda _: next(looks), lambda: ["`mendline stop-all --lift` ends that"]
    )
    with contextlib.redirect_stdout(printed):
        thread = threading.Thread(target=greeting.run, args=(stop,))
        thread.start()
        until("the last line", lambda: "lists what" in printed.getvalue())
        stop.set()
        thread.join()
    return printed.getvalue().splitlines()


def test_the_greeting_waits_for_the_process_and_names_it() -> None:
    """It says which orders stand, and what to ask next; units are systemd's, so they are not waited for."""
    first, web, db, order, ask = greeted(parse_settings(WEB, "m.yaml"), None, 4711)
    assert "Ctrl-C" in first
    assert web == "  watching web (process 4711): probes: 0, allowed: restart"
    assert db == "  watching db: probes: 0, allowed: nothing"
    assert order == "In force: `mendline stop-all --lift -c here.yaml` ends that"
    assert ask == "`mendline faults --all -c here.yaml` lists what was found and done."


@pytest.mark.parametrize(
    ("started", "on_path", "program"),
    [
        ("/opt/my venv/bin/mendline", False, "'/opt/my venv/bin/mendline'"),
        (".venv/bin/mendline", True, "mendline"),
        ("/opt/lib/mendline/__main__.py", True, "/opt/bin/python -m mendline"),
        ("/opt/lib/pytest/__main__.py", False, "mendline"),
    ],
)
def test_a_command_is_told_as_it_can_be_typed(
    monkeypatch: pytest.MonkeyPatch, started: str, program: str, *, on_path: bool
) -> None:
    """`make run` and who has no environment active start it by its path: nothing finds it by its name."""
    monkeypatch.setattr("sys.argv", [started, "up"])
    monkeypatch.setattr("sys.executable", "/opt/bin/python")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}" if on_path else None)
    assert typed("faults", Path("mendline.yaml")) == f"{program} faults"
    assert typed("faults", Path("my own.yaml")) == f"{program} faults -c 'my own.yaml'"


def test_the_commands_that_a_text_names_are_told_as_they_can_be_typed() -> None:
    """What waits for an answer was told without the configuration that it stands in."""
    told = as_typed("waits for `mendline approve 0a0a` or `deny`; see `top`", Path("here.yaml"))
    assert told == "waits for `mendline approve 0a0a -c here.yaml` or `deny`; see `top`"


def test_without_services_the_next_step_is_to_name_some() -> None:
    """And it is said how."""
    assert "`mendline init`" in greeted(Settings())[1]


def on_a_terminal(config: Path, **environment: str) -> str:
    """Return what `mendline check` prints on a terminal."""
    own, others = os.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    command = [sys.executable, "-m", "mendline", "check", str(config)]
    subprocess.run(command, stdout=others, env=kept | {"TERM": "xterm"} | environment, cwd=ROOT, check=True)
    os.close(others)
    with os.fdopen(own, "rb", buffering=0) as terminal:
        return terminal.read(4096).decode()


@pytest.mark.slow
def test_colours_are_for_terminals_whose_owner_wants_them(config: Path, call: Caller) -> None:
    """Neither a pipe nor a terminal with NO_COLOR (no-color.org) gets any."""
    assert "\x1b[32m" in on_a_terminal(config)
    assert "\x1b" not in on_a_terminal(config, NO_COLOR="1")
    assert "\x1b" not in call("check", config).out


@pytest.mark.heavy
def test_a_reader_that_goes_away_takes_nothing_with_it(tmp_path: Path) -> None:
    """`mendline up | head -1` goes on mending; the end is as clean as ever."""
    service = {"process": {"command": ["sleep", "1000"]}, "allow": ["restart"]}
    policy = {"name": "p", "mode": "auto", "play": [{"action": "restart"}]}
    host = {"collect": ["load"], "interval": "200ms"}
    config = write_config(tmp_path, services={"one": service}, policies=[policy], host=host)
    up = start(config, "up")
    process = psutil.Process(up.pid)
    try:
        assert up.stdout
        assert "Mendline is up" in up.stdout.readline()
        up.stdout.close()
        (first,) = until("the service", lambda: children(process))
        os.kill(first, signal.SIGKILL)
        until("another one", lambda: children(process) not in ([], [first]))
    finally:
        up.terminate()
        assert up.stderr
        with up.stderr:
            told = up.stderr.read()
    assert up.wait(30) == 0
    assert told.count("nobody reads it") == 1
    assert "Traceback" not in told


def children(process: psutil.Process) -> list[int]:
    """Return the services that run as children of Mendline."""
    return [one.pid for one in process.children() if one.is_running() and one.name() == "sleep"]
