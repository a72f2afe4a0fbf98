"""From the bytes of a batch to what stages fold: one numpy pass for all rounds of a poll, not one for each record.

Any bytes give a record or a reason why not; no length in them is believed before it is checked against the record's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mendline.schemas.base import MOST_COUNT, MOST_TIME, UnreadableRecordError
from mendline.schemas.columnar import WINDOWS_MAGIC, RoundBlock, WindowBlock, decode_windows, window_block
from mendline.schemas.records import Record, decode_record
from mendline.schemas.rounds import COUNTED, ROUND_HEADER, ROUND_MAGIC, Round
from mendline.schemas.series import SeriesTable, intern_series, refuse_twins
from mendline.schemas.stream import CONTENT_TYPE, JSON, ROUND, WINDOWS, Batch, Headers
from mendline.schemas.windows import Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

_HEAD = np.dtype(
    {
        "names": ["magic", "series", "digest", "time", "epoch", "sequence", "source", "flags", "table"],
        "formats": ["<u4", "<u4", "<u8", "<i8", "<u8", "<u8", "<u2", "<u2", "<u4"],
        "offsets": [0, 4, 8, 16, 24, 32, 40, 42, 44],
        "itemsize": ROUND_HEADER.size,
    }
)
_MAGIC = int.from_bytes(ROUND_MAGIC, "little")
_MOST_NAMES = 65_536
_MOST_LAYOUTS = 1_024
_LONGEST_NAME = 255

_names: dict[bytes, str | None] = {}
_layouts: dict[object, SeriesTable] = {}


@dataclass(slots=True)
class Decoded:
    """A batch's records by kind; `unreadable` are positions in the batch with the reason.

    `append_times` (ms) are the batch's, as an array. Blocks of rounds are in the order their tables first came,
    those of JSON rounds after the others; `records` are in log order.
    """

    append_times: Ints
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
    last: Headers = ()
    for index, headers in enumerate(batch.headers):
        if headers is last and headers:
            columnar.append(index)
            continue
        kind = content_type(batch.values[index], headers)
        if kind == ROUND:
            columnar.append(index)
            # Logs in this process hand the same headers over again and again. Without any the bytes must tell.
            last = headers
        else:
            _decode_one(index, batch.values[index], kind, decoded, json_rounds)
    if columnar:
        values = list(batch.values) if len(columnar) == len(batch) else [batch.values[index] for index in columnar]
        _Columnar(columnar, values, decoded).decode()
    if json_rounds:
        decoded.rounds.extend(_json_blocks(json_rounds, decoded))
    decoded.unreadable.sort()
    return decoded


def _decode_one(index: int, value: bytes, kind: bytes, decoded: Decoded, json_rounds: list[tuple[int, Round]]) -> None:
    try:
        if kind == WINDOWS:
            decoded.windows.extend(decode_windows(value, index))
        elif kind == JSON:
            record = decode_record(value)
            if isinstance(record, Round):
                json_rounds.append((index, record))
            elif isinstance(record, Windows):
                decoded.windows.append(window_block(record, index))
            else:
                decoded.records.append((index, record))
        else:
            decoded.unreadable.append((index, f"content type {kind[:80].decode(errors='replace')!r} is not known here"))
    except UnreadableRecordError as error:
        decoded.unreadable.append((index, str(error)))


# Columnar rounds -----------------------------------------------------------------------------------------------------


class _Columnar:
    """The columnar rounds of a batch on their way into blocks; `rows` are those that nothing was found wrong with."""

    def __init__(self, indices: Sequence[int], values: list[bytes], decoded: Decoded) -> None:
        size = ROUND_HEADER.size
        joined = b"".join([value[:size] for value in values])
        if len(joined) < size * len(values):
            joined = b"".join([value[:size].ljust(size, b"\0") for value in values])
        self.indices = np.array(indices, dtype=np.int64)
        self.values = values
        self.decoded = decoded
        self.heads = np.frombuffer(joined, _HEAD)
        self.rows = np.arange(len(values))

    def decode(self) -> None:
        """Add the blocks, and why some rounds are in none."""
        self._check_lengths()
        names = self._names()
        digests = self.heads["digest"][self.rows]
        for digest in _in_order(digests):
            self._add_block(int(digest), self.rows[digests == digest], names)

    def _refuse(self, wrong: NDArray[np.bool_], reason: Callable[[int], str]) -> None:
        """Sort out the rows that are wrong; `wrong` has an element for each record, `reason` takes its row."""
        here = wrong[self.rows]
        if here.any():
            unreadable = [(int(self.indices[row]), reason(row)) for row in self.rows[here].tolist()]
            self.decoded.unreadable.extend(unreadable)
            self.rows = self.rows[~here]

    def _check_lengths(self) -> None:
        heads, size = self.heads, ROUND_HEADER.size
        lengths = np.fromiter(map(len, self.values), np.int64, len(self.values))
        self._refuse((lengths < size) | (heads["magic"] != _MAGIC), lambda row: _no_round(self.values[row]))
        wanted = size + heads["source"].astype(np.int64) + heads["table"] + 8 * heads["series"].astype(np.int64)
        self._refuse(lengths != wanted, lambda row: _wrong_length(int(lengths[row]), int(wanted[row])))
        self._refuse(heads["series"] == 0, lambda _: "columnar round: it has no series")
        self._refuse(
            (heads["time"] < 0)
            | (heads["time"] > MOST_TIME)
            | (heads["epoch"] > MOST_COUNT)
            | (heads["sequence"] > MOST_COUNT),
            lambda _: "columnar round: its time, epoch or sequence is out of range",
        )

    def _names(self) -> list[str | None]:
        """Return the source of each record, and sort out those that have none."""
        names: list[str | None] = [None] * len(self.values)
        begin = ROUND_HEADER.size
        lengths = self.heads["source"][self.rows].tolist()
        for row, length in zip(self.rows.tolist(), lengths, strict=True):
            raw = self.values[row][begin : begin + length]
            names[row] = _names[raw] if raw in _names else _learn_name(raw)
        if None in names:
            missing = np.array([name is None for name in names])
            self._refuse(
                missing, lambda _: f"columnar round: its source is no UTF-8 name of 1 to {_LONGEST_NAME} characters"
            )
        return names

    def _add_block(self, digest: int, rows: Ints, names: list[str | None]) -> None:
        try:
            table = self._table(digest, int(rows[0]))
        except UnreadableRecordError as error:
            unreadable = [(index, f"columnar round: {error}") for index in self.indices[rows].tolist()]
            self.decoded.unreadable.extend(unreadable)
            return
        heads = self.heads[rows]
        fits = (heads["series"] == len(table)) & (heads["table"] == len(table.blob))
        if not fits.all():
            reason = f"columnar round: its series table has {len(table)} series, the record another number"
            self.decoded.unreadable.extend((index, reason) for index in self.indices[rows[~fits]].tolist())
            rows, heads = rows[fits], heads[fits]
        if len(rows):
            self.decoded.rounds.append(self._block(table, rows, heads, names))

    def _table(self, digest: int, row: int) -> SeriesTable:
        known = SeriesTable.known(digest)
        if known is not None:
            return known
        begin = ROUND_HEADER.size + int(self.heads["source"][row])
        table = SeriesTable.from_blob(self.values[row][begin : begin + int(self.heads["table"][row])])
        if table.digest != digest:
            msg = "the digest is not that of its series table"
            raise UnreadableRecordError(msg)
        return table

    def _block(self, table: SeriesTable, rows: Ints, heads: NDArray[np.void], names: list[str | None]) -> RoundBlock:
        width = 8 * len(table)
        every = len(rows) == len(self.values)
        values = self.values if every else [self.values[row] for row in rows.tolist()]
        numbers = np.frombuffer(b"".join([value[-width:] for value in values]), "<f8").reshape(len(rows), len(table))
        if np.isinf(numbers).any():
            numbers = np.where(np.isinf(numbers), np.nan, numbers)
        counted = (heads["flags"] & COUNTED) != 0
        return RoundBlock(
            table=table,
            index=self.indices[rows],
            sources=names if every else [names[row] for row in rows.tolist()],  # type: ignore[arg-type] # none is None
            times=heads["time"].astype(np.int64),
            epoch=np.where(counted, heads["epoch"].astype(np.int64), -1),
            sequence=np.where(counted, heads["sequence"].astype(np.int64), -1),
            values=numbers,
        )


def _in_order(digests: NDArray[np.uint64]) -> Iterable[np.uint64]:
    """Return the digests there are, in the order in which they first come."""
    if not len(digests) or (digests == digests[0]).all():
        return digests[:1]
    found, first = np.unique(digests, return_index=True)
    return found[np.argsort(first)]


def _learn_name(raw: bytes) -> str | None:
    """Return the source's name, or None when the bytes are none; remember that."""
    if len(_names) >= _MOST_NAMES:
        _names.clear()
    name: str | None
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        name = None
    _names[raw] = found = name if name and len(name) <= _LONGEST_NAME else None
    return found


