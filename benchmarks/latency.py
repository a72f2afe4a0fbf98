"""From the round that closes a window to the fault on the journal, in ms, at low load.

python -m benchmarks.latency [--log sqlite:|kafka://HOST:PORT] [--sources N] [--windows N] [--json]

`mendline process` and `mendline detect` run as processes of their own. A generator appends rounds whose values are out
of bounds in every other window, so each closed window of each source opens or resolves a fault; a reader of the journal
notes when it sees that record. `hop` is one append and its arrival at a reader that waits, without Mendline.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from benchmarks.common import percentile, report
from mendline.config import load_settings, log_of
from mendline.logs.base import Log, Producer
from mendline.schemas.records import Fault, decode_record
from mendline.schemas.rounds import encode_round
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings
from mendline.schemas.stream import JSON_HEADERS, ROUND_HEADERS, NewRecord, Partition
from mendline.topics import topic_settings

WINDOW_MS = 1_000
BETWEEN_S = 0.02
PATIENCE_S = 60.0
TABLE = SeriesTable([Series(metric="system.load", attributes={"n": str(number)}) for number in range(100)])


def configured(folder: Path, url: str) -> Path:
    """Write a configuration of windows of a second and one threshold, and return its file."""
    file = folder / "mendline.yaml"
    detector = {
        "name": "level",
        "use": "threshold",
        "match": {"metric": "system.load"},
        "window": "1s",
        "open": {"above": 0.5},
        "clear": {"below": 0.5},
    }
    settings = {
        "name": "benchmark",
        "log": url,
        "state": str(folder / "state"),
        "topics": {"prefix": f"benchmark-{uuid.uuid4().hex[:8]}"},
        "windows": {"pane": "1s", "widths": ["1s"], "grace": "0s"},
        "detectors": [detector],
        "faults": {"flap_high": 100.0},  # they come and go on purpose, and each time is to be told
    }
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return file


@contextmanager
def roles(config: Path, names: Sequence[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run a process for each role."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    running = [
        subprocess.Popen([sys.executable, "-m", "mendline", name, "-c", str(config)], env=environment) for name in names
    ]
    try:
        yield running
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(PATIENCE_S)


class Reader(threading.Thread):
    """Notes when each fault record arrives: by source and number of the window that its evidence ends."""

    def __init__(self, log: Log, topic: str) -> None:
        super().__init__(daemon=True)
        self.seen: dict[tuple[str, str], float] = {}
        self.ended = threading.Event()
        self._consumer = log.consumer("reader")
        self._consumer.assign([Partition(topic, 0)])
        self._consumer.start(Partition(topic, 0), 0)

    def run(self) -> None:
        """Read until told to end."""
        while not self.ended.is_set():
            for batch in self._consumer.poll(0.2).batches:
                now = time.perf_counter()
                for value in batch.values:
                    record = decode_record(value)
                    if isinstance(record, Fault) and record.detector == "level":
                        self.seen.setdefault((record.id, record.transition), now)
        self._consumer.close()


def window(producer: Producer, topic: str, source: str, number: int, start: int) -> float:
    """Append the round that begins window `number` of a source, closing the one before; return when."""
    value = float(number % 2)
    record = encode_round(source, 1, number, start + number * WINDOW_MS, TABLE, [value] + [0.0] * (len(TABLE) - 1))
    began = time.perf_counter()
    producer.append([NewRecord(topic, value=record, key=source.encode(), headers=ROUND_HEADERS)]).result(PATIENCE_S)
    return began


def hops(log: Log, topic: str, count: int) -> list[float]:
    """Return the ms from each append to its arrival at a reader that waits."""
    arrived = threading.Semaphore(0)
    times: list[float] = []
    consumer = log.consumer("hops")
    partition = Partition(topic, 0)
    consumer.assign([partition])
    consumer.start(partition, consumer.end_offset(partition))

    def read() -> None:
        while len(times) < count:
            for batch in consumer.poll(1.0).batches:
                times.extend([time.perf_counter()] * len(batch))
                arrived.release(len(batch))

    thread = threading.Thread(target=read)
    thread.start()
    producer = log.producer("hops")
    begun = []
    for _ in range(count):
        time.sleep(BETWEEN_S)
        begun.append(time.perf_counter())
        producer.append([NewRecord(topic, b"{}", partition=0, headers=JSON_HEADERS)]).result(PATIENCE_S)
        arrived.acquire(timeout=PATIENCE_S)
    thread.join()
    producer.close()
    consumer.close()
    return [1e3 * (end - begin) for begin, end in zip(begun, times, strict=True)]


def measure(log: Log, settings: Settings, sources: int, windows: int) -> list[float]:
    """Return the ms from each closing round to the fault record that follows from it."""
    reader = Reader(log, settings.topics.topic("journal"))
    reader.start()
    producer = log.producer("generator")
    topic = settings.topics.topic("metrics")
    start = (int(time.time()) - 3_600) // 2 * 2 * 1_000
    begun: list[float] = []
    seen = 0
    found: list[float] = []
    for number in range(windows):
        for source in range(sources):
            begun.append(window(producer, topic, f"host-{source}", number, start))
            # Windows 1, 3, … open a fault and 2, 4, … resolve it; the round that begins the next one closes it.
            if number >= 2:
                seen += 1
                found.append(1e3 * (arrival(reader, seen) - begun[-1]))
            time.sleep(BETWEEN_S)
    reader.ended.set()
    reader.join()
    producer.close()
    return found


def arrival(reader: Reader, count: int) -> float:
    """Return when fault record number `count` arrived."""
    deadline = time.monotonic() + PATIENCE_S
    while len(reader.seen) < count:
        if time.monotonic() > deadline:
            sys.exit(f"only {len(reader.seen)} of {count} fault records came within {PATIENCE_S:g} s")
        time.sleep(0.0005)
    return max(reader.seen.values())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", default="sqlite:")
    parser.add_argument("--sources", type=int, default=10)
    parser.add_argument("--windows", type=int, default=40, help="of each source")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite://{folder}/log" if arguments.log == "sqlite:" else arguments.log
        config = configured(Path(folder), url)
        settings = load_settings(config)
        with log_of(settings) as log:
            log.ensure_topics(topic_settings(settings.topics))
            hop = hops(log, settings.topics.topic("deadletter"), 100)
            with roles(config, ("process", "detect")):
                took = measure(log, settings, arguments.sources, arguments.windows)
    report(
        {
            "log": arguments.log,
            "windows": len(took),
            "fault_ms_p50": round(percentile(took, 50), 1),
            "fault_ms_p99": round(percentile(took, 99), 1),
            "fault_ms_max": round(max(took), 1),
            "hop_ms_p50": round(percentile(hop, 50), 1),
            "hop_ms_p99": round(percentile(hop, 99), 1),
        },
        arguments.json,
    )


if __name__ == "__main__":
    main()
