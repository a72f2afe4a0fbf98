"""Exhaustion: a forecast of when a resource reaches its limit, before it does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from mendline.detectors.base import Detector, Rows, Scores, StateArray, Step
from mendline.detectors.drift import LEAST, blocks_left, sureness, trend_of
from mendline.schemas.base import Frozen
from mendline.schemas.quantities import amount
from mendline.schemas.settings import Condition

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAR = 3.2e9
"""A hundred years, in s: as good as never."""

NO_MATTER = FAR / 10
"""Ten years, in s, beyond which nobody cares; and what is `FAR` comes nearer as time goes on."""

LARGEST = 1e150
MOST_WINDOWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Forecast(Scores):
    """Scores with the upper end of the time until the limit, in s; infinite where it may never be reached."""

    latest: NDArray[np.float64] | None = None


class Exhaustion(Detector):
    """The measure is the time in s until the value may reach `limit`: the lower end of an interval of 90 %.

    The value is thinned to the means of blocks of `block` windows, and the last `blocks` of them are taken as a random
    walk with drift, the drift method of R. J. Hyndman and G. Athanasopoulos, *Forecasting: Principles and Practice*,
    3rd edition, 2021, section 5.5. With T steps between them of mean d and long-run variance w^2, the level h blocks
    ahead is the last one plus d h, give or take z w sqrt(h (1 + h/T)); where that meets the limit is a quadratic
    equation in h, and its lesser root the answer. What is uncertain is so both the drift and all that may still happen.
    w^2 is that of Newey and West (*Econometrica* 55(3), 1987; Bartlett weights up to lag sqrt(T)), so that noise
    around a line, whose steps take each other back, does not count as much as a walk, whose steps do not.

    The surprise is that of the trend: Student's t of d against w / sqrt(T), one-sided, with the 1.5 T/lag degrees of
    freedom of that variance (D. L. Wallace, *Ann. Math. Stat.* 30(4), 1959, for the tail as a Gaussian one). A single
    jump, however large, is no trend: it makes w as large as d. Where the trend is less sure than `sure`, the answer is
    a hundred years. Two spans are asked, all blocks and the last quarter, and the nearer end counts: a leak of days and
    one of minutes differ in nothing else. A value at the limit already is 0 s away. As the nearer end is taken, it errs
    to the early side: in simulated walks with drift the limit came before the lower end in 3 % of cases, and after the
    upper one, which stands in the words of a fault and decides nothing, in 14 %.

    Defaults: blocks of 6 windows (a minute of windows of 10 s), 60 of them, so it judges the last hour and the last
    15 minutes; a fault opens 4 h ahead, four times as far as it looks back. For disks that fill over weeks take wider
    windows (`window: 60s`, `block: 60`: 60 hours) and a longer `horizon`. `sure` is 4: a trend by mere chance once in
    10,000 blocks. Assumes that what goes on will go on: a nightly job that fills half a disk and cleans up is a trend
    until its end, and so is each tooth of a saw (memory between two collections of garbage) that lasts longer than the
    short span: for those make the blocks longer than a tooth. For what is left (days of a certificate) give
    `limit: 0` and `direction: down`.

    Cost: 20 ns a series and window, and 2.5 us more where a block ends: with blocks of 6 windows 430 ns on average.
    Memory: 16 bytes x `blocks` + 40 bytes a series.

    >>> from mendline.testing.detectors import run
    >>> leak = [0.5 + 0.0001 * window + 0.001 * (window % 3) for window in range(400)]
    >>> scores = run(Exhaustion, {}, leak)
    >>> int(scores.measure[-1]), round(leak[-1], 2), round(float(scores.surprise[-1]), 1)
    (45904, 0.54, 69.6)
    """

    class Parameters(Frozen):
        """What the limit is, and how far back and ahead is looked."""

        limit: float = Field(default=1.0, allow_inf_nan=False, description="what must not be reached: 1 for shares")
        direction: Literal["up", "down"] = Field(default="up", description="from where the limit is reached")
        horizon: float = Field(default=14_400.0, gt=0, le=FAR / 10, description="a fault opens so many seconds ahead")
        block: int = Field(default=6, ge=1, le=10_000, description="windows whose mean is one point of the trend")
        blocks: int = Field(default=60, ge=16, le=1000, description="points that are remembered")
        sure: float = Field(default=4.0, ge=1, le=100, description="least surprise of a trend that is one")

        @model_validator(mode="after")
        def _can_be_read_back(self) -> Exhaustion.Parameters:
            if self.block * self.blocks > MOST_WINDOWS:
                msg = f"block {self.block} x blocks {self.blocks} is over {MOST_WINDOWS} windows; take wider windows"
                raise ValueError(msg)
            return self

    kind: ClassVar[str] = "exhaustion"
    judges: ClassVar[Literal["surprise", "measure"]] = "measure"

    def __init__(self, parameters: Parameters) -> None:
        """Keep the parameters."""
        super().__init__(parameters)
        self._sign = 1.0 if parameters.direction == "up" else -1.0
        self._spans = (parameters.blocks // 4, parameters.blocks)
        self.warm_up = parameters.block * parameters.blocks

    def opens(self) -> Condition:
        """Open when the limit may be reached within the horizon."""
        return Condition(below=self.parameters.horizon)

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the block at hand, a ring of means and the times of their last windows, and what follows from them."""
        ring = (self.parameters.blocks,)
        return {
            "sum": StateArray(),
            "windows": StateArray("int32"),
            "means": StateArray(shape=ring),
            "times": StateArray(shape=ring),
            "count": StateArray("int32"),
            "earliest": StateArray(fill=math.nan),
            "latest": StateArray(fill=math.nan),
            "surprise": StateArray(fill=math.nan),
        }

    def step(self, state: Rows, step: Step) -> Scores:
        """Say how far away the limit is as of the last block, then learn; where a block ends it is worked out anew."""
        known = np.isfinite(step.values)
        surprise = np.where(known, state["surprise"], np.nan)
        ends = (step.times + step.width_ms) / 1000.0
        left = np.where(known, np.clip(state["earliest"] - ends, 0.0, FAR), np.nan)
        latest = np.maximum(state["latest"] - ends, 0.0)
        left[~np.isnan(left) & (self._sign * (step.values - self.parameters.limit) >= 0)] = 0.0
        self._learn(state, step, ends, np.flatnonzero(known))
        return Forecast(surprise, measure=left, latest=latest)

    def _learn(self, state: Rows, step: Step, ends: NDArray[np.float64], rows: NDArray[np.intp]) -> None:
        block = self.parameters.block
        state["sum"][rows] += np.clip(step.values[rows], -LARGEST, LARGEST) / block
        state["windows"][rows] += 1
        full = rows[state["windows"][rows] >= block]
        if not len(full):
            return
        place = state["count"][full] % self.parameters.blocks
        state["means"][full, place] = state["sum"][full]
        state["times"][full, place] = ends[full]
        state["count"][full] += 1
        state["sum"][full], state["windows"][full] = 0.0, 0
        self._forecast(state, full)
        # The ring's place is the count modulo its length, so a full turn may be taken off.
        state["count"][full] -= np.where(state["count"][full] >= 2 * self.parameters.blocks, self.parameters.blocks, 0)

    def _forecast(self, state: Rows, rows: NDArray[np.intp]) -> None:
        """Work out for rows whose block has ended what every span says, and keep the nearest end."""
        state["earliest"][rows], state["latest"][rows], state["surprise"][rows] = np.nan, np.nan, np.nan
        count, blocks = state["count"][rows], self.parameters.blocks
        places = (rows * blocks)[:, np.newaxis] + (count[:, np.newaxis] + np.arange(blocks)) % blocks
        away = self.parameters.limit - state["means"].reshape(-1)[places]
        away *= self._sign
        for span in self._spans:
            known = count >= span
            if known.any():
                some = slice(None) if known.all() else known
                times = state["times"].reshape(-1)[places[some][:, [-span, -1]]]
                self._forecast_span(state, rows[some], away[some, -span:], times)

    def _forecast_span(
        self, state: Rows, rows: NDArray[np.intp], away: NDArray[np.float64], times: NDArray[np.float64]
    ) -> None:
        """Take the forecast from these distances (rows, span) over, where it is nearer than what is known."""
        scale = np.maximum(np.maximum(away.max(axis=1), -away.min(axis=1)), np.finfo(np.float64).tiny)
        away = away / scale[:, np.newaxis]
        trend = trend_of(away)
        surprise = np.maximum(sureness(trend) - np.log10(len(self._spans)), 0.0)
        first, now = times[:, 0], times[:, 1]
        pace = np.maximum(now - first, 0.0) / trend.steps
        # A block's mean is the level in its middle.
        nearest, farthest = blocks_left(away[:, -1] - trend.drift / 2.0, trend)
        sure = (surprise >= self.parameters.sure) & (pace > 0)
        earliest = np.where(sure, now + np.minimum(nearest * pace, FAR), now + FAR)
        latest = np.where(sure, now + farthest * np.maximum(pace, LEAST), np.inf)
        nearer = ~(earliest >= state["earliest"][rows])
        state["latest"][rows] = np.where(nearer, latest, state["latest"][rows])
        state["earliest"][rows] = np.where(nearer, earliest, state["earliest"][rows])
        state["surprise"][rows] = np.fmax(surprise, state["surprise"][rows])

    def words(self, step: Step, scores: Scores, row: int) -> str:
        """Say between when and when the limit is reached."""
        if scores.measure is None or not isinstance(scores, Forecast) or scores.latest is None:
            return ""
        left, latest = float(scores.measure[row]), float(scores.latest[row])
        if not left < NO_MATTER:
            return "no trend towards its limit that is sure"
        end = (int(step.times[row]) + step.width_ms) / 1000.0
        unit = step.columns[row % len(step.columns)].unit if step.columns else ""
        first, last = (_moment(end + one, end) if one < NO_MATTER else "" for one in (left, latest))
        when = first if first == last else f"{first} at the earliest" + (f", {last} at the latest" if last else "")
        return f"at this trend it reaches {amount(self.parameters.limit, unit)} {when}"


def _moment(seconds: float, now: float) -> str:
    """Return a time in words, with the date unless it is today."""
    moment, today = (datetime.fromtimestamp(one, UTC) for one in (seconds, now))
    near = moment.date() == today.date()
    return moment.strftime("at %H:%M:%S UTC" if near else "on %Y-%m-%d at %H:%M UTC")
