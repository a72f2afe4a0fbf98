"""Capacity: when what fills up is full, by the windows of the report's time, with an interval.

Method: the mean of each series in sixty equal parts of the time, then the drift method as `detectors.exhaustion` has
it: a random walk with drift, its long-run variance by Newey and West, the interval of 90 % for when it meets the limit.
`likely` is where the drift alone meets it. A series counts only if its trend is surer than chance once in 10,000; what
goes up and down by the day is no trend unless the report covers many days.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from mendline.detectors.drift import blocks_left, sureness, trend_of
from mendline.detectors.exhaustion import Exhaustion
from mendline.detectors.rows import matches
from mendline.schemas.base import Frozen
from mendline.schemas.columnar import WindowBlock
from mendline.schemas.settings import MatchSettings
from mendline.schemas.stream import Partition
from mendline.web.blocks import blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.logs.base import Log
    from mendline.schemas.series import Series, SeriesTable
    from mendline.schemas.settings import Settings

PARTS = 60
LEAST_PARTS = 16
SURE = 4.0
FARTHEST_MS = 3650 * 86_400_000
MOST_DRAWN = 6
AHEAD = 1.5
"""An outlook is drawn as far ahead as the trend needs, and half as far again, or as long as it was looked at."""


class Limit(NamedTuple):
    """Which series have a limit, and from where they reach it."""

    match: MatchSettings
    limit: float
    direction: Literal["up", "down"]


USUAL = (
    Limit(MatchSettings(metric="system.filesystem.utilization"), 1.0, "up"),
    Limit(MatchSettings(metric="mendline.filesystem.inodes.utilization"), 1.0, "up"),
    Limit(MatchSettings(metric="system.memory.utilization", attributes={"system.memory.state": "used"}), 1.0, "up"),
    Limit(MatchSettings(metric="mendline.host.file_descriptor.utilization"), 1.0, "up"),
    Limit(MatchSettings(metric="mendline.tls.certificate.remaining"), 0.0, "down"),
)
"""What has a limit on every host; detectors of the kind `exhaustion` in the settings add theirs, and come first."""


class OutlookReport(Frozen):
    """A series on its way to its limit. Times in ms since the Unix epoch; `latest` None: it may never get there.

    `value` is the mean of the last part of the time, `points` those of all parts from `begin` on, `part_ms` wide.
    """

    source: str
    series: str
    unit: str
    value: float
    limit: float
    earliest: int
    likely: int
    latest: int | None
    begin: int
    part_ms: int
    points: tuple[float | None, ...]


class Course(NamedTuple):
    """An outlook along the time (ms), as it is drawn: `middles` are those of its points, the last known one is `now`.

    `reached` is from when to when the limit is reached, with 90 %, cut where what is drawn ends, at `farthest`.
    """

    middles: Sequence[int]
    now: int
    farthest: int
    reached: tuple[int, int]


def course_of(one: OutlookReport) -> Course:
    """Return the course of a series on its way to its limit."""
    middles = [one.begin + round((part + 0.5) * one.part_ms) for part in range(len(one.points))]
    now = max(time for time, point in zip(middles, one.points, strict=True) if point is not None)
    farthest = now + round(max(AHEAD * (one.likely - now), now - one.begin))
    latest = farthest if one.latest is None else one.latest
    return Course(middles, now, farthest, (min(one.earliest, farthest), min(latest, farthest)))


def limits(settings: Settings) -> Sequence[Limit]:
    """Return what has a limit, by the settings and as a matter of course."""
    told = [
        (one.match, Exhaustion.Parameters.model_validate(dict(one.parameters)))
        for one in settings.detectors
        if one.use == Exhaustion.kind
    ]
    return (*(Limit(match, found.limit, found.direction) for match, found in told), *USUAL)


def read_levels(log: Log, settings: Settings, begin: int, end: int) -> Levels:
    """Return the levels of all series that have a limit, by the windows on the log. Raises as `read_batches`.

    Of the widths the widest is taken of which several make a part.
    """
    found = Levels(begin, end, limits(settings))
    widths = sorted(settings.windows.widths)
    width = max((one for one in widths if 2 * one <= found.part_ms), default=widths[0])
    topic = settings.topics.topic("windows")
    for number in range(log.topics().get(topic, 0)):
        for block in blocks(log, Partition(topic, number), begin, end):
            if isinstance(block, WindowBlock) and block.width_ms == width:
                found.take(block)
    return found


class Levels:
    """The mean of each series with a limit in each of `PARTS` equal parts of the time from `begin` to `end` (ms)."""

    def __init__(self, begin: int, end: int, found: Sequence[Limit]) -> None:
        """Look at series of `found`, of which the first that matches counts."""
        self.begin = begin
        self.part_ms = max((end - begin) // PARTS, 1)
        self._limits = found
        self._places: dict[tuple[str, str], int] = {}
        self._known: list[tuple[str, Series, Limit]] = []
        self._sums = np.zeros((0, PARTS))
        self._counts = np.zeros((0, PARTS))
        self._columns: dict[int, list[tuple[int, Series, Limit]]] = {}

    def __len__(self) -> int:
        """Return how many series were looked at."""
        return len(self._known)

    def take(self, block: WindowBlock) -> None:
        """Take in windows; those of other times are left out."""
        parts = (block.starts - self.begin) // self.part_ms
        within = np.flatnonzero((parts >= 0) & (parts < PARTS))
        for column, series, limit in self._columns_of(block.table) if len(within) else ():
            values = block.statistics["mean"][within, column]
            known = within[np.isfinite(values)]
            places = [self._place(block.sources[row], series, limit) for row in known]
            np.add.at(self._sums, (places, parts[known]), values[np.isfinite(values)])
            np.add.at(self._counts, (places, parts[known]), 1.0)

    def _columns_of(self, table: SeriesTable) -> list[tuple[int, Series, Limit]]:
        found = self._columns.get(table.digest)
        if found is None:
            pairs = ((place, one, self._limit_of(one)) for place, one in enumerate(table.series))
            found = self._columns[table.digest] = [(place, one, limit) for place, one, limit in pairs if limit]
        return found

    def _limit_of(self, series: Series) -> Limit | None:
        return next((one for one in self._limits if matches(one.match, series)), None)

    def _place(self, source: str, series: Series, limit: Limit) -> int:
        key = (source, series.label)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self._known)
            self._known.append((source, series, limit))
            if place == len(self._sums):
                more = np.zeros((max(place, 64), PARTS))
                self._sums, self._counts = np.vstack((self._sums, more)), np.vstack((self._counts, more))
        return place

    def outlook(self) -> list[OutlookReport]:
        """Return what is on its way to its limit, what gets there first at the top."""
        found = [one for place in range(len(self._known)) if (one := self._forecast(place))]
        return sorted(found, key=lambda one: (one.earliest, one.source, one.series))

    def _forecast(self, place: int) -> OutlookReport | None:
        source, series, limit = self._known[place]
        counts = self._counts[place]
        means = np.where(counts > 0, self._sums[place] / np.maximum(counts, 1.0), np.nan)
        last = len(means) - int(np.argmax(counts[::-1] > 0))
        points = _whole_end(means[:last])
        left = parts_left(points, limit) if len(points) >= LEAST_PARTS else None
        now = self.begin + last * self.part_ms
        if left is None or left[0] * self.part_ms > FARTHEST_MS:
            return None
        nearest, middle, farthest = (now + min(one * self.part_ms, 2 * FARTHEST_MS) for one in left)
        return OutlookReport(
            source=source,
            series=series.label,
            unit=series.unit,
            value=float(means[last - 1]),
            limit=limit.limit,
            earliest=round(nearest),
            likely=round(middle),
            latest=round(farthest) if left[2] * self.part_ms <= FARTHEST_MS else None,
            begin=self.begin,
            part_ms=self.part_ms,
            points=tuple(None if np.isnan(one) else float(one) for one in means),
        )


def _whole_end(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the last parts that follow each other without a gap."""
    gaps = np.flatnonzero(np.isnan(means))
    return means[gaps[-1] + 1 :] if len(gaps) else means


def parts_left(points: NDArray[np.float64], limit: Limit) -> tuple[float, float, float] | None:
    """Return after how many parts the limit is met: earliest, likely, latest (infinite: maybe never); None: no trend.

    >>> left = parts_left(np.arange(40) / 100 + np.tile([0, 0.001], 20), Limit(MatchSettings(), 1.0, "up"))
    >>> [round(one, 1) for one in left]
    [59.5, 60.2, 61.0]
    """
    away = (limit.limit - points) * (1.0 if limit.direction == "up" else -1.0)
    scale = max(float(np.abs(away).max()), np.finfo(np.float64).tiny)
    if away[-1] <= 0:
        return 0.0, 0.0, 0.0
    trend = trend_of(away[np.newaxis, :] / scale)
    if float(sureness(trend)[0]) < SURE or trend.drift[0] <= 0:
        return None
    gap = away[-1:] / scale - trend.drift / 2.0  # the mean of a part is the level in its middle
    nearest, farthest = blocks_left(gap, trend)
    middle = max(float(gap[0]), 0.0) / float(trend.drift[0])
    return float(nearest[0]), middle, float(farthest[0])
