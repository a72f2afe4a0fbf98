"""Dumps without names: nothing of the house is left in them, and their shapes are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mendline.dumps.anonymise import Anonymiser
from mendline.dumps.pseudonyms import MASK, Pseudonyms
from mendline.schemas.base import Envelope
from mendline.schemas.columnar import WindowBlock, encode_windows
from mendline.schemas.decode import Decoded, decode
from mendline.schemas.records import (
    Activation,
    DeadLetter,
    Evidence,
    Fault,
    Heartbeat,
    Intent,
    Order,
    Outcome,
    ProcessEvent,
    Signature,
    encode_record,
)
from mendline.schemas.rounds import Round, Sample, encode_round
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.stream import JSON_HEADERS, ROUND_HEADERS, WINDOWS_HEADERS, Batch, Headers, Partition

HOST, SERVICE, SECRET = "shop-db-01.example", "billing", "hunter2-marker"
TABLE = SeriesTable(
    [
        Series(service=SERVICE, metric="acme.orders", attributes={"acme.region": "north"}),
        Series(metric="system.cpu.time", attributes={"cpu": "3", "system.device": SERVICE}, kind="counter", unit="s"),
    ]
)
SIGNATURE = Signature(key=SECRET, value=SECRET)
EVIDENCE = Evidence(
    series=TABLE.series[0].label,
    value=1.5,
    text=SECRET,
    event_time=5,
    topic="mendline.windows",
    partition=0,
    offsets=(1, 2),
)
FAULT = Fault(
    id="0123456789abcdef", source="detect", time=5, revision=0, transition="opened", target=f"{HOST}/{SERVICE}",
    host=HOST, detector="acme-orders", kind="unusual", opened_at=5, evidence=EVIDENCE, reason=SECRET, stage="detect",
    partition=0,
)  # fmt: skip
RECORDS: Sequence[Envelope] = (
    Heartbeat(source=HOST, time=1, interval_ms=1000, services=(SERVICE,), sick={"disk": SECRET}),
    ProcessEvent(
        source=HOST, time=2, service=SERVICE, state="exited", pid=7, error_lines=(SECRET,), signature=SIGNATURE,
    ),
    FAULT,
    Intent(
        source="planner", time=3, fault=FAULT.id, target=FAULT.target, host=HOST, policy="acme-down",
        policy_hash="ab12", mode="auto", step=0, attempt=0, action="restart", parameters={"unit": SECRET}, timeout_ms=5,
        verify_ms=5, basis=1,
    ),
    Outcome(
        source=HOST, time=4, intent="77", host=HOST, target=FAULT.target, action="restart", status="succeeded",
        reason=SECRET, attached={"output": SECRET}, signature=SIGNATURE,
    ),
    Order(source="acme-cli", time=4, kind="note", by="annette.acme", subject=FAULT.target, text=SECRET),
    Activation(
        source="planner", time=4, stage="policies", topic="mendline.journal", partition=0, offset=1, config="c0ffee",
        settings={"policies": [{"name": SECRET}]},
    ),
    DeadLetter(
        source="rounds", time=4, topic="mendline.metrics", partition=0, offset=3, stage="rounds", reason=SECRET,
        key=SECRET, value=SECRET,
    ),
    Round(source=HOST, time=9, samples=(Sample(service=SERVICE, metric="acme.orders", value=2.5),)),
)  # fmt: skip
LEFT = (b"shop", b"example", b"billing", b"acme", b"north", b"hunter2", b"annette", FAULT.id.encode())


def batch_of(values: Sequence[bytes], headers: Sequence[Headers]) -> Batch:
    """Return records of one partition, all with the host for a key."""
    count = len(values)
    return Batch(Partition("mendline.metrics", 0), range(count), [0] * count, [HOST.encode()] * count, values, headers)


def columnar() -> Batch:
    """Return a round and a record of windows."""
    statistics = {"mean": np.array([[1.25, np.nan]]), "p99": np.array([[2.5, -0.0]])}
    one, two = np.array([60_000]), np.array([6])
    block = WindowBlock(TABLE, 10_000, np.array([-1]), [HOST], one, two, np.array([0]), statistics)
    values = [encode_round(HOST, 2, 7, 1234, TABLE, [1.5, float("nan")]), *encode_windows([block])]
    return batch_of(values, [ROUND_HEADERS, WINDOWS_HEADERS])


def described() -> Batch:
    """Return a record of each kind that is JSON, and one that nobody can read."""
    values = [*map(encode_record, RECORDS), b"{" + SECRET.encode()]
    return batch_of(values, [(*JSON_HEADERS, ("x-secret", SECRET.encode()))] * len(values))


@pytest.mark.parametrize("made", [columnar, described])
def test_no_name_and_no_text_is_left(made: object) -> None:
    """In no value, compressed tables included, no key and no header."""
    assert callable(made)
    batch = made()
    changed = Anonymiser(Pseudonyms(b"key")).batch(batch)
    found = decode(changed)
    tables = [*(one.table for one in found.rounds), *(one.table for one in found.windows)]
    labels = [series.model_dump_json().encode() for table in tables for series in table.series]
    headers = [content for one in changed.headers for _, content in one]
    for content in (*changed.values, *labels, *headers, *(key or b"" for key in changed.keys)):
        assert not [left for left in LEFT if left in content], content


def test_columns_keep_their_values_bit_by_bit() -> None:
    """With their times, counts and shapes; only names are others, and the same ones in both."""
    before, after = decode(columnar()), decode(Anonymiser(Pseudonyms(b"key")).batch(columnar()))
    rounds, windows = after.rounds[0], after.windows[0]
    assert rounds.values.tobytes() == before.rounds[0].values.tobytes()
    assert (rounds.times.tolist(), rounds.epoch.tolist(), rounds.sequence.tolist()) == ([1234], [2], [7])
    assert {name: one.tobytes() for name, one in windows.statistics.items()} == {
        name: one.tobytes() for name, one in before.windows[0].statistics.items()
    }
    assert (rounds.sources, rounds.table.digest) == (list(windows.sources), windows.table.digest)
    kept = rounds.table.series[1]
    assert (kept.metric, kept.unit, kept.kind, sorted(kept.attributes)[1]) == (
        "system.cpu.time",
        "s",
        "counter",
        "system.device",
    )


def test_records_stay_records_of_their_kind() -> None:
    """Readable as before, with their times, states and numbers; what was unreadable is masked."""
    found = decode(Anonymiser(Pseudonyms(b"key")).batch(described()))
    records = _by_type(found)
    fault, outcome, event = records["fault"], records["outcome"], records["process"]
    assert (len(records), [index for index, _ in found.unreadable]) == (len(RECORDS) - 1, [len(RECORDS)])
    assert (fault["transition"], fault["kind"], fault["evidence"]["value"], fault["opened_at"]) == (
        "opened",
        "unusual",
        1.5,
        5,
    )
    assert (outcome["status"], outcome["action"], outcome.get("signature")) == ("succeeded", "restart", None)
    assert (event["state"], event["pid"], event["error_lines"]) == ("exited", 7, [MASK])


def test_one_name_is_one_name_everywhere() -> None:
    """A target is its host and service, a label that of its series, an id the one that others refer to."""
    anonymiser = Anonymiser(Pseudonyms(b"key"))
    found = decode(anonymiser.batch(described()))
    table = decode(anonymiser.batch(columnar())).rounds[0].table
    records = _by_type(found)
    fault = records["fault"]
    assert fault["target"] == f"{records['heartbeat']['source']}/{records['process']['service']}"
    assert fault["evidence"]["series"] == table.series[0].label
    assert fault["id"] == records["intent"]["fault"]
    assert table.series[1].attributes["system.device"] == records["process"]["service"]


def _by_type(found: Decoded) -> dict[str, dict[str, Any]]:
    return {record.type: json.loads(encode_record(record)) for _, record in found.records}


def test_names_keep_their_shape_and_no_two_become_one() -> None:
    """Letters stay letters and digits digits; where a shape has too few names a longer one is given."""
    names = Pseudonyms(b"key")
    given = [names.name(f"{letter}{digit}") for letter in "abcdefghijklmnopqrstuvwxyz" for digit in "0123456789"]
    assert len(set(given)) == 260
    other = names.name("Web-01.eu")
    assert [_shape(one) for one in other] == [_shape(one) for one in "Web-01.eu"]
    assert other == names.name("Web-01.eu")
    assert other != Pseudonyms(b"other").name("Web-01.eu")


def _shape(character: str) -> str:
    kinds = {"A": character.isupper(), "a": character.islower(), "0": character.isdigit()}
    return next((kind for kind, holds in kinds.items() if holds), character)
