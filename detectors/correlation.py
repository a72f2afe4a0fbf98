"""Correlation: how far a metric is from what the other metrics of its target say it should be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from mendline.detectors.base import Detector, Rows, Scores, StateArray, Step
from mendline.detectors.floors import LARGEST, Floored, gaussian_scores
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.series import Series

OUTLIER = 4.0
"""Deviations beyond which a value is learned as if it lay there: one spike must not become what is usual."""
SINGULAR = 1e-9


class _Table(NamedTuple):
    """The members of a target by slot, for each of s sources: rows (s, u) of the step, and which of them are there."""

    rows: NDArray[np.intp]
    there: NDArray[np.bool_]


class Correlation(Detector):
    """Surprise is the Gaussian tail of z = (P d)_j / sqrt(P_jj), P the inverse of the correlation matrix of a target.

    d are the metrics of one service (or of the host itself) in one window, in standard deviations from their means.
    (P d)_j / P_jj is what is left of metric j after its regression on all the others, and 1 / P_jj the variance of that
    (D. M. Hawkins, "Multivariate quality control based on regression-adjusted variables", Technometrics 33(1), 1991).
    It is the multivariate distance d' P d (H. Hotelling, 1947) asked of each metric: load that rises with the traffic
    is as it should be, load that rises without it is not, though each value by itself has been seen before.

    One metric that breaks would make its partners look wrong, as they are judged by it. So the others are also judged
    without the most surprising one of the window, which takes a rank-one step from P, and the lesser surprise counts.

    Means and covariances fade: a window weighs half as much `half_life` windows later. Off the diagonal correlations
    are multiplied by n / (n + m), n being how many values they rest on and m the metrics: the mean of an inverse
    Wishart prior worth m values that knows of no correlation, so that the matrix can be inverted and chance is not
    taken for a bond. It is inverted by the sweep operator (J. H. Goodnight, *Am. Stat.* 33(3), 1979), which takes the
    metrics in a fixed order whatever the order of the series. A metric without a value in a window takes no part.

    Assumes that the bonds are linear, near to Gaussian, and without delay: take windows longer than the delay. For
    heavy tails wrap it: `use: calibrated` with `detector: correlation`. Deviations beyond 4 are learned as 4. Of a
    target the first `metrics` are looked at, by name: match those that belong together.

    Defaults: a half-life of 360 windows (an hour of windows of 10 s) is some 1,000 values, for the 120 correlations of
    16 metrics; scores begin after 120 values. Cost: 600 ns a series and window for ten metrics, growing with their
    square. Memory: 8 bytes x `metrics` + 22 bytes a series.

    >>> from mendline.schemas.series import Series
    >>> from mendline.testing.detectors import Player
    >>> player = Player(Correlation, {"ready": 50}, 2, [Series(metric="load"), Series(metric="requests")])
    >>> requests = np.random.default_rng(1).normal(100.0, 20.0, 200)
    >>> _ = player.play(np.column_stack([requests / 50.0 + 1.0, requests]))
    >>> player.step(np.array([3.8, 140.0]), 200).surprise.round(1).tolist()
    [0.1, 0.0]
    >>> player.step(np.array([3.8, 100.0]), 201).surprise.round(1).tolist()
    [52.1, 0.0]
    """

    class Parameters(Floored):
        """How many metrics of a target, how fast it forgets, and what counts as no change at all."""

        metrics: int = Field(default=16, ge=2, le=64, description="of a target, at most; the rest is not looked at")
        half_life: float = Field(default=360.0, ge=1, le=100_000, description="windows after which a value weighs half")
        ready: int = Field(default=120, ge=2, description="values before the first score")

    kind: ClassVar[str] = "uncorrelated"

    def __init__(self, parameters: Parameters) -> None:
        """Keep the parameters; after four half-lives what came before weighs a sixteenth."""
        super().__init__(parameters)
        self._gain = 1.0 - 0.5 ** (1.0 / parameters.half_life)
        self.warm_up = max(parameters.ready, int(4 * parameters.half_life))
        self._known: tuple[Sequence[Series], list[list[int]]] = ((), [])

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep for each metric its slot in the target (from 1 on), its mean and its covariances with each slot."""
        return {
            "slot": StateArray("int16"),
            "count": StateArray("int32"),
            "last": StateArray("int64"),
            "mean": StateArray(),
            "covariance": StateArray(shape=(self.parameters.metrics,)),
        }

    def step(self, state: Rows, step: Step) -> Scores:
        """Compare each metric with what the others say, then learn."""
        count = len(step.values)
        level, deviation, ready = np.full(count, np.nan), np.ones(count), np.zeros(count, dtype=bool)
        for members in self._targets(step.columns):
            table = self._table(state, step, members)
            self._judge(state, step, table, (level, deviation, ready))
            self._learn(state, step, table)
        return gaussian_scores(step.values, level, deviation, ready)

    def words(self, step: Step, scores: Scores, row: int) -> str:
        """Say by what it was judged."""
        del scores
        members = next(one for one in self._targets(step.columns) if row % len(step.columns) in one)
        others = min(len(members), self.parameters.metrics) - 1
        return f"expected by {counted(others, 'metrics')} of the same target"

    # Who belongs together --------------------------------------------------------------------------------------------

    def _targets(self, columns: Sequence[Series]) -> list[list[int]]:
        """Return the columns of each target, by name; those of the last step are remembered."""
        if self._known[0] is not columns:
            found: dict[str, list[int]] = defaultdict(list)
            for place, one in enumerate(columns):
                found[one.service].append(place)
            by_name = [sorted(some, key=lambda place: columns[place].label) for some in found.values()]
            self._known = (columns, by_name)
        return self._known[1]

    def _table(self, state: Rows, step: Step, members: Sequence[int]) -> _Table:
        """Give slots to the metrics that have none, and lay the metrics out by slot."""
        rows = np.arange(len(step.values)).reshape(-1, len(step.columns))[:, members]
        slots, last = state["slot"][rows], state["last"][rows]
        # A metric that stayed away while others went on begins anew: its slot may have been another's meanwhile.
        back = (slots > 0) & (last < last.max(axis=1, keepdims=True))
        slots[back] = 0
        state["count"][rows[back]] = 0
        for source in np.flatnonzero((slots == 0).any(axis=1)):
            self._assign(slots[source])
        state["slot"][rows], state["last"][rows] = slots, step.times[rows]
        width = int(slots.max(initial=0))
        table = _Table(np.zeros((len(rows), width), dtype=np.intp), np.zeros((len(rows), width), dtype=bool))
        sources, places = np.nonzero(slots)
        table.rows[sources, slots[sources, places] - 1] = rows[sources, places]
        table.there[sources, slots[sources, places] - 1] = True
        return table

    def _assign(self, slots: NDArray[np.int16]) -> None:
        """Write the lowest free slots into the places that have none, as far as there are any."""
        free = np.setdiff1d(np.arange(1, self.parameters.metrics + 1), slots)
        places = np.flatnonzero(slots == 0)[: len(free)]
        slots[places] = free[: len(places)]

    # Judging and learning --------------------------------------------------------------------------------------------

    def _judge(
        self,
        state: Rows,
        step: Step,
        table: _Table,
        answer: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]],
    ) -> None:
        """Write level, deviation and readiness of each metric (n,) into `answer`."""
        rows, values = table.rows, step.values[table.rows]
        ready = table.there & (state["count"][rows] >= self.parameters.ready)
        used = ready & np.isfinite(values)
        spread = self._spread(state, step, rows)
        with np.errstate(invalid="ignore", over="ignore"):
            away = np.where(used, (values - state["mean"][rows]) / spread, 0.0)
        inverse = _inverse(self._correlations(state, rows, spread, used))
        with np.errstate(invalid="ignore", over="ignore"):
            residual, precision = _regressed(inverse, away)
        known = used & (used.sum(axis=1, keepdims=True) > 1) & (precision > 0)
        places = rows[known]
        answer[0][places] = (values - residual / precision * spread)[known]
        answer[1][places] = (spread / np.sqrt(precision))[known]
        # An infinite value takes no part, and is wrong by itself.
        answer[2][rows[known | (ready & np.isinf(values))]] = True

    def _spread(self, state: Rows, step: Step, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the standard deviations (s, u), not below their floor."""
        own = state["covariance"][rows, np.arange(rows.shape[1])]
        least = self.parameters.least(step, state["mean"])[rows]
        spread: NDArray[np.float64] = np.maximum(np.sqrt(own), least)
        return spread

    def _correlations(
        self, state: Rows, rows: NDArray[np.intp], spread: NDArray[np.float64], used: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return the shrunken correlation matrices (s, u, u); what is not used is correlated with nothing."""
        width = rows.shape[1]
        weight = np.minimum(state["count"][rows], 2.0 / self._gain)
        weight = np.minimum(weight[:, :, np.newaxis], weight[:, np.newaxis, :])
        weight /= weight + width
        weight *= used[:, :, np.newaxis] & used[:, np.newaxis, :]
        matrix: NDArray[np.float64] = (
            state["covariance"][rows, :width] / spread[:, :, np.newaxis] / spread[:, np.newaxis, :]
        )
        matrix = np.clip(matrix, -1.0, 1.0) * weight
        matrix[:, np.arange(width), np.arange(width)] = 1.0
        return matrix

    def _learn(self, state: Rows, step: Step, table: _Table) -> None:
        """Take the values that are there into means and covariances."""
        rows, values = table.rows, step.values[table.rows]
        used = table.there & np.isfinite(values)
        count = state["count"][rows]
        most = np.where(count >= self.parameters.ready, OUTLIER * self._spread(state, step, rows), np.inf)
        delta = np.where(used, np.clip(values, -LARGEST, LARGEST) - state["mean"][rows], 0.0)
        delta = np.clip(delta, -most, most)
        gain = np.maximum(1.0 / (count + 1.0), self._gain)
        both = np.maximum(gain[:, :, np.newaxis], gain[:, np.newaxis, :])
        before = state["covariance"][rows, : rows.shape[1]]
        learned = (1.0 - both) * (before + both * delta[:, :, np.newaxis] * delta[:, np.newaxis, :])
        pairs = used[:, :, np.newaxis] & used[:, np.newaxis, :]
        state["covariance"][rows[table.there], : rows.shape[1]] = np.where(pairs, learned, before)[table.there]
        state["mean"][rows[used]] += (gain * delta)[used]
        state["count"][rows[used]] = np.minimum(count[used] + 1, np.iinfo(np.int32).max)


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inverses of positive definite matrices (s, u, u) in their place; NaN where one is not.

    >>> _inverse(np.array([[[1.0, 0.5], [0.5, 1.0]]])).round(3).tolist()
    [[[1.333, -0.667], [-0.667, 1.333]]]
    """
    for place in range(matrix.shape[1]):
        pivot = matrix[:, place, place]
        pivot = np.where(pivot > SINGULAR, pivot, np.nan)[:, np.newaxis]
        column, row = matrix[:, :, place] / pivot, matrix[:, place, :].copy()
        matrix -= column[:, :, np.newaxis] * row[:, np.newaxis, :]
        matrix[:, :, place] = -column
        matrix[:, place, :] = row / pivot
        matrix[:, place, place] = 1.0 / pivot[:, 0]
    return matrix


def _regressed(
    inverse: NDArray[np.float64], away: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return P d and the diagonal of P (s, u); without the most surprising metric where that surprises less."""
    places = np.arange(away.shape[1])
    residual: NDArray[np.float64] = (inverse * away[:, np.newaxis, :]).sum(axis=2)
    precision: NDArray[np.float64] = inverse[:, places, places]
    if not len(places):
        return residual, precision
    score = np.abs(residual) / np.sqrt(precision)
    worst, sources = np.nan_to_num(score).argmax(axis=1), np.arange(len(away))
    bond = inverse[sources, :, worst] / precision[sources, worst][:, np.newaxis]
    residual_without = residual - bond * residual[sources, worst][:, np.newaxis]
    precision_without = precision - bond * inverse[sources, :, worst]
    lesser = np.abs(residual_without) / np.sqrt(precision_without) < score
    lesser &= places != worst[:, np.newaxis]
    return np.where(lesser, residual_without, residual), np.where(lesser, precision_without, precision)
