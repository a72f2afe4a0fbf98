"""The services of a fleet in truth: load, leaks, bad deploys, failures that come together; and what can be measured."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

from mendline.schemas.series import Series, SeriesTable
from tests.simulation.fleet.plan import DEPENDS_ON, LIMIT
from tests.simulation.plan import SERVICES
from tests.simulation.truth import Service, Truth

if TYPE_CHECKING:
    from mendline.schemas.records import Transition
    from tests.simulation.deeds import Sickness

What = Literal["exited", "stopped", "started", "failing", "answers", "deployed"]
"""What becomes of a service, as its host can see it."""

KINDS = ("dead", "hung", "leaking", "failing", "slow")
METRICS = ("process.memory", "http.errors", "http.latency")
OF_HOST = ("system.load", "system.cpu", "system.memory")
TABLE = SeriesTable(
    [
        *(Series(metric=metric, service=name) for name in SERVICES for metric in METRICS),
        *(Series(metric=metric) for metric in OF_HOST),
        Series(metric="mendline.agent.records.lost", kind="counter"),
    ]
)
DAY_MS = 86_400_000
LEAK_MS = 600_000
"""How long a leak takes to fill the memory."""
OOM = 1.2
SEEN_MS = 75_000
"""After how long windows show what is wrong, at the latest."""
NOISE = [random.Random(0).gauss(0, 1) for _ in range(4_099)]


@dataclass
class FleetTruth(Truth):
    """What is wrong in a fleet. `observers` are told what becomes of the services of a host; `notable` of any news."""

    observers: dict[str, Callable[[Service, What], None]] = field(default_factory=dict)
    notable: Callable[[], None] = lambda: None
    _drawn: int = 0

    # What goes wrong --------------------------------------------------------------------------------------------------

    def break_one(self) -> bool:
        """Let something be wrong: with one service, with those that were deployed, or all of a host."""
        well = [one for one in self.services.values() if not one.sick]
        if not well:
            return False
        chosen, kind = self.lots.choice(well), self.lots.choices(KINDS, [5, 3, 2, 2, 2])[0]
        together = self.lots.random() < 0.2
        for one in well if together else [chosen]:
            if one is chosen or (one.name == chosen.name if kind == "failing" else one.host == chosen.host):
                self.time.after(self.lots.choice([0, 0, 3_000, 30_000]), partial(self._break_later, one, kind))
        return True

    def _break_later(self, service: Service, kind: str) -> None:
        if not service.sick and not self.calm:
            self.break_it(service, kind)

    def break_it(self, service: Service, kind: str) -> None:
        """Let this be wrong with the service, for some time or until somebody mends it."""
        super().break_it(service, kind)
        self.time.after(SEEN_MS, self.notable)
        if kind == "leaking":
            self.time.after(LEAK_MS * LIMIT, self.notable)
            self.time.after(LEAK_MS * OOM, partial(self._out_of_memory, service, service.sick))

    def _lasts_ms(self, kind: str) -> float:
        if kind == "leaking":
            return 2 * LEAK_MS
        return self.lots.expovariate(1 / self.lots.choice([20_000, 600_000, 3_600_000]))

    def _out_of_memory(self, service: Service, sickness: Sickness | None) -> None:
        if sickness and service.sick is sickness:
            self.heal(service, sickness)
            self.break_it(service, "dead")

    def mends(self, sickness: Sickness, action: str) -> bool:
        """Say whether the action helps: a restart does not bring back what was there before a deploy."""
        return sickness.kind == "dead" or (
            sickness.kind != "slow" and (sickness.kind != "failing" or action != "restart")
        )

    # What can be seen of it -------------------------------------------------------------------------------------------

    def tell(self, service: Service, sickness: Sickness, transition: Transition) -> None:
        """Let the host see it."""
        self.notable()
        begins: dict[str, What] = {"dead": "exited", "hung": "failing", "failing": "deployed"}
        ends: dict[str, What] = {"dead": "answers", "hung": "answers"}
        if what := (begins if transition == "opened" else ends).get(sickness.kind):
            self.observe(service, what)

    def start(self, service: Service) -> None:
        """Start the service's process anew; who was dead lives now."""
        sickness = service.sick
        if not (sickness and sickness.kind == "dead"):
            self.observe(service, "stopped")
        super().start(service)
        self.observe(service, "started")
        if sickness and sickness.kind == "dead":
            self.heal(service, sickness)
        elif not (sickness and sickness.kind == "hung"):
            self.observe(service, "answers")

    def observe(self, service: Service, what: What) -> None:
        """Tell who watches over the host, if anybody does."""
        if observer := self.observers.get(service.host):
            observer(service, what)

    def measure(self, host: str) -> list[float]:
        """Return the values of a round, in the order of the table, but for the agent's own."""
        now = self.time.now
        self._drawn = (self._drawn + 17) % 4_000
        noise = NOISE[self._drawn : self._drawn + 16]
        load = 0.5 + 0.3 * math.sin(2 * math.pi * (now % DAY_MS) / DAY_MS)
        services = self._by_host[host]
        if not any(one.sick for one in services):
            values = [0.3 + 0.01 * noise[0], 0.01, 0.1 + 0.05 * load + 0.01 * noise[1]] * len(services)
        else:
            sick = {one.name: one.sick.kind for one in services if one.sick}
            values = [value for one in services for value in self._values(one, sick, load, noise)]
        return [*values, load + 0.02 * noise[2], 0.4 * load + 0.02 * noise[3], 0.5 + 0.01 * noise[4]]

    @cached_property
    def _by_host(self) -> Mapping[str, Sequence[Service]]:
        return {host: [self.services[f"{host}/{name}"] for name in SERVICES] for host in self.hosts}

    def _values(
        self, service: Service, sick: dict[str, str], load: float, noise: list[float]
    ) -> tuple[float, float, float]:
        kind = sick.get(service.name, "")
        if kind == "dead":
            return (math.nan, math.nan, math.nan)
        memory = (self.time.now - service.sick.began) / LEAK_MS if kind == "leaking" and service.sick else 0.0
        waits = kind == "slow" or any(sick.get(name) in {"dead", "hung", "slow"} for name in DEPENDS_ON[service.name])
        latency = math.nan if kind == "hung" else (0.1 + 0.05 * load + 0.01 * noise[1]) * (8 if waits else 1)
        return (
            0.3 + 0.01 * noise[0] if kind != "leaking" else 0.3 + memory * 0.7,
            0.5 if kind == "failing" else 0.01,
            latency,
        )
