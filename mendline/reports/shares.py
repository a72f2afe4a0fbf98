"""Shares with the interval they lie in, and how long things took: what a report says of many."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

from mendline.schemas.base import Frozen

Z95 = 1.959963984540054
"""97.5 % quantile of the normal distribution: an interval that holds the true share 19 times of 20."""


class Interval(Frozen):
    """A share and the bounds between which it lies 19 times of 20; None of nothing."""

    share: float | None
    low: float
    high: float


class Times(Frozen):
    """How long something took, in ms: `median`, and `most`, which 90 % did not exceed; None of nothing."""

    count: int
    median: float | None
    most: float | None


def wilson(hits: int, total: int) -> Interval:
    """Return the share of `hits` among `total` with Wilson's 95 % interval, which is honest for few too.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.

    >>> found = wilson(8, 10)
    >>> [round(number, 4) for number in (found.share, found.low, found.high)]
    [0.8, 0.4902, 0.9433]
    >>> wilson(0, 0)
    Interval(share=None, low=0.0, high=1.0)
    """
    if not total:
        return Interval(share=None, low=0.0, high=1.0)
    share, square = hits / total, Z95 * Z95
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = Z95 / (1 + square / total) * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    return Interval(share=share, low=max(middle - half, 0.0), high=min(middle + half, 1.0))


def times_of(lengths: Iterable[float | None]) -> Times:
    """Return the median and the 90 % quantile (by nearest rank: one that was measured) of lengths that are known.

    >>> times_of([30, None, 10, 20])
    Times(count=3, median=20.0, most=30.0)
    """
    known = sorted(length for length in lengths if length is not None)
    if not known:
        return Times(count=0, median=None, most=None)
    return Times(count=len(known), median=median(known), most=known[math.ceil(0.9 * len(known)) - 1])
