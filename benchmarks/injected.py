"""Faults of known kinds and sizes, put into healthy series of several kinds, for `benchmarks.delays`.

Healthy series are made of measured host metrics (`benchmarks.host_metrics`), of all or of those of one kind:

    any        all of them
    steady     those of which no window lies further than 8 robust deviations from the median
    bursty     the others: they idle, and now and then work
    outliers   steady ones; by chance one window in a hundred is 10 times what the series usually varies higher, or
               more: sizes have a Pareto tail of index 2, so that one in a hundred of them exceeds 100
    noise      independent Gaussian values, as the plain statistics assume, with level and spread of any of them
    waves      such noise on a wave a day, 10 times as high as what the series usually varies, that begins at any hour:
               load of many users, of which nobody has seen a whole day yet

Sizes of faults are in what each series usually varies: half of what holds the middle two thirds of its values, and a
quarter of the standard deviation at least.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from benchmarks.host_metrics import WIDTH_MS, Bootstrap, sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

Population = Literal["any", "steady", "bursty", "outliers", "noise", "waves"]
POPULATIONS: tuple[Population, ...] = get_args(Population)
HOUR = 3_600_000 // WIDTH_MS
FARTHEST = 8.0
TO_DEVIATION = 1.4826
OUTLIERS, SMALLEST, INDEX = 0.01, 10.0, 2.0
WAVE, DAY = 10.0, 24 * HOUR
SPELL, PAUSES = 30, {"relapse": 30, "return": 90}
"""Windows of the earlier fault of one that comes twice, and between its end and the next."""


class Usual(NamedTuple):
    """Medians of series, and how much they usually vary, each (series,)."""

    medians: NDArray[np.float64]
    deviations: NDArray[np.float64]


def usual_of(values: NDArray[np.float64]) -> Usual:
    """Return what is usual for series, from their measured values (series, windows)."""
    low, middle, high = np.quantile(values, [1 / 6, 1 / 2, 5 / 6], axis=1)
    return Usual(middle, np.maximum((high - low) / 2.0, values.std(axis=1) / 4.0))


class Trial(NamedTuple):
    """One fault: its kind and its size, in what the series usually varies."""

    kind: str
    size: float

    def __str__(self) -> str:
        """Return it as a key of the table."""
        return self.kind if self.kind == "silence" else f"{self.kind}_{self.size:g}"

    def changed(
        self, values: NDArray[np.float64], since: int, usual: Usual, began: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the values (series,) of the window that is `since` windows after the fault began, < 0: before it.

        `began` are the values (series,) with which it began.
        """
        if since < 0:
            return self._before(values, since, usual)
        scale = usual.deviations * self.size
        if self.kind in {"shift", *PAUSES} or (self.kind == "spike" and since == 0):
            return values + scale
        if self.kind == "drift":
            return values + scale * since / HOUR
        if self.kind == "variance":
            return usual.medians + (values - usual.medians) * self.size
        return began if self.kind == "silence" else values

    def _before(self, values: NDArray[np.float64], since: int, usual: Usual) -> NDArray[np.float64]:
        pause = PAUSES.get(self.kind)
        earlier = pause is not None and -pause - SPELL <= since < -pause
        return values + usual.deviations * self.size if earlier else values


def usual_here(source: Bootstrap, usual: Usual) -> Usual:
    """Return what is usual in the window that was made last: on a wave the median goes with it."""
    return usual._replace(medians=usual.medians + source.wave) if isinstance(source, Waves) else usual


def is_steady(values: NDArray[np.float64], grains: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which series (n, windows) vary about a level; what does not matter in their unit is no deviation.

    >>> is_steady(np.array([[1.0, 2.0, 1.0, 3.0], [1.0, 1.0, 1.0, 9.0]]), np.array([0.1, 0.1])).tolist()
    [True, False]
    """
    medians = np.median(values, axis=1)
    away = np.abs(values - medians[:, np.newaxis])
    least = np.maximum(grains, 0.01 * np.abs(medians))
    steady: NDArray[np.bool_] = away.max(axis=1) <= FARTHEST * np.maximum(TO_DEVIATION * np.median(away, axis=1), least)
    return steady


def source_of(population: Population, series: int, seed: int) -> Bootstrap:
    """Return so many healthy series of a kind."""
    whole: dict[str, type[Bootstrap]] = {"any": Bootstrap, "noise": Noise, "waves": Waves}
    if population in whole:
        return whole[population](series, seed)
    steady = is_steady(*sample())
    among = np.flatnonzero(~steady if population == "bursty" else steady)
    return (WithOutliers if population == "outliers" else Bootstrap)(series, seed, among)


class WithOutliers(Bootstrap):
    """Healthy series of which a window in a hundred is an outlier."""

    def __init__(self, series: int, seed: int, among: NDArray[np.intp]) -> None:
        """Choose of which measured series each is made; outliers have random numbers of their own."""
        super().__init__(series, seed, among)
        self._chance = np.random.default_rng(seed + 1_000)
        self._deviations = usual_of(self.values).deviations

    def step(self) -> NDArray[np.float64]:
        """Return the next window of each series, (series,)."""
        values = super().step()
        rows = np.flatnonzero(self._chance.random(len(values)) < OUTLIERS)
        sizes = SMALLEST * self._chance.random(len(rows)) ** (-1.0 / INDEX)
        values[rows] += sizes * self._deviations[rows]
        return values


class Noise(Bootstrap):
    """Series of independent Gaussian values."""

    def __init__(self, series: int, seed: int) -> None:
        """Choose of which measured series each has level and spread."""
        super().__init__(series, seed)
        self._chance = np.random.default_rng(seed + 2_000)
        self._usual = usual_of(self.values)

    def step(self) -> NDArray[np.float64]:
        """Return the next window of each series, (series,)."""
        return self._chance.normal(self._usual.medians, self._usual.deviations)


class Waves(Noise):
    """Such series on a wave a day; `wave` (series,) is where it stands in the window made last."""

    def __init__(self, series: int, seed: int) -> None:
        """Choose level and spread of each series, and where on its wave it begins."""
        super().__init__(series, seed)
        self._at = np.random.default_rng(seed + 3_000).random(series) * DAY
        self._height = WAVE * self._usual.deviations
        self.wave = np.zeros(series)

    def step(self) -> NDArray[np.float64]:
        """Return the next window of each series, (series,)."""
        self._at += 1
        self.wave = self._height * np.sin(self._at * (2.0 * np.pi / DAY))
        return super().step() + self.wave
