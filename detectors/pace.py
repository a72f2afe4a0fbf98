"""How far apart the values of a series come where single rounds are judged: what a break in a run is measured by.

No record says it. A heartbeat promises how often its source is heard of, not how often it measures; clients in other
languages send none; and what a source asks seldom, a probe say, is in some of its rounds only. So it is read off the
values' own event times, series by series: the usual interval is the second longest of the last `KEPT`. The longest may
have been an outage, and one outage must not make the next look usual. A short one says nothing: a round that was held
up is followed by the next on time. An interval is learned after it was judged, so none excuses itself.

The state of a series: `before`, the event time (ms) of its last value; `intervals`, the last ones in ms, 0 where there
was none yet; `next`, the place of the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.base import Rows, StateArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

KEPT = 8
GAP_INTERVALS = 3
NEVER = -(1 << 62)

ARRAYS: Mapping[str, StateArray] = MappingProxyType({
    "before": StateArray("int64", fill=NEVER),
    "intervals": StateArray("int64", (KEPT,)),
    "next": StateArray("int8"),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pace:
    """Learns the intervals of many series; one of which two are not known yet is taken to have `interval_ms`."""

    interval_ms: int

    def gaps(self, state: Rows, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return how long, in ms, each of these rows may be without a value and still go on."""
        usual = np.partition(state["intervals"][rows], KEPT - 2, axis=1)[:, KEPT - 2]
        return np.asarray(GAP_INTERVALS * np.where(usual > 0, usual, self.interval_ms), dtype=np.int64)

    @staticmethod
    def learn(state: Rows, judged: NDArray[np.float64], times: NDArray[np.int64]) -> None:
        """Take in the event times of the rows with a value; one that is not later than the last makes no interval."""
        rows = np.flatnonzero(~np.isnan(judged))
        before, now = state["before"][rows], times[rows]
        state["before"][rows] = now
        later = (now > before) & (before != NEVER)
        rows, place = rows[later], state["next"][rows[later]]
        state["intervals"][rows, place] = (now - before)[later]
        state["next"][rows] = (place + 1) % KEPT
