"""Series, and when there were faults."""

from __future__ import annotations

from pydantic import Field

from mendline.schemas.base import Frozen
from mendline.web.answers.kinds import Severity


class Curve(Frozen):
    """A series for a chart; `values` has a number, or None, for each of the chart's times."""

    label: str
    unit: str
    values: tuple[float | None, ...]
    low: float | None = Field(default=None, description="the range that was expected when the fault was found")
    high: float | None = None


class Chart(Frozen):
    """Series of a host about a fault, all at the same times; `cut`: there was more than could be read."""

    source: str
    times: tuple[int, ...]
    curves: tuple[Curve, ...]
    cut: bool


class SeriesName(Frozen):
    """A series that a host measures."""

    label: str
    unit: str


class FaultMark(Frozen):
    """When a host had which fault: to be marked in a chart."""

    id: str
    target: str
    kind: str
    severity: Severity
    opened_at: int
    closed_at: int | None


class Exploration(Frozen):
    """A series of a host, and the faults that are remembered of that host in the same time."""

    chart: Chart
    faults: tuple[FaultMark, ...]


class Band(Frozen):
    """What a detector expected of a series, and how surprised it was; the lists have a number, or None, for each time.

    `times` are the ends of the windows that it sees, or the times of the rounds.
    """

    detector: str
    use: str = Field(description="which algorithm")
    width_ms: int = Field(description="of the windows that it sees, 0: rounds")
    unit: str = Field(description="of `low` and `high`")
    opens: float | None = Field(description="the surprise above which a fault opens, if it judges by that")
    times: tuple[int, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    surprise: tuple[float | None, ...] = Field(description="-log10 of the probability that a healthy series does this")


class Bands(Frozen):
    """What was expected of a series by each detector that looks at it; `cut`: there was more than could be read."""

    bands: tuple[Band, ...]
    cut: bool


class Chosen(Frozen):
    """A series of a host."""

    source: str
    label: str


class Shift(Frozen):
    """A series that changed: its medians `before` and `after` the moment, and by how much, in what it varies."""

    source: str
    label: str
    unit: str
    before: float
    after: float
    score: float


class ChangeMark(Frozen):
    """Something that was changed: a configuration, a program, a restart, or what a person noted."""

    time: int
    target: str = Field(description="what may be wrong because of it: a target, or a pattern")
    text: str


class Shifts(Frozen):
    """What changed around a moment, the most first, on a host and those that have a service of its."""

    at: int
    sources: tuple[str, ...]
    compared: int = Field(description="how many series were looked at")
    shifts: tuple[Shift, ...]
    changes: tuple[ChangeMark, ...] = Field(description="up to an hour before, the newest first")
    cut: bool = Field(description="whether there was more than could be read")
