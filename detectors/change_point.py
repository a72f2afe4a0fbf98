"""Change point: whether and when the level of a series went from one value to another, by medians of blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import Field

from mendline.detectors.base import MAX_SURPRISE, Detector, Rows, Scores, StateArray, Step
from mendline.detectors.floors import LARGEST, Floored
from mendline.detectors.staggered import scattered
from mendline.detectors.tails import gaussian_surprise
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECENT = (2, 4, 8)
"""A change is looked for so many blocks ago: each twice the one before, as the place of a change is hardly sharper."""
LARGEST_CORRELATION = 0.9


class ChangePoint(Detector):
    """Surprise is the tail of a two-sample t-test: the last 2, 4 or 8 blocks against those before, the largest of them.

    A block is `block` windows, and stands for itself by its median: a spike is no change. Over the m blocks after a
    supposed change and the n before it

        t = (mean after - mean before) / (s sqrt((1/m + 1/n) (1 + r) / (1 - r))),   n + m - 2 degrees of freedom,

    s^2 being the pooled variance (Student, "The probable error of a mean", Biometrika 6, 1908). Metrics are correlated
    from window to window, which a test on windows would take for certainty; medians of blocks are nearly independent
    (the method of batch means, R. W. Conway, "Some tactical problems in digital simulation", Management Science
    10(1), 1963), and what correlation r is left between blocks that follow each other widens t, as it widens a sum. r
    is a faded mean over the last hundred blocks or so. Three places are looked at, so p is three times the least
    (Bonferroni). t becomes a Gaussian z by D. L. Wallace, "Bounds on normal approximations to Student's and the
    chi-square distributions", Annals of Mathematical Statistics 30(4), 1959: z = (8 f + 1) / (8 f + 3)
    sqrt(f ln(1 + t^2 / f)).

    `cusum` sums up distances from a slow reference and cannot say since when; this compares two stretches of the same
    hour, needs no reference that has settled, says from where to where the level went and when, and ends by itself when
    the new level fills both. Assumes a level that stays between changes: a trend or season within the stretch is a
    change to it, and a burst that outlasts half of a block is one too. In simulations surprise 3 came 0.5 to 1.3
    times as often as it says on Gaussian values, independent and correlated (by 0.5 to 0.95 from window to window),
    3 times as often on exponential, 5 to 7 times on log-normal ones, and 14 times on those correlated by 0.8, 24 times
    if their sigma is 1.5 too: use `calibrated` there.

    The answer changes when a block ends, and stands until the next does: a change is told after two blocks at the
    earliest. s is held above the floor of `zscore`. NaN is neither scored nor learned; an infinite value has the
    largest surprise and is not learned.

    Cost: 110 to 300 ns a series and window on average, nearly all of it where a block ends.
    Memory: 8 bytes x (`block` + `blocks`) + 60 bytes a series.

    >>> from mendline.testing.detectors import run
    >>> usual = [10.0, 10.5, 11.0, 12.0, 12.5, 11.5, 13.0] * 40
    >>> run(ChangePoint, {}, [*usual, *[14.0] * 24]).surprise[-24::6].round(1).tolist()
    [0.2, 3.2, 11.1, 8.1]
    """

    class Parameters(Floored):
        """How long a block is, and how many are compared."""

        block: int = Field(
            default=6, ge=1, le=1000, description="windows in a block: of 10 s, a minute, in which most bursts are over"
        )
        blocks: int = Field(
            default=40, ge=16, le=1000, description="blocks compared; with 40 the spread is known to about 12 %"
        )

    kind = "changed"

    def __init__(self, parameters: Parameters) -> None:
        """Keep the parameters; it is ready with a full ring of blocks."""
        super().__init__(parameters)
        self.warm_up = parameters.block * parameters.blocks

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep the windows of the block that is filled, the medians of those before, and the answer that stands."""
        return {
            "block": StateArray(shape=(self.parameters.block,)),
            "filled": StateArray("int32"),
            "ring": StateArray(shape=(self.parameters.blocks,)),
            "count": StateArray("int64"),
            "product": StateArray(),
            "square": StateArray(),
            "surprise": StateArray(fill=math.nan),
            "before": StateArray(fill=math.nan),
            "after": StateArray(fill=math.nan),
            "since": StateArray("int64"),
        }

    def step(self, state: Rows, step: Step) -> Scores:
        """Answer what the blocks before say, then learn."""
        known = ~np.isnan(state["surprise"])
        surprise = np.where(np.isnan(step.values), np.nan, state["surprise"])
        surprise[np.isinf(step.values) & known] = MAX_SURPRISE
        change = Change(surprise, before=state["before"].copy(), after=state["after"].copy(), since=_since(state))
        self._learn(state, step)
        return change

    def words(self, step: Step, scores: Scores, row: int) -> str:
        """Return from where to where the level went, and when."""
        del step
        if not isinstance(scores, Change) or scores.before is None or scores.after is None or scores.since is None:
            return ""
        before, after, since = float(scores.before[row]), float(scores.after[row]), int(scores.since[row])
        if math.isnan(before):
            return ""
        return f"its level went from {before:.4g} to {after:.4g} about {counted(since, 'windows')} ago"

    def follow(self, state: Rows, windows: Step) -> Scores:
        """Score many windows of one series: all blocks that end are compared at once."""
        values = windows.values
        finite = np.isfinite(values)
        if not finite.any():
            return super().follow(state, windows)
        self._begin(state, np.flatnonzero(state["count"] + state["filled"] == 0), values[finite][:1])
        places = int(state["filled"][0]) + np.cumsum(finite) - finite
        stood = _Found(*(state[name].copy() for name in _Found._fields))
        found = self._learn_blocks(state, np.clip(values[finite], -LARGEST, LARGEST), windows.grains[:1])
        block = self.parameters.block
        surprise, before, after, since = (
            np.concatenate(both)[places // block] for both in zip(stood, found, strict=True)
        )
        known = ~np.isnan(surprise)
        surprise[np.isnan(values)] = np.nan
        surprise[np.isinf(values) & known] = MAX_SURPRISE
        return Change(surprise, before=before, after=after, since=since + places % block)

    def _learn(self, state: Rows, step: Step) -> None:
        rows = np.flatnonzero(np.isfinite(step.values))
        fresh = rows[(state["count"][rows] == 0) & (state["filled"][rows] == 0)]
        self._begin(state, fresh, step.values[fresh])
        state["block"][rows, state["filled"][rows]] = np.clip(step.values[rows], -LARGEST, LARGEST)
        state["filled"][rows] += 1
        ended = rows[state["filled"][rows] == self.parameters.block]
        if len(ended):
            self._end_block(state, ended, step)

    def _begin(self, state: Rows, rows: NDArray[np.intp], values: NDArray[np.float64]) -> None:
        """Let the first block of each series be shorter by its own, so that not all blocks end in one step."""
        if len(rows):
            state["filled"][rows] = scattered(values) % self.parameters.block
            state["block"][rows] = np.clip(values, -LARGEST, LARGEST)[:, np.newaxis]

    def _end_block(self, state: Rows, rows: NDArray[np.intp], step: Step) -> None:
        """Put the blocks' medians at the end of the ring, and look for a change in those that are full."""
        ring = state["ring"][rows]
        ring[:, :-1] = ring[:, 1:]
        ring[:, -1] = _medians(state["block"][rows])
        state["ring"][rows] = ring
        state["filled"][rows] = 0
        state["count"][rows] += 1
        full = state["count"][rows] >= self.parameters.blocks
        if full.any():
            found = self._compare(ring[full], step.grains[rows[full]], partial(_widened, state, rows[full]))
            for name, array in zip(_Found._fields, found, strict=True):
                state[name][rows[full]] = array

    def _learn_blocks(self, state: Rows, learned: NDArray[np.float64], grains: NDArray[np.float64]) -> _Found:
        """Learn values of one series; return what was found at the end of each block."""
        size, length = self.parameters.block, self.parameters.blocks
        given = np.concatenate([state["block"][0, : state["filled"][0]], learned])
        ends = len(given) // size
        medians = np.concatenate([state["ring"][0], _medians(given[: ends * size].reshape(ends, size))])
        rings = np.lib.stride_tricks.sliding_window_view(medians, length)[1:]
        first = min(max(length - 1 - int(state["count"][0]), 0), ends)
        compared = self._compare(rings[first:], grains, partial(_widened_in_turn, state))
        stands = [np.repeat(state[name], first) for name in _Found._fields]
        found = _Found(*(np.concatenate(both) for both in zip(stands, compared, strict=True)))
        rest = given[ends * size :]
        state["ring"][0] = medians[ends:]
        state["count"][0] += ends
        if ends:
            state["block"][0] = given[(ends - 1) * size : ends * size]
            for name, array in zip(_Found._fields, found, strict=True):
                state[name][0] = array[-1]
        state["block"][0, : len(rest)], state["filled"][0] = rest, len(rest)
        return found

    def _compare(self, ring: NDArray[np.float64], grains: NDArray[np.float64], widened: _Widening) -> _Found:
        """Return the likeliest change in the medians, (n, blocks) from the oldest on."""
        centre = ring[:, 0].copy()
        floor = self.parameters.floor or grains
        least = np.maximum(self.parameters.floor_share * np.abs(centre), floor)
        ring = ring - centre[:, np.newaxis]
        before, after, spread = _sides(ring)
        shares = np.array([1.0 / recent + 1.0 / (ring.shape[1] - recent) for recent in RECENT])[:, np.newaxis]
        # The newest blocks in which no change is looked for.
        newer, older = ring[:, -RECENT[-1] - 1] - before[-1], ring[:, -RECENT[-1] - 2] - before[-1]
        wider = shares * widened(newer * older, newer * newer)
        t = np.abs(after - before) / (np.maximum(spread, least) * np.sqrt(wider))
        best, every = t.argmax(axis=0), np.arange(len(ring))
        return _Found(
            _tail(t[best, every], ring.shape[1] - 2),
            before[best, every] + centre,
            after[best, every] + centre,
            np.array(RECENT)[best] * self.parameters.block,
        )


_Widening = Callable[["NDArray[np.float64]", "NDArray[np.float64]"], "NDArray[np.float64]"]
"""Returns (1 + r) / (1 - r) as known before, and learns r from products and squares of the newest blocks, each (n,)."""


class _Found(NamedTuple):
    """The answer that stands from the end of a block on, each (n,)."""

    surprise: NDArray[np.float64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    since: NDArray[np.int64]


def _medians(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each block, (n, windows)."""
    size, ordered = blocks.shape[1], np.sort(blocks, axis=1)
    medians: NDArray[np.float64] = 0.5 * ordered[:, (size - 1) // 2] + 0.5 * ordered[:, size // 2]
    return medians


def _widened(
    state: Rows, rows: NDArray[np.intp], products: NDArray[np.float64], squares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Widen by what each of the rows knows of its correlation."""
    product, square = state["product"][rows], state["square"][rows]
    state["product"][rows] = product + FADING * (products - product)
    state["square"][rows] = square + FADING * (squares - square)
    return _wider(product, square)


def _widened_in_turn(state: Rows, products: NDArray[np.float64], squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Widen by what one series knows of its correlation at the end of each block, one after the other."""
    known = [(state["product"][0].item(), state["square"][0].item())]
    for product, square in zip(products.tolist(), squares.tolist(), strict=True):
        mean, spread = known[-1]
        known.append((mean + FADING * (product - mean), spread + FADING * (square - spread)))
    state["product"][0], state["square"][0] = known.pop()
    table = np.array(known).reshape(-1, 2)
    return _wider(table[:, 0], table[:, 1])


def _wider(product: NDArray[np.float64], square: NDArray[np.float64]) -> NDArray[np.float64]:
    r = np.divide(product, square, out=np.zeros(len(product)), where=square > 0)
    r = np.clip(r, 0.0, LARGEST_CORRELATION)
    found: NDArray[np.float64] = (1.0 + r) / (1.0 - r)
    return found


FADING = 0.01
"""Correlation is the mean over the last hundred blocks or so; over one ring it is hardly known."""


@dataclass(frozen=True, slots=True)
class Change(Scores):
    """Scores with the level before and after the likeliest change, and how many windows ago it was, each (n,)."""

    before: NDArray[np.float64] | None = None
    after: NDArray[np.float64] | None = None
    since: NDArray[np.int64] | None = None


def _since(state: Rows) -> NDArray[Any]:
    found: NDArray[Any] = state["since"] + state["filled"]
    return found


def _sides(ring: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return mean before, mean after and pooled standard deviation, (places, n), for each place of a change."""
    total = ring.shape[1]
    whole, squares = np.einsum("ij->i", ring), np.einsum("ij,ij->i", ring, ring)
    recent, sums, last = np.zeros(len(ring)), [], 0
    for length in RECENT:
        for age in range(last, length):
            recent = recent + ring[:, -1 - age]
        last = length
        sums.append(recent)
    lengths, after = np.array(RECENT)[:, np.newaxis], np.array(sums)
    before = (whole - after) / (total - lengths)
    after = after / lengths
    scatter = squares - (total - lengths) * before * before - lengths * after * after
    return before, after, np.sqrt(np.maximum(scatter, 0.0) / (total - 2))


def _tail(t: NDArray[np.float64], freedom: int) -> NDArray[np.float64]:
    """Return the surprise of the largest of the t, Wallace's way."""
    root = np.sqrt(2.0 * freedom * np.log(np.hypot(1.0, t / math.sqrt(freedom))))
    surprise = gaussian_surprise((8 * freedom + 1) / (8 * freedom + 3) * root) - math.log10(len(RECENT))
    return np.maximum(surprise, 0.0)
