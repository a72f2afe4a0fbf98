"""Generic checks of a detector, for the built-in ones and for those of outside authors; and a way to just run one.

    for check in check_detector(MyDetector, {"windows": 30}):
        check.run()          # raises CheckFailedError, which says what is wrong and how it was found

Each check proves itself in Mendline's own tests: there is a detector, bad on purpose, that must fail it.
"""

from __future__ import annotations

import gc
import tracemalloc
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from mendline.detectors.answers import BadScoresError, checked
from mendline.detectors.base import MAX_SURPRISE, Detector, Scores, Step
from mendline.detectors.grains import UNKNOWN
from mendline.detectors.registry import as_detector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.series import Series

WIDTH_MS = 10_000
BEGIN_MS = 1_700_000_000_000
SERIES = 6
HOUR_MS = 3_600_000
DAY = 24
"""Windows of an hour."""
EXTRA = 40
LONG_RUN = 2_000


class CheckFailedError(AssertionError):
    """A detector breaks the contract; the message says in what."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: call `run`, which raises CheckFailedError. `name` is a sentence about what must hold."""

    name: str
    run: Callable[[], None]


@dataclass
class Player:
    """A fresh detector with the state of `series` series, fed step by step with windows of `width_ms`."""

    cls: type[Detector]
    parameters: Mapping[str, Any]
    series: int
    columns: Sequence[Series] = ()
    width_ms: int = WIDTH_MS
    detector: Detector = field(init=False)
    state: dict[str, NDArray[Any]] = field(init=False)

    def __post_init__(self) -> None:
        """Make the detector and its state."""
        self.detector = self.cls(self.cls.Parameters.model_validate(dict(self.parameters)))
        self.state = {name: array.rows(self.series) for name, array in self.detector.arrays().items()}

    def step(self, values: NDArray[np.float64], number: int, rows: NDArray[np.intp] | None = None) -> Scores:
        """Feed window `number` of the series `rows` (default: all); return scores of the right shape.

        Raises BadScoresError.
        """
        state = self.state if rows is None else {name: array[rows] for name, array in self.state.items()}
        step = make_step(values, number, self.columns, self.width_ms)
        scores = checked(self.detector, self.detector.step(state, step), values)
        if rows is not None:
            for name, array in self.state.items():
                array[rows] = state[name]
        return scores

    def follow(self, values: NDArray[np.float64], first: int = 0) -> NDArray[np.float64]:
        """Feed the rows of `values` (windows, series), all windows of a series at once; return their surprises."""
        surprise = np.empty_like(values)
        for row in range(self.series):
            state = {name: array[row : row + 1].copy() for name, array in self.state.items()}
            windows = make_windows(values[:, row].copy(), first)
            surprise[:, row] = checked(self.detector, self.detector.follow(state, windows), windows.values).surprise
            for name, array in self.state.items():
                array[row : row + 1] = state[name]
        return surprise

    def play(self, values: NDArray[np.float64], first: int = 0) -> NDArray[np.float64]:
        """Feed the rows of `values` (windows, series) and return their surprises."""
        return np.array([self.step(row.copy(), first + number).surprise for number, row in enumerate(values)])

    def restored(self) -> Player:
        """Return another player with this one's state, after the way through bytes that a snapshot goes."""
        other = Player(self.cls, self.parameters, self.series, self.columns, self.width_ms)
        for name, array in self.state.items():
            packed = self.detector.pack(name, array)
            copied = np.frombuffer(packed.tobytes(), packed.dtype).reshape(packed.shape)
            other.state[name][...] = other.detector.unpack(name, copied)
        return other


def make_step(
    values: NDArray[np.float64], number: int, columns: Sequence[Series] = (), width_ms: int = WIDTH_MS
) -> Step:
    """Return a step of gauges in window `number`, of 10 s; every other statistic that is in use is the value too.

    Their unit is one of which nothing is known; `columns` are the series of a source.
    """
    length = len(values)
    return Step(
        values,
        np.full(length, BEGIN_MS + number * width_ms, dtype=np.int64),
        width_ms,
        np.zeros(length, dtype=bool),
        np.full(length, 10, dtype=np.int64),
        MappingProxyType(dict.fromkeys(("mean", "min", "max", "last"), values)),
        np.full(length, UNKNOWN),
        columns,
    )


