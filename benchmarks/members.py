"""What a second process adds: the same rounds through one process, then through two that share the partitions.

python -m benchmarks.members [--log sqlite:|kafka://HOST:PORT] [--client C] [--processes N,N,…] [--seconds N] [--json]

The way is that of `benchmarks.pipeline`: log, windows, windows appended, z-score verdicts, offsets committed; every
process is a member of both roles. The clock runs from the moment when all own their share, and the rounds stand on the
log, until the last window is judged and committed.

`ratio` is the samples a second of the most processes over those of the fewest. A broker on this machine takes its part
of the same cores: `broker_cores` is what it used, `free_cores` what it and all else on the machine left over. A process
can use one core at most, so `ratio_per_free_core` is the ratio as it were had the free cores grown as the processes
did, from one to two: 2 is perfect. `cpu_ratio` tells the same without such arithmetic: what a sample costs many
processes, over what it costs few; 1 is perfect.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psutil

from benchmarks.common import add_client, log_through, report
from benchmarks.pipeline import SOURCES, end_of, fill, rounds_of, settings_of
from mendline.logs.base import Log
from mendline.roles import detect_spec, windows_spec
from mendline.runtime.member import Member, Pace
from mendline.runtime.metrics import Metrics
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Partition
from mendline.topics import topic_settings

SERIES = 100
PARTITIONS = 4
PATIENCE_S = 120.0


def settings_with(prefix: str) -> Settings:
    """Return the pipeline's settings, with several partitions of metrics and of windows."""
    settings = settings_of(prefix)
    return settings.model_copy(update={"topics": settings.topics.model_copy(update={"partitions": PARTITIONS})})


# The child: a member of both roles ------------------------------------------------------------------------------------


class Worker:
    """Both members of one process, worked by turns."""

    def __init__(self, log: Log, settings: Settings, name: str) -> None:
        """Join both groups."""
        self.metrics = Metrics()
        self.members = [
            Member(log, spec, settings.topics, f"{name}.{spec.name}", metrics=self.metrics, pace=Pace(idle=0.0))
            for spec in (windows_spec(settings), detect_spec(settings))
        ]
        for member in self.members:
            member.open()

    def shares(self) -> list[list[int]]:
        """Return the partitions of each role that are ours."""
        return [sorted(partition.number for partition in member.partitions) for member in self.members]

    def settle(self) -> None:
        """Take turns, and tell each change of what is ours, until a line comes in."""
        told: list[list[int]] = []
        while not select.select([sys.stdin], [], [], 0)[0]:
            for member in self.members:
                member.turn()
            if self.shares() != told:
                told = self.shares()
                tell(told)
        sys.stdin.readline()

    def work(self, role: int, ends: Sequence[int]) -> None:
        """Take turns until all of `role` is folded up to the `ends` of our partitions; commit."""
        first, second = self.members
        while self._behind(self.members[role], ends):
            if role == 0:
                first.turn()
            second.turn()
        self.members[role].finish()

    @staticmethod
    def _behind(member: Member, ends: Sequence[int]) -> bool:
        """Say whether any of our partitions is not read up to its end; by offset: others may have read before."""
        return any(member.reached.get(one, 0) < ends[one.number] for one in member.partitions)


def child(log: Log, settings: Settings, name: str) -> None:
    """Settle, work off the rounds, then the windows of all; tell CPU seconds."""
    worker = Worker(log, settings, name)
    worker.settle()
    rounds = json.loads(sys.stdin.readline())
    began = time.process_time()
    worker.work(0, rounds)
    tell("rounds done")
    worker.work(1, json.loads(sys.stdin.readline()))
    tell(time.process_time() - began)
    sys.stdin.readline()
    for member in worker.members:
        member.close()


def tell(said: object) -> None:
    """Say something to the parent."""
    print(json.dumps(said), flush=True)


# The parent ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Crew:
    """The processes."""

    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def tell(self, said: object) -> None:
        """Say the same to all."""
        for process in self.running:
            assert process.stdin is not None
            process.stdin.write(json.dumps(said).encode() + b"\n")

    def hear(self) -> list[Any]:
        """Return the next word of each."""
        return [json.loads(_line(process)) for process in self.running]

    def settled(self) -> None:
        """Wait until each has its share of both roles' partitions."""
        fair = PARTITIONS // len(self.running)
        shares: dict[int, list[list[int]]] = {}
        deadline = time.monotonic() + PATIENCE_S
        while len(shares) < len(self.running) or any(len(one) != fair for two in shares.values() for one in two):
            if time.monotonic() > deadline:
                sys.exit(f"the processes did not share the partitions fairly within {PATIENCE_S:g} s: {shares}")
            ready, _, _ = select.select([process.stdout for process in self.running if process.stdout], [], [], 1.0)
            for number, process in enumerate(self.running):
                if process.stdout in ready:
                    shares[number] = json.loads(_line(process))


