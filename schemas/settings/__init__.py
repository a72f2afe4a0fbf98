"""The configuration file as models: every setting, its default, and the reason for it.

Durations are written as `500ms`, `1s`, `10m`, `2h`, `7d` and kept in integer milliseconds; sizes as `64KiB`, `1GB`
and kept in bytes. Secrets are given by reference: `file:PATH`, whose first line it is, or `env:NAME`, a variable. Names
of fields are the keys of the YAML file.
"""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from mendline.schemas.base import MOST_COUNT, Frozen
from mendline.schemas.settings.detection import (
    LOOKS_AT_ALL,
    Condition,
    DetectorSettings,
    FaultSettings,
    LivenessSettings,
    MatchSettings,
    PhiSettings,
    WindowSettings,
)
from mendline.schemas.settings.host import Collector, EndpointSettings, HostSettings, ReflexSettings
from mendline.schemas.settings.log import DeadLetterSettings, KafkaSettings, KeysSettings, TopicsSettings
from mendline.schemas.settings.people import (
    AlertmanagerSettings,
    EmailSettings,
    MessagesSettings,
    NotifySettings,
    QuietSettings,
    ReportSettings,
    WatchdogSettings,
)
from mendline.schemas.settings.policies import (
    DriftSettings,
    GuardSettings,
    PolicyMatch,
    PolicySettings,
    StepMatch,
    StepSettings,
)
from mendline.schemas.settings.services import (
    AdjustableSettings,
    CommandSettings,
    DataSettings,
    ProbeSettings,
    ProcessSettings,
    RollbackSettings,
    ServiceSettings,
)
from mendline.schemas.settings.store import StoreSettings, TierSettings
from mendline.schemas.settings.units import (
    LONGEST_MS,
    Duration,
    Name,
    duration_ms,
    size_bytes,
)
from mendline.schemas.settings.web import LOOPBACK, PAGE, WebProxySettings, WebSettings, WebTokenSettings

__all__ = [
    "LONGEST_MS",
    "LOOKS_AT_ALL",
    "LOOPBACK",
    "PAGE",
    "AdjustableSettings",
    "AlertmanagerSettings",
    "Collector",
    "CommandSettings",
    "Condition",
    "DataSettings",
    "DeadLetterSettings",
    "DetectorSettings",
    "DriftSettings",
    "Duration",
    "EmailSettings",
    "EndpointSettings",
    "FaultSettings",
    "GuardSettings",
    "HostSettings",
    "KafkaSettings",
    "KeysSettings",
    "LivenessSettings",
    "MatchSettings",
    "MessagesSettings",
    "Name",
    "NotifySettings",
    "PhiSettings",
    "PolicyMatch",
    "PolicySettings",
    "ProbeSettings",
    "ProcessSettings",
    "QuietSettings",
    "ReflexSettings",
    "ReportSettings",
    "RollbackSettings",
    "ServiceSettings",
    "Settings",
    "StepMatch",
    "StepSettings",
    "StoreSettings",
    "TierSettings",
    "TopicsSettings",
    "WatchdogSettings",
    "WebProxySettings",
    "WebSettings",
    "WebTokenSettings",
    "WindowSettings",
    "duration_ms",
    "size_bytes",
]


class Settings(Frozen):
    """The whole file."""

    name: Name | None = Field(default=None, description="this host's name as a source; default: its host name")
    log: str = Field(default="sqlite://.mendline/log", description="sqlite://FOLDER, kafka://HOST:PORT,… or memory:")
    kafka: KafkaSettings = KafkaSettings()
    state: str = Field(
        default=".mendline/state", description="folder for what belongs to this host: epoch, ledger, keys, pids"
    )
    topics: TopicsSettings = TopicsSettings()
    host: HostSettings = HostSettings()
    services: dict[Name, ServiceSettings] = Field(default_factory=dict)
    windows: WindowSettings = WindowSettings()
    liveness: LivenessSettings = LivenessSettings()
    faults: FaultSettings = FaultSettings()
    detectors: tuple[DetectorSettings, ...] = Field(
        default=(LOOKS_AT_ALL,),
        validate_default=True,
        description="without this section `auto` looks at every series; an empty list: none does",
    )
    budget: float = Field(default=1.0, gt=0, description="false faults a day, over the whole fleet")
    series: int = Field(
        default=10_000, gt=0, le=MOST_COUNT, description="series in the whole fleet that share the budget"
    )
    groups: dict[Name, tuple[str, ...]] = Field(
        default_factory=dict, description="hosts by the name of their group, for policies; shell patterns"
    )
    policies: tuple[PolicySettings, ...] = ()
    guards: GuardSettings = GuardSettings()
    drift: tuple[DriftSettings, ...] = Field(
        default=(), description="hosts that should have the same configuration; where the planner runs"
    )
    notify: tuple[NotifySettings, ...] = ()
    watchdog: WatchdogSettings = WatchdogSettings()
    reports: tuple[ReportSettings, ...] = Field(default=(), description="mailed where the planner runs")
    reflex: ReflexSettings = ReflexSettings()
    keys: KeysSettings = KeysSettings()
    metrics: EndpointSettings = EndpointSettings()
    web: WebSettings = WebSettings()
    store: StoreSettings | None = None
    messages: MessagesSettings = MessagesSettings()

    @field_validator("detectors")
    @classmethod
    def _in_a_width_that_is_made(
        cls, detectors: tuple[DetectorSettings, ...], info: ValidationInfo
    ) -> tuple[DetectorSettings, ...]:
        """Let what looks at all by default look at windows that are made: at the narrowest, if its own are not."""
        widths = info.data["windows"].widths if "windows" in info.data else ()
        is_default = detectors == (LOOKS_AT_ALL,) and "window" not in detectors[0].model_fields_set
        if not (is_default and widths) or LOOKS_AT_ALL.window in widths:
            return detectors
        return (LOOKS_AT_ALL.model_copy(update={"window": min(widths)}),)
