"""The ways in which the service is broken."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mendline.demo.client import request
from mendline.demo.config import LEAK_LIMIT
from mendline.demo.stock import corrupt_stock

STALL_S = 1.0
BURST_S = 2.0


@dataclass(frozen=True, slots=True)
class Victim:
    """The service's process, where it listens, its configuration, and where its data lie, if it has any."""

    pid: int
    port: int
    config: Path
    stock: Path


Break = Callable[[Victim], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Breaks in turn, how many actions each needs, and what the service then is.

    `lasts_s` is how long a break that needs none goes on; `limit` is the memory that must not be reached, in bytes.
    `stock`: it is about the service's data.
    """

    title: str
    breaks: tuple[Break, ...]
    needed: int = 1
    lasts_s: float = 0.0
    limit: int | None = None
    stock: bool = False

    def break_of(self, number: int) -> Break:
        """Return how the round of this number (from 0) breaks the service."""
        return self.breaks[number % len(self.breaks)]


def kill(victim: Victim) -> None:
    """End the process without warning."""
    os.kill(victim.pid, signal.SIGKILL)


def freeze(victim: Victim) -> None:
    """Stop the process: it is there, holds its port, and does nothing."""
    os.kill(victim.pid, signal.SIGSTOP)


def deadlock(victim: Victim) -> None:
    """Make the only worker wait for a lock that it holds itself."""
    request(victim.port, "/deadlock")


def pause(victim: Victim) -> None:
    """Stop the process and let it go on a second later."""
    os.kill(victim.pid, signal.SIGSTOP)
    threading.Timer(STALL_S, _go_on, (victim.pid,)).start()


def stall(victim: Victim) -> None:
    """Keep the only worker busy for a second."""
    request(victim.port, f"/stall?s={STALL_S:g}")


def leak(victim: Victim) -> None:
    """Make the service take 10 MB of memory a second, and give nothing back."""
    request(victim.port, "/leak")


def burn(victim: Victim) -> None:
    """Make the service compute without end, beside its work."""
    request(victim.port, "/burn")


def burst(victim: Victim) -> None:
    """Let the service compute for two seconds, as it may."""
    request(victim.port, f"/burn?s={BURST_S:g}")


def corrupt(victim: Victim) -> None:
    """Overwrite all of its data in place."""
    corrupt_stock(victim.stock)


def misconfigure(victim: Victim) -> None:
    """Edit its configuration so that it cannot be read."""
    victim.config.write_text("anser = ok\n")


def _go_on(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return  # somebody restarted it, which the round finds out by itself


SCENARIOS = {
    "kill": Scenario("killed", (kill,)),
    "hang": Scenario("hung", (freeze, deadlock)),
    "stall": Scenario("stalled for 1 s", (pause, stall), needed=0, lasts_s=STALL_S),
    "bad-config": Scenario("configured wrongly", (misconfigure,)),
    "leak": Scenario("leaking 10 MB/s", (leak,), limit=LEAK_LIMIT),
    "burn": Scenario("burning a core", (burn,)),
    "corrupt-data": Scenario("robbed of its data", (corrupt,), stock=True),
    "burst": Scenario("busy for 2 s", (burst,), needed=0, lasts_s=BURST_S),
}


def now_ms() -> float:
    """Return the wall clock in ms, to be compared with append times."""
    return time.time_ns() / 1e6
