"""Runs a back-test: what was recorded is read once, then each side finds its faults, and decides about them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mendline.backtesting.comparing import Comparison, Side, counts, courses_of, side_of
from mendline.backtesting.deciding import Decided, Play
from mendline.backtesting.deciding import Side as Deciding
from mendline.backtesting.detection import Detected, Kind, detect
from mendline.backtesting.past import Past, Period, read_past
from mendline.backtesting.quality import Quality, Truth, quality
from mendline.backtesting.windows import make_windows, with_windows
from mendline.cases.parallel import in_parallel
from mendline.replaying.inputs import Source, Wanted
from mendline.replaying.stages import Stages

if TYPE_CHECKING:
    from mendline.backtesting.stretches import Stretch
    from mendline.backtesting.windows import Made
    from mendline.dumps.recording import Recording
    from mendline.schemas.records import Order
    from mendline.schemas.settings import Settings

Opened = Callable[[], AbstractContextManager["Recording"]]
"""Opens the recording: each process has its own connection."""
Tell = Callable[[int], None]
FEW = 2
"""So many sides are decided about in one process."""
AT_ONCE = 20
"""So many settings are tried with one reading of the recording: each has a state of its own."""
Given = TypeVar("Given")
Found = TypeVar("Found")


class Candidate(NamedTuple):
    """Settings, and what they are called; None: those that counted, with the faults that were recorded."""

    name: str
    settings: Settings | None


@dataclass(frozen=True)
class Terms:
    """What is asked: the append times (ms; None: no bound), and what else the new sides are played with.

    `orders` and `without` are the new sides' own, see `Play`; `mending` is taken of both.
    `incidents` are all that were, if that is known.
    """

    begin: int | None = None
    end: int | None = None
    orders: Sequence[Order] = ()
    without: frozenset[str] = frozenset()
    mending: bool = False
    incidents: Sequence[Stretch] | None = None
    processes: int = 1


@dataclass(frozen=True)
class Backtest:
    """What came out: the side that is compared with, and the new ones.

    `ran` counts actions that were really begun, `truth` is what people know.
    """

    terms: Terms
    period: Period
    before: Side
    after: Sequence[Side]
    ran: int
    truth: Truth

    def quality(self, side: Side) -> Quality:
        """Return how good a side's faults are."""
        return self._qualities[id(side)]

    @cached_property
    def _qualities(self) -> Mapping[int, Quality]:
        return {id(one): quality(one, self.truth) for one in (self.before, *self.after)}

    @cached_property
    def is_known(self) -> bool:
        """Whether people know of any fault or incident what it was."""
        return any(self.quality(one).is_known for one in (self.before, *self.after))

    def values(self, comparison: Comparison) -> dict[str, float | None]:
        """Return what can be counted and measured of a comparison, by `NAMES`; None of what is not known."""
        return {**counts(comparison), **self.quality(comparison.after).figures()}

    def comparisons(self) -> Sequence[Comparison]:
        """Return each new side compared."""
        return self._comparisons

    @cached_property
    def _comparisons(self) -> Sequence[Comparison]:
        return [Comparison(self.before, one) for one in self.after]


def fitted(settings: Settings, recording: Recording, prefix: str) -> Settings:
    """Return the settings with topics as the recording has them: its names, and its partitions of rounds."""
    topics = settings.topics.model_copy(update={"prefix": prefix})
    count = recording.topics().get(topics.topic("metrics"), topics.partitions)
    return settings.model_copy(update={"topics": topics.model_copy(update={"partitions": count})})


def backtest(
    opened: Opened, reference: Candidate, candidates: Sequence[Candidate], terms: Terms, tell: Tell = lambda _: None
) -> Backtest:
    """Return what would have been different under the candidates' settings.

    Raises ReplayError, DetectorError, LogError, DumpError.
    """
    return _Run(opened, [reference, *candidates], terms, tell).go()


