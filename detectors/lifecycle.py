"""The life of a fault, as a table: normal -> pending -> open -> recovering -> resolved.

Rules about what may live in this file: (1) every transition stands in `TABLE`, and both the vectorised step and the
single-row one look it up there; nothing else decides what follows. (2) Nothing here knows what a fault is about.

Theory of operation. What a detector says of a series at one time is one `Signal`. *Bad* means that the open condition
is met, *good* that the clear condition is, *between* that neither is; bad and good are *held* once they have been so,
without a break, for as long as the condition asks. A window without a value gives no signal: the row stays as it
is. So a gap never counts as recovery. It does not count towards a hold either: a run that is interrupted by more than
`gap_ms` starts anew, because nobody saw what happened in between.

Rows that are normal and not bad need nothing at all, and they are nearly all rows at nearly all times: one comparison
finds the others, and only those are gathered.

The state of a row: `state`; `run`, the kind of the signals in a row; `since` and `last` (ms of event time), the begin
of the first and the end of the last window of that run, and `first`, the offset of the record with the first one;
`reported`, the surprise the fault was last reported with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.detectors.base import Rows, StateArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mendline.detectors.conditions import Bounds

NOTABLY = 2.0
"""A fault is updated when its surprise has grown by this factor; with surprise capped at 300, a handful of times."""


class State(IntEnum):
    """Where in its life the fault of a row is."""

    NORMAL = 0
    PENDING = 1
    OPEN = 2
    RECOVERING = 3


class Signal(IntEnum):
    """What a detector says of a row at one time."""

    BAD = 0
    BAD_HELD = 1
    BETWEEN = 2
    GOOD = 3
    GOOD_HELD = 4


class Emission(IntEnum):
    """What a transition tells the journal."""

    NOTHING = 0
    OPENED = 1
    UPDATED = 2
    RESOLVED = 3


class Next(NamedTuple):
    """What follows from a signal in a state."""

    state: State
    emits: Emission = Emission.NOTHING


TABLE: Mapping[State, Mapping[Signal, Next]] = MappingProxyType({
    State.NORMAL: {
        Signal.BAD: Next(State.PENDING),
        Signal.BAD_HELD: Next(State.OPEN, Emission.OPENED),
        Signal.BETWEEN: Next(State.NORMAL),
        Signal.GOOD: Next(State.NORMAL),
        Signal.GOOD_HELD: Next(State.NORMAL),
    },
    State.PENDING: {
        Signal.BAD: Next(State.PENDING),
        Signal.BAD_HELD: Next(State.OPEN, Emission.OPENED),
        Signal.BETWEEN: Next(State.NORMAL),
        Signal.GOOD: Next(State.NORMAL),
        Signal.GOOD_HELD: Next(State.NORMAL),
    },
    State.OPEN: {
        Signal.BAD: Next(State.OPEN),
        Signal.BAD_HELD: Next(State.OPEN),
        Signal.BETWEEN: Next(State.OPEN),
        Signal.GOOD: Next(State.RECOVERING),
        Signal.GOOD_HELD: Next(State.NORMAL, Emission.RESOLVED),
    },
    State.RECOVERING: {
        Signal.BAD: Next(State.OPEN),
        Signal.BAD_HELD: Next(State.OPEN),
        Signal.BETWEEN: Next(State.OPEN),
        Signal.GOOD: Next(State.RECOVERING),
        Signal.GOOD_HELD: Next(State.NORMAL, Emission.RESOLVED),
    },
})  # fmt: skip

_NEXT = np.array([[TABLE[state][signal].state for signal in Signal] for state in State], dtype=np.int8)
_EMITS = np.array([[TABLE[state][signal].emits for signal in Signal] for state in State], dtype=np.int8)

ARRAYS: Mapping[str, StateArray] = MappingProxyType({
    "state": StateArray("int8", fill=State.NORMAL),
    "run": StateArray("int8", fill=Signal.GOOD),
    "since": StateArray("int64"),
    "last": StateArray("int64"),
    "first": StateArray("int64"),
    "reported": StateArray("float64"),
})  # fmt: skip


def advance(state: State, signal: Signal) -> Next:
    """Return what follows from `signal` in `state`, for a single row."""
    return TABLE[state][signal]


@dataclass(frozen=True, slots=True)
class Happened:
    """What a step tells the journal: row numbers and, for each, an `Emission`."""

    rows: NDArray[np.intp]
    emits: NDArray[np.int8]


class _Window(NamedTuple):
    """Begin and end of the window of each row that is looked at, in ms, and the offset of its record."""

    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    offsets: NDArray[np.int64]


OffsetsOf = Callable[["NDArray[np.intp]"], "NDArray[np.int64]"]
"""Returns the offset of the record that the window of each of these rows came in."""

_NOTHING = Happened(np.empty(0, np.intp), np.empty(0, np.int8))


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Folds the signals of many rows; `gap_ms` without evidence breaks a run."""

    bounds: Bounds
    gap_ms: int

    def step(
        self,
        rows: Rows,
        judged: NDArray[np.float64],
        surprise: NDArray[np.float64],
        begins: NDArray[np.int64],
        width: int,
        offsets_of: OffsetsOf,
    ) -> Happened:
        """Take one window of each row into the rows' state and return what is to be told.

        `judged` is what the bounds are about, `begins` the windows' starts and `width` their length, in ms.
        `offsets_of` is asked for the records of a few rows only.
        """
        bad = self.bounds.bad(judged)
        awake = np.flatnonzero((rows["state"] != State.NORMAL) | bad)
        if len(awake):
            awake = awake[~np.isnan(judged[awake])]
        if not len(awake):
            return _NOTHING
        good = self.bounds.good(judged[awake])
        run = np.where(bad[awake], Signal.BAD, np.where(good, Signal.GOOD, Signal.BETWEEN)).astype(np.int8)
        window = _Window(begins[awake], begins[awake] + width, offsets_of(awake))
        return self._advance(rows, awake, run, surprise[awake], window)

    def _advance(
        self,
        rows: Rows,
        awake: NDArray[np.intp],
        run: NDArray[np.int8],
        surprise: NDArray[np.float64],
        window: _Window,
    ) -> Happened:
        begins, ends, last = window.begins, window.ends, rows["last"][awake]
        is_new = (run != rows["run"][awake]) | (begins - last > self.gap_ms) | (ends < last)
        since = np.where(is_new, begins, rows["since"][awake])
        signal = run + self._held(run, ends - since)
        state = rows["state"][awake]
        emits = self._emissions(state, signal, surprise, rows["reported"][awake])
        rows["state"][awake] = _NEXT[state, signal]
        rows["run"][awake] = run
        rows["since"][awake] = since
        rows["last"][awake] = ends
        rows["first"][awake] = np.where(is_new, window.offsets, rows["first"][awake])
        told = np.flatnonzero(emits)
        rows["reported"][awake[told]] = np.where(emits[told] == Emission.RESOLVED, 0.0, surprise[told])
        return Happened(awake[told], emits[told])

    def _held(self, run: NDArray[np.int8], lasted: NDArray[np.int64]) -> NDArray[np.int8]:
        """Return 1 for bad and good runs that have lasted as long as they must: the step to the held signal."""
        bad = (run == Signal.BAD) & (lasted >= self.bounds.open_hold)
        good = (run == Signal.GOOD) & (lasted >= self.bounds.clear_hold)
        held: NDArray[np.int8] = (bad | good).astype(np.int8)
        return held

    @staticmethod
    def _emissions(
        state: NDArray[np.int8], signal: NDArray[np.int8], surprise: NDArray[np.float64], reported: NDArray[np.float64]
    ) -> NDArray[np.int8]:
        emits: NDArray[np.int8] = _EMITS[state, signal]
        was_open = (state == State.OPEN) | (state == State.RECOVERING)
        worse = was_open & (signal <= Signal.BAD_HELD) & (surprise >= NOTABLY * reported)
        emits[worse] = Emission.UPDATED
        return emits


def diagram() -> str:
    """Return the table as a Mermaid state diagram, as it stands in docs/lifecycle.md."""
    lines = ["stateDiagram-v2", "    [*] --> normal"]
    for state, row in TABLE.items():
        by_target: dict[tuple[State, Emission], list[str]] = {}
        for signal, following in row.items():
            by_target.setdefault(following, []).append(signal.name.lower().replace("_", " "))
        for (target, emits), signals in by_target.items():
            if target != state or emits:
                said = f" / {emits.name.lower()}" if emits else ""
                lines.append(f"    {state.name.lower()} --> {target.name.lower()} : {', '.join(signals)}{said}")
    return "\n".join(lines) + "\n"
