"""What a series did around a fault, read from where its evidence stands on the log: rounds, or windows.

A fault that rests on no series, such as a death, is shown by what its service took of the machine meanwhile, as far as
that was measured. Cost: one pass over the records of the partition in that time, `MOST_RECORDS` at most.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mendline.reading import offset_at, read_batches
from mendline.responders.facts import service_of
from mendline.schemas.columnar import WindowBlock
from mendline.schemas.decode import decode
from mendline.schemas.stream import Partition
from mendline.web.answers import Chart, Curve

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mendline.logs.base import Log
    from mendline.schemas.columnar import RoundBlock
    from mendline.schemas.records import Fault
    from mendline.schemas.series import Series

MOST_RECORDS = 50_000
LATE_MS = 30_000
"""What was measured in time may reach the log so much later."""
TELLING = ("process.cpu.utilization", "process.memory.usage", "mendline.probe.success")
"""Metrics of a service that show how it was, if a fault rests on none."""
MOST_CURVES = 3

Found = dict[str, tuple[str, dict[int, float]]]
"""Unit and points, value by event time (ms), of series by their labels."""


class Wanted(NamedTuple):
    """Series of a source over event time [begin, end) in ms: that of `label`, else what tells of `service`."""

    source: str
    label: str
    service: str
    begin: int
    end: int

    def has(self, series: Series) -> bool:
        """Say whether the series is one of them."""
        if self.label:
            return series.label == self.label
        return bool(self.service) and series.service == self.service and series.metric in TELLING


def chart(log: Log, fault: Fault, begin: int, end: int) -> Chart:
    """Return the series that the fault rests on from `begin` to `end` (ms). Raises as `read_batches`."""
    evidence = fault.evidence
    wanted = Wanted(fault.host, evidence.series, service_of(fault.target), begin, end)
    found: Found = {}
    read, partition = 0, Partition(evidence.topic, evidence.partition)
    for batch in read_batches(log, partition, offset_at(log, partition, begin)):
        read += len(batch.offsets)
        decoded = decode(batch)
        blocks: list[RoundBlock | WindowBlock] = [*decoded.rounds, *decoded.windows]
        for block in blocks:
            _take(block, wanted, found)
        if batch.timestamps[-1] > end + LATE_MS or read >= MOST_RECORDS:
            break
    band = (evidence.low, evidence.high) if evidence.series else (None, None)
    return _chart(fault.host, found, band, cut=read >= MOST_RECORDS)


def _take(block: RoundBlock | WindowBlock, wanted: Wanted, found: Found) -> None:
    columns = [place for place, series in enumerate(block.table.series) if wanted.has(series)]
    if not columns:
        return
    for row, time in _rows(block, wanted):
        for column in columns:
            series = block.table.series[column]
            value = float(_values(block, series)[row, column])
            found.setdefault(series.label, (_unit(block, series), {}))[1][time] = value


def _rows(block: RoundBlock | WindowBlock, wanted: Wanted) -> Iterator[tuple[int, int]]:
    """Yield the rows that are of the source and in time, with their event time: of a window, its end."""
    times = (block.starts + block.width_ms if isinstance(block, WindowBlock) else block.times).tolist()
    for row, (source, time) in enumerate(zip(block.sources, times, strict=True)):
        if source == wanted.source and wanted.begin <= time < wanted.end:
            yield row, time


def _values(block: RoundBlock | WindowBlock, series: Series) -> NDArray[np.float64]:
    if isinstance(block, WindowBlock):
        return block.statistics["rate" if series.kind == "counter" else "mean"]
    return block.values


def _unit(block: RoundBlock | WindowBlock, series: Series) -> str:
    return f"{series.unit}/s" if isinstance(block, WindowBlock) and series.kind == "counter" else series.unit


def _chart(source: str, found: Found, band: tuple[float | None, float | None], *, cut: bool) -> Chart:
    shown: Mapping[str, tuple[str, dict[int, float]]] = dict(sorted(found.items(), key=_place)[:MOST_CURVES])
    times = sorted({time for _, points in shown.values() for time in points})
    curves = tuple(
        Curve(label=label, unit=unit, values=_column(times, points), low=band[0], high=band[1])
        for label, (unit, points) in shown.items()
    )
    return Chart(source=source, times=tuple(times), curves=curves, cut=cut)


def _place(entry: tuple[str, object]) -> tuple[int, str]:
    """Return what puts the metrics into the order in which they tell most."""
    metric = next((place for place, name in enumerate(TELLING) if name in entry[0]), 0)
    return metric, entry[0]


def _column(times: Sequence[int], points: Mapping[int, float]) -> tuple[float | None, ...]:
    return tuple(value if math.isfinite(value := points.get(time, math.nan)) else None for time in times)