def make_windows(values: NDArray[np.float64], first: int) -> Step:
    """Return successive windows of one series, from window number `first` on, as `make_step` makes one of each."""
    step = make_step(values, first)
    return replace(step, times=step.times + WIDTH_MS * np.arange(len(values)))


def run(cls: type[Any], parameters: Mapping[str, Any], values: Sequence[float]) -> Scores:
    """Return what a fresh detector answers to one series of values, window by window.

    Raises pydantic.ValidationError for wrong parameters, BadScoresError.
    """
    player = Player(as_detector(cls, cls.__name__), parameters, 1)
    windows = make_windows(np.array(values, dtype=np.float64), 0)
    return checked(player.detector, player.detector.follow(player.state, windows), windows.values)


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is checked: a detector with parameters, healthy values of many series, and one that is not healthy."""

    cls: type[Detector]
    parameters: Mapping[str, Any]
    healthy: NDArray[np.float64]
    anomaly: tuple[float, ...]
    columns: Sequence[Series] = ()

    def player(self, series: int = SERIES, width_ms: int = WIDTH_MS) -> Player:
        return Player(self.cls, self.parameters, series, self.columns, width_ms)

    @property
    def sources(self) -> NDArray[np.intp]:
        """The rows of each source: without columns each row is one of its own."""
        return np.arange(SERIES).reshape(-1, max(len(self.columns), 1))

    def scored(self, surprise: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the surprises (windows, series) of the series that are scored: with columns, the first of a source."""
        return surprise[:, self.sources[:, 0]]

    def wrong(self) -> NDArray[np.float64]:
        """Return the unhealthy windows (windows, series): with columns, of the first of each source alone."""
        values = np.resize(self.healthy, (len(self.anomaly), SERIES))
        values[:, self.sources[:, 0]] = np.array(self.anomaly)[:, np.newaxis]
        return values

    @property
    def warm_up(self) -> int:
        return self.player().detector.warm_up


def check_detector(
    cls: type[Any], parameters: Mapping[str, Any] | None = None, *, level: float = 50.0, spread: float = 2.0,
    anomaly: float | Sequence[float] = 500.0, columns: Sequence[Series] = (),
) -> Iterator[Check]:  # fmt: skip
    """Yield the checks of a detector, vectorised or per series.

    Healthy values are Gaussian with mean `level` and standard deviation `spread`; `anomaly` is a value, or the
    values of successive windows, of which the detector must find the last more surprising. `columns` are the series of
    a source (1, 2, 3 or 6) for a detector that looks at several together: these come and go as one, only the first
    must have a score, and only the first is unhealthy. Raises UnknownDetectorError when `cls` is no detector at all.
    """
    detector = as_detector(cls, getattr(cls, "__name__", repr(cls)))
    given = dict(parameters or {})
    windows = detector(detector.Parameters.model_validate(given)).warm_up + EXTRA
    healthy = np.random.default_rng(7).normal(level, spread, (windows, SERIES))
    wrong = tuple(anomaly) if isinstance(anomaly, Sequence) else (anomaly,)
    subject = _Subject(detector, given, healthy, wrong, columns)
    for name, check in _CHECKS.items():
        yield Check(name, partial(_guarded, check, subject))


