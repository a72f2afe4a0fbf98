"""What is to be done to whom and when: drawn from a seed, one deed after the other, and noted."""

from __future__ import annotations

import heapq
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

Deed = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Blow:
    """Something that silences a part for a time: what was hit (a role, `broker` or `log`), and when (ms)."""

    hit: str
    at: int


class Schedule:
    """Deeds by the time they are due. `done` counts harms by name, `blows` are those that silence somebody."""

    def __init__(self, seed: int) -> None:
        """Let all chance follow from `seed`."""
        self.chance = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.blows: list[Blow] = []
        self._deeds: list[tuple[float, int, Deed]] = []
        self._numbers = count(1)

    def after(self, seconds: float, deed: Deed) -> None:
        """Do the deed in so many seconds."""
        heapq.heappush(self._deeds, (time.monotonic() + seconds, self.number(), deed))

    def turn(self) -> None:
        """Do what is due."""
        while self._deeds and self._deeds[0][0] <= time.monotonic():
            heapq.heappop(self._deeds)[2]()

    def clear(self) -> None:
        """Forget what is not done yet."""
        self._deeds.clear()

    def number(self) -> int:
        """Return a number not given before."""
        return next(self._numbers)

    def blow(self, hit: str) -> None:
        """Note that somebody was silenced just now."""
        self.blows.append(Blow(hit, time.time_ns() // 1_000_000))
