"""Windows, detectors, and when what they find is a fault."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mendline.schemas.base import Frozen
from mendline.schemas.settings.units import Duration, Name


class WindowSettings(Frozen):
    """How rounds are aggregated. All widths are multiples of `pane`."""

    pane: Duration = Field(default=10_000, gt=0, description="the base window, aggregated once from its rounds")
    widths: tuple[Duration, ...] = Field(default=(10_000, 60_000), description="tumbling windows")
    hopping: tuple[tuple[Duration, Duration], ...] = Field(default=(), description="pairs of width and hop")
    grace: Duration = Field(default=0, description="a window waits this long in event time for rounds out of order")
    quantiles: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        default=(), description="such as 0.5, 0.99; kept for the base window only"
    )
    forget: Duration = Field(
        default=86_400_000, gt=0, description="a source silent for this long is forgotten, and windows it left open too"
    )

    @model_validator(mode="after")
    def _multiples_of_the_pane(self) -> WindowSettings:
        if not self.widths and not self.hopping:
            msg = "give at least one width, in widths or hopping"
            raise ValueError(msg)
        lengths = [*self.widths, *(length for pair in self.hopping for length in pair)]
        wrong = [length for length in lengths if length <= 0 or length % self.pane]
        if wrong:
            msg = f"{wrong[0]} ms is no multiple of the pane, {self.pane} ms"
            raise ValueError(msg)
        widths = [*self.widths, *(width for width, _ in self.hopping)]
        twice = [width for width in widths if widths.count(width) > 1]
        if twice:
            msg = f"{twice[0]} ms is given twice; one kind of windows for each width"
            raise ValueError(msg)
        return self


class Condition(Frozen):
    """When a score or value counts: above or below a bound, for a time."""

    above: float | None = Field(default=None, description="counts when it is greater than this")
    below: float | None = Field(default=None, description="counts when it is less than this")
    hold: Duration = Field(default=0, alias="for", description="for at least this long, in event time")


class MatchSettings(Frozen):
    """Which series a detector looks at; every given field must match. Patterns are shell patterns."""

    metric: str = Field(default="*", description="name of the metric")
    service: str = Field(default="*", description="name of the service; empty: the host itself")
    source: str = Field(default="*", description="name of the host")
    attributes: dict[str, str] = Field(default_factory=dict, description="attributes that must match, by name")


class DetectorSettings(Frozen):
    """One detector at work."""

    name: Name = Field(description="stands in its faults; unique in the file")
    use: str = Field(description="a detector's registered name, or package.module:Class")
    match: MatchSettings = MatchSettings()
    window: Duration = Field(default=10_000, description="width of the windows it sees; 0: the rounds themselves")
    statistic: str = Field(
        default="auto",
        description="count, mean, std, min, max, last, sum, rate, pNN; auto: rate of counters, mean of gauges",
    )
    parameters: dict[str, Any] = Field(default_factory=dict, description="the detector's own settings")
    open: Condition | None = Field(default=None, description="when a fault opens; default: from the false-fault budget")
    clear: Condition | None = Field(default=None, description="when it clears; default: below 0.7 of open")
    severity: Literal["info", "warning", "critical"] = Field(
        default="warning", description="of its faults; warning, because a statistic alone is seldom an emergency"
    )
    kind: str = Field(default="", description="one word for what is wrong; default: the detector's own")


LOOKS_AT_ALL = DetectorSettings(name="unusual", use="auto")
"""What detects where nobody configured detectors."""


class PhiSettings(Frozen):
    """When a source counts as silent by the rhythm it had, instead of after a fixed time."""

    phi: float = Field(
        default=8.0,
        gt=0.3,
        le=300,
        description="silent once this surprising: 8 is once in 100 million beats, were they Gaussian",
    )
    window: int = Field(default=100, ge=2, le=1000, description="intervals between beats that are remembered")
    least_deviation: Duration = Field(
        default=100, gt=0, description="standard deviation of the intervals that is assumed at least"
    )
    pause: Duration = Field(default=3000, description="acceptable pause, added to the mean interval")
    ready: int = Field(
        default=10, ge=2, le=1000, description="intervals that must be known; until then the fixed time counts"
    )

    @model_validator(mode="after")
    def _possible(self) -> PhiSettings:
        if self.ready > self.window:
            msg = f"ready {self.ready} is above window {self.window}: so many intervals are never known"
            raise ValueError(msg)
        return self


class LivenessSettings(Frozen):
    """When a source that says nothing is missed."""

    silent_after: Duration = Field(
        default=15_000, description="log time without a record of a source; at least 3 of its intervals"
    )
    silent: PhiSettings | None = Field(
        default=None, description="judge by each source's own rhythm (phi accrual) instead, once it is known"
    )
    expected: tuple[Name, ...] = Field(
        default=(), description="hosts that are missed even if they never came; who came once is without a list"
    )
    clear_hold: Duration = Field(default=0, description="a service must answer this long before its fault resolves")


class FaultSettings(Frozen):
    """When a fault flaps, is the same one again, or has been open for so long that it is the new usual."""

    flap_high: float = Field(
        default=30.0, gt=0, le=100, description="percent of changes in the last 20 windows from which a fault flaps"
    )
    flap_low: float = Field(default=5.0, gt=0, le=100, description="percent of changes below which it ceases to")
    again: Duration = Field(
        default=600_000, description="a fault that is back within this time of its end counts as the same again"
    )
    max_age: Duration = Field(
        default=86_400_000,
        description="an unusual value that lasts this long is the usual from then on, learned anew; 0: never. "
        "Rules do not age",
    )

    @model_validator(mode="after")
    def _hysteresis(self) -> FaultSettings:
        if self.flap_low > self.flap_high:
            msg = f"flap_low {self.flap_low:g} is above flap_high {self.flap_high:g}: a fault would flap and not flap"
            raise ValueError(msg)
        return self