def _guarded(check: Callable[[_Subject], None], subject: _Subject) -> None:
    """Run a check so that warnings, errors and wrong shapes count as failures of it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check(subject)
    except CheckFailedError:
        raise
    except BadScoresError as error:
        raise CheckFailedError(str(error)) from error
    except Exception as error:
        msg = f"it raised {type(error).__name__}: {error}"
        raise CheckFailedError(msg) from error


def _same(one: NDArray[np.float64], other: NDArray[np.float64], when: str) -> None:
    if one.tobytes() != other.tobytes():
        different = np.argwhere(~((one == other) | (np.isnan(one) & np.isnan(other))))
        window, series = (different[0].tolist() if len(different) else [0, 0])[:2]
        numbers = f"{one[window, series]} and {other[window, series]}"
        msg = f"surprises differ {when}: first in window {window}, series {series}: {numbers}"
        raise CheckFailedError(msg)


def _hold(holds: object, message: str) -> None:
    if not holds:
        raise CheckFailedError(message)


def _input_is_not_changed(subject: _Subject) -> None:
    player = subject.player()
    for number, values in enumerate(subject.healthy):
        step = make_step(values.copy(), number, subject.columns)
        before = {name: getattr(step, name).copy() for name in ("values", "times", "counters", "rounds")}
        player.detector.step(player.state, step)
        for name, array in before.items():
            _hold(np.array_equal(array, getattr(step, name)), f"step.{name} was changed in window {number}")


def _nan_until_ready(subject: _Subject) -> None:
    surprise = subject.scored(subject.player().play(subject.healthy))
    if subject.warm_up:
        _hold(
            np.isnan(surprise[0]).all(), f"it scores the first value it ever sees: {surprise[0][0]}; NaN is 'not ready'"
        )
    ready = surprise[subject.warm_up :]
    _hold(not np.isnan(ready).any(), f"it is not ready after {subject.warm_up} windows, its declared warm-up")
    _hold(((ready >= 0) & (ready <= MAX_SURPRISE)).all(), f"surprise is outside of 0 to {MAX_SURPRISE:g}")


def _prefix(subject: _Subject) -> None:
    half = len(subject.healthy) // 2
    whole = subject.player().play(subject.healthy)
    other = subject.healthy.copy()
    other[half:] = subject.anomaly[-1]
    _same(whole[:half], subject.player().play(other)[:half], "when only later values are others")
    _same(whole, subject.player().play(subject.healthy), "when a fresh detector sees the same again")


def _split(subject: _Subject) -> None:
    whole, single = subject.player().play(subject.healthy), subject.player()
    alone = np.empty_like(whole)
    for number, values in enumerate(subject.healthy):
        for rows in subject.sources:
            alone[number, rows] = single.step(values[rows], number, rows).surprise
    _same(whole, alone, "when each source comes in a step of its own")


def _seasons(subject: _Subject) -> None:
    # What is learned of a day shows only where there are days, and series that have one each.
    hours = np.arange(len(subject.healthy))[:, np.newaxis]
    waves = np.sin(2.0 * np.pi * (hours / DAY + np.arange(SERIES) / SERIES))
    values, rows = subject.healthy + 10.0 * subject.healthy.std() * waves, subject.sources[-1]
    whole = subject.player(width_ms=HOUR_MS).play(values)[:, rows]
    alone = subject.player(len(rows), HOUR_MS).play(values[:, rows])
    _same(whole, alone, "of the last source when it is alone, in windows of an hour")


def _follow(subject: _Subject) -> None:
    if subject.columns:
        return  # Only a file is followed, and it has one series.
    values = subject.healthy.copy()
    values[len(values) // 3], values[len(values) // 2] = np.nan, subject.anomaly[-1]
    whole, at = subject.player().play(values), len(values) // 2 + 1
    followed = subject.player()
    parts = [
        followed.follow(values[:at]),
        followed.follow(values[at : at + 1], at),
        followed.follow(values[at + 1 :], at + 1),
    ]
    _same(whole, np.concatenate(parts), "when many windows of a series are scored at once")


def _order(subject: _Subject) -> None:
    order = subject.sources[::-1].reshape(-1)
    turned = subject.player().play(subject.healthy[:, order].copy())
    expected = subject.player().play(subject.healthy)[:, order].copy()
    _same(expected, turned, "when series are in another order")


def _come_and_go(subject: _Subject) -> None:
    sources, first = subject.sources, subject.sources[0]
    together, expected = subject.player(), subject.player(len(first))
    mine = []
    for number, values in enumerate(subject.healthy):
        there = np.arange(len(sources))
        rows = sources[(there <= number) & ((there == 0) | (number % 3 > 0))].reshape(-1)
        mine.append(together.step(values[rows], number, rows).surprise[: len(first)])
    alone = expected.play(subject.healthy[:, first])
    _same(alone, np.array(mine), "when other series come and go")


def _restore(subject: _Subject) -> None:
    for at in {1, len(subject.healthy) // 2, max(len(subject.healthy) - 5, 1)}:
        player = subject.player()
        player.play(subject.healthy[:at])
        restored = player.restored()
        _same(
            player.play(subject.healthy[at:], at), restored.play(subject.healthy[at:], at), f"after a restore at {at}"
        )


def _memory(subject: _Subject) -> None:
    player = subject.player()
    values = np.tile(subject.healthy, (LONG_RUN // len(subject.healthy) + 1, 1))[:LONG_RUN]
    sizes = {name: array.nbytes for name, array in player.state.items()}
    player.play(values[: LONG_RUN // 2])
    tracemalloc.start()
    try:
        # What takes the place of something is not growth: so both must have been made while it was counted.
        player.play(values[LONG_RUN // 2 :], LONG_RUN // 2)
        before = _traced()
        for number, row in enumerate(values):
            player.step(row, LONG_RUN + number)
        grown = _traced() - before
    finally:
        tracemalloc.stop()
    # A detector that kept each value would need 8 bytes for it; caches of libraries that fill slowly need up to 15 kB.
    _hold(grown < 4 * values.size, f"it grew by {grown} bytes over {LONG_RUN} windows of {SERIES} series")
    _hold(sizes == {name: array.nbytes for name, array in player.state.items()}, "its arrays changed their size")
    player.restored()


def _traced() -> int:
    """Return the bytes in use that were allocated since tracing began; cycles that wait to be collected are in none."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _rank(subject: _Subject) -> None:
    player = subject.player()
    usual = subject.scored(player.play(subject.healthy))[subject.warm_up :]
    unusual = subject.scored(player.play(subject.wrong(), len(subject.healthy)))[-1]
    highest = float(np.quantile(usual, 0.95))
    told = f"{subject.anomaly[-1]:g} scores {unusual.min():.3g}, healthy values up to {highest:.3g}"
    _hold((unusual > highest).all(), told)


