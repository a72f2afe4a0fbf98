"""Work in several processes, and what is left of them."""

from __future__ import annotations

import subprocess
import sys
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
from mendline.cases.parallel import in_parallel

folder = Path(sys.argv[1])

def work(share):
    try:
        while True:
            time.sleep(0.01)
    finally:
        (folder / str(share[0])).touch()

def interrupt(number, _):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, interrupt)
os.register_at_fork(after_in_parent=lambda: signal.raise_signal(signal.SIGTERM))
try:
    in_parallel(work, [1, 2, 3], 3)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
def test_an_interruption_as_processes_begin_is_heeded(tmp_path: Path) -> None:
    """Python swallows what is raised there; those that have begun come to an orderly end."""
    words = [sys.executable, "-c", INTERRUPTED, str(tmp_path)]
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("interrupted\n", "")
    assert {"1", "2", "3"} >= {one.name for one in tmp_path.iterdir()}


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
