"""The life of a fault: each transition by itself, and the vectorised step against a naive model of one row."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tune
from hypothesis import strategies as st
from numpy.typing import NDArray

from mendline.detectors.conditions import Bounds
from mendline.detectors.lifecycle import ARRAYS, NOTABLY, Lifecycle
from mendline.detectors.transitions import TABLE, Emission, Signal, State, advance, diagram

WIDTH = 10
TRANSITIONS = [
    (State.NORMAL, Signal.BAD, State.PENDING, Emission.NOTHING),
    (State.NORMAL, Signal.BAD_HELD, State.OPEN, Emission.OPENED),
    (State.NORMAL, Signal.BETWEEN, State.NORMAL, Emission.NOTHING),
    (State.NORMAL, Signal.GOOD, State.NORMAL, Emission.NOTHING),
    (State.NORMAL, Signal.GOOD_HELD, State.NORMAL, Emission.NOTHING),
    (State.NORMAL, Signal.BAD_AGAIN, State.FLAPPING, Emission.FLAPS),
    (State.NORMAL, Signal.GOOD_AGAIN, State.NORMAL, Emission.NOTHING),
    (State.NORMAL, Signal.STALE, State.NORMAL, Emission.NOTHING),
    (State.PENDING, Signal.BAD, State.PENDING, Emission.NOTHING),
    (State.PENDING, Signal.BAD_HELD, State.OPEN, Emission.OPENED),
    (State.PENDING, Signal.BETWEEN, State.NORMAL, Emission.NOTHING),
    (State.PENDING, Signal.GOOD, State.NORMAL, Emission.NOTHING),
    (State.PENDING, Signal.GOOD_HELD, State.NORMAL, Emission.NOTHING),
    (State.PENDING, Signal.BAD_AGAIN, State.FLAPPING, Emission.FLAPS),
    (State.PENDING, Signal.GOOD_AGAIN, State.NORMAL, Emission.NOTHING),
    (State.PENDING, Signal.STALE, State.NORMAL, Emission.NOTHING),
    (State.OPEN, Signal.BAD, State.OPEN, Emission.NOTHING),
    (State.OPEN, Signal.BAD_HELD, State.OPEN, Emission.NOTHING),
    (State.OPEN, Signal.BETWEEN, State.OPEN, Emission.NOTHING),
    (State.OPEN, Signal.GOOD, State.RECOVERING, Emission.NOTHING),
    (State.OPEN, Signal.GOOD_HELD, State.NORMAL, Emission.RESOLVED),
    (State.OPEN, Signal.BAD_AGAIN, State.FLAPPING, Emission.FLAPS),
    (State.OPEN, Signal.GOOD_AGAIN, State.FLAPPING, Emission.FLAPS),
    (State.OPEN, Signal.STALE, State.NORMAL, Emission.EXPIRED),
    (State.RECOVERING, Signal.BAD, State.OPEN, Emission.NOTHING),
    (State.RECOVERING, Signal.BAD_HELD, State.OPEN, Emission.NOTHING),
    (State.RECOVERING, Signal.BETWEEN, State.OPEN, Emission.NOTHING),
    (State.RECOVERING, Signal.GOOD, State.RECOVERING, Emission.NOTHING),
    (State.RECOVERING, Signal.GOOD_HELD, State.NORMAL, Emission.RESOLVED),
    (State.RECOVERING, Signal.BAD_AGAIN, State.FLAPPING, Emission.FLAPS),
    (State.RECOVERING, Signal.GOOD_AGAIN, State.FLAPPING, Emission.FLAPS),
    (State.RECOVERING, Signal.STALE, State.NORMAL, Emission.EXPIRED),
    (State.FLAPPING, Signal.BAD, State.FLAPPING, Emission.NOTHING),
    (State.FLAPPING, Signal.BAD_HELD, State.OPEN, Emission.SETTLED),
    (State.FLAPPING, Signal.BETWEEN, State.FLAPPING, Emission.NOTHING),
    (State.FLAPPING, Signal.GOOD, State.FLAPPING, Emission.NOTHING),
    (State.FLAPPING, Signal.GOOD_HELD, State.NORMAL, Emission.RESOLVED),
    (State.FLAPPING, Signal.BAD_AGAIN, State.FLAPPING, Emission.NOTHING),
    (State.FLAPPING, Signal.GOOD_AGAIN, State.FLAPPING, Emission.NOTHING),
    (State.FLAPPING, Signal.STALE, State.NORMAL, Emission.EXPIRED),
]


@pytest.mark.parametrize(("state", "signal", "following", "emits"), TRANSITIONS)
def test_transition(state: State, signal: Signal, following: State, emits: Emission) -> None:
    """Each state and signal has the one successor that is written here."""
    assert (following, emits) == advance(state, signal)


def test_table_is_complete() -> None:
    """Every pair of state and signal is in the table, and in the test above."""
    pairs = {(state, signal) for state in State for signal in Signal}
    assert pairs == {(state, signal) for state, row in TABLE.items() for signal in row}
    assert pairs == {(state, signal) for state, signal, _, _ in TRANSITIONS}


def test_page_shows_the_table() -> None:
    """The diagram in the documentation is the one that is made from the table."""
    page = (Path(__file__).parents[2] / "docs" / "lifecycle.md").read_text()
    assert diagram() in page


@dataclass
class NaiveRow:
    """The same rules for one row, written as one would tell them."""

    bounds: Bounds
    gap: int
    state: str = "normal"
    run: str = ""
    since: int = 0
    last: int = 0
    reported: float = 0.0
    max_age: int = 0
    opened: int = 0
    is_bad: bool = False
    changes: list[bool] = field(default_factory=lambda: [False] * 20)

    def step(self, value: float, begin: int) -> Emission:
        """Take one window."""
        end = begin + WIDTH
        if math.isnan(value):
            return Emission.NOTHING
        kind = self._kind(value)
        if self.state == "normal" and kind != "bad" and not any(self.changes):
            return Emission.NOTHING
        if kind != self.run or begin - self.last > self.gap or end < self.last:
            self.run, self.since = kind, begin
        self.last = end
        held = end - self.since >= {"bad": self.bounds.open_hold, "good": self.bounds.clear_hold}.get(kind, 10**9)
        is_bad = kind == "bad" if held else self.is_bad
        self.changes = [*self.changes[1:], is_bad != self.is_bad]
        self.is_bad = is_bad
        share = sum(0.8 + 0.02 * place for place, changed in enumerate(self.changes) if changed) / 20
        again = share >= (0.05 if self.state == "flapping" else 0.3) - 1e-9
        was = self.state
        told = self._follow(kind, value, held=held, again=again, old=end - self.opened > self.max_age > 0)
        if was in {"normal", "pending"} and self.state in {"open", "flapping"}:
            self.opened = end
        return told

    def _kind(self, value: float) -> str:
        if value > self.bounds.open_above or value < self.bounds.open_below:
            return "bad"
        return "good" if self.bounds.clear_above < value < self.bounds.clear_below else "between"

    def _follow(self, kind: str, value: float, *, held: bool, again: bool, old: bool) -> Emission:
        if self.state in {"open", "recovering", "flapping"}:
            return self._follow_open(kind, value, held=held, again=again, old=old)
        if kind != "bad":
            self.state = "normal"
            return Emission.NOTHING
        if held:
            self.state, self.reported = "flapping" if again else "open", value
            return Emission.FLAPS if again else Emission.OPENED
        self.state = "pending"
        return Emission.NOTHING

    def _follow_open(self, kind: str, value: float, *, held: bool, again: bool, old: bool) -> Emission:
        if kind == "good" and held and not again:
            self.state, self.reported = "normal", 0.0
            return Emission.RESOLVED
        if old:
            self.state, self.reported = "normal", 0.0
            return Emission.EXPIRED
        if self.state == "flapping":
            return self._settle(kind, value, steady=held and not again)
        if held and again:
            self.state, self.reported = "flapping", value
            return Emission.FLAPS
        self.state = "recovering" if kind == "good" else "open"
        if kind == "bad" and value >= NOTABLY * self.reported:
            self.reported = value
            return Emission.UPDATED
        return Emission.NOTHING

    def _settle(self, kind: str, value: float, *, steady: bool) -> Emission:
        if kind == "bad" and steady:
            self.state, self.reported = "open", value
            return Emission.SETTLED
        return Emission.NOTHING


def offsets(rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return some offset for each row."""
    return rows + 100


