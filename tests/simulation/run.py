"""Runs world after world, each from a seed of its own, and counts."""

from __future__ import annotations

import gc
import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import count, takewhile
from math import ceil
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import Any
from unittest.mock import patch

from mendline.schemas import decode
from mendline.schemas.records import Intent, Outcome, Verification, decode_record
from tests.simulation.judge import Judge
from tests.simulation.story import Story
from tests.simulation.world import Keys, World

SUMS = ("incidents", "worlds", "virtual_s", "processor_s", "deeds", "on_the_well", "happened", "harms", "wrongs")
MEMORY = Path("/dev/shm")
"""Where ledgers are kept, if there is such a place: nothing is waited for there."""

KEPT = 50_000
"""So many records are kept decoded: a few more than a world of 20 hours has."""

SELDOM = 10_000
"""So many objects more may there be before garbage is looked for."""


@dataclass
class Tally:
    """What came of some worlds. `wrongs` are broken promises in words, `first_wrong` the first world that has one.

    `on_the_well` counts deeds that came after the sickness was over in truth, when nobody could know that in time.
    """

    incidents: int = 0
    worlds: int = 0
    virtual_s: float = 0.0
    processor_s: float = 0.0
    deeds: int = 0
    on_the_well: int = 0
    longest_on_the_well_ms: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    harms: Counter[str] = field(default_factory=Counter)
    wrongs: list[str] = field(default_factory=list)
    first_wrong: tuple[str, float] | None = None

    def add(self, name: str, amount: float, world: World) -> None:
        """Count a world that is over, in which so much happened."""
        story = world.story()
        late = Judge(story).on_the_well()
        self.worlds += 1
        self.virtual_s += world.time.monotonic()
        self.incidents += world.incidents
        self.deeds += len(story.deeds)
        self.on_the_well += len(late)
        self.longest_on_the_well_ms = max([self.longest_on_the_well_ms, *late])
        self.harms += world.harms
        self.happened += _happened(story)
        self.broken = _sum(self.broken, Counter(dict.fromkeys(world.kinds, 0)))
        for kind, text in world.wrongs():
            self.broken[kind] += 1
            self.wrongs.append(f"world {name}: {kind}: {text}")
            self.first_wrong = self.first_wrong or (name, amount)

    def __add__(self, other: Tally) -> Tally:
        """Return what came of these worlds and of those."""
        both = {name: getattr(self, name) + getattr(other, name) for name in SUMS}
        longest = max(self.longest_on_the_well_ms, other.longest_on_the_well_ms)
        first = self.first_wrong or other.first_wrong
        return Tally(**both, broken=_sum(self.broken, other.broken), longest_on_the_well_ms=longest, first_wrong=first)

    def as_json(self) -> Mapping[str, object]:
        """Return the counts, those first that must be 0."""
        return {
            **self.broken,
            "incidents": self.incidents,
            "worlds": self.worlds,
            "processor_s": round(self.processor_s, 1),
            "virtual_hours": round(self.virtual_s / 3600, 1),
            "deeds": self.deeds,
            "on_the_well": self.on_the_well,
            "longest_on_the_well_ms": self.longest_on_the_well_ms,
            "happened": dict(sorted(self.happened.items())),
            "harms": dict(sorted(self.harms.items())),
        }


def worlds_of(seed: int, amount: float, kind: type[World] = World) -> Iterator[tuple[str, float]]:
    """Yield the names of the worlds that a seed makes, and how much happens in each."""
    for number in range(ceil(amount / kind.per_world)):
        yield f"{seed}/{number}", min(kind.per_world, amount - number * kind.per_world)


def within(budget_s: float, worlds: Iterable[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    """Yield the worlds until so many seconds of processor time have passed; the last one is not cut short."""
    began = process_time()
    return takewhile(lambda _: process_time() - began < budget_s, worlds)


def simulate(worlds: Iterable[tuple[str, float]], kind: type[World] = World) -> Tally:
    """Let so much happen in each of the worlds: a world's name decides everything in it."""
    tally, began = Tally(), process_time()
    with workshop(kind) as work:
        for name, amount in worlds:
            world = work(name)
            world.run(amount)
            tally.add(name, amount, world)
    tally.processor_s = process_time() - began
    return tally


def simulate_beside(worlds: Iterable[tuple[str, float]], processes: int, kind: type[World] = World) -> Tally:
    """Do the same in so many processes."""
    worlds = list(worlds)
    shares = [worlds[first::processes] for first in range(processes)]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        return sum(pool.map(partial(simulate, kind=kind), shares), Tally())


def shrink(name: str, amount: float, kind: type[World] = World) -> float:
    """Return after how little a world in which something is wrong is wrong already, or nearly how little."""
    right, wrong = 0, ceil(round(amount / kind.step, 6))
    while wrong - right > 1:
        middle = (right + wrong) // 2
        if simulate([(name, round(middle * kind.step, 6))], kind).wrongs:
            wrong = middle
        else:
            right = middle
    return round(wrong * kind.step, 6)


def again(name: str, amount: float, kind: type[World] = World) -> str:
    """Return the command that repeats a world in which something is wrong, with as little as will do."""
    return f"python -m tests.simulation {kind.asked}--world {name} --{kind.unit} {shrink(name, amount, kind):g}"


@contextmanager
def workshop(kind: type[World] = World) -> Iterator[Callable[..., World]]:
    """Yield what makes a world from a seed; it takes the other arguments of `World` by name."""
    numbers = count()
    memory = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="mendline-", dir=memory) as folder, _quiet(), _decoded_once() as forget:
        keys = Keys(Path(folder) / "keys")

        def work(seed: str, **more: Any) -> World:
            forget()
            return kind(seed, Path(folder) / str(next(numbers)), keys, **more)

        yield work


def _sum(one: Counter[str], other: Counter[str]) -> Counter[str]:
    """Return the sums, those that are 0 as well."""
    return Counter({name: one[name] + other[name] for name in (*one, *other)})


def _happened(story: Story) -> Counter[str]:
    """Count what the journal tells: without it nobody would know whether the worlds are worth anything."""
    found: Counter[str] = Counter()
    for record in (line.record for line in story.journal):
        if isinstance(record, Outcome):
            found["reflexes" if record.reflex else f"outcome {record.status}"] += 1
        elif isinstance(record, Verification):
            found["mended" if record.mended else "not mended"] += 1
        elif isinstance(record, Intent):
            found["intents"] += 1
    return found


@contextmanager
def _decoded_once() -> Iterator[Callable[[], None]]:
    """Let what all stages and the judge read be decoded once: a record cannot be changed, so one will do for all.

    Gives what forgets them.

    So many are there for long that to look through them for garbage often would take as long as to decode them.
    """
    before = gc.get_threshold()
    gc.set_threshold(SELDOM)
    try:
        decode_once = lru_cache(KEPT)(decode_record)
        with patch.object(decode, "decode_record", decode_once):
            yield decode_once.cache_clear
    finally:
        gc.set_threshold(*before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what members and executors say of the harm that is done to them."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
