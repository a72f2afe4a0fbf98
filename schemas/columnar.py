"""Rounds and windows as numpy arrays: what a batch is decoded into, and the columnar form of windows.

A columnar record of windows is little-endian: magic b"MLW1", u32 length of a JSON header, the header (padded with
spaces so that the arrays stand at a multiple of 8), then the arrays, then the blobs of the series tables. For each
block of the header the arrays are `starts`, `rounds` and `late`, int64 (E,), and its statistics, float64 (E, S). The
last bytes of the header's `tables` are the lengths of the blobs.

A snapshot is magic b"MLS1", u32 length of the `Snapshot` as JSON, the JSON, then its arrays one after the other.
"""

from __future__ import annotations

import json
import math
import re
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import FailFast, Field, ValidationError

from mendline.schemas.base import MOST_TIME, Frozen, UnreadableRecordError
from mendline.schemas.records import Snapshot, decode_record, encode_record
from mendline.schemas.series import Series, SeriesTable, refuse_twins
from mendline.schemas.windows import STATISTICS, Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOWS_MAGIC = b"MLW1"
SNAPSHOT_MAGIC = b"MLS1"
MOST_RECORD_BYTES = 900_000

_LENGTH = struct.Struct("<I")
_ENTRY_BYTES = 8_000
"""What an entry costs beside its statistics, at most: three integers, and its source's name in JSON."""

_DTYPE = re.compile(r"[<|][biufSU]\d{1,4}")
_MOST_DIMENSIONS = 32
_MOST_QUANTILES = 100
"""Each is a column over all rows: were there one for every row, the memory would grow with the record's square."""


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

Name = Annotated[str, Field(min_length=1, max_length=255)]


class _BlockHead(Frozen):
    """A block inside a columnar record of windows: windows of table number `table`, one for each of the sources."""

    table: int = Field(ge=0)
    width_ms: int = Field(gt=0, le=MOST_TIME)
    sources: Annotated[tuple[Name, ...], FailFast()] = Field(min_length=1)
    statistics: Annotated[tuple[Name, ...], FailFast()] = Field(min_length=1)


class _WindowsHead(Frozen):
    """The JSON header of a columnar record of windows; `tables` are the lengths of their blobs."""

    tables: Annotated[tuple[Annotated[int, Field(ge=0)], ...], FailFast()]
    blocks: Annotated[tuple[_BlockHead, ...], FailFast()] = Field(min_length=1)


def entry_bytes(table: SeriesTable, statistics: int) -> int:
    """Return how long a record of one window of this table with so many statistics is, at most."""
    return 8 * len(table) * statistics + len(table.blob) + _ENTRY_BYTES


def encode_windows(blocks: Iterable[WindowBlock], limit: int = MOST_RECORD_BYTES) -> list[bytes]:
    """Return columnar records that hold the blocks in order, each of at most `limit` bytes if one entry allows it."""
    records: list[bytes] = []
    pending: list[WindowBlock] = []
    size = 0
    for block in _fitting(blocks, limit):
        cost = _block_bytes(block)
        if pending and size + cost > limit:
            records.append(_encode(pending))
            pending, size = [], 0
        pending.append(block)
        size += cost
    return [*records, _encode(pending)] if pending else records


def _block_bytes(block: WindowBlock) -> int:
    """Return how long a record of the block alone is, at most."""
    fixed = len(block.table.blob) + 2 * sum(map(len, block.statistics)) + 256
    return len(block.sources) * (8 * len(block.table) * len(block.statistics) + 24) + _name_bytes(block.sources) + fixed


def _name_bytes(sources: Sequence[str]) -> int:
    """Return how long the names are in JSON, at most: two bytes for each that is printable, six for others."""
    joined = "".join(sources)
    return (2 if joined.isprintable() else 6) * len(joined.encode()) + 3 * len(sources)


