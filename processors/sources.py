"""What the windows stage keeps of one source: rounds of panes that are open, and panes of windows that are.

Rules, all in event time of the source itself:
  * a pane `[s, s + pane)` closes when a round at or after its end plus `grace` has come; wider windows close with
    the last pane they can have. Nothing else closes them: no tick, no other source;
  * a round for a pane that is closed is late: counted, and left out;
  * when a source changes its table, rounds that wait are carried over into a table that holds the series of both,
    until the widest window the change falls into is over; so no window is cut in two;
  * order within a pane is by event time, then by arrival.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mendline.processors.panes import COUNT, INCREASE, SECONDS, Panes, Rounds, aggregate, merge
from mendline.schemas.series import SeriesTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEVER = -(2**62)


class Shape(NamedTuple):
    """What windows there are, in ms: panes, then (width, hop) of each kind; tumbling ones hop by their width."""

    pane: int
    kinds: tuple[tuple[int, int], ...]
    grace: int
    quantiles: tuple[float, ...]

    @property
    def widest(self) -> int:
        """The widest window, in ms."""
        return max(width for width, _ in self.kinds)


class Entry(NamedTuple):
    """A window that closed: `kept` (ROWS or more, S) as in `panes`."""

    table: SeriesTable
    width: int
    start: int
    rounds: int
    late: int
    kept: NDArray[np.float64]


def counters_of(table: SeriesTable) -> NDArray[np.bool_]:
    """Return (S,) which series of the table are counters; worked out once for each table."""
    found = table.__dict__.get("counters")
    if found is None:
        found = table.__dict__["counters"] = np.array([one.kind == "counter" for one in table.series])
    return found  # type: ignore[no-any-return]


def relayout(values: NDArray[np.float64], old: SeriesTable, new: SeriesTable) -> NDArray[np.float64]:
    """Return the last axis of `values` moved from one table to another; NaN for series the old one does not have."""
    where = {one.label: number for number, one in enumerate(old.series)}
    columns = np.array([where.get(one.label, -1) for one in new.series], dtype=np.int64)
    there = columns >= 0
    out = np.full((*values.shape[:-1], len(new)), np.nan)
    out[..., there] = values[..., columns[there]]
    return out


@dataclass(slots=True)
class Source:
    """One source's open panes and windows.

    `epoch` and `sequence` are the highest seen, `newest` the highest event time (ms). `closed` is the end of the last
    closed pane. `waiting` holds rounds of open panes in order of arrival, `before` the round before them. `panes` holds
    closed panes that an open window may still need. `joined_until` is when a joined table is given up for `table`.
    """

    table: SeriesTable
    epoch: int = -1
    sequence: int = -1
    newest: int = NEVER
    uncounted: int = NEVER
    closed: int = NEVER
    late: dict[int, int] = field(default_factory=dict)
    skewed: int = 0
    seen: int = 0
    joined: SeriesTable | None = None
    joined_until: int = NEVER
    waiting: list[Rounds] = field(default_factory=list)
    before: Rounds | None = None
    panes: Panes | None = None

    @property
    def layout(self) -> SeriesTable:
        """The table that waiting rounds are laid out by."""
        return self.joined or self.table

    def take(self, table: SeriesTable, times: NDArray[np.int64], values: NDArray[np.float64], shape: Shape) -> None:
        """Add rounds that follow each other in arrival; those of closed panes are counted as late.

        Before a change of table `close` must have been called, so that it does not matter how rounds were batched.
        """
        if table is not self.table and table.digest != self.table.digest:
            self._change_table(table, int(times[0]), shape)
        if self.joined:
            values = relayout(values, table, self.joined)
        highest = np.maximum.accumulate(np.concatenate([[self.newest], times]))
        late = times < np.maximum((highest[:-1] - shape.grace) // shape.pane * shape.pane, self.closed)
        if late.any():
            for pane in (highest[:-1][late] // shape.pane * shape.pane).tolist():
                self.late[pane] = self.late.get(pane, 0) + 1
            times, values = times[~late], values[~late]
        if len(times):
            self.waiting.append(Rounds(times, values))
            self.newest = int(highest[-1])

    def _change_table(self, table: SeriesTable, time: int, shape: Shape) -> None:
        old = self.layout
        known = {one.label for one in table.series}
        gone = [one for one in old.series if one.label not in known]
        self.table = table
        self.joined = SeriesTable([*table.series, *gone]) if gone else None
        if gone:
            self.joined_until = (max(time, self.newest) // shape.widest + 1) * shape.widest
        self._lay_out_anew(old)

    def _lay_out_anew(self, old: SeriesTable) -> None:
        new = self.layout
        self.waiting = [Rounds(times, relayout(values, old, new)) for times, values in self.waiting]
        if self.before:
            self.before = Rounds(self.before.times, relayout(self.before.values, old, new))
        if self.panes:
            kept = relayout(self.panes.kept, old, new)
            # A series that was not there has no values, which is a count of 0 and not a missing one.
            for row in (COUNT, INCREASE, SECONDS):
                kept[:, row] = np.nan_to_num(kept[:, row], nan=0.0)
            self.panes = self.panes._replace(kept=kept)

    def close(self, shape: Shape) -> Iterator[Entry]:
        """Close what the newest round lets be closed and yield the windows, in order of their ends, narrow ones first."""
        until = (self.newest - shape.grace) // shape.pane * shape.pane
        if self.joined and self.closed < self.joined_until <= until:
            yield from self._close(self.joined_until, shape)
            old, self.joined = self.joined, None
            self._lay_out_anew(old)
        yield from self._close(until, shape)

    def _close(self, until: int, shape: Shape) -> Iterator[Entry]:
        if until <= self.closed:
            return
        after, self.closed = self.closed, until
        fresh = self._close_panes(until, shape) if self.waiting else None
        if fresh is not None:
            self.panes = fresh if self.panes is None else Panes(*map(_joined, zip(self.panes, fresh, strict=True)))
        if self.panes is not None:
            yield from sorted(self._windows(self.panes, after, until, shape), key=lambda one: (one.start + one.width, one.width))
            self._forget_panes(self.panes, until, shape)

    def _close_panes(self, until: int, shape: Shape) -> Panes | None:
        times = np.concatenate([rounds.times for rounds in self.waiting])
        values = np.concatenate([rounds.values for rounds in self.waiting])
        if len(times) > 1 and (np.diff(times) < 0).any():
            order = np.argsort(times, kind="stable")
            times, values = times[order], values[order]
        cut = int(np.searchsorted(times, until))
        self.waiting = [Rounds(times[cut:], values[cut:])] if cut < len(times) else []
        if not cut:
            return None
        before = self.before or Rounds(times[:0], values[:0])
        panes = aggregate(
            Rounds(times[:cut], values[:cut]), counters_of(self.layout), before, shape.pane, shape.quantiles
        )
        for number, start in enumerate(panes.starts.tolist() if self.late else ()):
            panes.late[number] = self.late.pop(start, 0)
        self.before = Rounds(times[cut - 1 : cut].copy(), values[cut - 1 : cut].copy())
        return panes

    def _windows(self, panes: Panes, after: int, until: int, shape: Shape) -> Iterator[Entry]:
        """Yield the windows that end after `after` and by `until`, of every kind."""
        for width, hop in shape.kinds:
            first = (max(after, int(panes.starts[0])) - width) // hop * hop + hop
            for start in range(first, min(int(panes.starts[-1]) + 1, until - width + 1), hop):
                low, high = np.searchsorted(panes.starts, (start, start + width)).tolist()
                if low < high and start + width > after:
                    rows = slice(low, high)
                    kept = panes.kept[low] if width == shape.pane else merge(panes.kept[rows])
                    rounds, late = int(panes.rounds[rows].sum()), int(panes.late[rows].sum())
                    yield Entry(self.layout, width, start, rounds, late, kept)

    def _forget_panes(self, panes: Panes, until: int, shape: Shape) -> None:
        needed = panes.starts > until - shape.widest
        if not needed.all():
            kept = Panes(*(column[needed] for column in panes))
            self.panes = kept if len(kept.starts) else None


def _joined(pair: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate(pair)
