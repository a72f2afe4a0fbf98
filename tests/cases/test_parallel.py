"""Work in several processes, and what is left of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.support import until
from tests.support.processes import runs

WORK = """
import os, signal, sys
from pathlib import Path
from mendline.cases.parallel import in_parallel

def work(share):
    Path(sys.argv[1], str(os.getpid())).touch()
    signal.pause()

in_parallel(work, [1, 2, 3], 3)
"""


@pytest.mark.slow
def test_processes_end_with_the_one_that_is_killed(tmp_path: Path) -> None:
    """It could not end them, and nobody would read their answers."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", WORK, str(tmp_path)], cwd=root)
    try:
        pids = until("all at work", lambda: len(found := list(tmp_path.iterdir())) == 3 and found)
    finally:
        process.kill()
        process.wait()
    until("none is left", lambda: not any(runs(int(one.name)) for one in pids))
