"""The life of many faults at once: what detectors say of series becomes signals, and `transitions` says what follows.

Nothing here knows what a fault is about.

Theory of operation. What a detector says of a series at one time is one `Signal`. *Bad* means that the open condition
is met, *good* that the clear condition is, *between* that neither is; bad and good are *held* once they have been so,
without a break, for as long as the condition asks. A window without a value gives no signal: the row stays as it
is. So a gap never counts as recovery. It does not count towards a hold either: a run that is interrupted by more than
`gap_ms`, or what whoever calls says of a row, starts anew, because nobody saw what happened in between.

Flapping is found as Nagios and Sensu do it (Nagios Core documentation, "Detection and handling of state flapping"): a
row remembers for its last 20 windows whether a held signal changed sides there. Changes weigh from 0.8 (oldest) to 1.18
(newest), as in Sensu; their sum over 20 is the share of changes. A held signal is *again* while that share is at least
`flap_high`, and in a row that flaps already at least `flap_low`. So a fault that comes and goes flaps with the sixth
change within 20 windows or so, its third end, which is one record, and no other follows before it has kept to one side
for some 20.

A detector of the unusual that keeps a fault open for `max_age_ms` has a baseline that is *stale*: what lasts that long
is the new usual. The fault ends, and whoever calls makes the detector learn the row anew.

Rows that are normal, not bad and without a change lately need nothing at all, and they are nearly all rows at nearly
all times: a few comparisons find the others, and only those are gathered.

The state of a row: `state`; `run`, the kind of the signals in a row; `since` and `last` (ms of event time), the begin
of the first and the end of the last window of that run, and `first`, the offset of the record with the first one;
`reported`, the surprise the fault was last reported with; `side`, 1 after a held bad signal and 0 after a held good
one; `history`, a bit for each of the last 20 windows, set where the side changed, the newest lowest; `opened`, the
event time (ms) at which the fault opened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from mendline.detectors.base import Rows, StateArray
from mendline.detectors.transitions import TABLE, Emission, Signal, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mendline.detectors.conditions import Bounds
    from mendline.schemas.settings import FaultSettings

NOTABLY = 2.0
"""A fault is updated when its surprise has grown by this factor; with surprise capped at 300, a handful of times."""

# As plain numbers: numpy asks a member of an enumeration for a dozen attributes each time that it sees one.
NORMAL, _PENDING, _OPEN, _RECOVERING, _FLAPPING = map(int, State)
_BAD, _BAD_HELD, _BETWEEN, _GOOD, _GOOD_HELD, _BAD_AGAIN, _GOOD_AGAIN, _STALE = map(int, Signal)
_UPDATED, _RESOLVED, _EXPIRED = int(Emission.UPDATED), int(Emission.RESOLVED), int(Emission.EXPIRED)
_NEXT = np.array([[TABLE[state][signal].state for signal in Signal] for state in State], dtype=np.int8)
_EMITS = np.array([[TABLE[state][signal].emits for signal in Signal] for state in State], dtype=np.int8)

ARRAYS: Mapping[str, StateArray] = MappingProxyType({
    "state": StateArray("int8", fill=NORMAL),
    "run": StateArray("int8", fill=_GOOD),
    "since": StateArray("int64"),
    "last": StateArray("int64"),
    "first": StateArray("int64"),
    "reported": StateArray("float64"),
    "side": StateArray("int8"),
    "history": StateArray("int32"),
    "opened": StateArray("int64"),
})  # fmt: skip

WINDOWS_KEPT = 20
_KEPT = np.int32((1 << WINDOWS_KEPT) - 1)
_WEIGHTS = np.arange(118, 78, -2, dtype=np.int64)  # percent, the newest window's first
_BITS = np.arange(WINDOWS_KEPT, dtype=np.int32)


def flap_share(history: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the weighted share of changes among the last 20 windows, in percent, of each history.

    >>> flap_share(np.array([0, 0b1, 0b1111, 1 << 19], dtype=np.int32)).tolist()
    [0.0, 5.9, 23.0, 4.0]
    """
    bits = (history[:, np.newaxis] >> _BITS) & 1
    share: NDArray[np.float64] = (bits @ _WEIGHTS) / WINDOWS_KEPT
    return share


@dataclass(frozen=True, slots=True)
class Happened:
    """What a step tells the journal: row numbers and, for each, an `Emission`."""

    rows: NDArray[np.intp]
    emits: NDArray[np.int8]


