"""Any record of any topic for a person: in words, and whole as plain JSON values."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mendline.runtime.worker import cut
from mendline.schemas.base import UnreadableRecordError
from mendline.schemas.columnar import RoundBlock, WindowBlock, decode_snapshot
from mendline.schemas.decode import Decoded, content_type, decode
from mendline.schemas.quantities import counted
from mendline.schemas.records import encode_record
from mendline.schemas.stream import SNAPSHOT
from mendline.words import clock, describe

if TYPE_CHECKING:
    from mendline.schemas.stream import Batch


class View(NamedTuple):
    """A record in words and as JSON values."""

    text: str
    record: dict[str, Any]


def view(batch: Batch, index: int) -> View:
    """Return the record at position `index`, whatever it is; one that nobody can read is shown as such."""
    value = batch.values[index]
    if content_type(value, batch.headers[index]) == SNAPSHOT:
        return _snapshot(value)
    found = decode(cut(batch, index, index + 1))
    if found.unreadable:
        return _unreadable(found.unreadable[0][1], value)
    return _decoded(found)


def _decoded(found: Decoded) -> View:
    if found.rounds:
        return _round(found.rounds[0])
    if found.windows:
        return _windows(found.windows)
    record = found.records[0][1]
    return View(describe(record), json.loads(encode_record(record)))


def _unreadable(reason: str, value: bytes) -> View:
    return View(f"unreadable: {reason}", {"unreadable": reason, "value": base64.b64encode(value).decode()})


def _snapshot(value: bytes) -> View:
    try:
        head, _ = decode_snapshot(value)
    except UnreadableRecordError as error:
        return _unreadable(str(error), value)
    return View(describe(head), json.loads(encode_record(head.model_copy(update={"values": {}}))))


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _round(block: RoundBlock) -> View:
    source, time = block.sources[0], int(block.times[0])
    samples = [
        {**series.model_dump(), "value": _number(float(value))}
        for series, value in zip(block.table.series, block.values[0], strict=True)
    ]
    record = {
        "type": "round",
        "source": source,
        "epoch": int(block.epoch[0]),
        "sequence": int(block.sequence[0]),
        "time": time,
        "samples": samples,
    }
    values = counted(len(samples), "values")
    return View(f"{source} round {block.epoch[0]}:{block.sequence[0]} of {clock(time)}, {values}", record)


def _windows(blocks: Sequence[WindowBlock]) -> View:
    texts, entries = [], []
    for block in blocks:
        for number, source in enumerate(block.sources):
            start = int(block.starts[number])
            rounds = counted(int(block.rounds[number]), "rounds")
            texts.append(f"{source} {clock(start)} + {block.width_ms / 1000:g} s, {rounds}")
            entries.append(_entry(block, number, source, start))
    series = len(blocks[0].table)
    return View(f"windows of {series} series: " + "; ".join(texts), {"type": "windows", "windows": entries})


def _entry(block: WindowBlock, number: int, source: str, start: int) -> dict[str, Any]:
    rows = [
        {**series.model_dump(), **{name: _number(float(v[number, column])) for name, v in block.statistics.items()}}
        for column, series in enumerate(block.table.series)
    ]
    return {
        "source": source,
        "start": start,
        "width_ms": block.width_ms,
        "rounds": int(block.rounds[number]),
        "late": int(block.late[number]),
        "rows": rows,
    }