VALUES = st.sampled_from([0.0, 1.0, 2.9, 3.0, 4.0, 5.0, 5.1, 9.0, 20.0, 300.0, math.nan])
STEPS = st.lists(
    st.tuples(st.lists(VALUES, min_size=3, max_size=3), st.sampled_from([10, 10, 10, 20, 50, -30])), max_size=60
)


@pytest.mark.slow
@given(
    steps=STEPS,
    open_hold=st.sampled_from([0, 10, 20, 30]),
    clear_hold=st.sampled_from([0, 10, 30]),
    max_age=st.sampled_from([0, 0, 100]),
)
@tune(max_examples=300, deadline=None)
def test_step_follows_the_naive_model(
    steps: list[tuple[list[float], int]], open_hold: int, clear_hold: int, max_age: int
) -> None:
    """The vectorised step tells of each row what a naive loop over that row tells."""
    bounds = Bounds(open_above=5.0, clear_below=3.0, open_hold=open_hold, clear_hold=clear_hold)
    lifecycle = Lifecycle(bounds, gap_ms=20, max_age_ms=max_age)
    naive = [NaiveRow(bounds, 20, max_age=max_age) for _ in range(3)]
    rows = {name: array.rows(3) for name, array in ARRAYS.items()}
    begin = 1000
    for values, step in steps:
        begin += step
        given_values = np.array(values)
        happened = lifecycle.step(rows, given_values, given_values, np.full(3, begin), WIDTH, offsets)
        expected = [row.step(value, begin) for row, value in zip(naive, values, strict=True)]
        told = dict(zip(happened.rows.tolist(), happened.emits.tolist(), strict=True))
        assert told == {row: emits for row, emits in enumerate(expected) if emits}
        assert [State(state).name.lower() for state in rows["state"].tolist()] == [row.state for row in naive]