class _Window(NamedTuple):
    """Begin and end of the window of each row that is looked at, in ms, the record's offset, and the gap before."""

    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    offsets: NDArray[np.int64]
    gaps: NDArray[np.int64] | int


OffsetsOf = Callable[["NDArray[np.intp]"], "NDArray[np.int64]"]
"""Returns the offset of the record that the window of each of these rows came in."""

GapsOf = Callable[["NDArray[np.intp]"], "NDArray[np.int64]"]
"""Returns after how long without evidence, in ms, a run of each of these rows is broken."""

_NOTHING = Happened(np.empty(0, np.intp), np.empty(0, np.int8))


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Folds the signals of many rows; `gap_ms` without evidence breaks a run.

    `flap_high` and `flap_low` are shares of changes in percent. A fault open for longer than `max_age_ms` of event time
    is stale; 0: none ever is.
    """

    bounds: Bounds
    gap_ms: int
    max_age_ms: int = 0
    flap_high: float = 30.0
    flap_low: float = 5.0

    @classmethod
    def of(cls, bounds: Bounds, gap_ms: int, faults: FaultSettings, *, ages: bool) -> Self:
        """Return the life of faults as the settings want it; those of rules, for example, do not age."""
        return cls(bounds, gap_ms, faults.max_age if ages else 0, faults.flap_high, faults.flap_low)

    def step(
        self,
        rows: Rows,
        judged: NDArray[np.float64],
        surprise: NDArray[np.float64],
        begins: NDArray[np.int64],
        width: int,
        offsets_of: OffsetsOf,
        gaps_of: GapsOf | None = None,
    ) -> Happened:
        """Take one window of each row into the rows' state and return what is to be told.

        `judged` is what the bounds are about, `begins` the windows' starts and `width` their length, in ms.
        `offsets_of` is asked for the records of a few rows only, and `gaps_of` for their gaps, where `gap_ms` is not
        that of all.
        """
        bad = self.bounds.bad(judged)
        awake = np.flatnonzero((rows["state"] != NORMAL) | bad | (rows["history"] != 0))
        if len(awake):
            awake = awake[~np.isnan(judged[awake])]
        if not len(awake):
            return _NOTHING
        good = self.bounds.good(judged[awake])
        run = np.where(bad[awake], _BAD, np.where(good, _GOOD, _BETWEEN)).astype(np.int8)
        gaps = gaps_of(awake) if gaps_of else self.gap_ms
        window = _Window(begins[awake], begins[awake] + width, offsets_of(awake), gaps)
        return self._advance(rows, awake, run, surprise[awake], window)

    def follow(
        self,
        rows: Rows,
        judged: NDArray[np.float64],
        surprise: NDArray[np.float64],
        begins: NDArray[np.int64],
        width: int,
    ) -> NDArray[np.bool_]:
        """Take n windows of one row, one after the other; say after which of them its fault is open.

        Of a row that is normal, windows that are not bad do nothing but age its history; of one with a fault that has
        been open for some windows, bad ones that are no worse do nothing but last. Either are taken at once.
        """
        is_open = np.zeros(len(judged), dtype=bool)
        is_bad = self.bounds.bad(judged)
        bad, breaks = np.flatnonzero(is_bad), np.flatnonzero(~self._goes_on(is_bad, begins, width))
        known = np.concatenate([[0], np.cumsum(~np.isnan(judged))])
        place = 0
        while place < len(judged):
            if rows["state"][0] == NORMAL and rows["side"][0] == 0:
                following = _first_from(bad, place, len(judged))
                age = min(int(known[following] - known[place]), WINDOWS_KEPT)
                rows["history"][0] = (int(rows["history"][0]) << age) & int(_KEPT)
                place = following
            elif self._only_lasts(rows):
                following = _first_from(breaks, place, len(judged))
                worse = np.flatnonzero(surprise[place:following] >= NOTABLY * rows["reported"][0])
                following = place + int(worse[0]) if len(worse) else following
                is_open[place:following] = True
                rows["last"][0] = begins[following - 1] + width if following > place else rows["last"][0]
                place = following
            if place == len(judged):
                break
            one = slice(place, place + 1)
            self.step(rows, judged[one], surprise[one], begins[one], width, np.zeros_like)
            is_open[one] = rows["state"][0] >= _OPEN
            place += 1
        return is_open

    def _goes_on(self, bad: NDArray[np.bool_], begins: NDArray[np.int64], width: int) -> NDArray[np.bool_]:
        """Say which windows prolong a run of bad ones, as the window before them does."""
        goes_on = bad.copy()
        goes_on[:1] = False
        steps = np.diff(begins)
        goes_on[1:] &= bad[:-1] & (steps >= 0) & (steps - width <= self.gap_ms)
        return goes_on

    def _only_lasts(self, rows: Rows) -> bool:
        """Say whether the only row has a fault that is open and bad, has not changed sides of late, and never ages."""
        is_bad = rows["state"][0] == _OPEN and rows["run"][0] == _BAD and rows["side"][0] == 1
        return bool(is_bad and rows["history"][0] == 0 and self.flap_high > 0.0 and not self.max_age_ms)

    def _advance(
        self,
        rows: Rows,
        awake: NDArray[np.intp],
        run: NDArray[np.int8],
        surprise: NDArray[np.float64],
        window: _Window,
    ) -> Happened:
        signal = self._signals(rows, awake, run, window)
        state = rows["state"][awake]
        emits = self._emissions(state, signal, surprise, rows["reported"][awake])
        following = _NEXT[state, signal]
        begun = (state <= _PENDING) & (following >= _OPEN)
        rows["opened"][awake] = np.where(begun, window.ends, rows["opened"][awake])
        rows["state"][awake] = following
        told = np.flatnonzero(emits)
        over = (emits[told] == _RESOLVED) | (emits[told] == _EXPIRED)
        rows["reported"][awake[told]] = np.where(over, 0.0, surprise[told])
        return Happened(awake[told], emits[told])

    def _signals(self, rows: Rows, awake: NDArray[np.intp], run: NDArray[np.int8], window: _Window) -> NDArray[np.int8]:
        """Return each row's signal, and remember the run, and the change of sides, that it makes."""
        begins, ends, last = window.begins, window.ends, rows["last"][awake]
        is_new = (run != rows["run"][awake]) | (begins - last > window.gaps) | (ends < last)
        since = np.where(is_new, begins, rows["since"][awake])
        held = self._held(run, ends - since)
        rows["run"][awake], rows["since"][awake], rows["last"][awake] = run, since, ends
        rows["first"][awake] = np.where(is_new, window.offsets, rows["first"][awake])
        signal: NDArray[np.int8] = run + held.astype(np.int8)
        again = self._changing(rows, awake, run, held) & held
        signal[again] = np.where(run[again] == _BAD, _BAD_AGAIN, _GOOD_AGAIN)
        if self.max_age_ms:
            old = (rows["state"][awake] >= _OPEN) & (ends - rows["opened"][awake] > self.max_age_ms)
            signal[old & (signal != _GOOD_HELD)] = _STALE
        return signal

    def _held(self, run: NDArray[np.int8], lasted: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say of which rows the bad or good run has lasted as long as it must."""
        bad = (run == _BAD) & (lasted >= self.bounds.open_hold)
        good = (run == _GOOD) & (lasted >= self.bounds.clear_hold)
        held: NDArray[np.bool_] = bad | good
        return held

    def _changing(
        self, rows: Rows, awake: NDArray[np.intp], run: NDArray[np.int8], held: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Add this window to the rows' histories, and say which of them change sides too often."""
        before = rows["side"][awake]
        side = np.where(held, (run == _BAD).astype(np.int8), before)
        history = ((rows["history"][awake] << 1) | (side != before)) & _KEPT
        rows["side"][awake], rows["history"][awake] = side, history
        bound = np.where(rows["state"][awake] == _FLAPPING, self.flap_low, self.flap_high)
        changing: NDArray[np.bool_] = flap_share(history) >= bound
        return changing

    @staticmethod
    def _emissions(
        state: NDArray[np.int8], signal: NDArray[np.int8], surprise: NDArray[np.float64], reported: NDArray[np.float64]
    ) -> NDArray[np.int8]:
        emits: NDArray[np.int8] = _EMITS[state, signal]
        was_open = (state == _OPEN) | (state == _RECOVERING)
        worse = was_open & (signal <= _BAD_HELD) & (surprise >= NOTABLY * reported)
        emits[worse] = _UPDATED
        return emits


def _first_from(places: NDArray[np.intp], begin: int, end: int) -> int:
    """Return the first of the ascending places from `begin` on, or `end`."""
    index = np.searchsorted(places, begin)
    return int(places[index]) if index < len(places) else end
