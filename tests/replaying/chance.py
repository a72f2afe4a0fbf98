"""Recordings by chance: a seed decides on settings, values, and the lives and ends of members."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mendline.dumps.recording import Recording
from mendline.logs.base import Log
from mendline.runtime.worker import cut
from mendline.schemas.rounds import encode_round
from mendline.schemas.settings import Settings
from mendline.schemas.stream import ROUND_HEADERS, Batch, NewRecord, Partition
from mendline.testing.clock import ManualClock
from tests.replaying.support import TABLE, Altered, Studio, settings_of

USES = ("zscore", "ewma", "mad", "cusum", "auto", "threshold", "absence")
LARGEST_BATCH = 40
AGO_MS = 600_000
"""How long before now rounds are taken where a broker has the clock: what is far ahead of that is not believed."""

MakeLog = Callable[[ManualClock], Log]


def settings_by_chance(chance: random.Random, folder: Path, prefix: str = "mendline") -> Settings:
    """Return settings with windows, detectors and partitions by chance."""
    pane = chance.choice((1, 2, 5))
    widths = sorted({pane, pane * chance.randint(2, 5)})
    windows = {
        "pane": f"{pane}s", "widths": [f"{width}s" for width in widths], "grace": f"{chance.choice((0, 1, 3))}s",
        "quantiles": chance.choice(([], [0.5, 0.99])),
    }  # fmt: skip
    detectors = [_detector(chance, number, widths) for number in range(chance.randint(1, 5))]
    topics = {"partitions": chance.randint(1, 3), "prefix": prefix}
    return settings_of(folder, windows=windows, detectors=detectors, topics=topics)


def _detector(chance: random.Random, number: int, widths: list[int]) -> dict[str, Any]:
    use = chance.choice(USES)
    window = chance.choice((0, *widths)) if use != "absence" else chance.choice(widths)
    one: dict[str, Any] = {"name": f"d{number}", "use": use, "window": f"{window}s", "match": {"metric": "*"}}
    if use == "threshold":
        one["open"] = {"above": chance.choice((2, 5, 40)), "for": f"{chance.choice((0, 3))}s"}
    return one


@dataclass
class Unsteady(Studio):
    """Hosts that miss rounds, repeat them, send them late, and say odd values now and then."""

    chance: random.Random = field(default_factory=random.Random)
    held_back: list[NewRecord] = field(default_factory=list)

    def rounds(self) -> list[NewRecord]:
        """Return what comes in a second."""
        made = [self._odd(host) for host in ("host-1", "host-2", "host-3") if self.chance.random() < 0.95]
        kept = [one for one in made if self.chance.random() < 0.9]
        late = self.held_back
        self.held_back = [one for one in made if one not in kept]
        return [*kept, *late, *(one for one in kept if self.chance.random() < 0.1)]

    def _odd(self, host: str) -> NewRecord:
        values = [self.chance.gauss(1, 0.1), self.chance.choice((1.0, 1.0, 1.0, 50.0, float("nan")))]
        at = self.clock() + self.chance.choice((0, 0, 0, 400))
        value = encode_round(host, 1, self.second, at, TABLE, values)
        return NewRecord(self.settings.topics.topic("metrics"), value, host.encode(), headers=ROUND_HEADERS)


def record_by_chance(
    seed: str | int, folder: Path, make_log: MakeLog | None = None, prefix: str = "mendline", *, on_broker: bool = False
) -> Unsteady:
    """Return a recording that ended well, through restarts and crashes.

    On a broker, whose answers and append times come when they come, most lives end when all is read.
    """
    chance = random.Random(seed)
    clock = ManualClock(time.time_ns() // 1_000_000 - AGO_MS) if on_broker else ManualClock()
    settings = settings_by_chance(chance, folder, prefix)
    studio = Unsteady(settings, clock, make_log(clock) if make_log else None, chance=chance)
    for _ in range(chance.randint(2, 5)):
        for _ in range(chance.randint(1, 4)):
            studio.record(chance.randint(1, 12), turns=chance.choice((0, 1, 3)))
        crash = chance.random() < 0.5
        if on_broker and chance.random() < 0.8:
            studio.catch_up()
        studio.end(crash=crash)
        studio.begin()
    studio.record(15)
    if on_broker:
        studio.catch_up()
    studio.end()
    return studio


class Recut(Altered):
    """A recording that comes in batches of other sizes."""

    def __init__(self, recording: Recording, chance: random.Random) -> None:
        """Draw the sizes from `chance`."""
        super().__init__(recording, lambda _, __, value: value)
        self._chance = chance

    def batches(self, partition: Partition, begin: int, end: int) -> Iterator[Batch]:
        """Yield the records, some at a time."""
        for batch in super().batches(partition, begin, end):
            first = 0
            while first < len(batch):
                after = min(first + self._chance.randint(1, LARGEST_BATCH), len(batch))
                yield cut(batch, first, after)
                first = after
