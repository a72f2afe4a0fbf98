"""How fast a log is: appends and reads of 1 kB records, and how soon a sleeping process sees one.

python -m benchmarks.log --log sqlite:|sqlite://FOLDER|memory:|kafka://HOST:PORT [--client librdkafka] [--json]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence

from benchmarks.common import add_client, log_through, percentile, report
from mendline.logs.base import Delivery, Log, TopicSettings
from mendline.schemas.stream import NewRecord, Partition

VALUE = bytes(range(256)) * 4
PATIENCE_S = 30.0


def measure_appends(log: Log, topic: str, size: int, seconds: float, per_call: int) -> tuple[float, float, int]:
    """Return appends of `size` bytes a second, acknowledged, the CPU µs each took, and how many there were."""
    producer = log.producer("benchmark")
    records = [NewRecord(topic, VALUE[:size], b"key", 0) for _ in range(per_call)]
    producer.append(records).result(PATIENCE_S)
    deliveries: list[Delivery] = []
    began, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        deliveries.append(producer.append(records))
    for delivery in deliveries:
        delivery.result(PATIENCE_S)
    took, spent = time.perf_counter() - began, time.process_time() - cpu
    producer.close()
    count = len(deliveries) * per_call
    return count / took, 1e6 * spent / count, count + per_call


def measure_reads(log: Log, topic: str, count: int) -> tuple[float, float]:
    """Return records read a second, `count` in all, as batches (columns, nothing decoded), and the CPU µs of each."""
    consumer = log.consumer("benchmark")
    partition = Partition(topic, 0)
    consumer.assign([partition])
    consumer.start(partition, 0)
    began, cpu, read = time.perf_counter(), time.process_time(), 0
    while read < count:
        read += sum(map(len, consumer.poll(PATIENCE_S).batches))
    took, spent = time.perf_counter() - began, time.process_time() - cpu
    consumer.close()
    return read / took, 1e6 * spent / read


def measure_wakes(log: Log, url: str, client: str, topic: str, rounds: int) -> list[float]:
    """Return, for each record appended here, the seconds until a process that slept has it."""
    if url == "memory:":
        return []
    command = [sys.executable, "-m", "benchmarks.log", "--log", url, "--client", client, "--follow", topic]
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


def measure(url: str, client: str, size: int, seconds: float, per_call: int, rounds: int) -> dict[str, object]:
    """Return all numbers for one log."""
    with log_through(url, client) as log:
        topics = [f"benchmark-{uuid.uuid4().hex[:8]}{suffix}" for suffix in ("", ".w", ".journal")]
        log.ensure_topics([TopicSettings(topic) for topic in topics])
        appends, append_us, count = measure_appends(log, topics[0], size, seconds, per_call)
        reads, read_us = measure_reads(log, topics[0], count)
        waits = {
            kind: measure_wakes(log, url, client, topic, rounds)
            for kind, topic in (("bulk", topics[1]), ("journal", topics[2]))
        }
    result: dict[str, object] = {
        "log": url.partition(":")[0],
        "client": client if url.startswith("kafka:") else None,
        "record_bytes": size,
        "records_per_call": per_call,
        "appends_per_s": round(appends),
        "append_cpu_us": round(append_us, 2),
        "reads_per_s": round(reads),
        "read_cpu_us": round(read_us, 2),
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
    add_client(parser)
    parser.add_argument(
        "--bytes", type=int, default=len(VALUE), choices=range(len(VALUE) + 1), help="in a record", metavar="N"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to append")
    parser.add_argument("--per-call", type=int, default=500, help="records in one append")
    parser.add_argument("--rounds", type=int, default=300, help="wake-ups to time")
    parser.add_argument("--json", action="store_true", help="print nothing but one JSON object")
    parser.add_argument("--follow", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.follow:
        follow(log_through(given.log, given.client), given.follow)
        return
    with tempfile.TemporaryDirectory(dir=".") as folder:
        url = f"sqlite://{folder}/log" if given.log == "sqlite:" else given.log
        report(measure(url, given.client, given.bytes, given.seconds, given.per_call, given.rounds), given.json)


if __name__ == "__main__":
    main()
