"""Rounds and windows as numpy arrays: what a batch is decoded into, and the columnar form of windows.

A columnar record of windows is little-endian: magic b"MLW1", u32 length of a JSON header, the header, the blobs of the
series tables, then float64 arrays. The header says which tables, sources and statistics there are and where.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, ValidationError

from mendline.schemas.base import Frozen, UnreadableRecordError
from mendline.schemas.records import Snapshot, decode_record, encode_record
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.windows import STATISTICS, Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOWS_MAGIC = b"MLW1"
SNAPSHOT_MAGIC = b"MLS1"
MOST_RECORD_BYTES = 900_000


@dataclass(frozen=True, slots=True)
class RoundBlock:
    """The rounds of a batch that share one series table, in log order: R rounds of S series.

    `index` (R,) int64 is the position in the batch, `sources` (R,) names who wrote each. `epoch` and `sequence` are
    -1 where a client does not count. `times` (R,) int64 is event time in ms; `values` (R, S) float64, NaN = no value.
    """

    table: SeriesTable
    index: NDArray[np.int64]
    sources: Sequence[str]
    times: NDArray[np.int64]
    epoch: NDArray[np.int64]
    sequence: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WindowBlock:
    """Windows of one width whose sources share one series table: E entries (a source's window each) of S series.

    `index` (E,) int64 is the position of the record in the batch (-1 before it was appended). `starts` (E,) int64 in
    ms of event time; windows are `[start, start + width_ms)`. `rounds` and `late` (E,) int64 count rounds in the
    window, and late ones that came while it was the newest. `statistics` maps
    the names in `schemas.windows.STATISTICS` and quantiles (`p99`) to (E, S) float64 arrays; NaN = no value.
    """

    table: SeriesTable
    width_ms: int
    index: NDArray[np.int64]
    sources: Sequence[str]
    starts: NDArray[np.int64]
    rounds: NDArray[np.int64]
    late: NDArray[np.int64]
    statistics: dict[str, NDArray[np.float64]]


# Windows -------------------------------------------------------------------------------------------------------------


class _BlockHead(Frozen):
    """A block inside a columnar record of windows: E sources, S series of table number `table`."""

    table: int = Field(ge=0)
    width_ms: int = Field(gt=0)
    series: int = Field(gt=0)
    sources: tuple[str, ...] = Field(min_length=1)
    starts: tuple[int, ...]
    rounds: tuple[int, ...]
    late: tuple[int, ...]
    statistics: tuple[str, ...] = Field(min_length=1)


class _WindowsHead(Frozen):
    """The JSON header of a columnar record of windows; `tables` are the lengths of their blobs."""

    version: int = 1
    tables: tuple[int, ...]
    blocks: tuple[_BlockHead, ...] = Field(min_length=1)


_LENGTH = struct.Struct("<I")


def encode_windows(blocks: Iterable[WindowBlock], limit: int = MOST_RECORD_BYTES) -> Iterator[bytes]:
    """Yield columnar records that hold the blocks in order, each of at most `limit` bytes where one entry allows it."""
    pending: list[WindowBlock] = []
    size = 0
    for block in _fitting(blocks, limit):
        cost = _block_bytes(block)
        if pending and size + cost > limit:
            yield _encode(pending)
            pending, size = [], 0
        pending.append(block)
        size += cost
    if pending:
        yield _encode(pending)


def _block_bytes(block: WindowBlock) -> int:
    entry = 8 * len(block.table) * len(block.statistics) + 64
    return len(block.sources) * entry + len(block.table.blob) + 256


def _fitting(blocks: Iterable[WindowBlock], limit: int) -> Iterator[WindowBlock]:
    for block in blocks:
        entries = max(1, limit // (8 * len(block.table) * len(block.statistics) + 64) - 1)
        for begin in range(0, len(block.sources), entries):
            yield block if entries >= len(block.sources) else take(block, slice(begin, begin + entries))


def take(block: WindowBlock, entries: slice) -> WindowBlock:
    """Return the block with these of its entries only."""
    return WindowBlock(
        block.table,
        block.width_ms,
        block.index[entries],
        block.sources[entries],
        block.starts[entries],
        block.rounds[entries],
        block.late[entries],
        {name: values[entries] for name, values in block.statistics.items()},
    )


def _encode(blocks: Sequence[WindowBlock]) -> bytes:
    tables = {block.table.digest: block.table for block in blocks}
    order = list(tables)
    heads = [
        {
            "table": order.index(block.table.digest),
            "width_ms": block.width_ms,
            "series": len(block.table),
            "sources": list(block.sources),
            "starts": block.starts.tolist(),
            "rounds": block.rounds.tolist(),
            "late": block.late.tolist(),
            "statistics": list(block.statistics),
        }
        for block in blocks
    ]
    blobs = [table.blob for table in tables.values()]
    head = json.dumps(
        {"version": 1, "tables": [len(blob) for blob in blobs], "blocks": heads}, separators=(",", ":")
    ).encode()
    arrays = [np.ascontiguousarray(v, "<f8").tobytes() for block in blocks for v in block.statistics.values()]
    return b"".join((WINDOWS_MAGIC, _LENGTH.pack(len(head)), head, *blobs, *arrays))


def decode_windows(value: bytes, index: int) -> Iterator[WindowBlock]:
    """Yield the blocks of the columnar record at position `index` of its batch.

    Raises UnreadableRecordError.
    """
    head, begin = _windows_head(value)
    tables = []
    for length in head.tables:
        tables.append(SeriesTable.from_blob(value[begin : begin + length]))
        begin += length
    for block in head.blocks:
        yield _decode_block(block, tables, value, begin, index)
        begin += 8 * len(block.sources) * block.series * len(block.statistics)
    if begin != len(value):
        msg = f"columnar windows: {len(value)} bytes, but the header promises {begin}"
        raise UnreadableRecordError(msg)


def _windows_head(value: bytes) -> tuple[_WindowsHead, int]:
    if value[:4] != WINDOWS_MAGIC:
        msg = f"columnar windows of another version: they begin with {value[:4]!r}, this program reads {WINDOWS_MAGIC!r}"
        raise UnreadableRecordError(msg)
    if len(value) < len(WINDOWS_MAGIC) + _LENGTH.size:
        msg = "columnar windows: cut off in the header"
        raise UnreadableRecordError(msg)
    (length,) = _LENGTH.unpack_from(value, 4)
    try:
        return _WindowsHead.model_validate_json(value[8 : 8 + length]), 8 + length
    except ValidationError as error:
        msg = f"columnar windows: the header is damaged: {error.errors(include_url=False)[0]['msg']}"
        raise UnreadableRecordError(msg) from None


def _decode_block(
    head: _BlockHead, tables: Sequence[SeriesTable], value: bytes, begin: int, index: int
) -> WindowBlock:
    entries, series = len(head.sources), head.series
    counts = {len(head.starts), len(head.rounds), len(head.late), entries}
    size = 8 * entries * series * len(head.statistics)
    if head.table >= len(tables) or len(tables[head.table]) != series or len(counts) > 1 or begin + size > len(value):
        msg = "columnar windows: the header contradicts itself or the record's length"
        raise UnreadableRecordError(msg)
    shape = (len(head.statistics), entries, series)
    numbers = np.frombuffer(value, "<f8", size // 8, begin).reshape(shape)
    return WindowBlock(
        table=tables[head.table],
        width_ms=head.width_ms,
        index=np.full(entries, index, dtype=np.int64),
        sources=head.sources,
        starts=np.array(head.starts, dtype=np.int64),
        rounds=np.array(head.rounds, dtype=np.int64),
        late=np.array(head.late, dtype=np.int64),
        statistics=dict(zip(head.statistics, numbers, strict=True)),
    )


def window_blocks(record: Windows, index: int) -> Iterator[WindowBlock]:
    """Yield the block of a JSON record of windows at position `index` of its batch; nothing when it has no rows."""
    if not record.rows:
        return
    table = SeriesTable(
        [Series(service=r.service, metric=r.metric, attributes=r.attributes, unit=r.unit, kind=r.kind) for r in record.rows]
    )
    quantiles = sorted({name for row in record.rows for name in row.quantiles})
    columns = {name: [getattr(row, name) for row in record.rows] for name in STATISTICS}
    columns |= {name: [row.quantiles.get(name) for row in record.rows] for name in quantiles}
    yield WindowBlock(
        table=table,
        width_ms=record.width_ms,
        index=np.array([index], dtype=np.int64),
        sources=(record.source,),
        starts=np.array([record.start], dtype=np.int64),
        rounds=np.array([record.rounds], dtype=np.int64),
        late=np.array([record.late], dtype=np.int64),
        statistics={name: np.array([values], dtype=np.float64) for name, values in columns.items()},
    )


# Snapshots -----------------------------------------------------------------------------------------------------------


def encode_snapshot(snapshot: Snapshot, arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Return a snapshot and its arrays as one record: magic, length and JSON of the snapshot, then the arrays."""
    layout = tuple((name, array.dtype.str, array.shape) for name, array in arrays.items())
    head = encode_record(snapshot.model_copy(update={"arrays": layout}))
    parts = [np.ascontiguousarray(array).tobytes() for array in arrays.values()]
    return b"".join((SNAPSHOT_MAGIC, _LENGTH.pack(len(head)), head, *parts))


def decode_snapshot(value: bytes) -> tuple[Snapshot, dict[str, NDArray[np.generic]]]:
    """Return a snapshot and its arrays; the arrays are writable copies.

    Raises UnreadableRecordError.
    """
    if value[:4] != SNAPSHOT_MAGIC or len(value) < 8:  # noqa: PLR2004 - magic and length
        msg = f"no snapshot this program reads: {len(value)} bytes that begin with {value[:4]!r}"
        raise UnreadableRecordError(msg)
    (length,) = _LENGTH.unpack_from(value, 4)
    record = decode_record(value[8 : 8 + length])
    if not isinstance(record, Snapshot):
        msg = f"a {record.type} record where a snapshot should be"
        raise UnreadableRecordError(msg)
    arrays: dict[str, NDArray[np.generic]] = {}
    begin = 8 + length
    for name, kind, shape in record.arrays:
        arrays[name], begin = _array(value, begin, kind, shape)
    return record, arrays


def _array(value: bytes, begin: int, kind: str, shape: tuple[int, ...]) -> tuple[NDArray[np.generic], int]:
    try:
        dtype = np.dtype(kind)
    except TypeError:
        dtype = np.dtype(object)
    count = math.prod(shape)
    if dtype.hasobject or min(shape, default=0) < 0 or begin + count * dtype.itemsize > len(value):
        msg = f"snapshot: an array of {kind} {shape} is not in the record"
        raise UnreadableRecordError(msg)
    return np.frombuffer(value, dtype, count, begin).reshape(shape).copy(), begin + count * dtype.itemsize
