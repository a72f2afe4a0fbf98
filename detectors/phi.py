"""Phi accrual: how surprising it is that nothing was heard of a source yet, from the rhythm it had so far.

N. Hayashibara, X. Defago, R. Yared, T. Katayama, "The phi accrual failure detector", SRDS 2004. The intervals between
the last `window` beats are taken as Gaussian with their mean m and standard deviation s; then

    phi(t) = -log10 P_later(t),    P_later(t) = 1 - F((t - m) / s)

where t is the time since the last beat and F the Gaussian distribution: the probability that a beat which is still to
come comes later than this. That is our surprise. Two things are added to the paper, as in Akka's failure detector:
s is never below a floor (a source whose beats are equally spaced to the millisecond must not be missed for one), and
an acceptable pause is added to m (a garbage collection, a host that was suspended).

All times are log time in ms, so a log that was away looks like 2 s, and no clock of a host plays a part. Assumes that
beats come about regularly and that what disturbs them is short; a Gaussian tail underrates rare long pauses, which is
what the pause is for. Cost: about 2 us a beat. Memory: some 30 bytes for each interval in the window.

>>> from mendline.schemas.settings import PhiSettings
>>> beats, given = Beats(), PhiSettings(pause=0, ready=3)
>>> for now in (0, 1000, 1900, 3000): beats.beat(now, given.window)
>>> rhythm = beats.rhythm(given)
>>> rhythm.mean, round(rhythm.deviation, 1), [round(rhythm.phi(t), 2) for t in (1000, 1200, 1500)], rhythm.limit(8.0)
(1000.0, 100.0, [0.3, 1.64, 6.54], 1562)
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

from mendline.detectors.base import MAX_SURPRISE

if TYPE_CHECKING:
    from mendline.schemas.settings import PhiSettings


class Rhythm(NamedTuple):
    """Mean of the intervals, the acceptable pause included, and their standard deviation, in ms."""

    mean: float
    deviation: float

    def phi(self, quiet: float) -> float:
        """Return phi of `quiet` ms without a beat."""
        later = math.erfc((quiet - self.mean) / (self.deviation * math.sqrt(2.0))) / 2.0
        return min(-math.log10(later), MAX_SURPRISE) if later > 0 else MAX_SURPRISE

    def limit(self, phi: float) -> int:
        """Return the least time without a beat, in whole ms, at which it is `phi`."""
        return math.ceil(self.mean + self.deviation * _deviations(phi))


@lru_cache(maxsize=16)
def _deviations(phi: float) -> float:
    return -NormalDist().inv_cdf(10.0**-phi)


@dataclass(slots=True)
class Beats:
    """The last intervals between beats of a source, and the log time of its last beat (-1: none that counts)."""

    intervals: deque[int] = field(default_factory=deque)
    last: int = -1
    _sum: int = 0
    _squares: int = 0

    def beat(self, now: int, window: int) -> None:
        """Take a beat at log time `now` into the last `window` intervals."""
        if self.last >= 0:
            self._add(now - self.last, 1)
            self.intervals.append(now - self.last)
        while len(self.intervals) > window:
            self._add(self.intervals.popleft(), -1)
        self.last = now

    def _add(self, interval: int, times: int) -> None:
        # Whole numbers: however long it goes on, nothing drifts.
        self._sum += times * interval
        self._squares += times * interval * interval

    def skip(self) -> None:
        """Let the interval up to the next beat not count."""
        self.last = -1

    def clear(self) -> None:
        """Forget the rhythm: the source has another one now."""
        self.intervals.clear()
        self.last, self._sum, self._squares = -1, 0, 0

    def rhythm(self, settings: PhiSettings) -> Rhythm | None:
        """Return the rhythm; None while too few intervals are known."""
        count = len(self.intervals)
        if count < settings.ready:
            return None
        # The mean of the squares less the square of the mean, times count squared: exact in whole numbers.
        spread = math.sqrt(count * self._squares - self._sum * self._sum) / count
        if count > 1:
            spread *= math.sqrt(count / (count - 1))
        return Rhythm(self._sum / count + settings.pause, max(spread, settings.least_deviation))

    def dump(self) -> list[int]:
        """Return it as JSON holds it."""
        return [self.last, *self.intervals]

    @staticmethod
    def load(state: Any) -> Beats:
        """Return what `dump` gave."""
        last, *intervals = state or (-1,)
        squares = sum(interval * interval for interval in intervals)
        return Beats(deque(intervals), last, sum(intervals), squares)
