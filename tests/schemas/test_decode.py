from __future__ import annotations

import json
import math
import struct
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mendline.schemas.base import MOST_COUNT, MOST_TIME
from mendline.schemas.columnar import WindowBlock, encode_windows
from mendline.schemas.decode import decode
from mendline.schemas.records import Tick, encode_record
from mendline.schemas.rounds import ROUND_HEADER, Round, Sample, encode_round
from mendline.schemas.series import MAX_TABLE_BYTES, Series, SeriesTable
from mendline.schemas.stream import JSON_HEADERS, ROUND_HEADERS, WINDOWS_HEADERS, Headers
from tests.schemas.support import TABLES, batch_of, rounds_of, windows_of
from tests.support.examples import examples

HEADERS: list[Headers] = [ROUND_HEADERS, WINDOWS_HEADERS, JSON_HEADERS, (), (("content-type", b"x"),), [("a", b"")]]
NAN = math.nan

floats = st.floats(allow_infinity=False) | st.just(NAN)


def window_record() -> bytes:
    """Return a sound columnar record of windows."""
    one, none = np.array([5], dtype=np.int64), np.array([0], dtype=np.int64)
    block = WindowBlock(TABLES[1], 10, none, ["h"], one, one, none, {"mean": np.array([[1.0, 2.0, NAN]])})
    return encode_windows([block])[0]


def a_round(
    values: tuple[float, ...] = (1.0, NAN, -0.0), sequence: int = 7, source: str = "höst", time: int = 9
) -> bytes:
    """Return a sound columnar round."""
    return encode_round(source, 3, sequence, time, TABLES[1], values)


def json_round(table: SeriesTable, values: list[float], **envelope: object) -> bytes:
    """Return the JSON form of a round."""
    samples = tuple(
        Sample(value=None if math.isnan(value) else value, **series.model_dump())
        for series, value in zip(table.series, values, strict=True)
    )
    return encode_record(Round.model_validate({"source": "h", "time": 5, **envelope, "samples": samples}))


def reason_of(value: bytes, headers: Headers = ROUND_HEADERS) -> str:
    """Return why the record cannot be read."""
    decoded = decode(batch_of([value], [headers]))
    assert not decoded.rounds
    assert not decoded.windows
    assert not decoded.records
    ((index, reason),) = decoded.unreadable
    assert 0 == index
    return reason


@pytest.mark.slow
@given(st.lists(st.tuples(st.binary(max_size=200), st.sampled_from(HEADERS)), min_size=1, max_size=8))
def test_any_bytes_are_records_or_told_to_be_unreadable(records: list[tuple[bytes, Headers]]) -> None:
    """Nothing crashes, and each position is accounted for exactly once."""
    decoded = decode(batch_of([value for value, _ in records], [headers for _, headers in records]))
    seen = [*rounds_of(decoded.rounds), *(int(i) for b in decoded.windows for i in set(b.index.tolist()))]
    seen += [index for index, _ in decoded.records] + [index for index, _ in decoded.unreadable]
    assert sorted(seen) == list(range(len(records)))
    assert all(reason for _, reason in decoded.unreadable)


def plain(raw: bytes) -> bytes:
    """Return float64 values with one kind of NaN only."""
    values = np.frombuffer(raw)
    return np.where(np.isnan(values), NAN, values).tobytes()


SOUND = [
    (a_round(), ROUND_HEADERS),
    (window_record(), WINDOWS_HEADERS),
    (json_round(TABLES[1], [1.0, 2.0, NAN], epoch=1, sequence=2), JSON_HEADERS),
    (encode_record(Tick(source="t", time=1)), JSON_HEADERS),
]


@given(st.sampled_from(SOUND), st.data())
@settings(max_examples=examples(400))
def test_a_damaged_record_harms_no_other(sound: tuple[bytes, Headers], data: st.DataObject) -> None:
    """Bytes changed, cut or added: the damaged one is a record or unreadable, its neighbours are as they were."""
    value, headers = sound
    at = data.draw(st.integers(0, len(value) - 1))
    damaged = data.draw(
        st.sampled_from([value[:at], value + b"x", value[:at] + value[at + 1 :]])
        | st.binary(min_size=1, max_size=8).map(lambda some: value[:at] + some + value[at + len(some) :])
    )
    decoded = decode(batch_of([a_round(), damaged, a_round(sequence=8)], [ROUND_HEADERS, headers, ROUND_HEADERS]))
    rounds = rounds_of(decoded.rounds)
    assert rounds[0][:4] == (TABLES[1].series, "höst", 9, 3)
    assert 8 == rounds[2][4]
    accounted = {*rounds, *(i for i, _ in decoded.unreadable), *(i for i, _ in decoded.records)}
    assert 1 in accounted | {int(i) for block in decoded.windows for i in block.index}


