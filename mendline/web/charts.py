"""What series did, read from the log: around a fault where its evidence stands, or any series of a host.

A fault that rests on no series, such as a death, is shown by what its service took of the machine meanwhile, as far as
that was measured. Of windows of several widths the narrowest are taken. Cost: one pass over the records of the
partition in that time, `MOST_RECORDS` at most.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mendline.logs.partitioner import partition_of
from mendline.reading import offset_at, read_batches
from mendline.responders.facts import service_of
from mendline.schemas.columnar import WindowBlock
from mendline.schemas.decode import decode
from mendline.schemas.stream import Partition
from mendline.web.answers import Chart, Curve, SeriesName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mendline.logs.base import Log
    from mendline.schemas.columnar import RoundBlock
    from mendline.schemas.records import Fault
    from mendline.schemas.series import Series
    from mendline.schemas.settings import Settings

    Block = RoundBlock | WindowBlock

MOST_RECORDS = 50_000
LATE_MS = 30_000
"""What was measured in time may reach the log so much later."""
RAW_MS = 3_600_000
"""Over a longer span windows are shown instead of rounds."""
LATELY_MS = 30_000
TELLING = ("process.cpu.utilization", "process.memory.usage", "mendline.probe.success")
"""Metrics of a service that show how it was, if a fault rests on none."""
MOST_CURVES = 3

Found = dict[tuple[str, str, int], dict[int, float]]
"""Values by event time (ms), of series by label, unit and width of the windows (ms; 0: rounds)."""


class Span(NamedTuple):
    """What is looked for: series of a source over event time [begin, end) in ms."""

    source: str
    begin: int
    end: int


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
    """Return any series of a host: its rounds, or windows over a longer span. Raises as `read_batches`."""
    topic = settings.topics.topic("metrics" if span.end - span.begin <= RAW_MS else "windows")
    place = _place(log, topic, span.source)
    found, cut = _read(log, place, span, lambda series: series.label == label) if place else ({}, False)
    return _chart(span.source, found, (None, None), cut=cut)


def series_of(log: Log, settings: Settings, source: str, now: int) -> list[SeriesName]:
    """Return the series that a host measures, by its newest rounds. Raises as `read_batches`."""
    place = _place(log, settings.topics.topic("metrics"), source)
    found: dict[str, str] = {}
    for block in _blocks(log, place, now - LATELY_MS) if place else ():
        if source in block.sources:
            found |= {series.label: series.unit for series in block.table.series}
    return [SeriesName(label=label, unit=unit) for label, unit in sorted(found.items())]


def _place(log: Log, topic: str, source: str) -> Partition | None:
    count = log.topics().get(topic, 0)
    return Partition(topic, partition_of(source.encode(), count)) if count else None


# Reading --------------------------------------------------------------------------------------------------------------


def _blocks(log: Log, place: Partition, begin: int, end: int | None = None) -> Iterator[Block]:
    """Yield the rounds or windows appended from `begin` on, until some time after `end` (ms)."""
    for batch in read_batches(log, place, offset_at(log, place, begin)):
        decoded = decode(batch)
        yield from decoded.rounds
        yield from decoded.windows
        if end is not None and batch.timestamps[-1] > end + LATE_MS:
            return


def _read(log: Log, place: Partition, span: Span, wanted: Callable[[Series], bool]) -> tuple[Found, bool]:
    """Return what is wanted, and whether there was more than may be read."""
    found: Found = defaultdict(dict)
    read = 0
    for block in _blocks(log, place, span.begin, span.end):
        read += len(block.sources)
        _take(block, span, wanted, found)
        if read >= MOST_RECORDS:
            return found, True
    return found, False


def _take(block: Block, span: Span, wanted: Callable[[Series], bool], found: Found) -> None:
    columns = [place for place, series in enumerate(block.table.series) if wanted(series)]
    if not columns or span.source not in block.sources:
        return
    width = block.width_ms if isinstance(block, WindowBlock) else 0
    for row, time in _rows(block, span):
        for column in columns:
            series = block.table.series[column]
            found[series.label, _unit(series, width), width][time] = float(_values(block, series)[row, column])


def _rows(block: Block, span: Span) -> Iterator[tuple[int, int]]:
    """Yield the rows that are of the source and in time, with their event time: of a window, its end."""
    times = (block.starts + block.width_ms if isinstance(block, WindowBlock) else block.times).tolist()
    for row, (source, time) in enumerate(zip(block.sources, times, strict=True)):
        if source == span.source and span.begin <= time < span.end:
            yield row, time


def _values(block: Block, series: Series) -> NDArray[np.float64]:
    if isinstance(block, WindowBlock):
        return block.statistics["rate" if series.kind == "counter" else "mean"]
    return block.values


def _unit(series: Series, width: int) -> str:
    return f"{series.unit}/s" if width and series.kind == "counter" else series.unit


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
