"""Which series of a host and its peers changed around a moment, the most first, and what people or machines changed.

Method. The windows that end before the moment are compared with those that begin after it, series by series, by their
means (of counters: their rates). The score is the difference of the two medians over the larger of what the series
varies by and what counts at all: a robust form of Cohen's d (Cohen, 1988), with the median absolute deviation, times
1.4826 to be a standard deviation of the normal distribution (Hampel, 1974), in the place of the standard deviation, of
both sides together. So neither one wild window nor the change itself hides or feigns a change: half of the windows may
be anything. What counts at all is the grain of the unit (`detectors.grains`), and a hundredth of the larger median:
no score is beyond 200. A change that lasted for less than half of the time after the moment is not found.

Vectorised: medians of all series of a host at once. Cost: one pass over the windows of the hosts' partitions in that
time, `MOST_RECORDS` of each at most.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.grains import grain
from mendline.schemas.columnar import WindowBlock
from mendline.schemas.quantities import per_second
from mendline.web.answers import ChangeMark, Shift, Shifts
from mendline.web.blocks import MOST_RECORDS, Span, blocks, place_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.logs.base import Log
    from mendline.responders.facts import ChangeFact
    from mendline.schemas.series import Series, SeriesTable
    from mendline.schemas.settings import Settings
    from mendline.schemas.stream import Partition

    Values = NDArray[np.float64]

DEVIATION = 1.4826
"""So many median absolute deviations are a standard deviation of the normal distribution."""
RELATIVE = 0.01
LEAST = 3.0
"""A steady slope scores less than this: 2.7."""
FEWEST = 4
"""Windows with a value that a side must have."""
MOST_SHIFTS = 40
MOST_PEERS = 9
CHANGED_MS = 3_600_000
"""So long before the moment changes are listed."""

Windows = dict[tuple[str, int], tuple["SeriesTable", list["Values"], list["Values"]]]
"""By source and table: the table, and the rows of windows before the moment and after it, (S,) each."""


def peers_of(source: str, services: Mapping[str, Collection[str]]) -> list[str]:
    """Return the host and others that have a service of its, by name.

    >>> peers_of("b", {"a": ["web"], "b": ["web", "db"], "c": ["mail"], "d": ["db"]})
    ['b', 'a', 'd']
    """
    own = set(services.get(source, ()))
    others = sorted(name for name, theirs in services.items() if name != source and own & set(theirs))
    return [source, *others[:MOST_PEERS]]


def shifts(log: Log, settings: Settings, sources: Sequence[str], moment: Span) -> tuple[list[Shift], int, bool]:
    """Return what changed most, how many series were compared, and whether there was more than could be read.

    `moment` is the time before and after the moment, which is in its middle. Raises as `read_batches`.
    """
    windows, cut = _read(log, settings, sources, moment)
    found: list[Shift] = []
    compared = 0
    for (source, _), (table, before, after) in windows.items():
        if len(before) >= FEWEST and len(after) >= FEWEST:
            compared += len(table.series)
            found += _told(source, table.series, np.array(before), np.array(after))
    return sorted(found, key=lambda one: (-one.score, one.source, one.label))[:MOST_SHIFTS], compared, cut


def _read(log: Log, settings: Settings, sources: Sequence[str], moment: Span) -> tuple[Windows, bool]:
    topic, width = settings.topics.topic("windows"), min(settings.windows.widths, default=settings.windows.pane)
    places = {place for one in sources if (place := place_of(log, topic, one))}
    found: Windows = {}
    cuts = [_take_all(log, place, frozenset(sources), moment, width, found) for place in places]
    return found, any(cuts)


def _take_all(log: Log, place: Partition, sources: Collection[str], moment: Span, width: int, found: Windows) -> bool:
    read = 0
    for block in blocks(log, place, moment.begin, moment.end):
        read += len(block.sources)
        if isinstance(block, WindowBlock) and block.width_ms == width:
            _take(block, sources, moment, found)
        if read >= MOST_RECORDS:
            return True
    return False


def _take(block: WindowBlock, sources: Collection[str], moment: Span, found: Windows) -> None:
    middle = (moment.begin + moment.end) // 2
    counters = np.array([one.kind == "counter" for one in block.table.series], dtype=bool)
    values = np.where(counters, block.statistics["rate"], block.statistics["mean"])
    for row, (source, start) in enumerate(zip(block.sources, block.starts.tolist(), strict=True)):
        if source not in sources or not moment.begin <= start < moment.end:
            continue
        _, before, after = found.setdefault((source, block.table.digest), (block.table, [], []))
        if start >= middle:
            after.append(values[row])
        elif start + block.width_ms <= middle:
            before.append(values[row])


def _told(source: str, series: Sequence[Series], before: Values, after: Values) -> Iterator[Shift]:
    """Yield the series that changed; `before` (B, S) and `after` (A, S)."""
    grains = np.array([grain(one) for one in series])
    left, right, scores = scored(before, after, grains)
    for column in np.flatnonzero(scores >= LEAST).tolist():
        one = series[column]
        yield Shift(
            source=source,
            label=one.label,
            unit=per_second(one.unit) if one.kind == "counter" else one.unit,
            before=float(left[column]),
            after=float(right[column]),
            score=round(float(scores[column]), 1),
        )


def scored(before: Values, after: Values, grains: Values) -> tuple[Values, Values, Values]:
    """Return the medians (S,) before and after, and the scores (S,), 0 where a side has too few values.

    >>> steady, higher = np.array([[1.0], [2.0], [1.0], [2.0]]), np.array([[9.0], [10.0], [9.0], [10.0]])
    >>> scored(steady, higher, np.array([0.01]))[2].round(2).tolist(), scored(steady, steady, np.ones(1))[2].tolist()
    ([10.79], [0.0])
    """
    enough = (np.isfinite(before).sum(axis=0) >= FEWEST) & (np.isfinite(after).sum(axis=0) >= FEWEST)
    left, right = _median(before, enough), _median(after, enough)
    spread = [_median(np.abs(side - middle), enough) for side, middle in ((before, left), (after, right))]
    varies = DEVIATION * np.sqrt((spread[0] ** 2 + spread[1] ** 2) / 2.0)
    counts = np.maximum(grains, RELATIVE * np.maximum(np.abs(left), np.abs(right)))
    return left, right, np.abs(right - left) / np.maximum(varies, counts)


def _median(values: Values, enough: NDArray[np.bool_]) -> Values:
    """Return the median of each column (S,), 0 where there are too few."""
    found = np.zeros(values.shape[1])
    if enough.any():
        found[enough] = np.nanmedian(np.where(np.isfinite(values[:, enough]), values[:, enough], math.nan), axis=0)
    return found


def changes_around(changes: Sequence[ChangeFact], moment: Span) -> list[ChangeMark]:
    """Return what was changed lately before the moment or soon after it, the newest first."""
    middle = (moment.begin + moment.end) // 2
    found = [one for one in changes if middle - CHANGED_MS <= one.time <= moment.end]
    return [ChangeMark(time=one.time, target=one.target, text=one.text) for one in reversed(found)]


def answer(log: Log, settings: Settings, hosts: Sequence[str], moment: Span, changes: Sequence[ChangeFact]) -> Shifts:
    """Return all that changed around a moment. Raises as `read_batches`."""
    found, compared, cut = shifts(log, settings, hosts, moment)
    return Shifts(
        at=(moment.begin + moment.end) // 2,
        sources=tuple(hosts),
        compared=compared,
        shifts=tuple(found),
        changes=tuple(changes_around(changes, moment)),
        cut=cut,
    )
