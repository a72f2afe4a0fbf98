"""What the fold keeps takes little memory, and says the same as what was read."""

from __future__ import annotations

import sys

import pytest
from pydantic import BaseModel

from mendline.responders.facts import lean
from mendline.responders.planner import load_journal
from mendline.schemas.records import decode_record, encode_record
from tests.responders.fleet import through_json
from tests.responders.support import Scene, fault, order, policy, settings


def bytes_of(*models: BaseModel | None) -> int:
    """Return what the dictionaries of models take."""
    return sum(sys.getsizeof(one.__dict__) for one in models if one)


@pytest.fixture(name="scene")
def _scene() -> Scene:
    """Return a scene with many open faults, each with a hold: as many as make a class learn no more names."""
    scene = Scene(settings(policy("auto"), concurrent=1))
    assert {"fault"} == {decode_record(encode_record(fault(f"host-{number}/web"))).type for number in range(60)}
    scene.say(order("stop"), *(fault(f"host-{number}/web") for number in range(60)))
    return scene


def test_a_lean_copy_says_the_same(scene: Scene) -> None:
    """Field by field, which of them were given included."""
    for one in scene.journal.faults.values():
        read = decode_record(encode_record(one.latest))
        copy = lean(read)
        assert (copy, copy.model_fields_set, list(copy.__dict__)) == (read, read.model_fields_set, list(read.__dict__))
        assert encode_record(copy) == encode_record(read)


def test_open_faults_share_what_they_have_in_common(scene: Scene) -> None:
    """Less than half of what was read, also after a snapshot, whose faults are made by the thousand at once."""
    restored = load_journal(through_json(list(scene.stage.dump())))
    for journal in (scene.journal, restored):
        for one in journal.faults.values():
            read = decode_record(encode_record(one.latest))
            hold = decode_record(encode_record(one.hold)) if one.hold else None
            plain = bytes_of(read, getattr(read, "evidence", None), hold)
            assert hold is not None
            assert bytes_of(one.latest, one.latest.evidence, one.hold) < plain / 2
    assert restored == scene.journal