rounds = st.tuples(
    st.sampled_from(TABLES),
    st.text(min_size=1, max_size=9).filter(lambda name: name.isprintable()),
    st.integers(0, MOST_COUNT),
    st.integers(0, MOST_COUNT),
    st.integers(0, MOST_TIME),
    st.booleans(),
    st.sampled_from([0, 1, 2]),
    st.data(),
)


@pytest.mark.slow
@given(st.lists(rounds, min_size=1, max_size=6))
@settings(deadline=None)
def test_rounds_come_back_as_they_were_in_either_form(sent: list[tuple]) -> None:  # type: ignore[type-arg]
    """JSON and columnar rounds of the same content decode to the same, at their positions, bit by bit."""
    values, headers, expected = [], [], {}
    for index, (table, source, epoch, sequence, time, as_json, header, data) in enumerate(sent):
        numbers = data.draw(st.lists(floats, min_size=len(table), max_size=len(table)))
        if as_json:
            values.append(json_round(table, numbers, source=source, epoch=epoch, sequence=sequence, time=time))
            headers.append((JSON_HEADERS, list(JSON_HEADERS), ())[header])
        else:
            values.append(encode_round(source, epoch, sequence, time, table, numbers))
            headers.append((ROUND_HEADERS, list(ROUND_HEADERS), ())[header])
        expected[index] = (table.series, source, time, epoch, sequence, plain(np.array(numbers).tobytes()))
    decoded = decode(batch_of(values, headers))
    assert not decoded.unreadable
    found = {index: (*one[:5], plain(one[5])) for index, one in rounds_of(decoded.rounds).items()}
    assert expected == found
    assert all((np.diff(block.index) > 0).all() for block in decoded.rounds)


def test_json_windows_are_blocks_too() -> None:
    """A foreign writer's windows decode to what the columnar form of them does."""
    rows = [
        {
            "metric": s.metric,
            "service": s.service,
            "attributes": dict(s.attributes),
            "count": 2,
            "mean": n,
            "quantiles": {"p50": 1.5},
        }
        for n, s in enumerate(TABLES[1].series)
    ]
    text = {
        "type": "windows",
        "source": "h",
        "time": 5,
        "start": 0,
        "width_ms": 10,
        "rounds": 2,
        "late": 1,
        "rows": rows,
    }
    (block,) = decode(batch_of([json.dumps(text).encode()], [JSON_HEADERS])).windows
    again = decode(batch_of(encode_windows([block]), [WINDOWS_HEADERS])).windows
    assert windows_of([block]) == windows_of(again)
    assert [0.0, 1.0, 2.0] == block.statistics["mean"][0].tolist()
    assert [1.5] * 3 == block.statistics["p50"][0].tolist()
    assert np.isnan(block.statistics["max"]).all()
    assert block.table.digest == TABLES[1].digest


def test_infinite_values_are_no_values() -> None:
    """In either form, infinity is NaN."""
    records = [
        a_round((math.inf, 1.0, -math.inf)),
        json_round(TABLES[1], [1.0] * 3).replace(b'"value":1.0', b'"value":1e999', 1),
    ]
    blocks = decode(batch_of(records, [ROUND_HEADERS, JSON_HEADERS])).rounds
    assert [[True, False, True], [True, False, False]] == [np.isnan(block.values[0]).tolist() for block in blocks]


def test_a_client_that_gives_half_a_count_does_not_count() -> None:
    """An epoch without a sequence is none."""
    (block,) = decode(batch_of([json_round(TABLES[0], [1.0], epoch=4)], [JSON_HEADERS])).rounds
    assert ([-1], [-1]) == (block.epoch.tolist(), block.sequence.tolist())


