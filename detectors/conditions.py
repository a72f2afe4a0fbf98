"""When a fault opens and when it clears, as four bounds and two holds: from the settings, or from the budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mendline.schemas.settings import Condition

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.settings import Settings

DAY_MS = 86_400_000
LARGEST_P_OPEN = 1e-3

CLEARS = 0.7
"""Healthy series are below this share of the surprise that opens 99 times in 100, so it is soon seen that one is."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """A value is bad outside of [open_below, open_above], and good inside of (clear_above, clear_below).

    Between the two it is neither, so that a value which wavers about one bound opens one fault and not many. Holds
    are in ms of event time.
    """

    open_above: float = math.inf
    open_below: float = -math.inf
    clear_below: float = math.inf
    clear_above: float = -math.inf
    open_hold: int = 0
    clear_hold: int = 0

    def bad(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which values are bad; NaN is not."""
        if self.open_below == -math.inf:
            return values > self.open_above
        return (values > self.open_above) | (values < self.open_below)

    def good(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which values are good; NaN is not."""
        return (values < self.clear_below) & (values > self.clear_above)


def open_surprise(settings: Settings, window_ms: int) -> float:
    """Return the surprise at which a fault opens: -log10 of p = min(1e-3, budget / (series x windows a day)).

    `budget` false faults a day shared by every window of every series of the fleet leave each of them this p.
    `window_ms` 0 means rounds, one every `host.interval`.
    """
    windows = settings.series * DAY_MS / (window_ms or settings.host.interval)
    return -math.log10(min(LARGEST_P_OPEN, settings.budget / windows))


def surprise_bounds(opens: Condition | None, clears: Condition | None, level: float) -> Bounds:
    """Return bounds on the surprise; `level` opens where the settings give none, and CLEARS of what opens clears."""
    if opens is None or (opens.above is None and opens.below is None):
        hold = opens.hold if opens else 0
        opens = Condition(above=level, **{"for": hold})
    below = None if opens.above is None else CLEARS * opens.above
    return _bounds(opens, clears, below, None)


def measure_bounds(opens: Condition, clears: Condition | None) -> Bounds:
    """Return bounds on a measure; without `clears`, what is not bad is good."""
    # The next larger number, because a value that lies on the bound is not bad, and good is strictly inside.
    below = None if opens.above is None else math.nextafter(opens.above, math.inf)
    above = None if opens.below is None else math.nextafter(opens.below, -math.inf)
    return _bounds(opens, clears, below, above)


def _bounds(opens: Condition, clears: Condition | None, below: float | None, above: float | None) -> Bounds:
    if clears is not None:
        below = below if clears.below is None else clears.below
        above = above if clears.above is None else clears.above
    bounds = Bounds(
        open_above=_or(opens.above, math.inf),
        open_below=_or(opens.below, -math.inf),
        clear_below=_or(below, math.inf),
        clear_above=_or(above, -math.inf),
        open_hold=opens.hold,
        clear_hold=clears.hold if clears else 0,
    )
    _check(bounds, opens, clears)
    return bounds


def _check(bounds: Bounds, opens: Condition, clears: Condition | None) -> None:
    """Refuse bounds between which a value would be bad and good at once: it would open and resolve with each window."""
    above, below = _or(opens.above, math.inf), _or(opens.below, -math.inf)
    if above == math.inf and below == -math.inf:
        msg = "open: give `above` or `below`: without either nothing would ever open"
        raise ValueError(msg)
    if clears is not None and (
        (clears.below is not None and bounds.clear_below > above)
        or (clears.above is not None and bounds.clear_above < below)
    ):
        msg = f"clear: {_say(clears)} overlaps open: {_say(opens)}; a value in both would open and clear at once"
        raise ValueError(msg)
    if bounds.clear_below <= bounds.clear_above:
        msg = f"clear: no value is below {bounds.clear_below:g} and above {bounds.clear_above:g}"
        raise ValueError(msg)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _say(condition: Condition) -> str:
    given = (("above", condition.above), ("below", condition.below))
    return ", ".join(f"{name} {value:g}" for name, value in given if value is not None)
