"""Work in several processes, and what is left of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.support import until
from tests.support.processes import runs

ROOT = Path(__file__).parents[2]
WORK = """
import os, signal, sys
from pathlib import Path
from mendline.cases.parallel import in_parallel

def work(share):
    Path(sys.argv[1], str(os.getpid())).touch()
    signal.pause()

in_parallel(work, [1, 2, 3], 3)
"""

INTERRUPTED = """
import os, signal, sys, time
from pathlib import Path
from mendline.cases import parallel

parallel.PATIENCE_S = 600.0
folder, how = Path(sys.argv[1]), sys.argv[2]

def work(share):
    if how == "deaf":
        signal.signal(signal.SIGTERM, lambda *_: (folder / f"{share[0]} goes on").touch())
    (folder / f"{share[0]} works").touch()
    try:
        while True:
            time.sleep(0.01)
    finally:
        (folder / f"{share[0]} ended").touch()

def interrupt(number, _):
    print("heard", flush=True)
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, interrupt)
if how == "as they begin":
    os.register_at_fork(after_in_parent=lambda: signal.raise_signal(signal.SIGTERM))
try:
    parallel.in_parallel(work, [1, 2, 3], 3)
except KeyboardInterrupt:
    print("interrupted")
"""


@contextmanager
def begun(folder: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    """Give three processes at work, and the one that waits for them."""
    words = [sys.executable, "-c", INTERRUPTED, str(folder), how]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_an_interruption_as_processes_begin_is_heeded(tmp_path: Path) -> None:
    """Python swallows what is raised there."""
    with begun(tmp_path, "as they begin") as process:
        out, err = process.communicate(timeout=60)
    assert (out, err) == ("heard\ninterrupted\n", "")


@pytest.mark.slow
def test_those_at_work_end_in_order(tmp_path: Path) -> None:
    """They let go of what they hold."""
    with begun(tmp_path, "in order") as process:
        until("all at work", lambda: len(list(tmp_path.glob("* works"))) == 3)
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert (out, err, len(list(tmp_path.glob("* ended")))) == ("heard\ninterrupted\n", "", 3)


@pytest.mark.slow
def test_a_second_interruption_does_not_wait_for_them(tmp_path: Path) -> None:
    """What does not end is killed."""
    with begun(tmp_path, "deaf") as process:
        until("all at work", lambda: len(list(tmp_path.glob("* works"))) == 3)
        process.terminate()
        until("all asked to end", lambda: len(list(tmp_path.glob("* goes on"))) == 3)
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert (out, err, list(tmp_path.glob("* ended"))) == ("heard\nheard\ninterrupted\n", "", [])


@pytest.mark.slow
def test_processes_end_with_the_one_that_is_killed(tmp_path: Path) -> None:
    """It could not end them, and nobody would read their answers."""
    process = subprocess.Popen([sys.executable, "-c", WORK, str(tmp_path)], cwd=ROOT)
    try:
        pids = until("all at work", lambda: len(found := list(tmp_path.iterdir())) == 3 and found)
    finally:
        process.kill()
        process.wait()
    until("none is left", lambda: not any(runs(int(one.name)) for one in pids))