def _fitting(blocks: Iterable[WindowBlock], limit: int) -> Iterator[WindowBlock]:
    for block in blocks:
        whole = _block_bytes(block)
        parts = min(len(block.sources), -(-whole // max(limit - len(block.table.blob), 1)))
        if whole <= limit or parts <= 1:
            yield block
            continue
        size = -(-len(block.sources) // parts)
        pieces = (take(block, slice(begin, begin + size)) for begin in range(0, len(block.sources), size))
        for piece in pieces:
            yield from _fitting([piece], limit) if size > 1 else [piece]


def take(block: WindowBlock, entries: slice) -> WindowBlock:
    """Return the block with these of its entries only."""
    columns = {
        one.name: getattr(block, one.name)[entries]
        for one in fields(block)
        if one.name not in ("table", "width_ms", "statistics")
    }
    statistics = {name: values[entries] for name, values in block.statistics.items()}
    return WindowBlock(table=block.table, width_ms=block.width_ms, statistics=statistics, **columns)


def _encode(blocks: Sequence[WindowBlock]) -> bytes:
    tables = {block.table.digest: block.table for block in blocks}
    place = {digest: number for number, digest in enumerate(tables)}
    heads = [
        {
            "table": place[block.table.digest],
            "width_ms": block.width_ms,
            "sources": list(block.sources),
            "statistics": list(block.statistics),
        }
        for block in blocks
    ]
    blobs = [table.blob for table in tables.values()]
    text = {"tables": [len(blob) for blob in blobs], "blocks": heads}
    head = json.dumps(text, separators=(",", ":"), ensure_ascii=False).encode()
    head += b" " * (-len(head) % 8)
    return b"".join((WINDOWS_MAGIC, _LENGTH.pack(len(head)), head, *_arrays(blocks), *blobs))


def _arrays(blocks: Iterable[WindowBlock]) -> Iterator[memoryview]:
    for block in blocks:
        for numbers in (block.starts, block.rounds, block.late):
            yield np.ascontiguousarray(numbers, "<i8").data.cast("B")
        for values in block.statistics.values():
            yield np.ascontiguousarray(values, "<f8").data.cast("B")


def decode_windows(value: bytes, index: int) -> list[WindowBlock]:
    """Return the blocks of the columnar record at position `index` of its batch; arrays are read-only.

    Raises UnreadableRecordError.
    """
    head, begin = _windows_head(value)
    end = len(value) - sum(head.tables)
    if end < begin:
        msg = "columnar windows: cut off, or the header promises too much"
        raise UnreadableRecordError(msg)
    if {block.table for block in head.blocks} != set(range(len(head.tables))):
        msg = "columnar windows: the header contradicts itself: a table is missing, or no block is of it"
        raise UnreadableRecordError(msg)
    tables = _tables(value, head.tables, (begin, end))
    found = []
    for block in head.blocks:
        decoded, begin = _decode_block(block, tables, value, (begin, end), index)
        found.append(decoded)
    if begin != end:
        msg = f"columnar windows: {end} bytes of arrays, but the header promises {begin}"
        raise UnreadableRecordError(msg)
    return found


def _tables(value: bytes, lengths: Sequence[int], room: tuple[int, int]) -> list[SeriesTable]:
    """Return the tables of a record whose arrays have `room`; none is opened after those before it filled that."""
    begin, end = room
    tables: list[SeriesTable] = []
    for at, length in zip(accumulate(lengths, initial=end), lengths, strict=False):
        tables.append(SeriesTable.from_blob(value[at : at + length]))
        if 8 * sum(map(len, tables)) > end - begin:
            msg = "columnar windows: the series tables contradict the record's length"
            raise UnreadableRecordError(msg)
    return tables


def _windows_head(value: bytes) -> tuple[_WindowsHead, int]:
    if value[:4] != WINDOWS_MAGIC:
        msg = (
            f"columnar windows of another version: they begin with {value[:4]!r}, this program reads {WINDOWS_MAGIC!r}"
        )
        raise UnreadableRecordError(msg)
    if len(value) < len(WINDOWS_MAGIC) + _LENGTH.size:
        msg = "columnar windows: cut off in the header"
        raise UnreadableRecordError(msg)
    (length,) = _LENGTH.unpack_from(value, 4)
    try:
        return _WindowsHead.model_validate_json(value[8 : 8 + length]), 8 + length
    except ValidationError as error:
        msg = (
            f"columnar windows: the header is damaged: {error.errors(include_url=False, include_input=False)[0]['msg']}"
        )
        raise UnreadableRecordError(msg) from None


def _decode_block(
    head: _BlockHead, tables: Sequence[SeriesTable], value: bytes, room: tuple[int, int], index: int
) -> tuple[WindowBlock, int]:
    begin, end = room
    entries, table = len(head.sources), tables[head.table] if head.table < len(tables) else None
    values = entries * len(table) * len(head.statistics) if table else 0
    after = begin + 8 * (3 * entries + values)
    if table is None or not len(table) or after > end or len(set(head.statistics)) < len(head.statistics):
        msg = "columnar windows: the header contradicts itself or the record's length"
        raise UnreadableRecordError(msg)
    counts = np.frombuffer(value, "<i8", 3 * entries, begin).reshape(3, entries)
    numbers = np.frombuffer(value, "<f8", values, begin + 24 * entries)
    if np.isinf(numbers).any():
        numbers = np.where(np.isinf(numbers), np.nan, numbers)
    if counts[1:].min() < 0 or counts[0].min() < -MOST_TIME or counts[0].max() > MOST_TIME:
        msg = "columnar windows: a start or a count is out of range"
        raise UnreadableRecordError(msg)
    block = WindowBlock(
        table=table,
        width_ms=head.width_ms,
        index=np.full(entries, index, dtype=np.int64),
        sources=head.sources,
        starts=counts[0],
        rounds=counts[1],
        late=counts[2],
        statistics=dict(zip(head.statistics, numbers.reshape(len(head.statistics), entries, -1), strict=True)),
    )
    return block, after


def window_block(record: Windows, index: int) -> WindowBlock:
    """Return the block of a JSON record of windows at position `index` of its batch.

    Raises UnreadableRecordError.
    """
    rows = record.rows
    series = [
        Series(service=r.service, metric=r.metric, attributes=r.attributes, unit=r.unit, kind=r.kind) for r in rows
    ]
    refuse_twins(series)
    quantiles = sorted({name for row in rows for name in row.quantiles})
    if len(quantiles) > _MOST_QUANTILES:
        msg = f"windows record: {len(quantiles)} different quantiles, over {_MOST_QUANTILES}"
        raise UnreadableRecordError(msg)
    columns = {name: [getattr(row, name) for row in rows] for name in STATISTICS}
    columns |= {name: [row.quantiles.get(name) for row in rows] for name in quantiles}
    statistics = {name: np.array([values], dtype=np.float64) for name, values in columns.items()}
    for values in statistics.values():
        values[np.isinf(values)] = np.nan
    start, rounds, late = (np.array([one], dtype=np.int64) for one in (record.start, record.rounds, record.late))
    place = np.array([index], dtype=np.int64)
    return WindowBlock(SeriesTable(series), record.width_ms, place, (record.source,), start, rounds, late, statistics)


# Snapshots -----------------------------------------------------------------------------------------------------------


def encode_snapshot(snapshot: Snapshot, arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Return a snapshot and its arrays, in little-endian order, as one record."""
    plain = {name: array.astype(array.dtype.newbyteorder("<"), order="C", copy=False) for name, array in arrays.items()}
    layout = tuple((name, array.dtype.str, array.shape) for name, array in plain.items())
    head = encode_record(snapshot.model_copy(update={"arrays": layout}))
    return b"".join((SNAPSHOT_MAGIC, _LENGTH.pack(len(head)), head, *(array.tobytes() for array in plain.values())))


def decode_snapshot(value: bytes) -> tuple[Snapshot, dict[str, NDArray[np.generic]]]:
    """Return a snapshot and its arrays; the arrays are writable copies.

    Raises UnreadableRecordError.
    """
    if value[:4] != SNAPSHOT_MAGIC or len(value) < len(SNAPSHOT_MAGIC) + _LENGTH.size:
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
    if begin != len(value):
        msg = f"snapshot: {len(value)} bytes, but its arrays end at {begin}"
        raise UnreadableRecordError(msg)
    return record, arrays


def _is_sound(itemsize: int, shape: tuple[int, ...], most: int) -> bool:
    """Return whether numpy can make such an array, and no side of it is longer than `most`."""
    sides = len(shape) <= _MOST_DIMENSIONS and min(shape, default=0) >= 0 and max(shape, default=0) <= most
    return sides and itemsize > 0 and math.prod(max(side, 1) for side in shape) * itemsize <= sys.maxsize


def _array(value: bytes, begin: int, kind: str, shape: tuple[int, ...]) -> tuple[NDArray[np.generic], int]:
    try:
        dtype = np.dtype(kind) if _DTYPE.fullmatch(kind) else None
    except TypeError:
        dtype = None
    sound = dtype is not None and _is_sound(dtype.itemsize, shape, len(value))
    size = math.prod(shape) * dtype.itemsize if dtype is not None and sound else 0
    if dtype is None or not sound or begin + size > len(value):
        msg = f"snapshot: an array of {kind} {shape} is not in the record"
        raise UnreadableRecordError(msg)
    if not size:
        return np.empty(shape, dtype), begin
    return np.frombuffer(value, dtype, math.prod(shape), begin).reshape(shape).copy(), begin + size