class _Run:
    """The steps, each in as many processes as are wanted."""

    def __init__(self, opened: Opened, candidates: Sequence[Candidate], terms: Terms, tell: Tell) -> None:
        self._opened, self._candidates, self._terms, self._tell = opened, candidates, terms, tell

    def go(self) -> Backtest:
        with TemporaryDirectory(prefix="mendline-") as folder:
            with self._sources(self._distinct().values()) as sources:
                past = read_past(Stages.anew(sources[0]))
                made = make_windows(sources, Path(folder), self._tell)
            detected = self._detected(made, past.period)
        decided = self._decided(past, detected)
        sides = [self._side(number, past, detected, one) for number, one in enumerate(decided)]
        truth = Truth(past.period, courses_of(past.heard), past.labels, self._terms.incidents)
        return Backtest(self._terms, past.period, sides[0], sides[1:], past.ran, truth)

    def _distinct(self) -> dict[Kind, Settings]:
        """Return the settings by what their faults depend on, one of each kind."""
        return {Kind.of(one.settings): one.settings for one in self._candidates if one.settings}

    @contextmanager
    def _sources(self, settings: Iterable[Settings]) -> Iterator[list[Source]]:
        """Give the recording as each of the settings reads it, under the names and partitions that it has."""
        with self._opened() as recording:
            yield [with_windows(Source(recording, one, self._wanted)) for one in settings]

    @property
    def _wanted(self) -> Wanted:
        return Wanted(begin=self._terms.begin, end=self._terms.end)

    def _detected(self, made: Made, period: Period) -> dict[Kind, Detected]:
        distinct = list(self._distinct().items())
        # A process that is a copy cannot move the bar of this one, whose lock it may have found taken.
        tell = self._tell if self._processes_for(distinct) == 1 else _nobody
        return dict(self._in_processes(partial(self._detect, made, period, tell), distinct))

    def _detect(
        self, made: Made, period: Period, tell: Tell, share: Sequence[tuple[Kind, Settings]]
    ) -> list[tuple[Kind, Detected]]:
        with self._sources([settings for _, settings in share]) as sources:
            found = detect(sources, made, period, tell)
        return list(zip([kind for kind, _ in share], found, strict=True))

    def _decided(self, past: Past, detected: dict[Kind, Detected]) -> list[Decided]:
        """Return what each candidate decides, the reference first."""
        plays = [self._play(number, past, detected) for number in range(len(self._candidates))]
        work, numbered = partial(self._decide, past), list(enumerate(plays))
        # Most of what it takes is to read the journal, which each process would do for itself.
        found = work(numbered) if len(plays) <= FEW else self._in_processes(work, numbered)
        return [one for _, one in sorted(found, key=lambda pair: pair[0])]

    def _decide(self, past: Past, share: Sequence[tuple[int, Play]]) -> list[tuple[int, Decided]]:
        sides = [Deciding(past, play) for _, play in share]
        with self._opened() as recording:
            for at, record in past.given(recording):
                for side in sides:
                    side.take(at, record)
        return [(number, side.finish(past.period.end)) for (number, _), side in zip(share, sides, strict=True)]

    def _play(self, number: int, past: Past, detected: dict[Kind, Detected]) -> Play:
        settings = self._candidates[number].settings
        heard = detected[Kind.of(settings)].heard if settings else past.heard
        play = Play(heard, settings, past.journal.topic, mending=self._terms.mending)
        return play if number == 0 else replace(play, orders=self._terms.orders, without=self._terms.without)

    def _side(self, number: int, past: Past, detected: dict[Kind, Detected], decided: Decided) -> Side:
        name, settings = self._candidates[number]
        if settings is None:
            return side_of(name, past.heard, decided, past.gaps)
        found = detected[Kind.of(settings)]
        return side_of(name, found.heard, decided, found.gaps)

    def _processes_for(self, given: Sequence[object]) -> int:
        return max(min(self._terms.processes, len(given)), 1)

    def _in_processes(self, work: Callable[[Sequence[Given]], list[Found]], given: Sequence[Given]) -> list[Found]:
        count, in_lots = self._processes_for(given), partial(_in_lots, work)
        if count == 1:
            return in_lots(given)
        gc.freeze()  # what is there stays: copies of this process need not walk over it, and go on sharing it
        try:
            return in_parallel(in_lots, given, count)
        finally:
            gc.unfreeze()


def _in_lots(work: Callable[[Sequence[Given]], list[Found]], share: Sequence[Given]) -> list[Found]:
    """Return what `work` makes of a share, so many at once as there is memory for the state of."""
    return [one for begin in range(0, len(share), AT_ONCE) for one in work(share[begin : begin + AT_ONCE])]


def _nobody(_: int) -> None:
    """Tell nobody."""
