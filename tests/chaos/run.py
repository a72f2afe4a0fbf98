"""One run: tell the story, do harm, let all catch up, judge."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from mendline.config import load_settings, log_of
from mendline.keys import key_ring
from mendline.logs.base import Log, LogUnavailableError
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Partition
from mendline.testing.kafka import LocalKafka
from mendline.topics import topic_settings
from mendline.verifying import Verdict as Sealed
from mendline.verifying import verify
from tests.chaos.harm import Blow, Harm
from tests.chaos.judge import Seen, Verdict, as_folded, caught_up, compare, seen_on, undisturbed
from tests.chaos.members import Members
from tests.chaos.story import INTERVAL_MS, Storyteller
from tests.faults.fleet import wait_for

START_S = 60.0
CATCH_UP_S = 120.0
"""How long all may take to catch up after the last harm; with nothing lost it is some seconds."""

_SEEN_BY = {"process": ("process",), "detect": ("detect/rounds", "detect/detect"), "broker": ("process",)}
"""By whose appends one sees that life goes on after a blow. A planner that has nothing to decide says nothing."""


@dataclass(frozen=True)
class Report:
    """What was done, how long it was quiet, and whether the log is as it must be. Times in seconds.

    `seals_broken` is what `mendline journal verify` has to say of the planners' seals; empty when they fit.
    """

    seed: int
    seconds: float
    log: str
    rounds: int
    harms: dict[str, int]
    harms_total: int
    longest_silence_s: float
    go_on_median_s: float | None
    go_on_max_s: float | None
    catch_up_s: float
    ended_by_themselves: Sequence[str]
    seals: int
    seals_broken: str
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {**asdict(self), "equal": self.verdict.equal}


def run(
    folder: Path, seed: int, seconds: float, kafka: LocalKafka | None, every_s: float, client: str = "kafka-python"
) -> Report:
    """Let `seed` decide what happens for `seconds`, on `kafka` or else on the embedded log; a harm every `every_s`.

    Members speak to Kafka through `client`.

    Raises AssertionError when members do not start, or do not end when asked to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    members = Members(folder, kafka.url if kafka else f"sqlite://{folder}/log", client=client)
    settings = load_settings(members.config)
    with log_of(settings) as log, _at_work(members, log, settings):
        began = _now()
        harm = Harm(seed, members, kafka, every_s)
        with _telling(Storyteller(log, settings.topics.topic("metrics"), seed, began)) as teller:
            _go_on(harm, seconds)
            until = _now()
        harm.end()
        teller.finish(CATCH_UP_S)
        expected = seen_on(undisturbed(settings, seed, began, teller.told), settings)
        found, took = _let_catch_up(members, expected, log, settings)
        verdict = compare(expected, found, as_folded(log, settings))
        journal = verify(log, Partition(settings.topics.topic("journal"), 0), key_ring(settings).why_not)
    pauses = sorted(_pauses(harm.blows, found))
    return Report(
        seed, seconds, "kafka" if kafka else "sqlite", teller.told, dict(sorted(harm.done.items())),
        harm.done.total(), _longest_silence(found, began, until), median(pauses) if pauses else None,
        max(pauses, default=None), took, members.ended, journal.seals, _broken(journal), verdict,
    )  # fmt: skip


def _broken(journal: Sealed) -> str:
    """Return what is wrong with the seals; a run of less than a minute has none."""
    return journal.problem.text if journal.problem and journal.problem.kind != "unsealed" else ""


@contextmanager
def _at_work(members: Members, log: Log, settings: Settings) -> Iterator[None]:
    """Start the members, wait until the detectors have shown that they are there, and leave nothing behind."""
    log.ensure_topics(topic_settings(settings.topics))
    seen = Seen()
    try:
        members.start(*members.roles)
        wait_for("the members", lambda: _read(seen, log, settings) and len(seen.appended) == 4, START_S)
        yield
    finally:
        members.clear()


@contextmanager
def _telling(teller: Storyteller) -> Iterator[Storyteller]:
    """Tell the story at its pace on a thread of its own, to the end of the block."""
    over = threading.Event()
    began = time.monotonic()

    def tell() -> None:
        while not over.wait(INTERVAL_MS / 5000):
            teller.tell(int((time.monotonic() - began) * 1000 / INTERVAL_MS))

    with ThreadPoolExecutor(1, "story") as pool:
        told = pool.submit(tell)
        try:
            yield teller
        finally:
            over.set()
        told.result()


def _go_on(harm: Harm, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        harm.turn()
        time.sleep(0.02)


def _let_catch_up(members: Members, expected: Seen, log: Log, settings: Settings) -> tuple[Seen, float]:
    """Wait until all has come, at most CATCH_UP_S; return what was seen, and how long it took."""
    found, began = Seen(), time.monotonic()
    while time.monotonic() < began + CATCH_UP_S:
        members.supervise()
        if _read(found, log, settings) and caught_up(expected, found):
            break
        time.sleep(0.2)
    took = time.monotonic() - began
    for name in list(members.processes):
        members.leave(name)
    members.settle_down()
    _read(found, log, settings)
    return found, took


def _read(seen: Seen, log: Log, settings: Settings) -> bool:
    try:
        seen.read(log, settings)
    except LogUnavailableError:
        return False
    return True


def _pauses(blows: Sequence[Blow], found: Seen) -> Iterator[float]:
    """Yield how long after each blow (s) every partition of what it hit had gone on."""
    for blow in blows:
        whose = _SEEN_BY.get(blow.hit, ())
        nexts = [_first_after(times, blow.at) for (who, _), times in found.appended.items() if who in whose]
        if nexts and None not in nexts:
            yield (max(one for one in nexts if one is not None) - blow.at) / 1000


def _first_after(times: Sequence[int], moment: int) -> int | None:
    return min((one for one in times if one > moment), default=None)


def _longest_silence(found: Seen, began: int, until: int) -> float:
    """Return the longest time (s) without a window of a partition, while rounds were told."""
    longest = 0
    for (who, _), times in found.appended.items():
        if who == "process":
            marks = sorted([began, until, *(one for one in times if began < one < until)])
            longest = max(longest, *(after - before for before, after in pairwise(marks)))
    return longest / 1000


def _now() -> int:
    return time.time_ns() // 1_000_000
