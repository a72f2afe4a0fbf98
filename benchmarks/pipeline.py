"""How many samples a second one process takes the whole way, and how a hand-written loop does on the same work.

python -m benchmarks.pipeline --log memory:|sqlite:|sqlite://FOLDER|kafka://HOST:PORT [--client C] [--series N] [--json]

The way: log, decode, 10-s windows, windows appended, z-score verdict (read back from the windows topic), offsets
committed; with the members `mendline process` and `mendline detect` run, their pace and snapshots as in production. The
rounds stand on the log before the clock starts. The rival reads one JSON sample a record from a Python list (no log at
all), and keeps windows and a rolling z-score in dicts.

`client_us_per_record` is what reading the rounds costs by itself, without Mendline: polls of the log's own consumer.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing

from benchmarks.common import add_client, log_through, report
from mendline.logs.base import Log
from mendline.roles import detect_spec, windows_spec
from mendline.runtime.member import Member, Pace
from mendline.runtime.metrics import Metrics
from mendline.runtime.spec import StageSpec
from mendline.schemas.rounds import encode_round
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings
from mendline.schemas.stream import ROUND_HEADERS, NewRecord, Partition
from mendline.topics import topic_settings

SOURCES = 50
INTERVAL_MS = 1_000
WINDOW_MS = 10_000
APPEND_AT_ONCE = 500
PATIENCE_S = 120.0


def settings_of(prefix: str) -> Settings:
    """Return one tumbling window and one z-score over every series."""
    return Settings.model_validate(
        {
            "name": "benchmark",
            "topics": {"prefix": prefix},
            "windows": {"pane": WINDOW_MS, "widths": [WINDOW_MS]},
            "detectors": [{"name": "unusual", "use": "zscore", "window": WINDOW_MS}],
        }
    )


def rounds_of(series: int, seconds: int) -> Iterator[bytes]:
    """Yield `seconds` rounds of each source, one a second, in order of time: a noisy level and no fault."""
    table = SeriesTable(
        [Series(metric="system.cpu.utilization", attributes={"cpu": str(number)}, unit="1") for number in range(series)]
    )
    generator = random.Random(1)
    values = [[generator.gauss(0.5, 0.05) for _ in range(series)] for _ in range(97)]
    start = 1_700_000_000_000
    for second in range(seconds):
        for source in range(SOURCES):
            row = values[(second * 7 + source) % len(values)]
            yield encode_round(f"host-{source:03}", 1, second, start + second * INTERVAL_MS, table, row)


def fill(log: Log, topic: str, rounds: Iterable[bytes], partition: int = 0) -> int:
    """Append all rounds to the partition and return how many there were."""
    producer = log.producer("benchmark")
    count, pending = 0, []
    batch: list[NewRecord] = []
    for value in rounds:
        batch.append(NewRecord(topic, value, None, partition, ROUND_HEADERS))
        count += 1
        if len(batch) == APPEND_AT_ONCE:
            pending.append(producer.append(batch))
            batch = []
    pending.append(producer.append(batch))
    for delivery in pending:
        delivery.result(PATIENCE_S)
    producer.close()
    return count


def read_alone(log: Log, topic: str, count: int) -> tuple[float, float]:
    """Return wall and CPU seconds of reading all rounds and doing nothing with them."""
    consumer = log.consumer("alone")
    consumer.assign([Partition(topic, 0)])
    consumer.start(Partition(topic, 0), 0)
    began, cpu = time.perf_counter(), time.process_time()
    read = 0
    while read < count:
        read += sum(map(len, consumer.poll(PATIENCE_S).batches))
    took = time.perf_counter() - began, time.process_time() - cpu
    consumer.close()
    return took


def join(
    log: Log, settings: Settings, specs: Sequence[StageSpec], metrics: Metrics, snapshot_s: float = 10.0
) -> list[Member]:
    """Return members that own their partitions; the topics are still empty, so nothing is done before the clock."""
    # By turns on one thread: neither may sleep while the other has work.
    pace = Pace(idle=0.0, snapshot=snapshot_s)
    members = [
        Member(log, spec, settings.topics, f"benchmark.{spec.name}", metrics=metrics, pace=pace) for spec in specs
    ]
    for member in members:
        member.open()
    while not all(member.partitions for member in members):
        for member in members:
            member.turn()
    return members


def work(log: Log, members: Sequence[Member], metrics: Metrics, windows: Partition, rounds: int) -> tuple[float, float]:
    """Run both members by turns on one thread until all is folded and committed; return wall and CPU seconds."""
    # Connecting, to ask how many windows there are, is no part of the work.
    with closing(log.consumer("end")) as asking:
        asking.assign([windows])
        began, cpu = time.perf_counter(), time.process_time()
        first, second = members
        read = 0
        while read < rounds:
            read += first.turn()
            second.turn()
        first.finish()
        last = asking.end_offset(windows)
        while metrics.snapshot().get(("mendline_records_consumed", "detect", "0"), 0) < last:
            second.turn()
        second.finish()
        return time.perf_counter() - began, time.process_time() - cpu


def end_of(log: Log, partition: Partition) -> int:
    """Return the offset that the next record will get."""
    consumer = log.consumer("end")
    consumer.assign([partition])
    end = consumer.end_offset(partition)
    consumer.close()
    return end


def dict_loop(series: int, seconds: int) -> float:
    """Return the samples a second of a plain loop: JSON, dicts of lists, and a rolling z-score for each window."""
    generator = random.Random(1)
    lines = [
        json.dumps(
            {"source": f"host-{source}", "series": number, "time": second * INTERVAL_MS, "value": generator.random()}
        )
        for second in range(seconds)
        for source in range(2)
        for number in range(series)
    ]
    began = time.perf_counter()
    open_windows: dict[tuple[str, int], tuple[int, list[float]]] = {}
    history: dict[tuple[str, int], deque[float]] = defaultdict(lambda: deque(maxlen=60))
    scores, windows = [], []
    for line in lines:
        sample = json.loads(line)
        key, start = (sample["source"], sample["series"]), sample["time"] // WINDOW_MS
        current = open_windows.get(key)
        if current and current[0] != start:
            values = current[1]
            mean = sum(values) / len(values)
            std = math.sqrt(sum((one - mean) ** 2 for one in values) / len(values))
            windows.append((key, start, len(values), mean, std, min(values), max(values), values[-1]))
            past = history[key]
            if len(past) > 2:
                level = sum(past) / len(past)
                spread = math.sqrt(sum((one - level) ** 2 for one in past) / (len(past) - 1)) or 1e-9
                scores.append((mean - level) / spread)
            past.append(mean)
            current = None
        if current is None:
            open_windows[key] = (start, [sample["value"]])
        else:
            current[1].append(sample["value"])
    return len(lines) / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", default="sqlite:")
    parser.add_argument("--series", type=int, default=100, help="in each round")
    add_client(parser)
    parser.add_argument("--seconds", type=int, default=600, help="rounds of each of the 50 sources")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    prefix = f"benchmark-{uuid.uuid4().hex[:8]}"
    settings = settings_of(prefix)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite://{folder}" if arguments.log == "sqlite:" else arguments.log
        with log_through(url, arguments.client) as log:
            log.ensure_topics(topic_settings(settings.topics))
            topic = settings.topics.topic("metrics")
            metrics = Metrics()
            members = join(log, settings, [windows_spec(settings), detect_spec(settings)], metrics)
            count = fill(log, topic, rounds_of(arguments.series, arguments.seconds))
            wall_s, cpu_s = work(log, members, metrics, Partition(settings.topics.topic("windows"), 0), count)
            windows = metrics.snapshot()["mendline_records_consumed", "detect", "0"]
            for member in members:
                member.close()
            alone_s, alone_cpu_s = read_alone(log, topic, count)
    samples = count * arguments.series
    rival = dict_loop(arguments.series, 120)
    report(
        {
            "log": arguments.log,
            "client": arguments.client if arguments.log.startswith("kafka:") else None,
            "series": arguments.series,
            "rounds": count,
            "samples_per_s": round(samples / wall_s),
            "ratio_to_dict_loop": round(samples / wall_s / rival, 1),
            "dict_loop_samples_per_s": round(rival),
            "cpu_us_per_sample": round(1e6 * cpu_s / samples, 4),
            "client_us_per_record": round(1e6 * alone_cpu_s / count, 2),
            "client_share": round(alone_s / wall_s, 3),
            "window_records": windows,
        },
        arguments.json,
    )


if __name__ == "__main__":
    main()
