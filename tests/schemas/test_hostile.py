"""Bytes made to do harm: each ends as a record or as a refusal, within a bound of memory that is told here."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mendline.runtime.snapshots import SnapshotPlace
from mendline.schemas.base import UnreadableRecordError
from mendline.schemas.columnar import SNAPSHOT_MAGIC, WINDOWS_MAGIC, decode_snapshot, encode_snapshot
from mendline.schemas.decode import decode
from mendline.schemas.export import record_types
from mendline.schemas.records import decode_record, encode_record
from mendline.schemas.rounds import encode_round
from mendline.schemas.series import SeriesTable
from mendline.schemas.stream import JSON_HEADERS, ROUND_HEADERS, WINDOWS_HEADERS, Headers
from tests.schemas.support import TABLES, batch_of
from tests.schemas.test_columnar import SNAPSHOT
from tests.schemas.test_records import LEAST, record
from tests.support.examples import examples

MOST_BYTES = 100 * 2**20
"""What any one record of up to 900 kB may cost while it is read."""


def framed(magic: bytes, head: bytes, rest: bytes = b"") -> bytes:
    """Return a record of a JSON header and what follows it."""
    return magic + struct.pack("<I", len(head)) + head + rest


def snapshot(kind: str, shape: tuple[int, ...], rest: bytes = b"") -> bytes:
    """Return a snapshot that says it holds one such array."""
    head = SNAPSHOT.model_copy(update={"arrays": (("a", kind, shape),)})
    return framed(SNAPSHOT_MAGIC, head.model_dump_json().encode(), rest)


def table_round(text: bytes) -> bytes:
    """Return a round whose series table decompresses to `text`."""
    return encode_round("h", 1, 1, 1, SeriesTable(TABLES[0].series, zlib.compress(text, 9)), [1.0])


def table_text(size: int, first: int = 0) -> bytes:
    """Return the text of a table of so many series."""
    return json.dumps([["", f"m{number}", {}, "1", "gauge"] for number in range(first, first + size)]).encode()


def many_tables(tables: int, used: int) -> bytes:
    """Return windows with many large tables, of which the blocks use the first few, and hardly any values."""
    blobs = [zlib.compress(table_text(20_000, 20_000 * number), 9) for number in range(tables)]
    blocks = [{"table": one, "width_ms": 1, "sources": ["h"], "statistics": ["mean"]} for one in range(used)]
    head = json.dumps({"tables": [len(blob) for blob in blobs], "blocks": blocks}).encode()
    return framed(WINDOWS_MAGIC, head, bytes(64) + b"".join(blobs))


def text_of(kind: str, **fields: object) -> bytes:
    """Return the least record of a type with other fields."""
    return json.dumps({"type": kind, "source": "s", "time": 1, **LEAST[kind], **fields}).encode()


def wide_windows(rows: int) -> bytes:
    """Return JSON windows in which each row has a quantile that no other has."""
    many = [{"metric": f"m{n}", "count": 1, "quantiles": {f"p{1 + n / 1e5:.6g}": 1.0}} for n in range(rows)]
    return text_of("windows", rows=many)


HOSTILE: dict[str, tuple[Callable[[], bytes], Headers, str]] = {
    "samples that are wrong": (lambda: text_of("round", samples=[{}] * 200_000), JSON_HEADERS, "metric"),
    "rows that are wrong": (lambda: text_of("windows", rows=[{}] * 200_000), JSON_HEADERS, "metric"),
    "a quantile for each row": (lambda: wide_windows(5_000), JSON_HEADERS, "quantiles"),
    "blocks that are wrong": (
        lambda: framed(WINDOWS_MAGIC, json.dumps({"tables": [], "blocks": [{}] * 200_000}).encode()),
        WINDOWS_HEADERS,
        "damaged",
    ),
    "tables that no block uses": (lambda: many_tables(5, 1), WINDOWS_HEADERS, "no block is of it"),
    "tables without values": (lambda: many_tables(5, 5), WINDOWS_HEADERS, "contradict"),
    "series that are wrong": (
        lambda: table_round(b"[" + b",".join([b"[]"] * 1_300_000) + b"]"),
        ROUND_HEADERS,
        "damaged",
    ),
    "a table that goes on": (lambda: table_round(b" " * 50_000_000), ROUND_HEADERS, "over"),
    "a table deep inside": (lambda: table_round(b"[" * 3_000_000), ROUND_HEADERS, "damaged"),
    "one series many times": (lambda: table_round(json.dumps([["", "m", {}, "1", "gauge"]] * 100_000).encode()),
                              ROUND_HEADERS, "twice"),
    "an object deep inside": (lambda: b'{"a":' * 150_000, JSON_HEADERS, "not a JSON record"),
    "a number of many digits": (lambda: text_of("tick")[:-1] + b',"epoch":' + b"9" * 800_000 + b"}",
                                JSON_HEADERS, "not a JSON record"),
}  # fmt: skip


def peak(read: Callable[[], object]) -> int:
    """Return how many bytes stood in memory at most while `read` was at work, beyond those before."""
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_record_made_to_fill_the_memory_does_not(name: str) -> None:
    """What a short or lying record costs before it is refused is bounded, whatever it claims."""
    make, headers, words = HOSTILE[name]
    batch = batch_of([make()], [headers])
    reasons: list[str] = []
    assert peak(lambda: reasons.extend(reason for _, reason in decode(batch).unreadable)) < MOST_BYTES
    assert words in " ".join(reasons)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("<f8", (0,) * 100),
        ("|u1", (1,) * 100),
        ("|S0", (20_000, 20_000)),
        ("<U0", (3_000, 3_000)),
        ("<f8", (300,) * 12 + (0,)),
    ],
)
def test_a_snapshot_whose_array_numpy_could_not_make_is_refused(kind: str, shape: tuple[int, ...]) -> None:
    """Neither an error of numpy's nor an array that is larger than the record comes out."""
    value = snapshot(kind, shape, bytes(20_000))

    def read() -> None:
        with pytest.raises(UnreadableRecordError, match="is not in the record"):
            decode_snapshot(value)

    assert peak(read) < 2**20


