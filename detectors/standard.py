"""Values as standard deviations from a slowly moving reference, for detectors that sum them up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.base import Rows, StateArray, Step
from mendline.detectors.fading import Fading, moments_of, put_moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.detectors.floors import Floored

LIMIT = 5.0
"""A single value counts as at most so many deviations: one spike is no shift (Huber's psi; Lucas and Crosier, 1982)."""
LARGEST_CORRELATION = 0.9


class Standardiser:
    """Turns each value into z = (x - mean) / s, held within +-`LIMIT`, and learns x held within the same bounds.

    Mean and s are `Fading` ones. As what is learned is held within bounds, a fault neither moves the reference at once
    nor widens it much. `correlation` is that of successive z, faded alike: sums of correlated values spread by (1 + r)
    / (1 - r) times the variance of independent ones (R. A. Johnson, M. Bagshaw, "The effect of serial correlation on
    the performance of CUSUM tests", Technometrics 16(1), 1974). Memory: 36 bytes a series.
    """

    def __init__(self, half_life: float, ready: int) -> None:
        """Keep how fast the reference moves and how many values it needs."""
        self._fading = Fading(half_life)
        self._share = 1.0 - 0.5 ** (1.0 / half_life)
        self._ready = ready

    def arrays(self) -> Mapping[str, StateArray]:
        """Return the state of a series: moments, the z before, and the faded product of successive ones."""
        return {**self._fading.arrays(), "before": StateArray(), "product": StateArray()}

    def step(self, state: Rows, step: Step, floors: Floored) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return z (n,), 0 where it is not known, and where it is; then learn."""
        mean, ready = state["mean"].copy(), state["count"] >= self._ready
        known = ready & np.isfinite(step.values)
        deviation = np.maximum(self._fading.deviation(state), floors.least(step, mean))
        with np.errstate(over="ignore"):
            z = np.where(known, np.clip((np.where(known, step.values, 0.0) - mean) / deviation, -LIMIT, LIMIT), 0.0)
        np.copyto(
            state["product"], state["product"] + self._share * (z * state["before"] - state["product"]), where=known
        )
        np.copyto(state["before"], z, where=known)
        self._fading.learn(state, np.where(known, mean + z * deviation, step.values))
        return z, known

    def path(self, state: Rows, windows: Step, floors: Floored) -> Iterator[tuple[float, float | None]]:
        """Yield the correlation before each window of one series, and its z, None where it is not known; learn each.

        In plain numbers, the same to the last bit as `step`.
        """
        before, product = float(state["before"][0]), float(state["product"][0])
        now = moments_of(state)
        for value, grain in zip(windows.values.tolist(), windows.grains.tolist(), strict=True):
            correlation = min(max(product, 0.0), LARGEST_CORRELATION)
            if not math.isfinite(value):
                yield correlation, None
                continue
            mean, known, learned = now[0], now[2] >= self._ready, value
            if known:
                least = max(floors.floor_share * abs(mean), grain if floors.floor is None else floors.floor)
                deviation = max(self._fading.deviation_of(now), least)
                z = min(max((value - mean) / deviation, -LIMIT), LIMIT)
                product += self._share * (z * before - product)
                before, learned = z, mean + z * deviation
            yield correlation, z if known else None
            now = self._fading.learn_one(now, learned)
        put_moments(state, now)
        state["before"][0], state["product"][0] = before, product

    @staticmethod
    def correlation(state: Rows) -> NDArray[np.float64]:
        """Return the correlation r (n,) of successive values, from 0 to `LARGEST_CORRELATION`."""
        return np.clip(state["product"], 0.0, LARGEST_CORRELATION)
