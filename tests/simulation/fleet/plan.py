"""What a fleet is made of: detectors, windows, dependencies, rhythm; drawn from the seed with all that a plan has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mendline.roles import with_own_detectors
from mendline.schemas.settings import Settings
from tests.simulation.plan import ACTIONS, SERVICES, TIMEOUT_MS, Plan, draw_allowed, draw_guards

if TYPE_CHECKING:
    import random

HOSTS = tuple(f"host-{number}" for number in range(5))
INTERVAL_MS = 10_000
AWAKE_MS = (300.0, 2_000.0, 2_000.0, 3_000.0), (1_000.0, 4_000.0, 10_000.0)
DEPENDS_ON: Mapping[str, tuple[str, ...]] = {"web": ("db", "cache"), "db": (), "queue": ("db",), "cache": ()}
LIMIT = 0.9
"""Share of its memory that no service should use."""

WINDOWS = (
    ("60s", ("60s",), "60s"),
    ("10s", ("10s", "60s"), "60s"),
    ("30s", ("30s", "60s"), "60s"),
    ("30s", ("30s",), "30s"),
    ("10s", ("10s",), "10s"),
)
"""Pane, widths, and which of these detectors look at."""

OFTEN, SELDOM = (4, 2, 3, 1, 1), (24, 0, 3, 1, 0)
"""How likely each of these is, in dense fleets and in long ones, whose time goes to hours: the smallest cost most."""

LAZY_MS = (20_000, 60_000, 120_000, 300_000, 600_000)
DENSE_MS = 200_000.0
PARTITIONS = (1, 2, 3)
ALONE = (36, 1, 1)
"""How likely each number is in long fleets: what is folded apart takes as much time as what is folded together."""

_STEP = {"timeout": f"{TIMEOUT_MS}ms", "verify": "30s"}
_TOGGLED = {"name": "toggled", "use": "zscore", "match": {"metric": "absent"}, "window": 0}
"""Looks at nothing: it comes and goes with the versions of the settings."""


@dataclass(frozen=True)
class FleetPlan(Plan):
    """A fleet on paper. `versions` are the settings of stages too.

    `lazy_ms`: how long members rest where nothing happens, `awake_ms`: how long where something does, `seldom_s`: how
    seldom they take snapshots at least, `every_ms`: how much time is between two incidents on average.
    """

    lazy_ms: int = 60_000
    awake_ms: tuple[float, ...] = AWAKE_MS[0]
    seldom_s: float = 300.0
    every_ms: float = 3_600_000.0

    @property
    def partitions(self) -> int:
        """Of metrics and of windows."""
        return self.versions[0].topics.partitions


def draw_fleet(lots: random.Random, *, dense: bool = False) -> FleetPlan:
    """Return a fleet: each of its parts is there in some worlds, and not in others; `dense`: much happens."""
    attempts = (2, 3) if lots.random() < 0.3 else (2,)
    drawn = {
        "guards": draw_guards(lots).model_dump(by_alias=True),
        "topics": {"partitions": lots.choices(PARTITIONS, [1, 1, 1] if dense else ALONE)[0]},
        **_watching(lots, OFTEN if dense else SELDOM),
    }
    versions = [_settings(drawn, tries, toggled) for tries in attempts for toggled in (False, True)]
    return FleetPlan(
        versions=tuple(with_own_detectors(one) for one in versions),
        allowed={host: draw_allowed(lots) for host in HOSTS},
        lazy_ms=lots.choices(LAZY_MS, [1, 2, 6, 7, 0] if dense else [0, 0, 1, 3, 8])[0],
        awake_ms=lots.choices(AWAKE_MS, [1, 4])[0],
        seldom_s=lots.choices([300.0, 1_800.0, 3_600.0], [1, 3, 3])[0],
        every_ms=DENSE_MS if dense else lots.choices([21_600_000.0, 43_200_000.0, 86_400_000.0], [1, 2, 2])[0],
    )


def _watching(lots: random.Random, likely: Sequence[int]) -> dict[str, Any]:
    """Return windows and detectors; `likely`: how often each of `WINDOWS` is in the hat."""
    pane, widths, window = lots.choice([one for one, times in zip(WINDOWS, likely, strict=True) for _ in range(times)])
    unusual = lots.choice(("zscore", "ewma", "mad"))
    memory_window = 0 if lots.random() < 0.1 else window
    limit = {"use": "threshold", "open": {"above": LIMIT, "for": lots.choice(["0s", "20s"])}}
    metrics = ("process.memory", "http.errors", "http.latency")
    memory, errors, latency = ({"match": {"metric": metric}, "window": window} for metric in metrics)
    return {
        "windows": {"pane": pane, "widths": widths, "grace": lots.choice(["0s", "5s"])},
        "detectors": [
            {**memory, "name": "memory", "kind": "leaking", "window": memory_window, **limit},
            {**errors, "name": "errors", "kind": "failing", "use": "threshold", "open": {"above": 0.2}},
            {**latency, "name": "latency", "use": unusual},
        ],
    }


def _settings(drawn: Mapping[str, Any], attempts: int, toggled: bool) -> Settings:
    mend = [{"action": "restart", "attempts": attempts, **_STEP}, {"action": "rollback", "attempts": 1, **_STEP}]
    wipe = [{"action": ACTIONS[-1], "attempts": 1, **_STEP}, *mend]
    policies = [
        {"name": "wipe", "mode": "auto", "when": {"target": "*/*", "kind": ["leaking"]}, "play": wipe},
        {"name": "ask", "mode": "ask", "when": {"target": "*/*", "detector": ["latency"]}, "play": mend},
        {"name": "mend", "mode": "auto", "when": {"target": "*/*"}, "play": mend},
        {"name": "hosts", "mode": "shadow", "play": mend},
    ]
    given = {
        **drawn,
        "name": "planner",
        "host": {"interval": f"{INTERVAL_MS}ms"},
        "services": {name: {"depends_on": list(DEPENDS_ON[name])} for name in SERVICES},
        "policies": policies,
        "detectors": [*drawn["detectors"], *([_TOGGLED] if toggled else [])],
    }
    return Settings.model_validate(given)
