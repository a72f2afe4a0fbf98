"""Ratio: a rule on one metric divided by another of the same source: errors per request, used of what there is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from mendline.detectors.base import MAX_SURPRISE, Detector, Rows, Scores, StateArray, Step
from mendline.schemas.base import Frozen
from mendline.schemas.settings import Condition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mendline.schemas.series import Series


class _Pairs(NamedTuple):
    """Which columns are divided by which, pair by pair."""

    columns: Sequence[Series]
    tops: NDArray[np.intp]
    bottoms: NDArray[np.intp]


class Ratio(Detector):
    """The measure is `numerator` divided by `denominator`, two metrics of one source in the same window.

    Each series of the numerator is divided by the series of the denominator that has its service and no attribute that
    it has not; of several by the one with the most: errors{route=/a} by requests{route=/a}, or by requests where these
    are not told apart; usage{device=sda,state=used} by limit{device=sda}. Both must be in the same rounds, and both be
    matched: leave `match: {metric: …}` away. Of counters it is the ratio of their rates, which is that of their growth.

    Where the denominator is not above `floor` there is no answer: one error in one request is all of them, and says
    nothing. A share p of n events that are independent is known to within sqrt(p (1 - p) / n) (the standard deviation
    of a binomial share), so for a bound of 0.05 take a floor of some 20 events a window or more; a rate is given per
    second. The default, 0, asks only that it is positive, as a limit or a size is.

    A rule does not learn. Open and clear conditions are bounds on the ratio; the fault is of the numerator's series.
    Assumes nothing. Cost: some 10 ns a series. Memory: none.

    >>> from mendline.schemas.series import Series
    >>> from mendline.testing.detectors import make_step
    >>> rule = Ratio(Ratio.Parameters(numerator="errors", denominator="requests", floor=2.0, above=0.1))
    >>> columns = [Series(metric="errors"), Series(metric="requests")]
    >>> step = make_step(np.array([1.0, 100.0, 20.0, 100.0, 1.0, 1.0]), 0, columns)
    >>> rule.step({}, step).measure.tolist(), rule.step({}, step).surprise.tolist()
    ([0.01, nan, 0.2, nan, nan, nan], [0.0, nan, 300.0, nan, nan, nan])
    """

    class Parameters(Frozen):
        """Two metrics, and bounds on their ratio; at least one of the two."""

        numerator: str = Field(min_length=1, description="metric that is divided")
        denominator: str = Field(min_length=1, description="metric that it is divided by, of the same source")
        floor: float = Field(
            default=0.0, ge=0, allow_inf_nan=False, description="the denominator must be above this, in its unit"
        )
        above: float | None = Field(default=None, allow_inf_nan=False, description="violated above this")
        below: float | None = Field(default=None, allow_inf_nan=False, description="violated below this")

        @model_validator(mode="after")
        def _possible(self) -> Ratio.Parameters:
            if self.above is None and self.below is None:
                msg = "give above or below, here or under `open`: without either the rule is always obeyed"
                raise ValueError(msg)
            if self.numerator == self.denominator:
                msg = f"numerator and denominator are both {self.numerator}; give two metrics"
                raise ValueError(msg)
            return self

    kind: ClassVar[str] = "ratio"
    judges: ClassVar[Literal["surprise", "measure"]] = "measure"

    def __init__(self, parameters: Parameters) -> None:
        """Keep the bounds."""
        super().__init__(parameters)
        self._above = math.inf if parameters.above is None else parameters.above
        self._below = -math.inf if parameters.below is None else parameters.below
        self._known = _Pairs((), *(np.empty(0, np.intp),) * 2)

    def looks_at(self, series: Series) -> bool:
        """Look at the two metrics."""
        return series.metric in {self.parameters.numerator, self.parameters.denominator}

    def opens(self) -> Condition:
        """Open at the bounds, at once."""
        return Condition(above=self.parameters.above, below=self.parameters.below)

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep nothing."""
        return {}

    def step(self, state: Rows, step: Step) -> Scores:
        """Divide, and compare with the bounds; series that are divided by have no answer."""
        del state
        measure, divisor = (np.full(len(step.values), np.nan) for _ in range(2))
        if len(step.values) and step.columns:
            self._divide(step, measure, divisor)
        violated = (measure > self._above) | (measure < self._below)
        surprise = np.where(violated, MAX_SURPRISE, 0.0)
        surprise[np.isnan(measure)] = np.nan
        with np.errstate(all="ignore"):
            return Scores(surprise, self._below * divisor, self._above * divisor, measure)

    def _divide(self, step: Step, measure: NDArray[np.float64], divisor: NDArray[np.float64]) -> None:
        """Write the ratios, and what they were divided by, into the places of the numerators."""
        pairs, shape = self._pairs(step.columns), (-1, len(step.columns))
        values = step.values.reshape(shape)
        bottom = values[:, pairs.bottoms]
        bottom[~(np.isfinite(bottom) & (bottom > self.parameters.floor))] = np.nan
        with np.errstate(all="ignore"):
            measure.reshape(shape)[:, pairs.tops] = values[:, pairs.tops] / bottom
        divisor.reshape(shape)[:, pairs.tops] = bottom

    def _pairs(self, columns: Sequence[Series]) -> _Pairs:
        """Return the pairs of these columns; those of the last step are remembered, as they mostly are the same."""
        if self._known.columns is not columns:
            bottoms = [place for place, one in enumerate(columns) if one.metric == self.parameters.denominator]
            found = [
                (place, max(inside, key=lambda bottom: len(columns[bottom].attributes)))
                for place, one in enumerate(columns)
                if one.metric == self.parameters.numerator
                and (inside := [bottom for bottom in bottoms if _divides(columns[bottom], one)])
            ]
            pairs = np.array(found, dtype=np.intp).reshape(-1, 2)
            self._known = _Pairs(columns, pairs[:, 0], pairs[:, 1])
        return self._known

    def words(self, step: Step, scores: Scores, row: int) -> str:
        """Say what the ratio is, and of what."""
        if scores.measure is None or not step.columns:
            return ""
        pairs, (place, column) = self._pairs(step.columns), divmod(row, len(step.columns))
        bottom = int(pairs.bottoms[np.flatnonzero(pairs.tops == column)[0]])
        divisor = step.values[place * len(step.columns) + bottom]
        return f"{scores.measure[row]:.4g} of {step.columns[bottom].label}, {divisor:.6g}"


def _divides(bottom: Series, top: Series) -> bool:
    return bottom.service == top.service and bottom.attributes.items() <= top.attributes.items()
