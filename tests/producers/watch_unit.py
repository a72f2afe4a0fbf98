"""Watches a unit until standard input ends, and prints each event as a line of JSON; runs beside a test's systemd."""

from __future__ import annotations

import sys
import threading
import time

from mendline.producers.processes import ProcessWatch
from mendline.producers.systemd import Systemd, UnitLocator
from mendline.schemas.records import encode_record


def main(unit: str) -> None:
    """Watch `unit`."""
    watch = ProcessWatch(
        "host",
        {"web": UnitLocator(unit, Systemd([unit]))},
        lambda event: print(encode_record(event).decode(), flush=True),
        lambda: time.time_ns() // 1_000_000,
        cores=1,
    )
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    while not ended.wait(0.2):
        watch.collect(time.time_ns() // 1_000_000)
    watch.close()


if __name__ == "__main__":
    main(sys.argv[1])
