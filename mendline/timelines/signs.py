"""The first sign of a fault: the record that its evidence begins with, as it stands on the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from mendline.logs.base import LogRefusedError
from mendline.reading import read_batches
from mendline.runtime.worker import cut
from mendline.schemas.cells import Cell, cells
from mendline.schemas.columnar import WindowBlock
from mendline.schemas.decode import Decoded, decode
from mendline.schemas.quantities import amount, per_second
from mendline.schemas.records import Fault, ProbeEvent
from mendline.schemas.stream import Batch, Partition
from mendline.views import view
from mendline.words import clock

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.schemas.columnar import RoundBlock


class Sign(NamedTuple):
    """When a fault began to show (ms, the log's clock), in words, and where that stands."""

    time: int
    text: str
    topic: str
    partition: int
    offset: int


def first_sign(log: Log, fault: Fault, opened_at: int) -> Sign:
    """Return the first sign of a fault whose opening was appended at `opened_at` (ms). Raises LogUnavailableError."""
    evidence = fault.evidence
    place = (evidence.topic, evidence.partition, evidence.offsets[0])
    batch = _record_at(log, *place)
    if batch is None:
        return Sign(opened_at, f"of {fault.id[:8]}: it stood in {_where(*place)}, which the log no longer has", *place)
    decoded = decode(batch)
    about = _value(decoded, fault) or view(batch, 0).text
    if fault.host not in _sources(decoded):
        about = f"nothing was heard of {fault.host}"
    failing_ms = _failing_ms(decoded)
    about = f"from here on no success: {about}" if failing_ms else about
    time = int(batch.timestamps[0]) - failing_ms
    return Sign(time, f"of {fault.id[:8]}: {about}{_how_many(evidence.offsets)}; {_where(*place)}", *place)


def _record_at(log: Log, topic: str, partition: int, offset: int) -> Batch | None:
    try:
        for batch in read_batches(log, Partition(topic, partition), offset, offset + 1):
            if offset in batch.offsets:
                at = list(batch.offsets).index(offset)
                return cut(batch, at, at + 1)
    except LogRefusedError:
        return None
    return None


def _where(topic: str, partition: int, offset: int) -> str:
    return f"{topic}/{partition} offset {offset}"


def _how_many(offsets: tuple[int, int]) -> str:
    return f", and what followed up to offset {offsets[1]}" if offsets[1] > offsets[0] else ""


def _sources(decoded: Decoded) -> set[str]:
    """Return whom the record is about."""
    blocks: list[RoundBlock | WindowBlock] = [*decoded.rounds, *decoded.windows]
    told = {source for block in blocks for source in block.sources}
    return told | {record.source for _, record in decoded.records}


def _failing_ms(decoded: Decoded) -> int:
    """Return how long a probe had not succeeded when that was told, in ms; 0 for what is told at once."""
    for _, record in decoded.records:
        if isinstance(record, ProbeEvent) and record.failing_since is not None:
            return max(record.time - record.failing_since, 0)
    return 0


def _value(decoded: Decoded, fault: Fault) -> str:
    """Return what a round or window says of the series that the evidence is about, empty if it says nothing of it."""
    return next(_values([*decoded.rounds, *decoded.windows], fault), "")


def _values(blocks: list[RoundBlock | WindowBlock], fault: Fault) -> Iterator[str]:
    for block, cell in cells(blocks, fault.host, fault.evidence.series):
        yield f"{fault.host} {_when(block, cell.row)}, {fault.evidence.series} {_measured(block, cell)}"


def _when(block: RoundBlock | WindowBlock, row: int) -> str:
    if isinstance(block, WindowBlock):
        return f"window {clock(int(block.starts[row]))} + {block.width_ms / 1000:g} s"
    return f"round of {clock(int(block.times[row]))}"


def _measured(block: RoundBlock | WindowBlock, cell: Cell) -> str:
    series = block.table.series[cell.column]
    if not isinstance(block, WindowBlock):
        return f"= {amount(float(block.values[cell]), series.unit)}"
    center = ("rate", per_second(series.unit)) if series.kind == "counter" else ("mean", series.unit)
    told = (center, ("max", series.unit))
    return ", ".join(f"{name} {amount(float(block.statistics[name][cell]), unit)}" for name, unit in told)