def header(**changes: int) -> bytes:
    """Return a round whose header tells something else."""
    names = ("magic", "series", "digest", "time", "epoch", "sequence", "source", "flags", "table")
    value = a_round()
    fields = dict(zip(names, ROUND_HEADER.unpack_from(value), strict=True)) | changes
    return ROUND_HEADER.pack(*fields.values()) + value[ROUND_HEADER.size :]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"", "0 bytes"),
        (b"MLR2" + a_round()[4:], "version 2"),
        (a_round()[:-1], "its header promises"),
        (header(series=2**32 - 1), "its header promises"),
        (header(series=0, table=len(TABLES[1].blob) + 24), "no series"),
        (header(time=-1), "out of range"),
        (header(time=MOST_TIME + 1), "out of range"),
        (header(epoch=2**63), "out of range"),
        (header(digest=5), "digest"),
        (encode_round("x" * 256, 1, 1, 1, TABLES[0], [1.0]), "255"),
        (a_round(source="hh").replace(b"hh", b"\xff\xff"), "UTF-8"),
    ],
)
def test_a_columnar_round_that_cannot_be_says_why(value: bytes, words: str) -> None:
    """The reason names what is wrong."""
    assert words in reason_of(value)


def blob_round(blob: bytes) -> bytes:
    """Return a round of one series with this blob for a table."""
    table = SeriesTable(TABLES[0].series, blob)
    return encode_round("h", 1, 1, 1, table, [1.0])


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (b"no zlib", "damaged"),
        (zlib.compress(b"[]" + b" " * (MAX_TABLE_BYTES + 1)), "over"),
        (TABLES[0].blob[:-3], "cut off"),
        (TABLES[0].blob + b"x", "after its end"),
        (zlib.compress(b'[["","",{},"1","gauge"]]'), "at least 1 character"),
        (zlib.compress(b'[["","m",{},"1","other"]]'), "gauge"),
        (zlib.compress(b"[" * 100_000), "damaged"),
    ],
)
def test_a_series_table_that_cannot_be_says_why(blob: bytes, words: str) -> None:
    """A bomb, a cut or a wrong series ends in the dead letters, and nothing is remembered of it."""
    assert words in reason_of(blob_round(blob))
    assert words in reason_of(blob_round(blob))


def test_a_series_that_stands_twice_is_refused() -> None:
    """Two values of one series in one round would be two truths."""
    twins = SeriesTable([Series(metric="m"), Series(metric="m", unit="By")])
    assert "'m' stands twice" in reason_of(encode_round("h", 1, 1, 1, twins, [1.0, 2.0]))
    assert "'m' stands twice" in reason_of(json_round(twins, [1.0, 2.0]), JSON_HEADERS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"type":"tick","source":"x","time":1,"version":9}', "version 9"),
        ('{"type":"tock","source":"x","time":1}', "type"),
        ('{"type":"tick","source":"x","time":1,"more":1}', "more"),
        (f'{{"type":"tick","source":"x","time":{10**30}}}', "time"),
        (f'{{"type":"round","source":"x","time":1,"epoch":{2**70},"samples":[]}}', "epoch"),
        ("[" * 10_000, "not a JSON record"),
        ("plain words", "not a JSON record"),
    ],
)
def test_a_json_record_that_cannot_be_says_why(text: str, words: str) -> None:
    """The reason names the field."""
    assert words in reason_of(text.encode(), JSON_HEADERS)


def test_an_unknown_content_type_is_told() -> None:
    """So that its writer can be found."""
    assert "b'x/y'" not in reason_of(b"{}", (("content-type", b"x/y"),))
    assert "'x/y'" in reason_of(b"{}", (("content-type", b"x/y"),))


@example(0)
@given(st.integers(0, 2**64 - 1))
def test_the_header_of_a_round_is_read_as_it_is_written(number: int) -> None:
    """The numpy record and the struct agree on every field."""
    time, low = number % (MOST_TIME + 1), number >> 1
    value = encode_round("h", low, low, time, TABLES[0], [1.0])
    assert (time, low) == struct.unpack_from("<qQ", value, 16)
    (block,) = decode(batch_of([value])).rounds
    assert (time, low, low) == (block.times[0], block.epoch[0], block.sequence[0])
