"""The records that a fault rests on: windows at the offsets that its evidence names, and the rounds they are of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mendline.explaining.links import Link, known, number
from mendline.runtime.worker import cut
from mendline.schemas.cells import Cell, cells
from mendline.schemas.decode import decode
from mendline.schemas.quantities import counted
from mendline.schemas.stream import Partition
from mendline.words import clock, describe

if TYPE_CHECKING:
    from mendline.replaying.inputs import Source
    from mendline.schemas.columnar import WindowBlock
    from mendline.schemas.records import Evidence, Fault
    from mendline.schemas.stream import Batch

MOST = 500
"""So many records of the evidence are looked at; a fault with a long hold rests on as many windows."""
SHOWN = 6
SLACK_MS = 60_000
"""By so much a host's clock and the log's may differ."""


def records_behind(source: Source, fault: Fault) -> list[Link]:
    """Return the links from the raw records up to the windows that the fault rests on. Raises LogError, DumpError."""
    evidence = fault.evidence
    place = Partition(evidence.topic, evidence.partition)
    first, last = evidence.offsets
    if not source.recording.topics().get(place.topic) or source.recording.extent(place).begin > last:
        return [_lost(evidence)]
    batches = list(source.recording.batches(place, max(first, last - MOST + 1), last + 1))
    if place.topic != source.name("windows"):
        return [_records(fault, batches)]
    windows = [one for batch in batches for one in _windows(batch, fault.host, evidence.series)]
    link = _window_link(evidence, windows)
    if not windows:
        return [link]
    begin, end = windows[0]["start"], windows[-1]["start"] + windows[-1]["width_ms"]
    metrics = Partition(source.name("metrics"), evidence.partition)
    return [_rounds(source, metrics, fault.host, begin, end), link]


def _lost(evidence: Evidence) -> Link:
    where = f"{evidence.topic} partition {evidence.partition}, offsets {evidence.offsets[0]} to {evidence.offsets[1]}"
    facts = {"topic": evidence.topic, "partition": evidence.partition, "offsets": evidence.offsets, "kept": False}
    return Link("evidence", [f"{where}: no longer kept"], facts)


def _records(fault: Fault, batches: list[Batch]) -> Link:
    """Return the records of metrics that a fault rests on, which came from its host."""
    evidence, lines, offsets = fault.evidence, [], []
    for batch in batches:
        for index, offset in enumerate(batch.offsets):
            if text := _of_host(cut(batch, index, index + 1), fault.host):
                offsets.append(offset)
                lines.append(f"{clock(batch.timestamps[index])} offset {offset}: {text}")
    lines = lines if len(lines) <= SHOWN else [*lines[: SHOWN // 2], "…", *lines[-SHOWN // 2 :]]
    where = f"{evidence.topic} partition {evidence.partition}"
    told = [f"{where}: {counted(len(offsets), 'records')} of {fault.host}", *lines]
    if not offsets:
        told = [f"{where}, up to offset {evidence.offsets[1]}: no record of {fault.host}, which is what it is about"]
    return Link("records", told, {"topic": evidence.topic, "partition": evidence.partition, "offsets": offsets})


def _of_host(batch: Batch, host: str) -> str:
    """Return the one record of the batch in words if it is of the host."""
    found = decode(batch)
    for block in found.rounds:
        if host in block.sources:
            return f"{host} round of {len(block.table)} series"
    return next((describe(record) for _, record in found.records if record.source == host), "")


def _windows(batch: Batch, host: str, label: str) -> Iterator[dict[str, Any]]:
    """Yield the windows of a host that hold the series, as facts."""
    for block, cell in cells(decode(batch).windows, host, label):
        yield _window(block, cell, batch.offsets[int(block.index[cell.row])])


def _window(block: WindowBlock, cell: Cell, offset: int) -> dict[str, Any]:
    values = {name: known(float(values[cell])) for name, values in block.statistics.items()}
    return {
        "offset": offset,
        "start": int(block.starts[cell.row]),
        "width_ms": block.width_ms,
        "rounds": int(block.rounds[cell.row]),
        "late": int(block.late[cell.row]),
        "statistics": values,
    }


def _window_link(evidence: Evidence, windows: list[dict[str, Any]]) -> Link:
    where = f"{evidence.topic} partition {evidence.partition}"
    lines = [f"{where}: {counted(len(windows), 'windows')} with {evidence.series}"]
    for one in windows[-SHOWN:]:
        told = ", ".join(f"{name} {number(one['statistics'].get(name))}" for name in ("mean", "min", "max", "last"))
        times = f"{clock(one['start'])} + {one['width_ms'] / 1000:g} s"
        lines.append(f"offset {one['offset']}: {times}, {counted(one['rounds'], 'rounds')}: {told}")
    facts = {"topic": evidence.topic, "partition": evidence.partition, "windows": windows}
    return Link("windows", lines, facts)


def _rounds(source: Source, metrics: Partition, host: str, begin: int, end: int) -> Link:
    """Return the rounds of a host whose event times lie from `begin` up to `end` (ms)."""
    recording = source.recording
    facts: dict[str, Any] = {"topic": metrics.topic, "partition": metrics.number, "source": host, "offsets": []}
    where = f"{metrics.topic} partition {metrics.number}"
    if not recording.topics().get(metrics.topic):
        return Link("rounds", [f"{metrics.topic} was not recorded"], facts)
    first, last = (recording.offset_at(metrics, time) for time in (begin - SLACK_MS, end + SLACK_MS))
    for batch in recording.batches(metrics, first, last):
        facts["offsets"] += list(_round_offsets(batch, host, begin, end))
    offsets = facts["offsets"]
    if not offsets:
        return Link("rounds", [f"{where}: the rounds from {clock(begin)} to {clock(end)} are no longer kept"], facts)
    span = f"offsets {offsets[0]} to {offsets[-1]}, from {clock(begin)} to {clock(end)}"
    return Link("rounds", [f"{where}: {counted(len(offsets), 'rounds')} of {host}, {span}"], facts)


def _round_offsets(batch: Batch, host: str, begin: int, end: int) -> Iterator[int]:
    for block in decode(batch).rounds:
        times, places = block.times.tolist(), block.index.tolist()
        for name, time, index in zip(block.sources, times, places, strict=True):
            if name == host and begin <= time < end:
                yield batch.offsets[index]
