from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from mendline.schemas.base import Envelope, UnreadableRecordError, record_id
from mendline.schemas.export import record_types
from mendline.schemas.records import NEWEST_MINOR, decode_record, encode_record
from mendline.schemas.rounds import encode_round
from tests.schemas.support import TABLES

EVIDENCE = {"event_time": 5, "topic": "t", "partition": 0, "offsets": [1, 2]}
ACTION = {"host": "h", "target": "h/web", "action": "restart"}
LEAST: dict[str, dict[str, Any]] = {
    "round": {"samples": [{"metric": "m", "value": 1.5}]},
    "windows": {"start": 0, "width_ms": 10, "rounds": 1, "rows": [{"metric": "m", "count": 1}]},
    "tick": {},
    "heartbeat": {"interval_ms": 1000},
    "process": {"service": "web", "state": "exited", "pid": 7},
    "probe": {"probe": "http", "ok": False},
    "configuration": {"service": "web", "path": "/etc/x", "hash": ""},
    "fault": {
        "revision": 0, "transition": "opened", "target": "h/web", "host": "h", "detector": "d", "kind": "dead",
        "opened_at": 1, "evidence": EVIDENCE, "stage": "rounds", "partition": 0,
    },
    "intent": {
        **ACTION, "fault": "f", "policy": "p", "policy_hash": "x", "mode": "auto", "step": 0, "attempt": 0,
        "timeout_ms": 1, "verify_ms": 1, "basis": -1,
    },
    "hold": {"fault": "f", "target": "h/web", "policy": "p", "guard": "cooldown", "reason": "r"},
    "command": {**ACTION, "intent": "i", "service": "web", "deadline": 1, "timeout_ms": 1},
    "cancel": {"intent": "i", "host": "h"},
    "stop": {"by": "me"},
    "outcome": {**ACTION, "intent": "i", "status": "succeeded"},
    "verification": {"intent": "i", "fault": "f", "target": "t", "mended": True},
    "order": {"kind": "approve", "by": "me"},
    "activation": {"stage": "s", "topic": "t", "partition": 0, "offset": 0, "config": "c"},
    "progress": {"stage": "s", "topic": "t", "partition": 0, "log_time": 0, "offset": 0, "lag": 0},
    "notice": {"receiver": "desk", "status": "delivered", "offsets": [3, 4], "text": "t", "tries": 1},
    "seal": {"first": 0, "last": 1, "records": 2, "digest": "0"},
    "snapshot": {
        "stage": "s", "topic": "t", "partition": 0, "offset": 0, "log_time": 0, "append_time": 0, "config": "c",
        "block": 0, "blocks": 1,
    },
    "deadletter": {"topic": "t", "partition": 0, "offset": 0, "stage": "s", "reason": "r"},
}  # fmt: skip


def record(kind: str, **more: Any) -> Envelope:
    """Return the least that makes a record of this type."""
    return record_types()[kind].model_validate({"source": "s", "time": 1, **LEAST[kind], **more})


def test_every_record_type_is_tried_here() -> None:
    """So that a new one is not forgotten below."""
    assert record_types().keys() == LEAST.keys()


@pytest.mark.parametrize("kind", LEAST)
def test_a_record_comes_back_as_it_was(kind: str) -> None:
    """Through JSON, with and without its optional fields."""
    for one in (record(kind), record(kind, id="x", cause="y", epoch=2, sequence=3)):
        assert one == decode_record(encode_record(one))


@pytest.mark.parametrize("kind", LEAST)
def test_a_record_tells_its_type_and_version(kind: str) -> None:
    """Other programs read it by them."""
    text = json.loads(encode_record(record(kind)))
    assert (kind, 1) == (text["type"], text["version"])
    assert None not in text.values()


@pytest.mark.parametrize("kind", LEAST)
def test_a_record_that_lacks_or_adds_a_field_is_refused_by_name(kind: str) -> None:
    """The reason names the type and the field."""
    text = json.loads(encode_record(record(kind)))
    with pytest.raises(UnreadableRecordError, match=f"{kind} record: .*surplus"):
        decode_record(json.dumps(text | {"surplus": 1}).encode())
    del text["source"]
    with pytest.raises(UnreadableRecordError, match=f"{kind} record: .*source: Field required"):
        decode_record(json.dumps(text).encode())


@pytest.mark.parametrize("kind", LEAST)
def test_a_newer_version_is_refused_as_such_whether_its_fields_fit_or_not(kind: str) -> None:
    """The remedy is to upgrade, and the reason says so."""
    text = json.loads(encode_record(record(kind))) | {"version": 2}
    for one in (text, text | {"surplus": 1}):
        with pytest.raises(UnreadableRecordError, match=f"{kind} record of version 2, but .* up to 1: upgrade it"):
            decode_record(json.dumps(one).encode())


@pytest.mark.parametrize("kind", LEAST)
def test_of_a_newer_minor_what_is_known_is_read(kind: str) -> None:
    """A fleet is upgraded host by host: whoever is old reads the new ones' records as far as it knows them."""
    text = json.loads(encode_record(record(kind)))
    newer = text | {"surplus": {"a": [1]}, "minor": NEWEST_MINOR + 1}
    if "evidence" in text:
        newer["evidence"] = text["evidence"] | {"surplus": 1}
    found = decode_record(json.dumps(newer).encode())
    known = record(kind, minor=NEWEST_MINOR + 1)
    assert known.model_dump() == found.model_dump()
    assert json.loads(encode_record(known)) | {"surplus": {"a": [1]}} == json.loads(encode_record(found))
    with pytest.raises(UnreadableRecordError, match="source: Field required"):
        decode_record(json.dumps({name: one for name, one in newer.items() if name != "source"}).encode())


@pytest.mark.parametrize("kind", LEAST)
@pytest.mark.parametrize("huge", [10**30, -(10**30)])
def test_no_number_is_larger_than_64_bits(kind: str, huge: int) -> None:
    """Such a record is a dead letter: readers that do arithmetic with its numbers would fail on it for ever."""
    for name in record_types()[kind].model_fields:
        try:
            read = record_types()[kind].model_validate({"source": "s", "time": 1, **LEAST[kind], name: huge})
        except ValidationError:
            continue
        assert not isinstance(getattr(read, name), int), name
    if "evidence" in LEAST[kind]:
        for wrong in ({"event_time": huge}, {"delay_ms": huge}, {"partition": huge}, {"offsets": [0, huge]}):
            with pytest.raises(ValidationError):
                record(kind, evidence=EVIDENCE | wrong)


@pytest.mark.parametrize("kind", LEAST)
def test_a_record_does_not_change(kind: str) -> None:
    """What was said stays said."""
    with pytest.raises(ValidationError, match="frozen"):
        setattr(record(kind), "time", 2)  # noqa: B010 - the type checker refuses it as well


def test_the_same_fact_has_the_same_id_and_another_has_another() -> None:
    """Parts are kept apart: shifting a border is another fact."""
    assert record_id("a", 1) == record_id("a", "1")
    assert record_id("ab", "c") != record_id("a", "bc")
    assert 32 == len(record_id())


@pytest.mark.parametrize("values", [[], [1.0, 2.0], [1.0] * 4])
def test_a_round_has_one_value_for_each_series(values: list[float]) -> None:
    """Anything else is a mistake of the program that writes."""
    with pytest.raises(ValueError, match=f"the round has {len(values)} values for 3 series"):
        encode_round("h", 1, 1, 1, TABLES[1], values)
