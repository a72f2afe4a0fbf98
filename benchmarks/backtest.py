"""A sweep of a back-test in one process and in several, and what each further setting costs.

python -m benchmarks.backtest [--hosts N] [--series N] [--seconds N] [--settings N] [--processes N] [--json]

Rounds of a second are recorded on a log in a folder of its own, with windows of 10 s and 60 s, as benchmarks.replay
does. Then as many thresholds of a detector over all series are tried against what was recorded: `one_s` in one process,
`several_s` in `--processes`, `ratio` of the two. `cpu_ratio` is what the ratio is when each has a core to itself,
by CPU time: that of the one over that of the parent and an equal share of the others. `first_s` is a sweep of one
setting, so that `setting_s`, what each further one takes, is known: windows are read once for all. `probe` is how many
times as fast as one the same processes are that do nothing but count: what the machine has to give just now.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import report
from benchmarks.replay import record, settings_of
from mendline.backtesting import Candidate, Terms, backtest
from mendline.backtesting.running import fitted
from mendline.cases.parallel import in_parallel
from mendline.dumps.recording import LogRecording, Recording
from mendline.logs.sqlite import SqliteLog
from mendline.schemas.settings import Settings
from mendline.testing.clock import ManualClock

CORES = len(os.sched_getaffinity(0))
COUNT = 5_000_000
LIVE = Candidate("live", None)


def candidates(settings: Settings, recording: Recording, count: int) -> Iterator[Candidate]:
    """Yield settings that differ in the bound of the detector over all series."""
    mine = fitted(settings, recording, settings.topics.prefix)
    for number in range(count):
        bound = 12 + number / 10
        detectors = tuple(
            one.model_copy(update={"open": one.open.model_copy(update={"above": bound})})
            if one.name.startswith("unusual") and one.open
            else one
            for one in mine.detectors
        )
        yield Candidate(f"above={bound:g}", mine.model_copy(update={"detectors": detectors}))


class Took(NamedTuple):
    """How long something took, in s: by the clock, and of CPU in this process and in those that it started."""

    clock: float
    cpu: float
    others: float


def sweep(url: str, settings: Settings, count: int, processes: int) -> Took:
    """Return how long a sweep takes."""

    @contextmanager
    def opened() -> Iterator[Recording]:
        with SqliteLog(url) as log, LogRecording(log) as recording:
            yield recording

    with opened() as recording:
        tried = list(candidates(settings, recording, count))
    before = os.times()
    clock = timed(lambda: backtest(opened, LIVE, tried, Terms(processes=processes)))
    after = os.times()
    cpu, others = (sum(after[place : place + 2]) - sum(before[place : place + 2]) for place in (0, 2))
    return Took(clock, cpu, others)


def timed(what: Callable[[], object]) -> float:
    """Return how long something takes, in s."""
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def count(given: Sequence[int]) -> list[int]:
    """Count, and do nothing else."""
    return [sum(range(one)) for one in given]


def probe(processes: int) -> float:
    """Return how many times as fast so many processes count as one does."""
    given = [COUNT] * 4 * processes
    return timed(lambda: count(given)) / timed(lambda: in_parallel(count, given, processes))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument("--series", type=int, default=100, help="of each host")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--settings", type=int, default=12)
    parser.add_argument("--processes", type=int, default=CORES)
    parser.add_argument("--json", action="store_true", help="print nothing but one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mendline-") as folder:
        settings, clock = settings_of(Path(folder), 1), ManualClock()
        url = f"sqlite://{folder}/log"
        with SqliteLog(url, clock=clock) as log:
            record(log, clock, settings, (arguments.hosts, arguments.series, arguments.seconds))
        first, one = (sweep(url, settings, number, 1) for number in (1, arguments.settings))
        before = probe(arguments.processes)
        several = sweep(url, settings, arguments.settings, arguments.processes)
    result = {
        "samples": arguments.hosts * arguments.series * arguments.seconds,
        "settings": arguments.settings, "processes": arguments.processes,
        "first_s": round(first.clock, 2), "one_s": round(one.clock, 2), "several_s": round(several.clock, 2),
        "setting_s": round((one.cpu - first.cpu) / max(arguments.settings - 1, 1), 3),
        "ratio": round(one.clock / several.clock, 2),
        "cpu_ratio": round(one.cpu / (several.cpu + several.others / arguments.processes), 2),
        "probe": round(before, 2),
    }  # fmt: skip
    report(result, arguments.json)


if __name__ == "__main__":
    main()
