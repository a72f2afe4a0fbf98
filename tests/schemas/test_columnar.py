from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mendline.schemas.base import MOST_TIME, UnreadableRecordError
from mendline.schemas.columnar import (
    SNAPSHOT_MAGIC,
    WindowBlock,
    decode_snapshot,
    decode_windows,
    encode_snapshot,
    encode_windows,
)
from mendline.schemas.records import Snapshot
from tests.schemas.support import TABLES, windows_of

SNAPSHOT = Snapshot(
    source="s",
    time=1,
    stage="s",
    topic="t",
    partition=0,
    offset=5,
    log_time=1,
    append_time=1,
    config="c",
    block=0,
    blocks=1,
)


@st.composite
def blocks(draw: st.DrawFn) -> WindowBlock:
    """Draw windows of some sources, with any bits for values but infinity."""
    table, entries = draw(st.sampled_from(TABLES)), draw(st.integers(1, 5))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    values = generator.normal(size=(3, entries, len(table)))
    values[generator.random(values.shape) < 0.2] = np.nan
    starts = draw(st.lists(st.integers(-MOST_TIME, MOST_TIME), min_size=entries, max_size=entries))
    counts = generator.integers(0, 2**62, size=(2, entries))
    names = draw(st.lists(st.text(min_size=1, max_size=20), min_size=entries, max_size=entries))
    statistics = dict(zip(("mean", "max", "p99.9"), values, strict=True))
    index = np.full(entries, -1)
    return WindowBlock(
        table, draw(st.integers(1, 10**9)), index, names, np.array(starts), counts[0], counts[1], statistics
    )


@pytest.mark.slow
@given(st.lists(blocks(), max_size=6), st.sampled_from([1, 500, 2_000, 900_000]))
@settings(deadline=None)
def test_windows_come_back_bit_by_bit_however_they_are_split(sent: list[WindowBlock], limit: int) -> None:
    """Order is kept, and a record is over the limit only when one entry alone is."""
    records = encode_windows(sent, limit)
    found = [block for index, record in enumerate(records) for block in decode_windows(record, index)]
    assert windows_of(sent) == windows_of(found)
    for index, record in enumerate(records):
        assert all((block.index == index).all() for block in decode_windows(record, index))
        assert len(record) <= limit or 1 == sum(len(block.sources) for block in decode_windows(record, index))


def test_no_blocks_are_no_record() -> None:
    """A poll that closes nothing writes nothing."""
    assert [] == encode_windows([])


def test_arrays_of_windows_are_aligned() -> None:
    """So that numpy works on them where they stand."""
    block = WindowBlock(TABLES[2], 10, *(np.array([0]),), ["h"], *(np.array([1]),) * 3, {"mean": np.zeros((1, 17))})
    (found,) = decode_windows(encode_windows([block])[0], 0)
    assert found.statistics["mean"].flags.aligned


@pytest.mark.parametrize(
    "change",
    [
        {"tables": [10**9]},
        {"tables": []},
        {"blocks": []},
        {"blocks": [{"table": 1, "width_ms": 10, "sources": ["h"], "statistics": ["mean"]}]},
        {"blocks": [{"table": 0, "width_ms": 0, "sources": ["h"], "statistics": ["mean"]}]},
        {"blocks": [{"table": 0, "width_ms": 10, "sources": ["h"] * 99, "statistics": ["mean"]}]},
        {"blocks": [{"table": 0, "width_ms": 10, "sources": [""], "statistics": ["mean"]}]},
        {"blocks": [{"table": 0, "width_ms": 10, "sources": ["h"], "statistics": ["mean", "mean"]}]},
    ],
)
def test_windows_whose_header_lies_are_refused(change: dict[str, object]) -> None:
    """What it promises is checked against the bytes before anything is made of it."""
    one = np.array([1])
    block = WindowBlock(TABLES[0], 10, one, ["h"], one, one, one, {"mean": np.zeros((1, 1))})
    value = encode_windows([block])[0]
    (length,) = struct.unpack_from("<I", value, 4)
    head = json.dumps(json.loads(value[8 : 8 + length]) | change).encode()
    with pytest.raises(UnreadableRecordError, match="columnar windows"):
        decode_windows(b"MLW1" + struct.pack("<I", len(head)) + head + value[8 + length :], 0)


@pytest.mark.slow
@given(
    st.dictionaries(
        st.text(max_size=5),
        st.tuples(st.sampled_from(["f8", "i4", "u1", "?", "S3", "U2", ">i2"]), st.lists(st.integers(0, 3), max_size=3)),
        max_size=4,
    )
)
def test_a_snapshot_comes_back_with_its_arrays(layout: dict[str, tuple[str, list[int]]]) -> None:
    """Any plain type and shape, empty ones too."""
    arrays = {
        name: np.arange(int(np.prod(shape))).astype(kind).reshape(shape) for name, (kind, shape) in layout.items()
    }
    head, found = decode_snapshot(encode_snapshot(SNAPSHOT, arrays))
    assert SNAPSHOT == head.model_copy(update={"arrays": ()})
    assert list(arrays) == list(found)
    for name, array in arrays.items():
        assert array.shape == found[name].shape
        assert array.dtype.newbyteorder("<") == found[name].dtype
        assert array.tolist() == found[name].tolist()
        assert found[name].flags.writeable


@given(st.binary(max_size=100), st.booleans())
def test_a_snapshot_of_any_bytes_is_one_or_is_refused(value: bytes, marked: bool) -> None:
    """Nothing but the one error comes out."""
    try:
        decode_snapshot(SNAPSHOT_MAGIC * marked + value)
    except UnreadableRecordError:
        return


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("|O", (1,)),
        ("<f8", (10**9, 10**9)),
        ("<f8", (-1,)),
        ("<f3", (1,)),
        ("f8,f8", (1,)),
        ("<f8", (0, 10**30)),
        ("x", ()),
    ],
)
def test_a_snapshot_that_promises_what_is_not_there_is_refused(kind: str, shape: tuple[int, ...]) -> None:
    """No objects, no sizes beyond the record."""
    head = SNAPSHOT.model_copy(update={"arrays": (("a", kind, shape),)}).model_dump_json().encode()
    with pytest.raises(UnreadableRecordError, match="is not in the record"):
        decode_snapshot(SNAPSHOT_MAGIC + struct.pack("<I", len(head)) + head + bytes(64))