def test_the_bound_can_be_broken() -> None:
    """The measure above sees what is allocated."""
    assert peak(lambda: bytes(MOST_BYTES)) >= MOST_BYTES


def damaged(draw: st.DrawFn, value: bytes) -> bytes:
    """Draw the value with bytes changed, cut out, repeated or added at a place."""
    at, length = draw(st.integers(0, len(value))), draw(st.integers(0, 40))
    some = draw(
        st.binary(max_size=12) | st.sampled_from([b"[" * 300, b"9" * 5000, b"null", b"-1", value[at:][:length]])
    )
    return value[:at] + some + value[at + length :]


SOUND_SNAPSHOT = encode_snapshot(SNAPSHOT, {"total": np.arange(6.0).reshape(2, 3), "name": np.array(["é", "b"])})
KINDS = {kind: encode_record(record(kind, id="x", cause="y", epoch=2, sequence=3)) for kind in LEAST}


@given(st.composite(damaged)(SOUND_SNAPSHOT))
@settings(max_examples=examples(300), deadline=None)
def test_a_damaged_snapshot_is_one_or_is_refused(value: bytes) -> None:
    """Nothing but the one error comes out, and no array is larger than the record."""
    try:
        _, arrays = decode_snapshot(value)
    except UnreadableRecordError:
        return
    assert sum(array.nbytes for array in arrays.values()) <= len(value)


@pytest.mark.slow
@given(st.sampled_from(sorted(KINDS)).flatmap(lambda kind: st.composite(damaged)(KINDS[kind])))
@settings(max_examples=examples(600), deadline=None)
def test_a_damaged_json_record_of_any_type_is_one_or_is_refused(value: bytes) -> None:
    """It is accounted for exactly once."""
    found = decode(batch_of([value], [JSON_HEADERS]))
    assert 1 == len(found.rounds) + len(found.windows) + len(found.records) + len(found.unreadable)


strange = st.none() | st.booleans() | st.integers() | st.integers(0, 9) | st.floats() | st.text(max_size=5)
nested = st.recursive(strange, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


@pytest.mark.slow
@given(st.sampled_from(sorted(LEAST)), st.data())
@settings(max_examples=examples(200), deadline=None)
def test_a_json_record_with_fields_of_other_types_is_one_or_is_refused(kind: str, data: st.DataObject) -> None:
    """Nothing crashes, whatever stands in a field; and who writes again what was read loses nothing of it."""
    names = st.sampled_from([*record_types()[kind].model_fields, "more"])
    changes = data.draw(st.dictionaries(names, nested, max_size=4))
    value = json.dumps(json.loads(KINDS[kind]) | changes).encode()
    found = decode(batch_of([value], [JSON_HEADERS]))
    assert 1 == len(found.rounds) + len(found.windows) + len(found.records) + len(found.unreadable)
    if not found.unreadable:
        read = decode_record(value)
        assert repr(decode_record(encode_record(read))) == repr(read)  # not ==: NaN is not itself


COLUMNAR = [(table_round(table_text(3)), ROUND_HEADERS), (many_tables(2, 2), WINDOWS_HEADERS)]
LYING = [2**32 - 1, 2**31 - 1, 2**31, 2**24, 65_536, 1, 0]
SOME_BYTES = 2**21


@pytest.mark.slow
@given(st.sampled_from(COLUMNAR), st.integers(0, 11), st.sampled_from(LYING), st.sampled_from(LYING))
@settings(max_examples=examples(100), deadline=None)
def test_a_length_that_lies_costs_nothing(sound: tuple[bytes, Headers], word: int, one: int, other: int) -> None:
    """Whatever number stands in the head of a short columnar record, what is made of it is bounded by its bytes."""
    value, headers = bytearray(sound[0]), sound[1]
    struct.pack_into("<I", value, 4 * word, one)
    struct.pack_into("<I", value, 4 * (word % 3 + 1), other)
    assert peak(lambda: decode(batch_of([bytes(value)], [headers]))) < SOME_BYTES


@pytest.mark.parametrize("minor", ["5", 5])
def test_a_newer_minor_in_any_form_lets_unknown_fields_pass(minor: object) -> None:
    """A writer that gives it as text is understood as everywhere else, and does not crash its readers."""
    assert decode(batch_of([text_of("tick", minor=minor, more=1)], [JSON_HEADERS])).records


@given(st.text(max_size=9) | st.from_regex(r"\A\d:\d:[\d²٣]\Z"))
def test_a_place_of_a_snapshot_in_any_text_is_one_or_none(text: str) -> None:
    """What stands beside a committed offset may be another program's."""
    place = SnapshotPlace.parse(text)
    assert place is None or SnapshotPlace.parse(place.text()) == place
