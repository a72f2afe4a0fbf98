"""How fast a log is: appends and reads of 1 kB records, and how soon a sleeping process sees one.

python -m benchmarks.log --log sqlite:|sqlite://FOLDER|memory:|kafka://HOST:PORT [--json]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence

from benchmarks.common import percentile, report
from mendline.logs import open_log
from mendline.logs.base import Delivery, Log, TopicSettings
from mendline.schemas.stream import NewRecord, Partition

VALUE = bytes(range(256)) * 4
PATIENCE_S = 30.0


def measure_appends(log: Log, topic: str, seconds: float, per_call: int) -> tuple[float, int]:
    """Return appends a second, acknowledged, and how many there were."""
    producer = log.producer("benchmark")
    records = [NewRecord(topic, VALUE, b"key", 0) for _ in range(per_call)]
    producer.append(records).result(PATIENCE_S)
    deliveries: list[Delivery] = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        deliveries.append(producer.append(records))
    for delivery in deliveries:
        delivery.result(PATIENCE_S)
    took = time.perf_counter() - began
    producer.close()
    return len(deliveries) * per_call / took, (len(deliveries) + 1) * per_call


def measure_reads(log: Log, topic: str, count: int) -> float:
    """Return records read a second, `count` in all, as batches (columns, nothing decoded)."""
    consumer = log.consumer("benchmark")
    partition = Partition(topic, 0)
    consumer.assign([partition])
    consumer.start(partition, 0)
    read = sum(map(len, consumer.poll(PATIENCE_S).batches))
    began, before = time.perf_counter(), read
    while read < count:
        read += sum(map(len, consumer.poll(PATIENCE_S).batches))
    took = time.perf_counter() - began
    consumer.close()
    return (read - before) / took


def measure_wakes(log: Log, url: str, topic: str, rounds: int) -> list[float]:
    """Return, for each record appended here, the seconds until a process that slept has it."""
    if url == "memory:":
        return []
    command = [sys.executable, "-m", "benchmarks.log", "--log", url, "--follow", topic]
    follower = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert follower.stdout is not None
    follower.stdout.readline()
    producer = log.producer("benchmark")
    waits: list[float] = []
    for _ in range(rounds):
        # The follower must sleep again before the next record; this is the interval, not a wait for luck.
        time.sleep(0.02)
        sent = time.monotonic()
        producer.append([NewRecord(topic, VALUE, b"key", 0)]).result(PATIENCE_S)
        waits.append(float(follower.stdout.readline()) - sent)
    producer.close()
    follower.terminate()
    follower.communicate()
    return waits


def follow(log: Log, topic: str) -> None:
    """Print, for each record, the machine's monotonic clock when it was seen (s)."""
    consumer = log.consumer("follower")
    partition = Partition(topic, 0)
    consumer.assign([partition])
    consumer.start(partition, consumer.end_offset(partition))
    consumer.poll(0)
    print("ready", flush=True)
    while True:
        for _ in consumer.poll(PATIENCE_S).batches:
            print(time.monotonic(), flush=True)


def measure(url: str, seconds: float, per_call: int, rounds: int) -> dict[str, object]:
    """Return all numbers for one log."""
    with open_log(url) as log:
        topics = [f"benchmark-{uuid.uuid4().hex[:8]}{suffix}" for suffix in ("", ".w", ".journal")]
        log.ensure_topics([TopicSettings(topic) for topic in topics])
        appends, count = measure_appends(log, topics[0], seconds, per_call)
        reads = measure_reads(log, topics[0], count)
        waits = {
            kind: measure_wakes(log, url, topic, rounds)
            for kind, topic in (("bulk", topics[1]), ("journal", topics[2]))
        }
    result: dict[str, object] = {
        "log": url.partition(":")[0],
        "record_bytes": len(VALUE),
        "records_per_call": per_call,
        "appends_per_s": round(appends),
        "reads_per_s": round(reads),
    }
    for kind, values in waits.items():
        if values:
            result[f"wake_{kind}_ms"] = {f"p{p}": round(percentile(values, p) * 1000, 2) for p in (50, 99)}
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.log", description=__doc__)
    parser.add_argument(
        "--log", default="sqlite:", help="memory:, sqlite: (a temporary folder), sqlite://… or kafka://…"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to append")
    parser.add_argument("--per-call", type=int, default=500, help="records in one append")
    parser.add_argument("--rounds", type=int, default=300, help="wake-ups to time")
    parser.add_argument("--json", action="store_true", help="print nothing but one JSON object")
    parser.add_argument("--follow", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.follow:
        follow(open_log(given.log), given.follow)
        return
    with tempfile.TemporaryDirectory(dir=".") as folder:
        url = f"sqlite://{folder}/log" if given.log == "sqlite:" else given.log
        report(measure(url, given.seconds, given.per_call, given.rounds), given.json)


if __name__ == "__main__":
    main()