def test_gap_breaks_a_hold() -> None:
    """Two bad windows with a long gap between them are no hold: nobody saw what was in between."""
    lifecycle = Lifecycle(Bounds(open_above=5.0, clear_below=3.0, open_hold=20), gap_ms=20)
    rows = {name: array.rows(1) for name, array in ARRAYS.items()}
    bad = np.array([9.0])
    told = [len(lifecycle.step(rows, bad, bad, np.array([at]), WIDTH, offsets).rows) for at in (0, 100, 110)]
    assert told == [0, 0, 1]


def test_no_rows() -> None:
    """A step over no rows is none."""
    lifecycle = Lifecycle(Bounds(open_above=5.0), gap_ms=20)
    rows = {name: array.rows(0) for name, array in ARRAYS.items()}
    assert not len(lifecycle.step(rows, np.empty(0), np.empty(0), np.empty(0, np.int64), WIDTH, offsets).rows)


def told_of(values: list[float], **more: Any) -> list[str]:
    """Return what a row tells the journal of values, one a window."""
    lifecycle = Lifecycle(Bounds(open_above=5.0, clear_below=3.0), gap_ms=20, **more)
    rows, told = {name: array.rows(1) for name, array in ARRAYS.items()}, []
    for number, value in enumerate(values):
        judged = np.array([value])
        happened = lifecycle.step(rows, judged, judged, np.array([number * WIDTH]), WIDTH, offsets)
        told += [Emission(emits).name for emits in happened.emits.tolist()]
    return told


@pytest.mark.slow
def test_a_storm_is_one_fault_that_flaps() -> None:
    """However long it comes and goes, one record says so and one says that it is over."""
    storm = [9.0, 0.0] * 500 + [0.0] * 30
    assert told_of(storm) == ["OPENED", "RESOLVED"] * 2 + ["OPENED", "FLAPS", "RESOLVED"]


def test_flapping_may_end_open() -> None:
    """What settles on the bad side stays open, and its reader hears that it flaps no more."""
    assert told_of([9.0, 0.0] * 5 + [9.0] * 30) == ["OPENED", "RESOLVED"] * 2 + ["OPENED", "FLAPS", "SETTLED"]


def test_flapping_has_hysteresis() -> None:
    """A fault that flaps goes on flapping at a rate of changes that would not make another flap."""
    slow = ([9.0] * 8 + [0.0] * 8) * 4
    assert told_of(slow) == ["OPENED", "RESOLVED"] * 4
    assert told_of([9.0, 0.0] * 5 + slow) == ["OPENED", "RESOLVED"] * 2 + ["OPENED", "FLAPS"]


def test_a_month_of_constants_then_one_change() -> None:
    """A single change after any time opens one fault, and never flaps."""
    assert told_of([1.0] * 1000 + [9.0] * 50) == ["OPENED"]


def test_what_lasts_is_the_new_usual() -> None:
    """A fault older than the maximum ends; while the value stays bad a rule would open the next at once."""
    assert told_of([9.0] * 12, max_age_ms=100) == ["OPENED", "EXPIRED"]
