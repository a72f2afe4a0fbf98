"""Which rounds count, and in which order: repeats, clocks that run ahead, late rounds. Per source, in log order.

  * Of a source that counts, a round is new when its (epoch, sequence) is above the highest so far. A lower epoch is
    followed only if the round is younger in event time than all before (the source lost its state); otherwise it is
    dropped, as is a lower sequence. Of a source that does not count, a round must be younger than all before.
  * A round more than `LONGEST_LEAD_MS` ahead of its append time is taken at its append time.
  * A round is late when its pane has closed: when a round at or after the pane's end plus grace came before it. It is
    left out, and counted in the window of the newest round.
  * A pane takes `MOST_ROUNDS` rounds (a source whose clock stands still must not fill the memory); more are left out.

Most sources send rounds in order, which is checked for all of them at once; only the others are looked at one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

LONGEST_LEAD_MS = 60_000
MOST_ROUNDS = 36_000
NEVER = -(2**62)

MARKS = {"epoch": -1, "sequence": -1, "time": -1, "loose": -1, "newest": NEVER, "seen": 0}
TALLIES = ("repeats", "went_back", "late", "ahead", "excess")


class Arrivals(NamedTuple):
    """Rounds in order of source, then arrival (or time): each field (N,) int64.

    `block` and `row` tell where the values are, `place` the position in the batch; `time` is event time in ms.
    """

    source: Ints
    epoch: Ints
    sequence: Ints
    time: Ints
    place: Ints
    block: Ints
    row: Ints

    def pick(self, which: NDArray[np.bool_] | Ints) -> Arrivals:
        """Return some of them."""
        return Arrivals(*(column[which] for column in self))


class Numbers(dict[str, int]):
    """Sources by name, as small numbers; an unknown name is given the next free one."""

    def __init__(self, marks: Marks) -> None:
        """Give out the numbers of `marks`."""
        super().__init__()
        self._marks = marks

    def __missing__(self, name: str) -> int:
        number = self[name] = self._marks.make(name)
        return number


@dataclass(slots=True)
class Marks:
    """How far each source has come: an array per field of `MARKS` and `TALLIES`, by number of the source.

    `epoch` and `sequence` are the highest, `time` the newest event time of counted rounds and `loose` that of others;
    `newest` is that of all, `seen` the log time of the last round.
    """

    arrays: dict[str, Ints] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    numbers: Numbers = field(init=False)
    _free: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with no source."""
        self.numbers = Numbers(self)
        self.arrays = {name: np.empty(0, np.int64) for name in (*MARKS, *TALLIES)}

    def make(self, name: str) -> int:
        """Return a number for a new source."""
        number = self._free.pop() if self._free else len(self.names)
        if number == len(self.names):
            self.names.append(name)
            if number == len(self.arrays["epoch"]):
                self.arrays = {key: np.resize(old, 2 * number + 16) for key, old in self.arrays.items()}
        self.names[number] = name
        self.reset(number)
        for key in TALLIES:
            self.arrays[key][number] = 0
        return number

    def reset(self, number: int) -> None:
        """Forget how far the source has come."""
        for key, value in MARKS.items():
            self.arrays[key][number] = value

    def drop(self, number: int) -> None:
        """Forget the source; its number may be given to another."""
        del self.numbers[self.names[number]]
        self._free.append(number)

    def closed_panes(self, sources: Ints | int, pane_ms: int, grace_ms: int) -> Ints:
        """Return the number of the oldest pane that is open for each source; those below are closed."""
        closed: Ints = (self.arrays["newest"][sources] - grace_ms) // pane_ms
        return closed


def firsts(keys: Ints) -> NDArray[np.bool_]:
    """Say of each element whether it differs from the one before it."""
    new = np.ones(len(keys), bool)
    np.not_equal(keys[1:], keys[:-1], out=new[1:])
    return new


def _before(values: Ints, known: Ints, new: NDArray[np.bool_]) -> Ints:
    """Return of each value the one before it of the same source; of its first one what was known before."""
    out = np.empty_like(values)
    out[1:] = values[:-1]
    out[new] = known
    return out


