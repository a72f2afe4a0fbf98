"""One run: tell the story, do harm, let all catch up, judge."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
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
from tests.chaos.actions import Acted
from tests.chaos.brokers import BrokerHarm
from tests.chaos.harm import Harm
from tests.chaos.hosts import AGENTS
from tests.chaos.judge import Seen, Verdict, as_folded, caught_up, compare, seen_on, undisturbed
from tests.chaos.members import Members
from tests.chaos.room import BALLAST, Room, rooms
from tests.chaos.schedule import Blow, Schedule
from tests.chaos.story import INTERVAL_MS, Storyteller
from tests.faults.fleet import wait_for

START_S = 60.0
CATCH_UP_S = 120.0
"""How long all may take to catch up after the last harm; with nothing lost it is some seconds."""

KEPT = "log-kept"
"""Where the embedded log is copied to, beside its own disk that goes with the run, when something is wrong with it."""

LOOK_AGAIN_S = 2.0
ROOM_MB, ROOM_MB_S = 128, 0.3
"""Of a disk that may be filled up: at least, and for each second of the run."""

_SEEN_BY = {
    "process": ("process",),
    "detect": ("detect/rounds", "detect/detect"),
    "broker": ("process",),
    "log": ("process",),
}
"""By whose appends one sees that life goes on after a blow. A planner that has nothing to decide says nothing."""


@dataclass(frozen=True)
class Report:
    """What was done, how long it was quiet, and whether the log is as it must be. Times in seconds.

    `decision_held_up_s` is the longest time that a planner owed a decision, `outcomes` counts what agents reported.

    `seals_broken` is what `mendline journal verify` has to say of the planners' seals; empty when they fit.
    """

    seed: int
    seconds: float
    log: str
    rounds: int
    harms: dict[str, int]
    harms_total: int
    brokers_ended_by_full_disks: int
    longest_silence_s: float
    go_on_median_s: float | None
    go_on_max_s: float | None
    decision_held_up_s: float
    outcomes: dict[str, int]
    catch_up_s: float
    ended_by_themselves: Sequence[str]
    seals: int
    seals_broken: str
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {**asdict(self), "equal": self.verdict.equal}


def run(
    folder: Path,
    seed: int,
    seconds: float,
    kafka: LocalKafka | None,
    every_s: float,
    client: str = "kafka-python",
    disks: Sequence[Room] = (),
) -> Report:
    """Let `seed` decide what happens for `seconds`, on `kafka` or else on the embedded log; a harm every `every_s`.

    Members speak to Kafka through `client`; `disks` are what its nodes' data lie on, if they may be filled up.

    Raises AssertionError when members do not start, or do not end when asked to.
    """
    schedule = Schedule(seed)
    with _deployed(folder, kafka, client, room_mb(seconds)) as (members, log, settings, disk):
        began = _now()
        brokers = BrokerHarm(schedule, kafka, list(disks), members.prefix) if kafka else None
        harm = Harm(schedule, members, brokers, disk, every_s)
        with _telling(Storyteller(log, settings.topics.topic("metrics"), seed, began)) as teller:
            _go_on(harm.turn, seconds)
            until = _now()
        harm.end()
        teller.finish(CATCH_UP_S)
        expected = seen_on(undisturbed(settings, seed, began, teller.told), settings)
        end = _End(members, log, settings, expected)
        took = end.let_catch_up()
        verdict = end.verdict()
        if disk and not verdict.equal:
            shutil.copytree(folder / "log", folder / KEPT, ignore=shutil.ignore_patterns(BALLAST))
        journal = verify(log, Partition(settings.topics.topic("journal"), 0), key_ring(settings).why_not)
    pauses = sorted(_pauses(schedule.blows, end.found))
    return Report(
        seed, seconds, "kafka" if kafka else "sqlite", teller.told, dict(sorted(schedule.done.items())),
        schedule.done.total(), brokers.ended if brokers else 0, _longest_silence(end.found, began, until),
        median(pauses) if pauses else None, max(pauses, default=None), end.acted.held_up_ms / 1000,
        dict(end.acted.outcomes), took, members.ended, journal.seals, _broken(journal), verdict,
    )  # fmt: skip


def _broken(journal: Sealed) -> str:
    """Return what is wrong with the seals; a run of less than a minute has none."""
    return journal.problem.text if journal.problem and journal.problem.kind != "unsealed" else ""


def room_mb(seconds: float) -> int:
    """Return how large (MB) a disk is that may be filled up, in a run of so many seconds."""
    return round(ROOM_MB + ROOM_MB_S * seconds)


@contextmanager
def three_brokers(folder: Path, seconds: float) -> Iterator[tuple[LocalKafka, list[Room]]]:
    """Start brokers for a run of `seconds`, each with a disk of its own if we may make one."""
    kafka = LocalKafka(folder, nodes=3, quick=True)
    places = [node.places.folder / "data" for node in kafka.nodes]
    with rooms(places, room_mb(seconds)) as disks:
        try:
            with kafka:
                yield kafka, disks
        finally:
            kafka.kill()


@contextmanager
def _deployed(
    folder: Path, kafka: LocalKafka | None, client: str, size_mb: int
) -> Iterator[tuple[Members, Log, Settings, Room | None]]:
    """Start members on `kafka` or else on an embedded log that has a disk of its own, if we may make one."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        found = [] if kafka else opened.enter_context(rooms([folder / "log"], size_mb))
        members = Members(folder, kafka.url if kafka else f"sqlite://{folder}/log", client=client)
        settings = load_settings(members.config)
        log = opened.enter_context(log_of(settings))
        opened.enter_context(_at_work(members, log, settings))
        yield members, log, settings, next(iter(found), None)