def _wrong_length(length: int, wanted: int) -> str:
    return f"columnar round: {length} bytes, but its header promises {wanted}"


def _no_round(value: bytes) -> str:
    if value[:3] == ROUND_MAGIC[:3] and value[:4] != ROUND_MAGIC:
        return f"columnar round of version {value[3:4].decode(errors='replace')}, but this program reads 1: upgrade it"
    return f"no columnar round: {len(value)} bytes that begin with {value[:4]!r}"


# JSON rounds ---------------------------------------------------------------------------------------------------------


def _json_blocks(rounds: Sequence[tuple[int, Round]], decoded: Decoded) -> Iterator[RoundBlock]:
    groups: dict[int, tuple[SeriesTable, list[tuple[int, Round]]]] = {}
    for index, record in rounds:
        try:
            table = _layout(record)
        except UnreadableRecordError as error:
            decoded.unreadable.append((index, f"round record: {error}"))
            continue
        groups.setdefault(table.digest, (table, []))[1].append((index, record))
    for table, group in groups.values():
        values = [[np.nan if one.value is None else one.value for one in record.samples] for _, record in group]
        numbers = np.array(values, dtype=np.float64)
        numbers[np.isinf(numbers)] = np.nan
        yield RoundBlock(
            table=table,
            index=np.array([index for index, _ in group], dtype=np.int64),
            sources=[record.source for _, record in group],
            times=np.array([record.time for _, record in group], dtype=np.int64),
            epoch=np.array([_counts(record)[0] for _, record in group], dtype=np.int64),
            sequence=np.array([_counts(record)[1] for _, record in group], dtype=np.int64),
            values=numbers,
        )


def _counts(record: Round) -> tuple[int, int]:
    """Return epoch and sequence, or twice -1 of a client that does not give both."""
    if record.epoch is None or record.sequence is None:
        return -1, -1
    return record.epoch, record.sequence


def _layout(record: Round) -> SeriesTable:
    key = tuple((s.service, s.metric, tuple(sorted(s.attributes.items())), s.unit, s.kind) for s in record.samples)
    table = _layouts.get(key)
    if table is None:
        series = [intern_series(*one) for one in key]
        refuse_twins(series)
        if len(_layouts) >= _MOST_LAYOUTS:
            _layouts.clear()
        table = _layouts[key] = SeriesTable.from_blob(SeriesTable(series).blob)
    return table
