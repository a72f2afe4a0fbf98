"""From the bytes of a batch to what stages fold: one numpy pass for all rounds of a poll, not one for each record.

Any bytes give a record or a reason why not; no length in them is believed before it is checked against the record's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mendline.schemas.base import UnreadableRecordError
from mendline.schemas.columnar import WINDOWS_MAGIC, RoundBlock, WindowBlock, decode_windows, window_blocks
from mendline.schemas.records import Record, decode_record
from mendline.schemas.rounds import COUNTED, ROUND_HEADER, ROUND_MAGIC, Round
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.stream import CONTENT_TYPE, JSON, ROUND, WINDOWS, Batch, Headers
from mendline.schemas.windows import Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEAD = np.dtype(
    {
        "names": ["series", "digest", "time", "epoch", "sequence", "source", "flags", "table"],
        "formats": ["<u4", "<u8", "<i8", "<u8", "<u8", "<u2", "<u2", "<u4"],
        "offsets": [4, 8, 16, 24, 32, 40, 42, 44],
        "itemsize": ROUND_HEADER.size,
    }
)
_MOST_REMEMBERED = 65_536
_UNKNOWN_MAGIC = {ROUND_MAGIC[:3]: "round", WINDOWS_MAGIC[:3]: "windows"}

_tables: dict[int, SeriesTable] = {}
_names: dict[bytes, str] = {}


@dataclass(slots=True)
class Decoded:
    """A batch's records by kind; `unreadable` are positions in the batch with the reason."""

    append_times: NDArray[np.int64]
    rounds: list[RoundBlock] = field(default_factory=list)
    windows: list[WindowBlock] = field(default_factory=list)
    records: list[tuple[int, Record]] = field(default_factory=list)
    unreadable: list[tuple[int, str]] = field(default_factory=list)


def content_type(value: bytes, headers: Headers) -> bytes:
    """Return what the header says a record is; without a header the first bytes tell."""
    for name, content in headers:
        if name == CONTENT_TYPE:
            return content
    if value[:4] == ROUND_MAGIC:
        return ROUND
    return WINDOWS if value[:4] == WINDOWS_MAGIC else JSON


def decode(batch: Batch) -> Decoded:
    """Return the records of the batch; never raises for what is in them."""
    decoded = Decoded(np.asarray(batch.timestamps, dtype=np.int64))
    columnar: list[int] = []
    json_rounds: list[tuple[int, Round]] = []
    for index, (value, headers) in enumerate(zip(batch.values, batch.headers, strict=True)):
        kind = content_type(value, headers)
        if kind == ROUND:
            columnar.append(index)
        else:
            _decode_one(index, value, kind, decoded, json_rounds)
    if columnar:
        _decode_rounds(columnar, [batch.values[index] for index in columnar], decoded)
    if json_rounds:
        decoded.rounds.extend(_blocks_of(json_rounds))
    decoded.unreadable.sort()
    return decoded


def _decode_one(
    index: int, value: bytes, kind: bytes, decoded: Decoded, json_rounds: list[tuple[int, Round]]
) -> None:
    try:
        if kind == WINDOWS:
            decoded.windows.extend(decode_windows(value, index))
        elif kind == JSON:
            record = decode_record(value)
            if isinstance(record, Round):
                json_rounds.append((index, record))
            elif isinstance(record, Windows):
                decoded.windows.extend(window_blocks(record, index))
            else:
                decoded.records.append((index, record))
        else:
            decoded.unreadable.append((index, f"content type {kind.decode(errors='replace')!r} is not known here"))
    except UnreadableRecordError as error:
        decoded.unreadable.append((index, str(error)))


# Columnar rounds -----------------------------------------------------------------------------------------------------


def _decode_rounds(indices: list[int], values: list[bytes], decoded: Decoded) -> None:
    size = ROUND_HEADER.size
    good = [k for k, value in enumerate(values) if len(value) >= size and value[:4] == ROUND_MAGIC]
    if len(good) < len(values):
        kept = set(good)
        decoded.unreadable += [(indices[k], _no_round(values[k])) for k in range(len(values)) if k not in kept]
        indices, values = [indices[k] for k in good], [values[k] for k in good]
    if not values:
        return
    heads = np.frombuffer(b"".join([value[:size] for value in values]), _HEAD)
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    wanted = size + heads["source"].astype(np.int64) + heads["table"] + 8 * heads["series"].astype(np.int64)
    sound = (lengths == wanted) & (heads["series"] > 0) & (heads["source"] > 0)
    for k in np.flatnonzero(~sound):
        reason = f"columnar round: {lengths[k]} bytes, but its header promises {wanted[k]} (or names nothing)"
        decoded.unreadable.append((indices[k], reason))
    digests = heads["digest"]
    for digest in _in_order(digests[sound]):
        rows = np.flatnonzero(sound & (digests == digest))
        _decode_table_rows(int(digest), rows, indices, values, heads, decoded)


