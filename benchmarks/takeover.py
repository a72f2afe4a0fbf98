"""How long no window comes after a `kill -9` of the only member that makes windows, in seconds.

python -m benchmarks.takeover [--log sqlite:|kafka://HOST:PORT] [--rounds N] [--json]

`restarted_s`: its supervisor starts it again at once, under the same name. `replaced_s`: another member is there and
takes its partition over, which a session's time bounds (`kafka.session_timeout`; the embedded log's leases). Both from
the kill to the first window that a reader sees and that was closed after it. Rounds come every 20 ms meanwhile.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import percentile, report
from benchmarks.latency import BETWEEN_S, PATIENCE_S, configured, window
from mendline.config import load_settings, log_of
from mendline.logs.base import Log
from mendline.schemas.stream import Partition
from mendline.topics import topic_settings


class Generator(threading.Thread):
    """Appends a round that closes a window every 20 ms."""

    def __init__(self, log: Log, topic: str) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self._producer = log.producer("generator")
        self._topic = topic

    def run(self) -> None:
        """Append until told to end."""
        start, number = (int(time.time()) - 36_000) * 1_000, 0
        while not self.ended.wait(BETWEEN_S):
            window(self._producer, self._topic, "host-0", number, start)
            number += 1
        self._producer.close()


class Windows(threading.Thread):
    """Notes when records of windows arrive."""

    def __init__(self, log: Log, topic: str) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.last = 0.0
        self._consumer = log.consumer("reader")
        self._consumer.assign([Partition(topic, 0)])
        self._consumer.start(Partition(topic, 0), 0)

    def run(self) -> None:
        """Read until told to end."""
        while not self.ended.is_set():
            if self._consumer.poll(0.2).batches:
                self.last = time.perf_counter()
        self._consumer.close()

    def after(self, moment: float, settle_s: float) -> float:
        """Return the seconds from `moment` to the first arrival `settle_s` later or more: others were under way."""
        deadline = time.monotonic() + PATIENCE_S
        while self.last < moment + settle_s:
            if time.monotonic() > deadline:
                sys.exit(f"no window came within {PATIENCE_S:g} s")
            time.sleep(0.002)
        return self.last - moment


def start(config: Path) -> subprocess.Popen[bytes]:
    """Start a member."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen([sys.executable, "-m", "mendline", "process", "-c", str(config)], env=environment)


def measure(windows: Windows, rounds: int, kill: Callable[[], None]) -> list[float]:
    """Return the silence after each kill."""
    took = []
    for _ in range(rounds):
        windows.after(time.perf_counter(), 1.0)  # it works, and has done so for a while
        moment = time.perf_counter()
        kill()
        took.append(windows.after(moment, 0.1))
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", default="sqlite:")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite://{folder}/log" if arguments.log == "sqlite:" else arguments.log
        config = configured(Path(folder), url)
        settings = load_settings(config)
        with log_of(settings) as log:
            log.ensure_topics(topic_settings(settings.topics))
            generator = Generator(log, settings.topics.topic("metrics"))
            windows = Windows(log, settings.topics.topic("windows"))
            members = [start(config)]
            generator.start()
            windows.start()

            def restart() -> None:
                members[0].kill()
                members[0].wait()
                members[0] = start(config)

            restarted = measure(windows, arguments.rounds, restart)
            members.append(start(config))
            time.sleep(3)

            def replace() -> None:
                members[0].kill()
                members[0].wait()
                members.reverse()

            replaced = measure(windows, 1, replace)
            generator.ended.set()
            windows.ended.set()
            for thread in (generator, windows):
                thread.join()
            for member in members:
                member.kill()
                member.wait()
    report(
        {
            "log": arguments.log,
            "rounds": arguments.rounds,
            "restarted_s_median": round(percentile(restarted, 50), 2),
            "restarted_s_max": round(max(restarted), 2),
            "replaced_s": round(replaced[0], 2),
        },
        arguments.json,
    )


if __name__ == "__main__":
    main()
