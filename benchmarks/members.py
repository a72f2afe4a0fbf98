"""How much more two members get done than one, on this machine, and what the log's broker takes of it.

python -m benchmarks.members [--log sqlite:|kafka://HOST:PORT] [--client C] [--broker-pid PID] [--json]

Each member is a process with both stages of `benchmarks.pipeline`: windows and z-score, chained through the log. All
rounds stand on two partitions before the clock starts, and all members have joined by then. One member takes both
partitions, two take one each. `gain` is how many times as many samples a second two members fold. `broker_cores` is the
CPU that the process `--broker-pid` used meanwhile: cores that the members cannot have. `gain_per_free_core` is the gain
against what is free for it: `gain / (free_2 / free_1)`, where free_n is n cores or what the broker leaves of the
machine's, whichever is less; times two, so that 2 means that nothing but the machine's cores holds two members back.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack

import psutil

from benchmarks.common import add_client, log_through, report
from benchmarks.pipeline import APPEND_AT_ONCE, PATIENCE_S, SOURCES, rounds_of, settings_of
from mendline.logs.base import Log
from mendline.roles import detect_spec, windows_spec
from mendline.runtime.member import Member, Pace
from mendline.runtime.metrics import Metrics
from mendline.schemas.settings import Settings
from mendline.schemas.stream import ROUND_HEADERS, NewRecord
from mendline.topics import topic_settings

PARTITIONS = 2
SERIES = 100


def deployed(prefix: str) -> Settings:
    """Return the settings of all members."""
    settings = settings_of(prefix)
    return settings.model_copy(update={"topics": settings.topics.model_copy(update={"partitions": PARTITIONS})})


def fill(log: Log, topic: str, seconds: int) -> int:
    """Append the rounds, the sources' turns by turns on the partitions; return how many each partition has."""
    producer = log.producer("benchmark")
    records = [
        NewRecord(topic, value, None, number % SOURCES % PARTITIONS, ROUND_HEADERS)
        for number, value in enumerate(rounds_of(SERIES, seconds))
    ]
    batches = range(0, len(records), APPEND_AT_ONCE)
    for delivery in [producer.append(records[first : first + APPEND_AT_ONCE]) for first in batches]:
        delivery.result(PATIENCE_S)
    producer.close()
    return len(records) // PARTITIONS


def child(url: str, client: str, prefix: str, name: str, share: int) -> None:
    """Be a member: join, say so, wait for the number of rounds of a partition, fold those of mine, say what it took."""
    settings, metrics, pace = deployed(prefix), Metrics(), Pace(idle=0.0)
    with log_through(url, client) as log:
        members = [
            Member(log, spec, settings.topics, f"{name}.{spec.name}", metrics=metrics, pace=pace)
            for spec in (windows_spec(settings), detect_spec(settings))
        ]
        for member in members:
            member.open()
        while any(len(member.partitions) != share for member in members):
            for member in members:
                member.turn()
        print("joined", flush=True)
        rounds = share * int(sys.stdin.readline())
        began, cpu, read = time.time(), time.process_time(), 0
        while read < rounds:
            read += members[0].turn()
            members[1].turn()
        for member in members:
            member.finish()
        print(json.dumps({"began": began, "ended": time.time(), "cpu_s": time.process_time() - cpu}), flush=True)
        sys.stdin.readline()
        for member in members:
            member.close()


def measure(url: str, client: str, seconds: int, count: int, broker_pid: int | None) -> dict[str, float]:
    """Return the samples a second of `count` members, and the cores that they and the broker used."""
    prefix = f"benchmark-{uuid.uuid4().hex[:8]}"
    settings = deployed(prefix)
    command = [sys.executable, "-m", "benchmarks.members", "--child", prefix, "--log", url, "--client", client]
    with log_through(url, client) as log, ExitStack() as opened:
        log.ensure_topics(topic_settings(settings.topics))
        members = [
            opened.enter_context(
                subprocess.Popen(
                    [*command, "--name", f"member-{number}", "--share", str(PARTITIONS // count)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(count)
        ]
        answers(members)
        each = fill(log, settings.topics.topic("metrics"), seconds)
        before = cpu_s(broker_pid)
        tell(members, str(each))
        done = [json.loads(answer) for answer in answers(members)]
        broker = cpu_s(broker_pid) - before
        tell(members, "end")
    took = max(one["ended"] for one in done) - min(one["began"] for one in done)
    samples = each * PARTITIONS * SERIES
    return {
        "samples_per_s": round(samples / took),
        "member_cores": round(sum(one["cpu_s"] for one in done) / took, 2),
        "broker_cores": round(broker / took, 2),
        "cpu_us_per_sample": round(1e6 * sum(one["cpu_s"] for one in done) / samples, 4),
    }


def answers(members: Sequence[subprocess.Popen[str]]) -> list[str]:
    """Return the next line of each member."""
    lines = [member.stdout.readline() for member in members if member.stdout]
    if not all(lines):
        sys.exit("a member ended early; what it said stands above")
    return lines


def tell(members: Sequence[subprocess.Popen[str]], line: str) -> None:
    """Send each member a line."""
    for member in members:
        if member.stdin:
            member.stdin.write(f"{line}\n")
            member.stdin.flush()


def cpu_s(pid: int | None) -> float:
    """Return the CPU seconds that a process has used."""
    times = psutil.Process(pid).cpu_times() if pid else None
    return times.user + times.system if times else 0.0


def free(count: int, broker_cores: float) -> float:
    """Return how many cores so many members can have at most."""
    return min(float(count), (os.cpu_count() or 1) - broker_cores)


def main() -> None:
    """Measure and print, or be a member."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", default="sqlite:")
    add_client(parser)
    parser.add_argument("--seconds", type=int, default=1200, help="rounds of each of the 50 sources")
    parser.add_argument("--broker-pid", type=int, help="of a Kafka on this machine")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", metavar="PREFIX", help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    parser.add_argument("--share", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.log, given.client, given.child, given.name, given.share)
        return
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite://{folder}" if given.log == "sqlite:" else given.log
        one, two = (measure(url, given.client, given.seconds, count, given.broker_pid) for count in (1, 2))
    gain = two["samples_per_s"] / one["samples_per_s"]
    more = free(2, two["broker_cores"]) / free(1, one["broker_cores"])
    result = {"log": given.log, "one": one, "two": two, "gain": round(gain, 2)}
    report(result | {"free_cores_more": round(more, 2), "gain_per_free_core": round(2 * gain / more, 2)}, given.json)


if __name__ == "__main__":
    main()
