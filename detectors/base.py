"""The contract of a detector: what it is handed, what it answers, what it keeps.

One scale holds for all: *surprise* is -log10 of the probability that a healthy series does this, from 0 to
`MAX_SURPRISE`. A rule answers 0 (obeyed) or `MAX_SURPRISE` (violated). NaN says "not ready" or "no value", never 0.

A detector scores before it learns. It sees one window of each series at a time, never the data set, a file's name or
the future, and it keeps nothing but the arrays it declares. It reads no clock, no file, and draws no random numbers
but from a seed among its parameters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from mendline.schemas.base import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.series import Series
    from mendline.schemas.settings import Condition

MAX_SURPRISE = 300.0
"""The largest surprise: 10^-300 is near the smallest probability a double can hold."""

Rows = MutableMapping[str, "NDArray[Any]"]
"""State of the series of one step: for each declared array its rows, in the order of the step's values."""


class NoParameters(Frozen):
    """For a detector that has nothing to set."""


@dataclass(frozen=True, slots=True)
class StateArray:
    """One named array of a detector's state: for each series `shape` elements of `dtype`, at first all `fill`."""

    dtype: str = "float64"
    shape: tuple[int, ...] = ()
    fill: float | None = 0

    def rows(self, *lengths: int) -> NDArray[Any]:
        """Return fresh rows; with several `lengths`, as an array of that many leading axes."""
        if self.fill == 0:
            # Zeros come from the system as they are: what no source uses yet takes no memory.
            return np.zeros((*lengths, *self.shape), dtype=self.dtype)
        return np.full((*lengths, *self.shape), self.fill, dtype=self.dtype)

    @property
    def bytes_per_series(self) -> int:
        """What one series costs (an object counts as its pointer: see `PerSeries` for its own bound)."""
        return int(np.dtype(self.dtype).itemsize * np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Step:
    """One window of each of n series, each series once; arrays are read-only, and nothing here outlives the step.

    `values` (n,) float64 is the statistic the settings chose, in the series' own unit; NaN where the window held no
    value. `times` (n,) int64 is the window's start in ms since the Unix epoch, UTC. `width_ms` is its length; 0 means
    single rounds. `counters` (n,) bool marks series whose metric is a counter. `rounds` (n,) int64 is how many
    collection rounds the window held. `statistics` gives every other statistic of the same windows by name (`count`,
    `mean`, `std`, `min`, `max`, `last`, `sum`, `rate`, quantiles such as `p99`), each (n,) float64, made when asked.
    `grains` (n,) float64 is the least standard deviation that counts, by the series' unit (`grains.grain`). `columns`
    are the c series of one source; the sources of a step have the same ones, and lie one after the other: row r is
    about `columns[r % c]`. Empty where nobody knows what the series are, as in a file of values. `faulty` (n,) bool
    marks series about which the detector has a fault that is open or about to open; None where nobody knows.
    """

    values: NDArray[np.float64]
    times: NDArray[np.int64]
    width_ms: int
    counters: NDArray[np.bool_]
    rounds: NDArray[np.int64]
    statistics: Mapping[str, NDArray[np.float64]]
    grains: NDArray[np.float64]
    columns: Sequence[Series] = ()
    faulty: NDArray[np.bool_] | None = None

    def window(self, place: int) -> Step:
        """Return the window at a place as a step of its own."""
        return self.part(slice(place, place + 1))

    def part(self, one: slice) -> Step:
        """Return the windows of a slice as a step of their own."""
        return Step(
            self.values[one],
            self.times[one],
            self.width_ms,
            self.counters[one],
            self.rounds[one],
            {name: array[one] for name, array in self.statistics.items()},
            self.grains[one],
            self.columns,
            None if self.faulty is None else self.faulty[one],
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """What a detector answers, each (n,) float64 in the order of the step's values.

    `surprise`: 0 to `MAX_SURPRISE`, NaN = not ready. `low` and `high`: the range a healthy value would have had, in
    the values' unit. `measure`: what the settings' `open` and `clear` compare, where that is not the surprise.
    """

    surprise: NDArray[np.float64]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None
    measure: NDArray[np.float64] | None = None


class Detector(ABC):
    """One algorithm, vectorised over series. An author writes `arrays` and `step`, and `Parameters` if there are any.

    The instance holds its parameters and nothing else: all that is learned lies in the arrays. `warm_up` is the number
    of windows after which a fresh series is scored as a long-known one would be; it is what is read again when it is
    new or its settings change. `kind` is the word for a fault it finds, unless the settings give another. `judges` says
    what `open` and `clear` of the settings compare: the surprise, or `Scores.measure`.

    One that `judges_missing` answers where there is no value as well. It is also handed, as windows without a value and
    without other statistics, the series that a source had and has no more, for a day after the last; and its faults age
    as those of the unusual do.
    """

    Parameters: ClassVar[type[Frozen]] = NoParameters
    kind: ClassVar[str] = "unusual"
    judges: ClassVar[Literal["surprise", "measure"]] = "surprise"
    judges_missing: ClassVar[bool] = False
    warm_up: int = 0

    def __init__(self, parameters: Any) -> None:
        """Keep the parameters, an instance of the class's `Parameters`."""
        self.parameters = parameters

    @abstractmethod
    def arrays(self) -> Mapping[str, StateArray]:
        """Return the state it keeps for each series: its whole memory. Called once."""

    @abstractmethod
    def step(self, state: Rows, step: Step) -> Scores:
        """Score one window of each series, then learn from it, by changing the rows of `state` in place.

        Called on one thread at a time, with any number of series, from none up, in any order; must not block. Series
        that are not in the step had no window: their rows are left as they are. Raising switches the detector off.
        """

    def follow(self, state: Rows, windows: Step) -> Scores:
        """Score n windows of one series, one after the other, as n calls of `step` would; `state` has a single row.

        What a file is scored with. Overridden where many windows at once cost less than one by one; the answers and
        the state afterwards must be the same to the bit.
        """
        answers = [self.step(state, windows.window(place)) for place in range(len(windows.values))]
        return joined(answers)

    def looks_at(self, series: Series) -> bool:
        """Say whether it looks at a series that the settings match; of others it is never told."""
        del series
        return True

    def words(self, step: Step, scores: Scores, row: int) -> str:
        """Return what it saw in a row of the step that opens, changes or ends a fault, beside the numbers; or nothing.

        Called right after `step`, with what that returned, for few rows.
        """
        del step, scores, row
        return ""

    def opens(self) -> Condition | None:
        """Return when a fault opens if the settings do not say; None: by the budget of false faults."""
        return None

    def pack(self, name: str, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the rows of array `name` as plain numbers, for a snapshot."""
        return rows

    def unpack(self, name: str, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the rows that `pack` was given."""
        return rows


def joined(answers: Sequence[Scores]) -> Scores:
    """Return the answers to successive windows as one."""
    return Scores(*(_joined(answers, name) for name in ("surprise", "low", "high", "measure")))  # type: ignore[arg-type]


def _joined(answers: Sequence[Scores], name: str) -> NDArray[np.float64] | None:
    given = [array for answer in answers if (array := getattr(answer, name)) is not None]
    return np.concatenate([np.empty(0), *given]) if given or name == "surprise" else None
