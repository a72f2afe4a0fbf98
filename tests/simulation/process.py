"""One life of a program, with the places between its steps at which it may die or freeze."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.simulation.virtual import Fibre, KilledError, Time

FOREVER = 10**15
"""When those die who live (ms)."""


class Fuse(NamedTuple):
    """Burns down after so many steps, of `deeds` only or any; then its process freezes for so long, or, None, dies."""

    steps: int
    deeds: bool = False
    freeze_ms: float | None = None


class Process:
    """What runs in one life of a program. When it is dead nothing of it does anything any more."""

    def __init__(self, time: Time, lots: random.Random) -> None:
        """Live from now on."""
        self.time = time
        self.lots = lots
        self.dead = False
        self.born, self.died = time.now, FOREVER
        self._fibres: list[Fibre] = []
        self._turns_ms: dict[Fibre, Sequence[float]] = {}
        self._frozen_until = 0
        self._holding: Fibre | None = None
        self._fuse: Fuse | None = None

    @property
    def frozen(self) -> bool:
        """Whether it stands still."""
        return self._frozen_until >= self.time.now

    def start(self, work: Callable[[], None], delay_ms: float = 0) -> None:
        """Run `work` as a fibre of its own, in `delay_ms` milliseconds."""
        if self.dead:
            raise KilledError

        def run() -> None:
            self._go_on()
            work()

        fibre = Fibre(self.time, run, self.sleep)
        self._fibres = [one for one in self._fibres if not one.done] + [fibre]
        self.time.after(delay_ms, fibre.resume)

    def sleep(self, ms: float) -> None:
        """Let `ms` milliseconds pass, more if it freezes; called by what runs in it."""
        self._own.sleep(ms)
        self._go_on()

    def doze(self, ms: float, turns_ms: Sequence[float]) -> None:
        """Let up to `ms` milliseconds pass: one of `turns_ms` after somebody rouses it."""
        self._turns_ms[self._own] = turns_ms
        self._own.doze(ms)
        self._go_on()

    def wait(self) -> None:
        """Let time pass until somebody rouses this very fibre; called by what runs in it."""
        self._own.doze(None)
        self._go_on()

    @property
    def at_risk(self) -> bool:
        """Whether it may die or freeze at one of its next steps, or is dead."""
        return self.dead or self._fuse is not None

    def rouse(self) -> None:
        """Tell all that doze in it that there is something to do."""
        for fibre, turns_ms in self._turns_ms.items():
            fibre.rouse(self.lots.choice(turns_ms))

    def step(self, *, deed: bool = False) -> None:
        """Stand between two steps, of a `deed` maybe: here it dies, or freezes, when its fuse has burnt down."""
        if self.dead:
            raise KilledError
        if self._fuse and (deed or not self._fuse.deeds):
            left = self._fuse.steps
            freeze_ms, self._fuse = self._fuse.freeze_ms, self._fuse._replace(steps=left - 1) if left else None
            if not left:
                self._burn(freeze_ms)

    def light(self, fuse: Fuse) -> None:
        """Let it die or freeze at a step to come."""
        self._fuse = fuse

    def freeze(self, ms: float) -> None:
        """Stand still from now on, wherever it sleeps."""
        self._frozen_until = self.time.now + round(ms)

    def die(self) -> None:
        """End all that runs in it, at the place where it sleeps."""
        self.dead = True
        self.died = self.time.now
        if self._holding:
            self._holding.resume()
        for fibre in self._fibres:
            self.time.after(0, fibre.resume)

    def _burn(self, freeze_ms: float | None) -> None:
        if freeze_ms is None:
            self.die()
            raise KilledError
        self.freeze(freeze_ms)
        self._holding = self._own  # maybe a lock that the others want: it goes on, or ends, before them
        self._own.sleep(freeze_ms)
        self._holding = None
        if self.dead:
            raise KilledError

    def _go_on(self) -> None:
        while self._frozen_until >= self.time.now and not self.dead:
            self._own.sleep(self._frozen_until + 1 - self.time.now)
        if self.dead:
            raise KilledError

    @property
    def _own(self) -> Fibre:
        fibre = self.time.current
        assert fibre, "only what runs in a process can sleep"
        return fibre
