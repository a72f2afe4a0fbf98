"""What was expected of a series over time, by each detector that looks at it, worked out anew from what the log has.

Theory of operation. The detectors of the settings that match the series are made as a stage makes them, and are handed
the windows (or rounds) of this one host, from as long before as they need to be ready (`warm_up`). So the range and
the surprise are what the detector's own code says. A detector that remembers further back than its warm-up may have
said something a little different then: `mendline explain` works a fault out to the last bit.

Cost: one pass over the records of the partition, and some 0.5 ms for each window and detector; `MOST_WINDOWS` of them,
the newest, and `MOST_RECORDS` of all hosts.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.board import Board
from mendline.detectors.configuring import configure
from mendline.detectors.entries import Part
from mendline.detectors.faults import Moments
from mendline.detectors.patience import UNLIMITED
from mendline.detectors.registry import DetectorError
from mendline.detectors.rows import matches
from mendline.detectors.steps import StepMaker
from mendline.runtime.logtime import LogClock
from mendline.schemas.decode import decode
from mendline.schemas.stream import Input
from mendline.web.answers import Band, Bands
from mendline.web.blocks import MOST_RECORDS, batches, blocks, place_of

if TYPE_CHECKING:
    from mendline.detectors.configuring import Configured
    from mendline.detectors.looks import Look
    from mendline.logs.base import Log
    from mendline.schemas.series import Series
    from mendline.schemas.settings import Settings
    from mendline.schemas.stream import Batch, Partition
    from mendline.web.blocks import Span

logger = logging.getLogger(__name__)

MOST_WINDOWS = 4_000
MOST_DETECTORS = 6


def bands(log: Log, settings: Settings, span: Span, label: str, detector: str = "") -> Bands:
    """Return what the detectors, or the one of this name, expected of a series of a host. Raises as `read_batches`."""
    found: list[Band] = []
    cut = False
    for short, on_rounds in (("windows", False), ("metrics", True)):
        place = place_of(log, settings.topics.topic(short), span.source)  # type: ignore[arg-type] # names of topics
        series = _series(log, place, span, label) if place else None
        chosen = _looking(settings, span.source, series, detector, on_rounds=on_rounds) if series else []
        if place and series and chosen:
            board = Board.of(
                "page", settings, place, [one.settings for one in chosen], UNLIMITED, repeats_by_start=True
            )
            looks = {one.settings.name: _Looks(span, label) for one in chosen}
            board.watch(looks)
            cut |= _run(log, settings, board, chosen, place, span)
            found += [_band(one, series, looks[one.settings.name]) for one in chosen]
    return Bands(bands=tuple(one for one in found if one.times), cut=cut)


def _series(log: Log, place: Partition, span: Span, label: str) -> Series | None:
    """Return the series of this label that the host had in that time."""
    for block in blocks(log, place, span.begin, span.end):
        if span.source in block.sources:
            found = next((one for one in block.table.series if one.label == label), None)
            if found:
                return found
    return None


def _looking(
    settings: Settings, source: str, series: Series, detector: str, *, on_rounds: bool
) -> Sequence[Configured]:
    """Return the detectors that look at the series, of those that take rounds, or windows."""
    found = []
    for one in settings.detectors:
        wanted = detector in ("", one.name) and (one.window == 0) == on_rounds
        if not (wanted and fnmatchcase(source, one.match.source) and matches(one.match, series)):
            continue
        try:
            made = configure(one, settings)
        except DetectorError as error:
            logger.debug("no band: %s", error)
            continue
        if made.detector.looks_at(series):
            found.append(made)
    return found[:MOST_DETECTORS]


def _run(
    log: Log, settings: Settings, board: Board, chosen: Sequence[Configured], place: Partition, span: Span
) -> bool:
    """Hand the board what it needs to know of the host; return whether there was more than may be read."""
    width = min(one.settings.window or settings.host.interval for one in chosen)
    warm_up = max(one.warm_up_ms for one in chosen)
    begin = max(span.begin - warm_up, span.end - MOST_WINDOWS * width)
    clock, read = LogClock(), 0
    for batch in batches(log, place, begin, span.end):
        read += _fold(board, batch, clock, span.source)
        if read >= MOST_RECORDS:
            return True
    return begin > span.begin


def _fold(board: Board, batch: Batch, clock: LogClock, source: str) -> int:
    """Let the board fold what is of the source; return how many rounds or windows of whomever there were."""
    log_times = clock.advance(batch.timestamps)
    decoded = decode(batch)
    given = Input(batch.partition, batch.offsets, np.asarray(batch.timestamps, dtype=np.int64), log_times)
    parts = [*map(Part.of_windows, decoded.windows), *(Part.of_rounds(one, None) for one in decoded.rounds)]
    board.fold(Moments.of(given), [one for part in parts if len((one := _mine(part, source)).sources)])
    return sum(len(part.sources) for part in parts)


def _mine(part: Part, source: str) -> Part:
    return part.choose(np.array([row for row, name in enumerate(part.sources) if name == source], dtype=np.intp))


@dataclass
class _Looks:
    """Takes down what a detector says of one series, step by step; a `Watch`."""

    span: Span
    label: str
    times: list[int] = field(default_factory=list)
    answers: list[tuple[float, float, float]] = field(default_factory=list)

    def __call__(self, look: Look) -> None:
        """Take a step, which has no more than one window of the one host."""
        row = look.columns.labels.get(self.label)
        if row is None:
            return
        time, scores = int(look.step.times[row]) + look.step.width_ms, look.scores
        if self.span.begin <= time < self.span.end + look.step.width_ms:
            given = (scores.low, scores.high, scores.surprise)
            self.times.append(time)
            self.answers.append(tuple(math.nan if one is None else float(one[row]) for one in given))  # type: ignore[arg-type] # three


def _band(made: Configured, series: Series, looks: _Looks) -> Band:
    settings, above = made.settings, made.bounds.open_above
    low, high, surprise = ([_known(one[place]) for one in looks.answers] for place in range(3))
    return Band(
        detector=settings.name,
        use=settings.use,
        width_ms=settings.window,
        unit=StepMaker(settings.window, settings.statistic).unit_of(series),
        opens=_known(above) if made.detector.judges == "surprise" else None,
        times=tuple(looks.times),
        low=tuple(low),
        high=tuple(high),
        surprise=tuple(surprise),
    )


def _known(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
