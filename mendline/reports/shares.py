"""Shares with the interval they lie in, and how long things took: what a report says of many."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

from mendline.schemas.base import Frozen

Z95 = 1.959963984540054
"""97.5 % quantile of the normal distribution: an interval that holds the true share 19 times of 20."""


TAIL = 0.025
"""What is left out on each side of such an interval."""


class Interval(Frozen):
    """A share and the bounds between which it lies 19 times of 20; None of nothing."""

    share: float | None
    low: float
    high: float


class Middle(Frozen):
    """The median of some values, and bounds between which the true one lies 19 times of 20; None: too few to say."""

    count: int
    median: float | None
    low: float | None
    high: float | None


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


def middle(values: Iterable[float]) -> Middle:
    """Return the median with its 95 % interval between two of the values, whatever they are distributed like.

    As many are below the true median as a coin shows heads, so it lies between the k-th value from below and from above
    but for the chance of fewer than k heads, twice (R. G. Miller, Beyond ANOVA, 1986, 1.1). Six values are needed.

    >>> middle([3, 1, 2, 6, 5, 4])
    Middle(count=6, median=3.5, low=1.0, high=6.0)
    >>> middle([3, 1, 2])
    Middle(count=3, median=2.0, low=None, high=None)
    """
    found = sorted(float(value) for value in values)
    count = len(found)
    if not count:
        return Middle(count=0, median=None, low=None, high=None)
    rank = _rank(count)
    low, high = (found[rank - 1], found[count - rank]) if rank else (None, None)
    return Middle(count=count, median=median(found), low=low, high=high)


def _rank(count: int) -> int:
    """Return the largest k with a chance of fewer than k heads in so many throws of at most 2.5 %; 0 without one."""
    chance, rank = 0.0, 0
    while rank < count / 2:
        ways = math.lgamma(count + 1) - math.lgamma(rank + 1) - math.lgamma(count - rank + 1)
        chance += math.exp(ways - count * math.log(2))
        if chance > TAIL:
            return rank
        rank += 1
    return rank
