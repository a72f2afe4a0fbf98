"""The rules of windows in plain Python, one value at a time: what the stage is compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from mendline.detectors.order import Mark, Verdict
from mendline.schemas.series import Series, SeriesTable

LEAD_MS = 60_000
GAP_MS = 300_000

Key = tuple[str, int, int, str]
Row = dict[str, float]


@dataclass(frozen=True)
class Sent:
    """A round as a test writes it: times in ms after the start; `lag` is append time minus event time.

    Without an `epoch` the source does not count, and the round is sent as JSON.
    """

    source: str
    sequence: int
    time: int
    values: tuple[float, ...]
    table: int = 0
    lag: int = 0
    epoch: int | None = 1


@dataclass
class Life:
    """What is known of a source between two times it was forgotten."""

    seen: int
    mark: Mark = field(default_factory=Mark)
    newest: int | None = None
    taken: list[tuple[int, Sent]] = field(default_factory=list)
    late: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Model:
    """Windows of a pane, grace and kinds (width, hop), over the tables."""

    tables: Sequence[SeriesTable]
    pane: int
    grace: int
    kinds: Sequence[tuple[int, int]]
    forget: int
    origin: int

    def windows(self, sent: Sequence[Sent], append: Sequence[int], log: Sequence[int]) -> dict[Key, Row]:
        """Return every series of every window that closes."""
        lives: dict[str, list[Life]] = {}
        for one, appended, now in zip(sent, append, log, strict=True):
            mine = lives.setdefault(one.source, [])
            if not mine or now - mine[-1].seen > self.forget:
                mine.append(Life(now))
            self._take(mine[-1], one, appended, now)
        found: dict[Key, Row] = {}
        for source, mine in lives.items():
            for life in mine:
                found |= self._closed(source, life)
        return found

    def _take(self, life: Life, one: Sent, appended: int, now: int) -> None:
        life.seen = now
        time = one.time + self.origin
        time = appended if time > appended + LEAD_MS else time
        counted = (-1, -1) if one.epoch is None else (one.epoch, one.sequence)
        if life.mark.take(*counted, time) not in {Verdict.NEW, Verdict.EPOCH_WENT_BACK}:
            return
        if life.newest is not None and time // self.pane < (life.newest - self.grace) // self.pane:
            life.late.append(life.newest // self.pane)
            return
        life.taken.append((time, one))
        life.newest = time if life.newest is None else max(time, life.newest)

    def _closed(self, source: str, life: Life) -> dict[Key, Row]:
        if life.newest is None:
            return {}
        until = (life.newest - self.grace) // self.pane * self.pane
        rounds = sorted(life.taken, key=lambda one: one[0])
        found: dict[Key, Row] = {}
        for width, hop in self.kinds:
            first = (rounds[0][0] - width) // hop * hop
            for start in range(first, until - width + 1, hop):
                inside = [one for one in rounds if start <= one[0] < start + width]
                if inside:
                    late = sum(start <= pane * self.pane < start + width for pane in life.late)
                    rows = self._rows(rounds, inside)
                    found |= {
                        (source, width, start - self.origin, metric): {**row, "rounds": len(inside), "late": late}
                        for metric, row in rows.items()
                    }
        return found

    def _rows(self, rounds: Sequence[tuple[int, Sent]], inside: Sequence[tuple[int, Sent]]) -> dict[str, Row]:
        series = {one.metric: one for _, sent in inside for one in self.tables[sent.table].series}
        return {metric: self._row(rounds, inside, one) for metric, one in series.items()}

    def _row(self, rounds: Sequence[tuple[int, Sent]], inside: Sequence[tuple[int, Sent]], series: Series) -> Row:
        values = [value for _, sent in inside if not math.isnan(value := self._value(sent, series))]
        grown, took = self._growth(rounds, inside, series)
        nan = math.nan
        mean = sum(values) / len(values) if values else nan
        return {
            "count": len(values),
            "sum": sum(values) if values else nan,
            "mean": mean,
            "std": math.sqrt(sum((v - mean) ** 2 for v in values) / len(values)) if values else nan,
            "min": min(values, default=nan),
            "max": max(values, default=nan),
            "last": values[-1] if values else nan,
            "rate": 1000 * grown / took if took and series.kind == "counter" else nan,
        }

    def _value(self, sent: Sent, series: Series) -> float:
        metrics = [one.metric for one in self.tables[sent.table].series]
        return sent.values[metrics.index(series.metric)] if series.metric in metrics else math.nan

    def _growth(
        self, rounds: Sequence[tuple[int, Sent]], inside: Sequence[tuple[int, Sent]], series: Series
    ) -> tuple[float, int]:
        """Return what a counter grew by in steps that end inside, and how many ms they took."""
        grown, took = 0.0, 0
        last: tuple[int, float] | None = None
        for number in sorted({time // self.pane for time, _ in rounds}):
            pane = [one for one in rounds if one[0] // self.pane == number]
            if not any(series in self.tables[sent.table].series for _, sent in pane):
                last = None
            for one in pane:
                value = self._value(one[1], series)
                if math.isnan(value):
                    continue
                if last and one in inside and one[0] - last[0] <= GAP_MS:
                    grown += value - last[1] if value >= last[1] else max(value, 0.0)
                    took += one[0] - last[0]
                last = (one[0], value)
        return grown, took