def _in_order(digests: NDArray[np.uint64]) -> Iterable[np.uint64]:
    if len(digests) and (digests == digests[0]).all():
        return digests[:1]
    found, first = np.unique(digests, return_index=True)
    return found[np.argsort(first)]


def _decode_table_rows(
    digest: int,
    rows: NDArray[np.int64],
    indices: list[int],
    values: list[bytes],
    heads: NDArray[np.void],
    decoded: Decoded,
) -> None:
    first = int(rows[0])
    try:
        table = _table(digest, values[first], heads[first])
    except UnreadableRecordError as error:
        decoded.unreadable.extend((indices[int(k)], f"columnar round: {error}") for k in rows)
        return
    mine = heads[rows]
    fits = (mine["series"] == len(table)) & (mine["table"] == len(table.blob))
    if not fits.all():
        reason = f"columnar round: its table has {len(table)} series, the record another number"
        decoded.unreadable.extend((indices[int(k)], reason) for k in rows[~fits])
        rows, mine = rows[fits], mine[fits]
    if len(rows):
        decoded.rounds.append(_block(table, rows.tolist(), indices, values, mine))


def _table(digest: int, value: bytes, head: np.void) -> SeriesTable:
    known = _tables.get(digest)
    if known is not None:
        return known
    begin = ROUND_HEADER.size + int(head["source"])
    table = SeriesTable.from_blob(value[begin : begin + int(head["table"])])
    if table.digest != digest:
        msg = "the digest is not that of its series table"
        raise UnreadableRecordError(msg)
    if len(_tables) >= _MOST_REMEMBERED:
        _tables.clear()
    _tables[digest] = table
    return table


def _block(
    table: SeriesTable, rows: list[int], indices: list[int], values: list[bytes], heads: NDArray[np.void]
) -> RoundBlock:
    width = 8 * len(table)
    numbers = np.frombuffer(b"".join([values[k][-width:] for k in rows]), "<f8").reshape(len(rows), len(table))
    if np.isinf(numbers).any():
        numbers = np.where(np.isinf(numbers), np.nan, numbers)
    counted = (heads["flags"] & COUNTED) != 0
    begin = ROUND_HEADER.size
    ends = (heads["source"].astype(np.int64) + begin).tolist()
    return RoundBlock(
        table=table,
        index=np.array([indices[k] for k in rows], dtype=np.int64),
        sources=[_name(values[k][begin:end]) for k, end in zip(rows, ends, strict=True)],
        times=heads["time"].astype(np.int64),
        epoch=np.where(counted, heads["epoch"].astype(np.int64), -1),
        sequence=np.where(counted, heads["sequence"].astype(np.int64), -1),
        values=numbers,
    )


def _name(raw: bytes) -> str:
    name = _names.get(raw)
    if name is None:
        if len(_names) >= _MOST_REMEMBERED:
            _names.clear()
        name = _names[raw] = raw.decode(errors="replace")
    return name


def _no_round(value: bytes) -> str:
    if value[:3] == ROUND_MAGIC[:3] and value[:4] != ROUND_MAGIC:
        return f"columnar round of version {value[3:4].decode(errors='replace')}, but this program reads 1: upgrade it"
    return f"no columnar round: {len(value)} bytes that begin with {value[:4]!r}"


# JSON rounds ---------------------------------------------------------------------------------------------------------


def _blocks_of(rounds: Sequence[tuple[int, Round]]) -> Iterable[RoundBlock]:
    groups: dict[int, tuple[SeriesTable, list[tuple[int, Round]]]] = {}
    for index, record in rounds:
        table = SeriesTable(_layout(record))
        groups.setdefault(table.digest, (table, []))[1].append((index, record))
    for table, group in groups.values():
        values = np.array([[_finite(s.value) for s in record.samples] for _, record in group])
        yield RoundBlock(
            table=table,
            index=np.array([index for index, _ in group], dtype=np.int64),
            sources=[record.source for _, record in group],
            times=np.array([record.time for _, record in group], dtype=np.int64),
            epoch=_optional(record.epoch for _, record in group),
            sequence=_optional(record.sequence for _, record in group),
            values=values,
        )


def _layout(record: Round) -> list[Series]:
    return [
        Series(service=s.service, metric=s.metric, attributes=s.attributes, unit=s.unit, kind=s.kind)
        for s in record.samples
    ]


def _finite(value: float | None) -> float:
    return value if value is not None and np.isfinite(value) else np.nan


def _optional(numbers: Iterable[int | None]) -> NDArray[np.int64]:
    return np.array([-1 if number is None else number for number in numbers], dtype=np.int64)
