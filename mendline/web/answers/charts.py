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
