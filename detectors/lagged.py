"""What a learned detector sees of a window: the last values of the series, how they moved, and how much they varied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.base import Rows, StateArray, Step
from mendline.detectors.floors import LARGEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

FARTHEST = 1e6
"""Features lie within so many spreads of their centre: models that count in single precision stay finite."""


class Lagged:
    """Feature vectors of `lags` values, their `lags` - 1 differences, and the window's `std` and `max` - `min`.

    The last two are 0 where the windows have no such statistics. All are in the series' own unit. The first feature is
    the newest value. A window without a finite value is passed over, as if those around it were neighbours.
    """

    def __init__(self, lags: int) -> None:
        """Keep how many values are looked at."""
        self.lags = lags
        self.width = 2 * lags + 1

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the last values, the newest first."""
        return {"past": StateArray(shape=(self.lags,), fill=math.nan)}

    def look(self, state: Rows, step: Step) -> NDArray[np.float64]:
        """Return the vectors (n, `width`) of the step's windows, NaN where too few values are known; take these in."""
        finite = np.isfinite(step.values)
        past = state["past"]
        past[finite, 1:] = past[finite, :-1]
        past[finite, 0] = np.clip(step.values[finite], -LARGEST, LARGEST)
        vectors = np.concatenate([past, past[:, :-1] - past[:, 1:], _variation(step)], axis=1)
        vectors[~finite | np.isnan(past[:, -1])] = np.nan
        return vectors


def _variation(step: Step) -> NDArray[np.float64]:
    """Return standard deviation and range within each window, (n, 2)."""
    std, low, high = (_statistic(step, name) for name in ("std", "min", "max"))
    return np.nan_to_num(np.stack([std, high - low], axis=1), nan=0.0)


def _statistic(step: Step, name: str) -> NDArray[np.float64]:
    known = step.statistics.get(name)
    return np.full(len(step.values), np.nan) if known is None else np.clip(known, -LARGEST, LARGEST)


class Scaling:
    """Brings features to a common scale: 0 is the median of the training vectors, 1 their spread.

    The spread of a feature is its interquartile range / 1.349, a Gaussian's standard deviation, and at least 1 % of the
    level: as all features are in the series' unit, what is small against the value itself is no change.
    """

    def __init__(self, vectors: NDArray[np.float64]) -> None:
        """Look at the training vectors (windows, features)."""
        low, centre, high = np.quantile(vectors, [0.25, 0.5, 0.75], axis=0)
        self._centre = centre
        self._spread = np.maximum((high - low) / 1.349, max(0.01 * abs(float(centre[0])), 1e-9))

    def apply(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the vectors (…, features) in spreads from the centre, held within FARTHEST."""
        scaled: NDArray[np.float64] = np.clip((vectors - self._centre) / self._spread, -FARTHEST, FARTHEST)
        return scaled
