"""What statistical detectors share: the least spread that counts, and the Gaussian answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from mendline.detectors.base import MAX_SURPRISE, Scores, Step
from mendline.detectors.tails import gaussian_surprise
from mendline.schemas.base import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = 1e150
"""Values are learned as if they were not larger than this, so that sums of squares stay finite."""


class Floored(Frozen):
    """Parameters of a detector that measures in a spread: a spread is never less than its floor.

    A quiet series hardly varies, and a constant one not at all: without a floor its first change is a fault.
    """

    floor_share: float = Field(
        default=0.01, ge=1e-4, description="least standard deviation, as a share of the level's size: 1 % is no change"
    )
    floor: float | None = Field(
        default=None, gt=0, description="least standard deviation, in the series' unit; default: by the unit"
    )

    def least(self, step: Step, level: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the least spread of each series (n,), in its unit; `level` is where its values lie."""
        floor: NDArray[np.float64] = np.maximum(
            self.floor_share * np.abs(level), step.grains if self.floor is None else self.floor
        )
        return floor


def gaussian_scores(
    values: NDArray[np.float64], level: NDArray[np.float64], deviation: NDArray[np.float64], ready: NDArray[np.bool_]
) -> Scores:
    """Score values by the two-sided Gaussian tail about `level`; the range is three deviations to either side.

    Infinite values have the largest surprise; what is not `ready`, and NaN, has none.
    """
    level = level if ready.all() else np.where(ready, level, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        surprise = gaussian_surprise((values - level) / deviation)
        surprise[np.isinf(values) & ready] = MAX_SURPRISE
        return Scores(surprise, level - 3.0 * deviation, level + 3.0 * deviation)
