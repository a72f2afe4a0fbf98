"""What an agent does on its host: observe it, tell Mendline's own metrics, and restart without a planner."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mendline.schemas.base import Frozen
from mendline.schemas.settings.units import Duration, Name, Size

Collector = Literal[
    "cpu", "load", "memory", "disk", "filesystem", "network", "tcp", "descriptors", "pressure", "sensors"
]


class HostSettings(Frozen):
    """What is observed of the host itself."""

    interval: Duration = Field(
        default=1000,
        ge=100,
        description="time between two collection rounds; detectors with `window: 0` take it for that of a host until "
        "they know its own",
    )
    collect: tuple[Collector, ...] = Field(
        default=("cpu", "load", "memory", "disk", "filesystem", "network", "tcp", "descriptors", "pressure", "sensors"),
        description="groups of host metrics",
    )
    deadline: Duration = Field(default=2000, description="a collector that takes longer is left out and reported")
    max_series: int = Field(default=5000, gt=0, description="series per source; more are dropped, and that is said")
    spool: Size = Field(
        default=64 * 2**20,
        description="disk under `state` for what waits while the log is away; 0: memory only, 8 MiB",
    )
    peers: dict[Name, str] = Field(
        default_factory=dict,
        description="name of a source: host:port; round-trip time; no answer is a fault of this host",
    )


class ReflexSettings(Frozen):
    """While the log cannot be reached, and only then, the agent restarts exited services on its own."""

    attempts: int = Field(default=3, ge=0, description="restarts within `window`; 0: no reflex")
    window: Duration = Field(default=600_000, description="over which restarts are counted")


class EndpointSettings(Frozen):
    """Mendline's own metrics for Prometheus."""

    listen: str | None = Field(default=None, description="host:port, such as 127.0.0.1:9464; default: off")
