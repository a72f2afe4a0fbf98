"""The services of a world in truth: what is wrong with them and since when, whoever knows of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.deeds import Sickness
from tests.simulation.plan import ACTIONS, KINDS, SERVICES

if TYPE_CHECKING:
    from mendline.schemas.records import Transition
    from tests.simulation.virtual import Time


@dataclass
class Service:
    """A service in truth. `started_at` is when its process was started last (ms, its host's clock then)."""

    host: str
    name: str
    started_at: int
    sick: Sickness | None = None
    pid: int = 1

    @property
    def target(self) -> str:
        """Its name in records."""
        return f"{self.host}/{self.name}"


@dataclass
class Truth:
    """Breaks services and heals them; `tell` is for those who watch.

    `harm` counts what went wrong beside, `sicknesses` are all there were, by fault, `skew_ms` by how much the clock of
    a host is ahead, if it was ever set.
    """

    time: Time
    lots: random.Random
    harm: Counter[str]
    hosts: Sequence[str]
    services: dict[str, Service] = field(default_factory=dict)
    sicknesses: dict[str, Sickness] = field(default_factory=dict)
    skew_ms: dict[str, int] = field(default_factory=dict)
    calm: bool = False

    def __post_init__(self) -> None:
        """Start all services."""
        for host in self.hosts:
            for name in SERVICES:
                one = Service(host, name, self.time.now)
                self.services[one.target] = one

    def tell(self, service: Service, sickness: Sickness, transition: Transition) -> None:
        """Do nothing: nobody watches."""

    def go_blind(self, until: int) -> None:
        """Do nothing: nobody watches who could be blind."""

    def mends(self, sickness: Sickness, action: str) -> bool:
        """Say whether the action helps against it: here each helps against all."""
        return bool(sickness.kind) and action in ACTIONS

    def break_one(self) -> bool:
        """Let something be wrong with a service that is well; say whether there was one."""
        well = [one for one in self.services.values() if not one.sick]
        if well:
            self.break_it(self.lots.choice(well), self.lots.choices(KINDS, [4, 4, 1, 3])[0])
        return bool(well)

    def break_it(self, service: Service, kind: str) -> None:
        """Let this be wrong with the service; it may pass by itself."""
        sickness = service.sick = Sickness(service.target, kind, self.time.now)
        self.sicknesses[sickness.fault] = sickness
        self.tell(service, sickness, "opened")
        self.time.after(self._lasts_ms(kind), lambda: self._pass_by(service, sickness))

    def _lasts_ms(self, kind: str) -> float:
        """Return for how long it is wrong if nobody mends it, whatever `kind` it is."""
        return self.lots.expovariate(1 / self.lots.choice([4_000, 40_000, 40_000]))

    def heal(self, service: Service, sickness: Sickness | None) -> None:
        """Let this not be wrong with the service any more, if it still is."""
        if sickness and service.sick is sickness:
            sickness.over, service.sick = self.time.now, None
            self.tell(service, sickness, "resolved")

    def _pass_by(self, service: Service, sickness: Sickness) -> None:
        """Let a sickness end by itself; somebody may have started the service anew."""
        if service.sick is sickness and (sickness.kind == "dead" or self.lots.random() < 0.5):
            self.start(service)
        self.heal(service, sickness)

    def start(self, service: Service) -> None:
        """Start the service's process anew."""
        service.started_at = self.clock(service.host)
        service.pid += 1

    def clock(self, host: str) -> int:
        """Return the time (ms) that a host's clock shows."""
        return self.time.now + self.skew_ms.get(host, 0)
