"""Stories in which guards have something to say: faults, outcomes, orders and silence, under bounds drawn by lot."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from mendline.schemas.base import record_id
from mendline.schemas.records import Command, Fault, OrderKind, Outcome, OutcomeStatus, Transition
from mendline.schemas.settings import ServiceSettings, Settings, StepSettings
from tests.responders.support import SECOND, Scene, fault, order, outcome, policy, progress, settings

HOSTS = ("host-0", "host-1", "host-2", "host-3")
TARGETS = tuple(f"{host}/{service}" for host in HOSTS for service in ("web", "db"))
KINDS = ("dead", "dead", "dead", "hung", "leaking", "overloaded")
STATUSES: tuple[OutcomeStatus, ...] = ("succeeded", "succeeded", "failed", "refused", "overtaken", "deferred")
DEPENDENCIES: tuple[dict[str, tuple[str, ...]], ...] = ({}, {"web": ("db",)}, {"web": ("db",), "db": ("web",)})
GROUPS: tuple[dict[str, tuple[str, ...]], ...] = ({}, {"front": ("host-[12]",), "all": ("host-*",)})


def draw_settings(lots: random.Random) -> Settings:
    """Return policies, bounds and dependencies."""
    step = StepSettings(action="restart", attempts=lots.choice([2, 9]), timeout=5 * SECOND, verify=10 * SECOND)
    leaks = policy("auto", step, kind=("leaking", *lots.choice([(), ("overloaded",)])))
    policies = (
        leaks.model_copy(update={"name": "leaks"}),
        policy("auto", step).model_copy(update={"flapping": lots.choice(["hold", "act"])}),
    )
    bounds = {
        "cooldown": lots.choice([0, 3, 10]) * SECOND,
        "attempts": lots.choice([2, 3, 9]),
        "window": lots.choice([20, 60]) * SECOND,
        "breaker": lots.choice([5, 40]) * SECOND,
        "concurrent": lots.choice([1, 2, 9]),
        "concurrent_in_group": lots.choice([None, 1, 2]),
        "blast_radius": lots.choice([0.3, 0.5, 1.0]),
        "patience": lots.choice([8, 600]) * SECOND,
    }
    services = {name: ServiceSettings(depends_on=needed) for name, needed in lots.choice(DEPENDENCIES).items()}
    return settings(*policies, **bounds).model_copy(update={"services": services, "groups": lots.choice(GROUPS)})


@dataclass
class Story:
    """One planner on a journal, and what happens around it."""

    lots: random.Random
    scene: Scene
    opened: int = 0

    @classmethod
    def of(cls, seed: int) -> Story:
        """Return the story that a seed tells."""
        lots = random.Random(seed)
        return cls(lots, Scene(draw_settings(lots)))

    def steps(self, most: int) -> Iterator[None]:
        """Let one thing happen after the other."""
        names = list(WEIGHTS)
        for _ in range(most):
            (what,) = self.lots.choices(names, list(WEIGHTS.values()))
            getattr(self, f"_{what}")()
            self.scene.run()
            yield

    def open_faults(self) -> list[Fault]:
        """Return the newest revisions of faults that are not over, in order."""
        newest: dict[str, Fault] = {}
        for one in self.scene.all(Fault):
            if one.id not in newest or one.revision > newest[one.id].revision:
                newest[one.id] = one
        return [one for one in newest.values() if one.transition not in ("resolved", "orphaned")]

    # What happens -----------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self.opened += 1
        target, kind = self.lots.choice((TARGETS[0], self.lots.choice(TARGETS))), self.lots.choice(KINDS)
        if self.lots.random() < 0.05:
            target, kind = target.partition("/")[0], "silent"
        late_ms = self.lots.choice([0, 0, 0, 11 * SECOND])
        flaps = self.lots.random() < 0.1
        name = record_id("fault", self.opened)
        self.scene.append(fault(target, time=self.scene.time(), name=kind, id=name, delay_ms=late_ms, flapping=flaps))

    def _resolve(self) -> None:
        self._revise("resolved")

    def _affirm(self) -> None:
        self._revise("affirmed")

    def _revise(self, transition: Transition) -> None:
        if faults := self.open_faults():
            one = self.lots.choice(faults)
            late_ms = self.lots.choice([0, 0, 11 * SECOND])
            changes = {"transition": transition, "revision": one.revision + 1, "time": self.scene.time() - late_ms}
            self.scene.append(one.model_copy(update=changes))

    def _outcome(self) -> None:
        if commands := [one for one in self.scene.commands[-4:] if isinstance(one, Command)]:
            self.scene.append(outcome(self.lots.choice(commands), self.lots.choice(STATUSES), time=self.scene.time()))

    def _mend(self) -> None:
        """Let the newest command have helped."""
        commands = [one for one in self.scene.commands if isinstance(one, Command)]
        for one in self.open_faults():
            if commands and one.target == commands[-1].target:
                ended = {"transition": "resolved", "revision": one.revision + 1, "time": self.scene.time()}
                self.scene.append(outcome(commands[-1], time=self.scene.time()), one.model_copy(update=ended))

    def _reflex(self) -> None:
        name, target = record_id("reflex", len(self.scene.entries)), self.lots.choice(TARGETS)
        about = {"source": target.partition("/")[0], "host": target.partition("/")[0], "target": target}
        more = {"id": name, "intent": name, "time": self.scene.time(), "action": "restart", "status": "succeeded"}
        self.scene.append(Outcome.model_validate({**about, **more, "reflex": True}))

    def _forbid(self) -> None:
        kind: OrderKind = self.lots.choice(["maintenance", "silence"])
        faults = [one.id for one in self.open_faults()]
        subject = self.lots.choice(["web", "host-1", "host-?/db", *TARGETS, *faults])
        lasts = self.lots.choice([None, 5 * SECOND, 30 * SECOND])
        until = None if lasts is None else self.scene.time() + lasts
        active = self.lots.random() < 0.7
        self.scene.append(order(kind, subject, self.scene.time(), active=active, expires=until))

    def _stop(self) -> None:
        self.scene.append(order("stop", active=self.lots.random() < 0.4))

    def _approve(self) -> None:
        if faults := self.open_faults():
            self.scene.append(order("approve", self.lots.choice(faults).id))

    def _rest(self) -> None:
        self.scene.tick(self.lots.choice([1, 3, 10]) * SECOND)

    def _blind(self) -> None:
        self.scene.blind(self.lots.choice([3, 11]) * SECOND)

    def _lag(self) -> None:
        self.scene.append(progress(self.scene, behind_ms=self.lots.choice([0, 11 * SECOND])))


WEIGHTS = {
    "open": 9, "resolve": 4, "mend": 5, "affirm": 2, "outcome": 7, "reflex": 1,
    "forbid": 1, "stop": 1, "approve": 1, "rest": 5, "blind": 1, "lag": 1,
}  # fmt: skip
