"""What a series did around a fault, as one line of blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mendline.logs.base import LogError
from mendline.schemas.quantities import span
from mendline.web.charts import chart_of_fault
from mendline.words import printable

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.schemas.records import Fault
    from mendline.web.answers import Curve

BLOCKS = "▁▂▃▄▅▆▇█"
AROUND_MS = 300_000


def evidence_lines(log: Log, fault: Fault, now: int, width: int) -> list[str]:
    """Return a few lines on what the fault rests on, from five minutes before it opened to five after, or `now` (ms).

    Reads the log, up to 50,000 records. None where it does not answer or has let go of that.
    """
    begin, end = fault.opened_at - AROUND_MS, min(fault.opened_at + AROUND_MS, now + 1)
    try:
        found = chart_of_fault(log, fault, begin, end)
    except LogError:
        return []
    head = f"from {span(AROUND_MS)} before it opened to {span(max(end - fault.opened_at, 0))} after:"
    lines = [line for curve in found.curves for line in _curve(curve, width)]
    return [head, *lines] if lines else []


def _curve(curve: Curve, width: int) -> Iterator[str]:
    known = [value for value in curve.values if value is not None]
    if known:
        band = "" if curve.low is None or curve.high is None else f", expected {curve.low:.4g} to {curve.high:.4g}"
        yield printable(f"  {curve.label}: {min(known):.4g} to {max(known):.4g} {curve.unit}{band}")
        yield f"  {sparkline(curve.values, width - 2)}"


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Return values as blocks between the lowest and the highest, at most `width`; each is the mean of some.

    >>> sparkline([0, 1, None, 7, 3.5], 5), sparkline([1, 1, 9, 9], 2), sparkline([5, 5], 9)
    ('▁▂ █▅', '▁█', '▁▁')
    """
    bins = [_mean(one) for one in _bins(values, max(width, 1))]
    known = [one for one in bins if one is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    step = (high - low) / (len(BLOCKS) - 1) or 1.0
    return "".join(" " if one is None else BLOCKS[round((one - low) / step)] for one in bins)


def _bins(values: Sequence[float | None], most: int) -> Iterator[Sequence[float | None]]:
    count = min(len(values), most)
    for place in range(count):
        yield values[place * len(values) // count : (place + 1) * len(values) // count]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) / len(known) if known else None
