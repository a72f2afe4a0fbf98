"""Back-tests that are interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mendline.config import load_settings
from tests.cli.recordings import recorded
from tests.cli.support import ended, one_message, start_in, until, write_config
from tests.replaying.support import SETTINGS
from tests.support.processes import runs

pytestmark = pytest.mark.slow

WAITING = """
import os, time
from pathlib import Path
from tests.replaying.moods import Steady

class Waiting(Steady):
    def surprise(self, step):
        Path("at-work", str(os.getpid())).touch()
        while True:
            time.sleep(0.01)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("processes", [1, 2])
def test_one_that_is_interrupted_says_so_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int, number: int
) -> None:
    """Neither a process, nor a file; its processes may have heard of it as well, as those of a terminal do."""
    at_work, temporary = tmp_path / "at-work", tmp_path / "temporary"
    for folder in (at_work, temporary, tmp_path / "recorded"):
        folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    with _begun(tmp_path, "--processes", str(processes), "--html", "page.html") as process:
        pids = [int(one.name) for one in until("all at work", lambda: _all(at_work, processes))]
        assert (process.pid in pids) == (processes == 1)
        assert list(temporary.glob("mendline-*"))
        for pid in {*pids} - {process.pid} if number == signal.SIGINT else ():
            os.kill(pid, number)
        process.send_signal(number)
        one_message(ended(process), 128 + number, "Interrupted; nothing is kept of a back-test")
    assert ([], False) == (list(temporary.iterdir()), (tmp_path / "page.html").exists())
    assert not any(runs(pid) for pid in pids)
    assert list((tmp_path / "recorded" / "log" / "wake").iterdir()) == []


SWALLOWING = """
import signal
from tests.replaying.moods import Steady

class Last:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

class Swallowing(Steady):
    last = [Last()]

    def surprise(self, step):
        self.last.clear()
        return super().surprise(step)
"""


def test_one_that_is_interrupted_as_an_object_ends_is_interrupted(tmp_path: Path) -> None:
    """Python prints and forgets what is raised there."""
    (tmp_path / "swallowing.py").write_text(SWALLOWING)
    log = load_settings(recorded(tmp_path, 40)).log
    detector = {"name": "swallowing", "use": "swallowing:Swallowing", "window": "2s", "match": {"metric": "queue"}}
    new = write_config(tmp_path, **{**SETTINGS, "log": log, "detectors": [detector]})
    ran = ended(start_in(tmp_path, "backtest", str(new), "--processes", "1"))
    assert (ran.status, ran.out) == (143, "")
    assert "Interrupted; nothing is kept of a back-test" in ran.err


@contextmanager
def _begun(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Give a back-test of two settings whose detector never comes to an end."""
    log = load_settings(recorded(folder / "recorded", 5)).log
    (folder / "waiting.py").write_text(WAITING)
    waiting = {"name": "waiting", "use": "waiting:Waiting", "window": "2s", "match": {"metric": "queue"}}
    new = write_config(folder, **{**SETTINGS, "log": log, "detectors": [waiting]})
    process = start_in(folder, "backtest", str(new), "--vary", "windows.pane=1s,2s", *words)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _all(folder: Path, count: int) -> list[Path]:
    found = list(folder.iterdir())
    return found if len(found) == count else []
