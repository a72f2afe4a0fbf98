"""What a world is made of: hosts, services, what is allowed where, policies and guards, all drawn from the seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from mendline.schemas.settings import (
    GuardSettings,
    PolicyMatch,
    PolicySettings,
    ProcessSettings,
    ServiceSettings,
    Settings,
    StepSettings,
)

HOSTS = ("host-0", "host-1", "host-2", "host-3")
SERVICES = ("web", "db", "queue", "cache")
KINDS = ("dead", "hung", "leaking", "odd")
"""Kinds of fault: the first three are mended, of the last a person is asked."""
ACTIONS = ("restart", "rollback", "wipe")
TIMEOUT_MS = 4_000

Allowed = Mapping[str, frozenset[str]]
"""What may be done to each service of a host."""


@dataclass(frozen=True)
class Plan:
    """A world on paper. `versions` are the settings of its planners, `allowed` what hosts allow at first."""

    versions: tuple[Settings, ...]
    allowed: Mapping[str, Allowed]

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the hosts."""
        return tuple(self.allowed)

    @property
    def guards(self) -> GuardSettings:
        """The bounds, the same in every version."""
        return self.versions[0].guards


def services_in(allowed: Allowed) -> dict[str, ServiceSettings]:
    """Return the services in the file of a host."""
    process = ProcessSettings(command=("true",))
    return {name: ServiceSettings(process=process, allow=tuple(sorted(some))) for name, some in allowed.items()}


def draw_plan(lots: random.Random) -> Plan:
    """Return a plan: each of its parts is there in some worlds, and not in others."""
    guards = draw_guards(lots)
    versions = tuple(_settings(attempts, guards) for attempts in ((2, 3) if lots.random() < 0.3 else (2,)))
    return Plan(versions, {host: draw_allowed(lots) for host in HOSTS})


def draw_allowed(lots: random.Random) -> Allowed:
    """Return what a host allows."""
    some = ("restart",), ("restart", "rollback"), ()
    return {name: frozenset(lots.choices(some, [3, 6, 1])[0]) for name in SERVICES}


def draw_guards(lots: random.Random) -> GuardSettings:
    """Return bounds on what may be done."""
    return GuardSettings(
        cooldown=lots.choice([0, 2_000, 8_000]),
        attempts=lots.choice([3, 10, 20]),
        window=lots.choice([30_000, 120_000]),
        breaker=lots.choice([20_000, 60_000]),
        concurrent=lots.choice([1, 3, 5]),
        blast_radius=lots.choice([0.5, 1.0, 1.0, 1.0]),
    )


def _settings(attempts: int, guards: GuardSettings) -> Settings:
    mend = (_step("restart", attempts), _step("rollback", 1))
    policies = (
        PolicySettings(name="wipe", mode="auto", when=PolicyMatch(kind=("leaking",)), play=(_step("wipe", 1), *mend)),
        PolicySettings(name="ask", mode="ask", when=PolicyMatch(kind=("odd",)), play=mend),
        PolicySettings(name="mend", mode="auto", play=mend),
    )
    return Settings(policies=policies, guards=guards)


def _step(action: str, attempts: int) -> StepSettings:
    return StepSettings(action=action, attempts=attempts, timeout=TIMEOUT_MS, verify=5_000)
