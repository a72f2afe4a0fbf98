"""What a sample and a series cost as series become many, and how fast their state is there again.

python -m benchmarks.scale [--series N,N,…] [--seconds N] [--json]

For each number of series (100 a source) on an embedded log of its own: `cpu_us_per_sample` of windows and z-score with
everything around them, after their state has grown to its size; `snapshot_cpu_s` what both stages' snapshots cost (a
member spends at most a twentieth of its time on them); `bytes_per_series` by which the process grew, of which that of
the largest number counts; `restore_s` from the start of both members to the last record of a log that was cut
off in the midst of windows, and `reread_samples_per_s` of the records that the restart read again.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

import psutil

from benchmarks.common import report
from benchmarks.pipeline import end_of, fill, join, settings_of, work
from mendline.logs.base import Log
from mendline.logs.open import open_log
from mendline.roles import detect_spec, windows_spec
from mendline.runtime.member import Member, Pace
from mendline.runtime.metrics import Metrics
from mendline.schemas.rounds import encode_round
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Partition
from mendline.topics import topic_settings

SERIES_EACH = 100
WARM_UP = 15
START = 1_700_000_000_000


def rounds_of(sources: int, seconds: range) -> Iterator[bytes]:
    """Yield a round of each source for each second."""
    table = SeriesTable(
        [Series(metric="system.cpu.utilization", attributes={"cpu": str(number)}) for number in range(SERIES_EACH)]
    )
    generator = random.Random(1)
    values = [[generator.gauss(0.5, 0.05) for _ in range(SERIES_EACH)] for _ in range(97)]
    for second in seconds:
        for source in range(sources):
            row = values[(second * 7 + source) % len(values)]
            yield encode_round(f"host-{source:05}", 1, second, START + second * 1_000, table, row)


def measure(series: int, seconds: int) -> dict[str, float]:
    """Return the figures for one number of series."""
    sources = series // SERIES_EACH
    settings = settings_of("benchmark")
    metrics = Metrics()
    with tempfile.TemporaryDirectory() as folder, open_log(f"sqlite://{folder}") as log:
        log.ensure_topics(topic_settings(settings.topics))
        specs = [windows_spec(settings), detect_spec(settings)]
        members = join(log, settings, specs, metrics, snapshot_s=math.inf)
        topic = settings.topics.topic("metrics")
        windows = Partition(settings.topics.topic("windows"), 0)
        gc.collect()
        before = psutil.Process().memory_info().rss
        work(log, members, metrics, windows, fill(log, topic, rounds_of(sources, range(WARM_UP))))
        count = fill(log, topic, rounds_of(sources, range(WARM_UP, WARM_UP + seconds)))
        cpu_s, snapshot_cpu_s = steady(members, count)
        gc.collect()
        grown = psutil.Process().memory_info().rss - before
        for member in members:
            member.close()
        fill(log, topic, rounds_of(sources, range(WARM_UP + seconds, WARM_UP + seconds + 5)))
        restore_s, again = restore(log, settings)
    return {
        "cpu_us_per_sample": round(1e6 * cpu_s / (count * SERIES_EACH), 4),
        "snapshot_cpu_s": round(snapshot_cpu_s, 2),
        "bytes_per_series": round(grown / series),
        "restore_s": round(restore_s, 2),
        "reread_samples_per_s": round(again * SERIES_EACH / restore_s),
    }


def steady(members: Sequence[Member], rounds: int) -> tuple[float, float]:
    """Return the CPU seconds of so many further rounds, all windows judged, and of the snapshots at the end."""
    began = time.process_time()
    left = rounds
    while left > 0:
        left -= members[0].turn()
        members[1].turn()
    while members[0].turn() + members[1].turn():
        pass
    took = time.process_time() - began
    for member in members:
        member.finish()
    return took, time.process_time() - began - took


def restore(log: Log, settings: Settings) -> tuple[float, int]:
    """Return the seconds until new members have worked off what stands on the log, and how many rounds they read."""
    began = time.perf_counter()
    metrics = Metrics()
    members = [
        Member(log, spec, settings.topics, f"benchmark.{spec.name}", metrics=metrics, pace=Pace(idle=0.0))
        for spec in (windows_spec(settings), detect_spec(settings))
    ]
    end = end_of(log, Partition(settings.topics.topic("metrics"), 0))
    for member in members:
        member.open()
    while not all(member.partitions for member in members) or metrics_read(members[0]) < end:
        for member in members:
            member.turn()
    took = time.perf_counter() - began
    for member in members:
        member.close()
    return took, int(metrics.snapshot()["mendline_records_consumed", "windows", "0"])


def metrics_read(member: Member) -> int:
    """Return the offset up to which the member has read its only partition."""
    return member.reached[member.partitions[0]]


def main() -> None:
    """Measure each number in a process of its own, since memory once used is seldom given back; print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", default="1000,10000,100000,1000000")
    parser.add_argument("--seconds", type=int, default=30, help="rounds of each source")
    parser.add_argument("--only", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(int(arguments.series), arguments.seconds)))
        return
    result: dict[str, object] = {}
    for number in arguments.series.split(","):
        command = [sys.executable, "-m", "benchmarks.scale", "--only", "--series", number]
        done = subprocess.run(
            [*command, "--seconds", str(arguments.seconds)], check=True, stdout=subprocess.PIPE, text=True
        )
        result[number] = json.loads(done.stdout)
    report(result, arguments.json)


if __name__ == "__main__":
    main()