def _line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        sys.exit(f"a process ended by itself with status {process.wait()}")
    return line


@contextmanager
def crew(count: int, url: str, client: str, prefix: str) -> Iterator[Crew]:
    """Run so many processes."""
    command = [sys.executable, "-m", "benchmarks.members", "--log", url, "--client", client, "--child"]
    # Unbuffered: `select` does not see lines that were read ahead.
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
    running = [subprocess.Popen([*command, f"{prefix}/{number}"], **pipes) for number in range(count)]
    try:
        yield Crew(running)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.communicate()


class Used(NamedTuple):
    """Seconds so far: the wall's, the broker's CPU, and the idle CPU of all cores."""

    wall: float
    broker: float
    idle: float

    @staticmethod
    def now(broker: psutil.Process | None) -> Used:
        """Look at the clocks."""
        times = broker.cpu_times() if broker else None
        system = psutil.cpu_times()
        return Used(time.perf_counter(), times.user + times.system if times else 0.0, system.idle + system.iowait)


def broker_of(url: str) -> psutil.Process | None:
    """Return the process that listens on the port of a Kafka URL, if it is on this machine."""
    if not url.startswith("kafka:"):
        return None
    port = int(url.rpartition(":")[2])
    for one in psutil.net_connections("tcp"):
        if one.status == "LISTEN" and tuple(one.laddr)[1:] == (port,) and one.pid:
            return psutil.Process(one.pid)
    return None


def measure(url: str, client: str, processes: int, seconds: int) -> dict[str, float]:
    """Return the figures for one number of processes, on topics of their own."""
    prefix = f"benchmark-{uuid.uuid4().hex[:8]}"
    settings = settings_with(prefix)
    windows = settings.topics.topic("windows")
    with log_through(url, client) as log:
        log.ensure_topics(topic_settings(settings.topics))
        with crew(processes, url, client, prefix) as running:
            running.settled()
            running.tell("wait")
            made = list(rounds_of(SERIES, seconds))
            rounds = [fill(log, settings.topics.topic("metrics"), made, number) for number in range(PARTITIONS)]
            broker = broker_of(url)
            before = Used.now(broker)
            running.tell(rounds)
            running.hear()
            running.tell([end_of(log, Partition(windows, number)) for number in range(PARTITIONS)])
            cpu_s = sum(running.hear())
            after = Used.now(broker)
    return figures(sum(rounds) * SERIES, cpu_s, before, after)


def figures(samples: int, cpu_s: float, before: Used, after: Used) -> dict[str, float]:
    """Return what is told of one run."""
    wall, broker, idle = (end - begin for begin, end in zip(before, after, strict=True))
    return {
        "samples_per_s": round(samples / wall),
        "cpu_us_per_sample": round(1e6 * cpu_s / samples, 4),
        "member_cores": round(cpu_s / wall, 2),
        "broker_cores": round(broker / wall, 2),
        "free_cores": round((idle + cpu_s) / wall, 2),
    }


def compared(runs: dict[int, dict[str, float]]) -> dict[str, float]:
    """Return how the last run did against the first."""
    first, last = min(runs), max(runs)
    ratio = runs[last]["samples_per_s"] / runs[first]["samples_per_s"]
    more = min(last, runs[last]["free_cores"]) / min(first, runs[first]["free_cores"])
    return {
        "ratio": round(ratio, 2),
        "ratio_per_free_core": round(ratio * last / first / more, 2),
        "cpu_ratio": round(runs[last]["cpu_us_per_sample"] / runs[first]["cpu_us_per_sample"], 2),
    }


def main() -> None:
    """Measure each number of processes, or be one of them; print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", default="sqlite:")
    add_client(parser)
    parser.add_argument("--processes", default="1,2", help=f"each a divisor of {PARTITIONS}, the partitions")
    parser.add_argument("--seconds", type=int, default=300, help=f"rounds of each of {SOURCES} sources a partition")
    parser.add_argument("--child", metavar="PREFIX/NUMBER", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if chosen.child:
        prefix, _, number = chosen.child.partition("/")
        with log_through(chosen.log, chosen.client) as log:
            child(log, settings_with(prefix), f"{prefix}.{number}")
        return
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite://{folder}" if chosen.log == "sqlite:" else chosen.log
        runs = {
            number: measure(url, chosen.client, number, chosen.seconds)
            for number in map(int, chosen.processes.split(","))
        }
    named = {"log": chosen.log, "client": chosen.client if chosen.log.startswith("kafka:") else None}
    cores = {"cores": os.cpu_count(), "partitions": PARTITIONS}
    report(named | cores | {str(number): run for number, run in runs.items()} | compared(runs), chosen.json)


if __name__ == "__main__":
    main()
