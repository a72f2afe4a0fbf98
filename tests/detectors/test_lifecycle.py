"""The life of a fault: each transition by itself, and the vectorised step against a naive model of one row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tune
from hypothesis import strategies as st
from numpy.typing import NDArray

from mendline.detectors.conditions import Bounds
from mendline.detectors.lifecycle import ARRAYS, NOTABLY, TABLE, Emission, Lifecycle, Signal, State, advance, diagram

WIDTH = 10
TRANSITIONS = [
    (State.NORMAL, Signal.BAD, State.PENDING, Emission.NOTHING),
    (State.NORMAL, Signal.BAD_HELD, State.OPEN, Emission.OPENED),
    (State.NORMAL, Signal.BETWEEN, State.NORMAL, Emission.NOTHING),
    (State.NORMAL, Signal.GOOD, State.NORMAL, Emission.NOTHING),
    (State.NORMAL, Signal.GOOD_HELD, State.NORMAL, Emission.NOTHING),
    (State.PENDING, Signal.BAD, State.PENDING, Emission.NOTHING),
    (State.PENDING, Signal.BAD_HELD, State.OPEN, Emission.OPENED),
    (State.PENDING, Signal.BETWEEN, State.NORMAL, Emission.NOTHING),
    (State.PENDING, Signal.GOOD, State.NORMAL, Emission.NOTHING),
    (State.PENDING, Signal.GOOD_HELD, State.NORMAL, Emission.NOTHING),
    (State.OPEN, Signal.BAD, State.OPEN, Emission.NOTHING),
    (State.OPEN, Signal.BAD_HELD, State.OPEN, Emission.NOTHING),
    (State.OPEN, Signal.BETWEEN, State.OPEN, Emission.NOTHING),
    (State.OPEN, Signal.GOOD, State.RECOVERING, Emission.NOTHING),
    (State.OPEN, Signal.GOOD_HELD, State.NORMAL, Emission.RESOLVED),
    (State.RECOVERING, Signal.BAD, State.OPEN, Emission.NOTHING),
    (State.RECOVERING, Signal.BAD_HELD, State.OPEN, Emission.NOTHING),
    (State.RECOVERING, Signal.BETWEEN, State.OPEN, Emission.NOTHING),
    (State.RECOVERING, Signal.GOOD, State.RECOVERING, Emission.NOTHING),
    (State.RECOVERING, Signal.GOOD_HELD, State.NORMAL, Emission.RESOLVED),
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

    def step(self, value: float, begin: int) -> Emission:
        """Take one window."""
        end = begin + WIDTH
        if math.isnan(value):
            return Emission.NOTHING
        kind = self._kind(value)
        if self.state == "normal" and kind != "bad":
            return Emission.NOTHING
        if kind != self.run or begin - self.last > self.gap or end < self.last:
            self.run, self.since = kind, begin
        self.last = end
        return self._follow(kind, end - self.since, value)

    def _kind(self, value: float) -> str:
        if value > self.bounds.open_above or value < self.bounds.open_below:
            return "bad"
        return "good" if self.bounds.clear_above < value < self.bounds.clear_below else "between"

    def _follow(self, kind: str, lasted: int, value: float) -> Emission:
        was = self.state
        if was in {"open", "recovering"}:
            if kind == "good" and lasted >= self.bounds.clear_hold:
                self.state, self.reported, self.run = "normal", 0.0, ""
                return Emission.RESOLVED
            self.state = "recovering" if kind == "good" else "open"
            if kind == "bad" and value >= NOTABLY * self.reported:
                self.reported = value
                return Emission.UPDATED
            return Emission.NOTHING
        if kind != "bad":
            self.state, self.run = "normal", ""
            return Emission.NOTHING
        if lasted >= self.bounds.open_hold:
            self.state, self.reported = "open", value
            return Emission.OPENED
        self.state = "pending"
        return Emission.NOTHING


def offsets(rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return some offset for each row."""
    return rows + 100


VALUES = st.sampled_from([0.0, 1.0, 2.9, 3.0, 4.0, 5.0, 5.1, 9.0, 20.0, 300.0, math.nan])
STEPS = st.lists(
    st.tuples(st.lists(VALUES, min_size=3, max_size=3), st.sampled_from([10, 10, 10, 20, 50, -30])), max_size=60
)


@given(steps=STEPS, open_hold=st.sampled_from([0, 10, 20, 30]), clear_hold=st.sampled_from([0, 10, 30]))
@tune(max_examples=300, deadline=None)
def test_step_follows_the_naive_model(steps: list[tuple[list[float], int]], open_hold: int, clear_hold: int) -> None:
    """The vectorised step tells of each row what a naive loop over that row tells."""
    bounds = Bounds(open_above=5.0, clear_below=3.0, open_hold=open_hold, clear_hold=clear_hold)
    lifecycle, naive = Lifecycle(bounds, gap_ms=20), [NaiveRow(bounds, 20) for _ in range(3)]
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