def _hostile(subject: _Subject) -> None:
    for value in (0.0, 1.0, 1e308, -1e308, 5e-324, np.nan, np.inf, -np.inf):
        player = subject.player()
        player.play(subject.healthy)
        player.step(np.empty(0), len(subject.healthy), np.empty(0, dtype=np.intp))
        surprise = player.play(np.full((2 * EXTRA, SERIES), value))
        known = surprise[~np.isnan(surprise)]
        _hold(
            ((known >= 0) & (known <= MAX_SURPRISE)).all(), f"{value:g} scores {known.max(initial=0):g}, not 0 to 300"
        )
        missing = np.isnan(value) and not player.detector.judges_missing
        _hold(not (missing and len(known)), f"NaN scores {known[:1]}; no value has no score")
        after = subject.scored(player.play(np.tile(subject.healthy, (3, 1))))[-EXTRA:]
        _hold(not np.isnan(after).any(), f"it never recovers from {value:g}: healthy values have no score any more")
    _alternating(subject)


def _alternating(subject: _Subject) -> None:
    player = subject.player()
    wild = np.resize([1e308, -1e308, np.nan, np.inf, 5e-324, -np.inf, 0.0], (subject.warm_up + EXTRA, SERIES))
    surprise = player.play(wild)
    known = surprise[~np.isnan(surprise)]
    _hold(((known >= 0) & (known <= MAX_SURPRISE)).all(), "wild values score outside of 0 to 300")


_CHECKS: Mapping[str, Callable[[_Subject], None]] = MappingProxyType({
    "The input is not changed": _input_is_not_changed,
    "Surprise is NaN until the detector is ready, and from 0 to 300 after its declared warm-up": _nan_until_ready,
    "The beginning of the input gives the beginning of the output, whatever follows, each time": _prefix,
    "It does not matter how many series are in a step": _split,
    "Nor over days, where each series has a season of its own": _seasons,
    "Many windows of one series at once score as one by one": _follow,
    "The order of series does not matter": _order,
    "Series may appear and vanish: what one scores depends on its own windows only": _come_and_go,
    "State that was written down and read again gives the same scores, to the last bit": _restore,
    "Memory stays what was declared, however long it runs": _memory,
    "What is not healthy is more surprising than what is": _rank,
    "Constant, huge, tiny, NaN, infinite and no input do no harm, then and later": _hostile,
})  # fmt: skip
