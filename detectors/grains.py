"""What counts as no change at all, by the unit of a series: differences that nobody would get up for.

A series that idles hardly varies, so its own spread says nothing of what matters: a CPU that goes from 0.1 % to 0.4 %
is four times as busy, and as idle as before. The unit does say it, roughly: a share has a whole, things are counted one
by one, and clocks and sensors have a resolution. Of a unit that is not listed nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mendline.schemas.series import Series

SHARE = 0.01
ONE_THING = 1.0
UNKNOWN = 1e-9

BY_UNIT: Mapping[str, float] = MappingProxyType({
    "1": SHARE,
    "%": 100 * SHARE,
    "s": 0.001,
    "ms": 1.0,
    "By": 65_536.0,
    "Cel": 0.5,
})  # fmt: skip


def grain(series: Series) -> float:
    """Return the least standard deviation that counts for the values of a series, of a counter for its rate.

    >>> from mendline.schemas.series import Series
    >>> grain(Series(metric="system.cpu.utilization", unit="1")), grain(Series(metric="threads", unit="{thread}"))
    (0.01, 1.0)
    """
    if series.unit == "s" and series.kind == "counter":
        return SHARE  # seconds in a second
    if series.unit.startswith("{"):
        return ONE_THING
    return BY_UNIT.get(series.unit, UNKNOWN)