@dataclass(slots=True)
class Gate:
    """Lets rounds in. `opened` tells how many rounds a pane of a source has already: by (source, pane)."""

    marks: Marks
    pane_ms: int
    grace_ms: int
    late: dict[tuple[int, int], int] = field(default_factory=dict)

    def admit(self, rounds: Arrivals, append_times: Ints, opened: dict[int, dict[int, int]]) -> Arrivals:
        """Return the rounds that count, by source and time, with the time each is taken at; move the marks on.

        `rounds` are by source and arrival, `append_times` (ms) by position in the batch.
        """
        marks = self.marks.arrays
        limit = append_times[rounds.place] + LONGEST_LEAD_MS
        ahead = rounds.time > limit
        if ahead.any():
            np.add.at(marks["ahead"], rounds.source[ahead], 1)
            rounds = rounds._replace(time=np.where(ahead, limit - LONGEST_LEAD_MS, rounds.time))
        new = firsts(rounds.source)
        regular = self._regular(rounds, new)
        if regular.all():
            self._move_on(rounds, new)
            return rounds
        odd = np.isin(rounds.source, rounds.source[~regular])
        self._move_on(rounds.pick(~odd), new[~odd])
        keep = ~odd
        keep[odd] = [self._take(*one, opened) for one in _rows(rounds.pick(odd))]
        kept = rounds.pick(keep)
        return kept.pick(np.lexsort((kept.place, kept.time, kept.source)))

    def _regular(self, rounds: Arrivals, new: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Say of each round whether it follows the one before of its source in count and in time."""
        known = {name: values[rounds.source[new]] for name, values in self.marks.arrays.items() if name in MARKS}
        epoch = _before(rounds.epoch, known["epoch"], new)
        sequence = _before(rounds.sequence, known["sequence"], new)
        time = _before(rounds.time, known["newest"], new)
        counted = (rounds.epoch > epoch) | ((rounds.epoch == epoch) & (rounds.sequence > sequence))
        regular: NDArray[np.bool_] = counted & (rounds.epoch >= 0) & (rounds.time >= time)
        return regular

    def _move_on(self, rounds: Arrivals, new: NDArray[np.bool_]) -> None:
        if not len(rounds.source):
            return
        last = np.append(new[1:], True)
        marks, sources = self.marks.arrays, rounds.source[last]
        marks["epoch"][sources] = rounds.epoch[last]
        marks["sequence"][sources] = rounds.sequence[last]
        marks["newest"][sources] = rounds.time[last]
        marks["time"][sources] = np.maximum(marks["time"][sources], rounds.time[last])

    def _take(self, source: int, epoch: int, sequence: int, time: int, opened: dict[int, dict[int, int]]) -> bool:
        """Judge one round of a source out of order, as the rules say."""
        marks = self.marks.arrays
        why_not = self._order(source, epoch, sequence, time)
        if why_not:
            marks[why_not][source] += 1
            return False
        newest, pane = int(marks["newest"][source]), time // self.pane_ms
        if pane < (newest - self.grace_ms) // self.pane_ms:
            marks["late"][source] += 1
            place = (source, newest // self.pane_ms)
            self.late[place] = self.late.get(place, 0) + 1
            return False
        marks["newest"][source] = max(newest, time)
        mine = opened[source]
        mine[pane] = mine.get(pane, 0) + 1
        marks["excess"][source] += mine[pane] > MOST_ROUNDS
        return mine[pane] <= MOST_ROUNDS

    def _order(self, source: int, epoch: int, sequence: int, time: int) -> str:
        """Return under which tally a round is dropped, or nothing when it is new; move the marks on."""
        marks = self.marks.arrays
        if epoch < 0:
            fresh = time > marks["loose"][source]
            marks["loose"][source] = max(time, int(marks["loose"][source]))
            return "" if fresh else "repeats"
        highest = (int(marks["epoch"][source]), int(marks["sequence"][source]))
        younger = time > marks["time"][source]
        marks["time"][source] = max(time, int(marks["time"][source]))
        if (epoch, sequence) > highest or (younger and epoch != highest[0]):
            marks["epoch"][source], marks["sequence"][source] = epoch, sequence
            marks["went_back"][source] += epoch < highest[0]
            return ""
        return "went_back" if younger else "repeats"


def _rows(rounds: Arrivals) -> Iterator[tuple[int, int, int, int]]:
    return zip(
        rounds.source.tolist(), rounds.epoch.tolist(), rounds.sequence.tolist(), rounds.time.tolist(), strict=True
    )