@contextmanager
def _at_work(members: Members, log: Log, settings: Settings) -> Iterator[None]:
    """Start the members, wait until the detectors have shown that they are there, and leave nothing behind."""
    log.ensure_topics(topic_settings(settings.topics))
    seen = Seen()
    try:
        members.start(*members.roles)
        wait_for("the members", lambda: _read(seen, log, settings) and len(seen.appended) >= 4, START_S)
        wait_for("the services", lambda: all(one.pids for one in members.hosts.services), START_S)
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


def _go_on(turn: Callable[[], None], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        turn()
        time.sleep(0.02)


class _End:
    """What is there when all is over: `found` and `acted` are as far as was read."""

    def __init__(self, members: Members, log: Log, settings: Settings, expected: Seen) -> None:
        self.found, self.acted = Seen(), Acted(settings)
        self._members, self._log, self._settings, self._expected = members, log, settings, expected

    def let_catch_up(self) -> float:
        """Wait until all has come, at most CATCH_UP_S; return how long it took (s)."""
        began = time.monotonic()
        while not self._complete() and time.monotonic() < began + CATCH_UP_S:
            self._members.supervise()
            time.sleep(0.2)
        return time.monotonic() - began

    def verdict(self) -> Verdict:
        """Stop the agents, wait until all has come that follows from their last words, stop everybody, and judge."""
        self._leave(*AGENTS)
        until = time.monotonic() + CATCH_UP_S
        while self._judged().lost and time.monotonic() < until:
            _go_on(self._members.supervise, LOOK_AGAIN_S)
        self._leave(*self._members.processes)
        return self._judged()

    def _judged(self) -> Verdict:
        self._read()
        return compare(self._expected, self.found, as_folded(self._log, self._settings), self._actions())

    def _complete(self) -> bool:
        if not self._read() or not caught_up(self._expected, self.found):
            return False
        hosts = self._members.hosts
        return hosts.well() and self.acted.settled(hosts.services)

    def _actions(self) -> tuple[Mapping[Any, object], Mapping[Any, object], int]:
        return *self.acted.compared(self._members.hosts.services), self.acted.repeats

    def _leave(self, *names: str) -> None:
        for name in names:
            self._members.leave(name)
        self._members.settle_down()

    def _read(self) -> bool:
        try:
            self.found.read(self._log, self._settings)
            self.acted.read(self._log)
        except LogUnavailableError:
            return False
        return True


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
