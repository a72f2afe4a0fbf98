"""Windows on the wire: aggregates of a source's rounds over `[start, start + width)` of event time.

`WindowRow` and `Windows` are the JSON form, for people and foreign writers; processors write the columnar form
(`columnar.encode_windows`): one record holds the windows of all sources of the partition that one poll closed.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import FailFast, Field

from mendline.schemas.base import MOST_COUNT, MOST_TIME, Envelope, Frozen
from mendline.schemas.series import Kind

STATISTICS = ("count", "sum", "mean", "std", "min", "max", "last", "rate")

QuantileName = Annotated[str, Field(pattern=r"^p[0-9][0-9.e-]*$", max_length=32)]


def quantile_name(share: float) -> str:
    """Return the name a quantile has among the statistics.

    >>> quantile_name(0.99), quantile_name(0.999)
    ('p99', 'p99.9')
    """
    return f"p{100 * share:g}"


class WindowRow(Frozen):
    """One series in one window. `std` is the population standard deviation; `rate` (per second) of counters only."""

    service: str = ""
    metric: str = Field(min_length=1, max_length=255)
    attributes: dict[str, str] = Field(default_factory=dict)
    unit: str = "1"
    kind: Kind = "gauge"
    count: float
    sum: float | None = None
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    last: float | None = None
    rate: float | None = None
    quantiles: dict[QuantileName, float] = Field(default_factory=dict)


class Windows(Envelope):
    """The windows of one source and width: `start` in ms of event time, `width_ms` its length.

    `rounds` counts the rounds in it, `late` those that came after a window of this source had closed, since the
    window before.
    """

    type: Literal["windows"] = "windows"
    start: int = Field(ge=-MOST_TIME, le=MOST_TIME)
    width_ms: int = Field(gt=0, le=MOST_TIME)
    rounds: int = Field(ge=0, le=MOST_COUNT)
    late: int = Field(default=0, ge=0, le=MOST_COUNT)
    rows: Annotated[tuple[WindowRow, ...], FailFast()] = Field(min_length=1, max_length=100_000)
