"""What series did, read from the log: around a fault where its evidence stands, or any series of a host.

A fault that rests on no series, such as a death, is shown by what its service took of the machine meanwhile, as far as
that was measured. Of windows of several widths the narrowest are taken. Cost: one pass over the records of the
partition in that time, `MOST_RECORDS` at most.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from mendline.responders.facts import service_of
from mendline.schemas.columnar import WindowBlock
from mendline.schemas.quantities import per_second
from mendline.schemas.stream import Partition
from mendline.web.answers import Chart, Curve, SeriesName
from mendline.web.blocks import MOST_RECORDS, Span, blocks, place_of, rows
from mendline.web.past import with_past

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mendline.logs.base import Log
    from mendline.schemas.records import Fault
    from mendline.schemas.series import Series
    from mendline.schemas.settings import Settings
    from mendline.web.blocks import Block

RAW_MS = 3_600_000
"""Over a longer span windows are shown instead of rounds."""
LATELY_MS = 30_000
TELLING = ("process.cpu.utilization", "process.memory.usage", "mendline.probe.success")
"""Metrics of a service that show how it was, if a fault rests on none."""
MOST_CURVES = 3
COUNTED = -1
"""Stands for the width of rounds whose values count up."""

Found = dict[tuple[str, str, int], dict[int, float]]
"""Values by event time (ms), of series by label, unit and width of the windows (ms; 0: rounds)."""


def chart_of_fault(log: Log, fault: Fault, begin: int, end: int) -> Chart:
    """Return the series that the fault rests on from `begin` to `end` (ms). Raises as `read_batches`."""
    evidence, service = fault.evidence, service_of(fault.target)

    def wanted(series: Series) -> bool:
        if evidence.series:
            return series.label == evidence.series
        return bool(service) and series.service == service and series.metric in TELLING

    place = Partition(evidence.topic, evidence.partition)
    found, cut = _read(log, place, Span(fault.host, begin, end), wanted)
    band = (evidence.low, evidence.high) if evidence.series else (None, None)
    return _chart(fault.host, found, band, cut=cut)


def chart_of_series(log: Log, settings: Settings, span: Span, label: str) -> Chart:
    """Return any series of a host: its rounds, or windows over a longer span; before the log begins the store's.

    Raises as `read_batches`.
    """
    topic = settings.topics.topic("metrics" if span.end - span.begin <= RAW_MS else "windows")
    place = place_of(log, topic, span.source)
    found, cut = _read(log, place, span, lambda series: series.label == label) if place else ({}, False)
    return _chart(span.source, with_past(settings, span, label, found), (None, None), cut=cut)


def series_of(log: Log, settings: Settings, source: str, now: int) -> list[SeriesName]:
    """Return the series that a host measures, by its newest rounds. Raises as `read_batches`."""
    place = place_of(log, settings.topics.topic("metrics"), source)
    found: dict[str, str] = {}
    for block in blocks(log, place, now - LATELY_MS) if place else ():
        if source in block.sources:
            found |= {series.label: series.unit for series in block.table.series}
    return [SeriesName(label=label, unit=unit) for label, unit in sorted(found.items())]


# Reading --------------------------------------------------------------------------------------------------------------


def _read(log: Log, place: Partition, span: Span, wanted: Callable[[Series], bool]) -> tuple[Found, bool]:
    """Return what is wanted, and whether there was more than may be read."""
    found: Found = defaultdict(dict)
    read = 0
    for block in blocks(log, place, span.begin, span.end):
        read += len(block.sources)
        _take(block, span, wanted, found)
        if read >= MOST_RECORDS:
            return _with_rates(found), True
    return _with_rates(found), False


def _take(block: Block, span: Span, wanted: Callable[[Series], bool], found: Found) -> None:
    columns = [place for place, series in enumerate(block.table.series) if wanted(series)]
    if not columns or span.source not in block.sources:
        return
    for row, time in rows(block, span):
        for column in columns:
            series = block.table.series[column]
            found[series.label, _unit(series), _width(block, series)][time] = float(_values(block, series)[row, column])


def _values(block: Block, series: Series) -> NDArray[np.float64]:
    if isinstance(block, WindowBlock):
        return block.statistics["rate" if series.kind == "counter" else "mean"]
    return block.values


def _width(block: Block, series: Series) -> int:
    if isinstance(block, WindowBlock):
        return block.width_ms
    return COUNTED if series.kind == "counter" else 0


def _unit(series: Series) -> str:
    return per_second(series.unit) if series.kind == "counter" else series.unit


def _with_rates(found: Found) -> Found:
    """Return the series with rates in the place of what counters count, which tells nothing of a moment."""
    return {
        (label, unit, max(width, 0)): _rates(points) if width == COUNTED else points
        for (label, unit, width), points in found.items()
    }


def _rates(points: Mapping[int, float]) -> dict[int, float]:
    """Return the change per second from each round to the next; where a counter went back there is none."""
    pairs = pairwise(sorted(points.items()))
    return {
        now: 1000 * (value - last) / (now - then) if value >= last else math.nan for (then, last), (now, value) in pairs
    }


# Charts ---------------------------------------------------------------------------------------------------------------


def _chart(source: str, found: Found, band: tuple[float | None, float | None], *, cut: bool) -> Chart:
    shown = sorted(_narrowest(found).items(), key=lambda entry: _place_of(entry[0][0]))[:MOST_CURVES]
    times = sorted({time for _, points in shown for time in points})
    curves = tuple(
        Curve(label=label, unit=unit, values=_column(times, points), low=band[0], high=band[1])
        for (label, unit, _), points in shown
    )
    return Chart(source=source, times=tuple(times), curves=curves, cut=cut)


def _narrowest(found: Found) -> Found:
    """Return the series without those of wider windows."""
    widths: dict[str, int] = {}
    for label, _, width in found:
        widths[label] = min(width, widths.get(label, width))
    return {key: points for key, points in found.items() if key[2] == widths[key[0]]}


def _place_of(label: str) -> tuple[int, str]:
    """Return what puts the metrics into the order in which they tell most."""
    return next((place for place, name in enumerate(TELLING) if name in label), 0), label


def _column(times: Sequence[int], points: Mapping[int, float]) -> tuple[float | None, ...]:
    return tuple(value if math.isfinite(value := points.get(time, math.nan)) else None for time in times)
