"""A service with too few workers for a rush: their number is changed by an offset, and taken back when that is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from mendline.demo.scenario import Broken, Finding, Part, Scenario, Victim, probed
from mendline.schemas.records import Fault, Outcome

FILE = "pool.ini"
WORKERS = 2
GUESTS = 8
WORK_S = 0.2
WELL_S = 1.0
LOOK_S = 0.02
PATIENCE_S = 30.0

SETTINGS = f"""\
  pool:
    process: {{command: [$python, -I, -S, $pool_program, "$pool", {FILE}], grace: 100ms}}
{probed("pool", "1.2s")}\
    commands:
      reload: {{argv: [$python, -I, -S, $pool_program, "$pool", {FILE}, --reload], timeout: 5s}}
    adjustable:
      workers: {{file: {FILE}, key: workers, min: 1, max: 8, apply: reload, return_after: 3s}}
    allow: [adjust]
"""
POLICIES = """\
  - name: pool-slow
    when: {target: pool, kind: [failing, overloaded]}
    mode: auto
    play:
      - {action: adjust, parameters: {name: workers, by: 2, return: true}, timeout: 10s, verify: 30s}
"""


def configure(folder: Path) -> None:
    """Write how many workers there are."""
    (folder / FILE).write_text(f"; each takes 50 MB\nworkers = {WORKERS}   ; enough on most days\n")


POOL = Part(("pool",), SETTINGS, POLICIES, prepare=configure)


def rush(victim: Victim) -> None:
    """Let eight guests ask for work without pause until all is well for a second; return when it no longer is."""
    over = threading.Event()
    for _ in range(GUESTS):
        threading.Thread(target=_visit, args=(victim.port, over), daemon=True).start()
    deadline = time.monotonic() + PATIENCE_S
    while _status(victim.port, "/health") == 200 and time.monotonic() < deadline:  # noqa: PLR2004 - HTTP
        time.sleep(LOOK_S)
    threading.Thread(target=_end_when_well, args=(victim.port, over), daemon=True).start()


def _visit(port: int, over: threading.Event) -> None:
    while not over.is_set():
        if _status(port, f"/work?s={WORK_S:g}") is None:
            over.wait(LOOK_S)


def _end_when_well(port: int, over: threading.Event) -> None:
    deadline = time.monotonic() + PATIENCE_S
    well_since = None
    while time.monotonic() < deadline and not (well_since and time.monotonic() - well_since > WELL_S):
        well = _status(port, "/health") == 200  # noqa: PLR2004 - HTTP
        well_since = (well_since or time.monotonic()) if well else None
        time.sleep(LOOK_S)
    over.set()


def _status(port: int, path: str) -> int | None:
    asking = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    with suppress(OSError, HTTPException):
        asking.request("GET", path)
        return asking.getresponse().status
    return None


@contextmanager
def returned(broken: Broken) -> Iterator[Callable[[], Finding]]:
    """Compare the file of before and after, and tell when the number was taken back."""
    file = broken.victim.deployment.folder / FILE
    before = file.read_text()
    yield lambda: _taken_back(broken, file, before)


def _taken_back(broken: Broken, file: Path, before: str) -> Finding:
    journal = broken.victim.deployment.journal
    journal.wait(lambda: len(broken.told(Outcome)) > 1, PATIENCE_S)
    told = broken.told(Outcome)
    over = [time for time, fault in broken.told(Fault) if fault.transition == "resolved"]
    raised = f"workers: {WORKERS} -> {WORKERS + 2}" in "".join(one.reason for _, one in told[:1])
    back = file.read_text() == before and len(told) > 1
    return Finding(
        good=raised and back,
        counts={"raised": raised, "returned": back},
        times={"returned_s": (told[1][0] - over[0]) / 1000 if back and over else None},
    )


SCENARIOS = {
    "adjust": Scenario("short of workers", POOL, (rush,), needed=("adjust",), anew=False, judge=returned),
}
