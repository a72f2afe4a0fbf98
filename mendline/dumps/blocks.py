"""A batch of records as one block of a dump, and back: columns, compressed together.

A block is u32 the length of its head, the head as JSON, then the columns under zlib: offsets and append times (int64,
as differences to the one before), lengths of keys (int32, -1 for none) and of values, the number of each record's
headers in the head's list (int32), the keys, the values.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Annotated

import numpy as np
from pydantic import Field, ValidationError

from mendline.schemas.base import MOST_COUNT, Frozen
from mendline.schemas.stream import Batch, Headers, Partition

MOST_RAW_BYTES = 2**28
"""A block opens to no more than this: sixteen times what is written into one, and the largest record of any log."""

LEVEL = 3
"""Of zlib: 6, its default, takes four times as long for a tenth less."""

_LENGTH = struct.Struct("<I")


class BlockError(ValueError):
    """A block is not what a writer of dumps writes."""


class _Header(Frozen):
    name: str
    value: str


class BlockHead(Frozen):
    """What a block holds: `records` of a partition, `raw` bytes in all, and the sets of `headers` they have."""

    topic: str
    partition: int = Field(ge=0)
    records: int = Field(gt=0, le=2**24)
    raw: int = Field(gt=0, le=MOST_RAW_BYTES)
    headers: tuple[tuple[_Header, ...], ...]
    first: Annotated[int, Field(ge=0, le=MOST_COUNT)]
    began: int


def encode_block(batch: Batch) -> bytes:
    """Return the block of a batch."""
    kinds: dict[Headers, int] = {}
    numbers = [kinds.setdefault(tuple(one), len(kinds)) for one in batch.headers]
    columns = b"".join(_columns(batch, numbers))
    head = BlockHead(
        topic=batch.partition.topic,
        partition=batch.partition.number,
        records=len(batch),
        raw=len(columns),
        headers=tuple(_told(one) for one in kinds),
        first=batch.offsets[0],
        began=batch.timestamps[0],
    )
    text = head.model_dump_json().encode()
    return b"".join((_LENGTH.pack(len(text)), text, zlib.compress(columns, LEVEL)))


def _columns(batch: Batch, numbers: Sequence[int]) -> Iterator[bytes]:
    yield np.diff(np.asarray(batch.offsets, "<i8"), prepend=batch.offsets[0]).tobytes()
    yield np.diff(np.asarray(batch.timestamps, "<i8"), prepend=batch.timestamps[0]).tobytes()
    yield np.array([-1 if key is None else len(key) for key in batch.keys], "<i4").tobytes()
    yield np.array([len(value) for value in batch.values], "<i4").tobytes()
    yield np.array(numbers, "<i4").tobytes()
    yield from (key for key in batch.keys if key)
    yield from batch.values


def _told(headers: Headers) -> tuple[_Header, ...]:
    return tuple(_Header(name=name, value=base64.b64encode(value).decode()) for name, value in headers)


def decode_block(block: bytes) -> Batch:
    """Return the batch that a block holds. Raises BlockError."""
    head, packed = _split(block)
    opener = zlib.decompressobj()
    try:
        columns = opener.decompress(packed, head.raw + 1)
    except zlib.error as error:
        raise BlockError(str(error)) from None
    if len(columns) != head.raw or not opener.eof or head.raw < 28 * head.records:
        msg = f"{len(columns)} bytes of columns, but its head promises {head.raw}"
        raise BlockError(msg)
    return _batch(head, columns)


def _split(block: bytes) -> tuple[BlockHead, bytes]:
    length = _LENGTH.unpack_from(block)[0] if len(block) >= _LENGTH.size else 0
    try:
        head = BlockHead.model_validate_json(block[_LENGTH.size : _LENGTH.size + length])
    except ValidationError as error:
        raise BlockError(error.errors(include_url=False, include_input=False)[0]["msg"]) from None
    return head, block[_LENGTH.size + length :]


def _batch(head: BlockHead, columns: bytes) -> Batch:
    count = head.records
    offsets = np.cumsum(np.frombuffer(columns, "<i8", count)) + head.first
    times = np.cumsum(np.frombuffer(columns, "<i8", count, 8 * count)) + head.began
    lengths = np.frombuffer(columns, "<i4", 3 * count, 16 * count).reshape(3, count)
    keyed = np.maximum(lengths[0], 0)
    known = [tuple((one.name, base64.b64decode(one.value)) for one in headers) for headers in head.headers]
    size = 28 * count + int(keyed.sum() + lengths[1].sum())
    if lengths[1:].min() < 0 or lengths[2].max() >= len(known) or size != head.raw:
        msg = "its columns contradict its head"
        raise BlockError(msg)
    keys = _pieces(columns, 28 * count, keyed.tolist())
    values = _pieces(columns, 28 * count + int(keyed.sum()), lengths[1].tolist())
    return Batch(
        Partition(head.topic, head.partition),
        offsets.tolist(),
        times.tolist(),
        [None if length < 0 else key for length, key in zip(lengths[0].tolist(), keys, strict=True)],
        values,
        [known[number] for number in lengths[2].tolist()],
    )


def _pieces(content: bytes, begin: int, lengths: list[int]) -> list[bytes]:
    ends = list(accumulate(lengths, initial=begin))
    return [content[at:end] for at, end in pairwise(ends)]


def encode_json(content: object) -> bytes:
    """Return JSON, compressed."""
    return zlib.compress(json.dumps(content).encode(), LEVEL)


def decode_json(packed: bytes) -> bytes:
    """Return JSON that was compressed. Raises BlockError."""
    opener = zlib.decompressobj()
    try:
        text = opener.decompress(packed, MOST_RAW_BYTES)
    except zlib.error as error:
        raise BlockError(str(error)) from None
    if not opener.eof:
        msg = "it is cut off, or opens to too much"
        raise BlockError(msg)
    return text
