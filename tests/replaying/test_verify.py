"""What was recorded comes again, byte for byte; and where it does not, that is told with its cause."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mendline.detectors.base import StateArray
from mendline.dumps import Dump
from mendline.dumps.dumping import Wanted as ToDump
from mendline.dumps.dumping import dump, extents, head_of
from mendline.dumps.recording import LogRecording
from mendline.logs.sqlite import SqliteLog
from mendline.replaying.matching import NOT_RECORDED, NOT_SAID
from mendline.schemas.rounds import ROUND_HEADER
from mendline.schemas.stream import Partition
from mendline.testing.clock import ManualClock
from tests.replaying import moods
from tests.replaying.support import HOSTS, SETTINGS, Altered, Studio, at, find, recorded, settings_of, verified, verify

pytestmark = pytest.mark.slow

KINDS = {"windows", "revisions of faults", "intents", "holds", "verifications"}


def test_all_that_was_said_comes_again(studio: Studio) -> None:
    """Windows, faults, intents, holds and verifications; nothing is left over."""
    verdict = verify(studio)
    assert verdict.first == []
    assert (verdict.reproduced, set(verdict.equal), verdict.gaps, verdict.untold) == (True, KINDS, {}, 0)
    assert verdict.equal["windows"] == 2 * (65 + 22)


def test_nothing_is_written_and_no_group_is_touched(tmp_path: Path) -> None:
    """A replay reads: the log ends where it ended, and every group stands where it stood."""
    studio = recorded(tmp_path, 30)
    before, groups = studio.ends(), _committed(studio)
    assert any(groups.values())
    verify(studio)
    assert (studio.ends(), _committed(studio)) == (before, groups)


def _committed(studio: Studio) -> dict[tuple[str, Partition], object]:
    """Return what each group has committed."""
    found: dict[tuple[str, Partition], object] = {}
    for stage, short in (("windows", "metrics"), ("rounds", "metrics"), ("detect", "windows"), ("planner", "journal")):
        consumer = studio.log.consumer("look", group=f"{studio.settings.topics.prefix}.{stage}")
        topic = f"{studio.settings.topics.prefix}.{short}"
        for number in range(studio.log.topics()[topic]):
            found[stage, Partition(topic, number)] = consumer.committed(Partition(topic, number))
        consumer.close()
    return found


def test_the_embedded_log_and_a_dump_of_it_are_as_good(tmp_path: Path) -> None:
    """A dump needs neither the log nor the keys of the host."""
    clock = ManualClock()
    studio = Studio(settings_of(tmp_path), clock, SqliteLog(f"sqlite://{tmp_path}/log", clock=clock))
    studio.record(60)
    studio.end()
    on_log = verify(studio)
    with LogRecording(studio.log) as recording:
        wanted = ToDump({name: name.rpartition(".")[2] for name in recording.topics()})
        dump(recording, tmp_path / "d", head_of(recording, wanted, "mendline", 0), extents(recording, wanted))
    with Dump(tmp_path / "d") as found:
        dumped = verified(found, settings_of(tmp_path / "elsewhere"))
    assert on_log.reproduced
    assert dumped == on_log


def test_restarts_crashes_and_other_batches_change_nothing(tmp_path: Path) -> None:
    """Members that died said some things twice, and those that lagged took many records at a time."""
    studio = Studio(settings_of(tmp_path))
    for seconds in (17, 11, 23):
        studio.record(seconds)
        studio.end(crash=seconds != 11)
        studio.record(5, turns=0)
        studio.begin()
    studio.record(10)
    studio.end()
    verdict = verify(studio)
    assert verdict.first == []
    assert verdict.reproduced


def test_the_end_of_a_recording_in_full_swing_is_no_difference(tmp_path: Path) -> None:
    """What the stages had not got to yet is said again, and nobody misses it."""
    studio = Studio(settings_of(tmp_path))
    studio.record(50)
    studio.end(crash=True)
    studio.record(12, turns=0)
    verdict = verify(studio)
    assert verdict.first == []
    assert (verdict.reproduced, verdict.untold > 0) == (True, True)


# What differs ---------------------------------------------------------------------------------------------------------


def altered(studio: Studio, topic: str, mark: bytes, change: Any) -> str:
    """Alter the first record of a topic that has the mark, and return the first difference."""
    with LogRecording(studio.log) as recording:
        partition, offset, value = find(recording, f"mendline.{topic}", lambda value: mark in value)
        verdict = verified(Altered(recording, at(partition, offset, change(value))), studio.settings)
    assert not verdict.reproduced
    return verdict.first[0].text


def test_one_altered_value_of_a_round_is_found(studio: Studio) -> None:
    """By the window it is in, with the value that was recorded and the one that follows."""

    def lower(value: bytes) -> bytes:
        return value[:-8] + np.array([10.125 - 1]).tobytes()

    mark = ROUND_HEADER.pack(*ROUND_HEADER.unpack(_round_at(studio, 8)[: ROUND_HEADER.size]))
    told = altered(studio, "metrics", mark, lower)
    assert "the window of host-" in told
    assert "web queue" in told
    assert "was recorded as" in told


def _round_at(studio: Studio, sequence: int) -> bytes:
    """Return the round of some host with this sequence number."""

    def is_it(value: bytes) -> bool:
        return value[:4] == b"MLR1" and ROUND_HEADER.unpack_from(value)[5] == sequence

    with LogRecording(studio.log) as recording:
        return find(recording, "mendline.metrics", is_it)[2]


def test_one_altered_bit_of_a_window_is_found(studio: Studio) -> None:
    """The lowest bit of a number."""

    def flip(value: bytes) -> bytes:
        first = 8 + int.from_bytes(value[4:8], "little") + 2 * 3 * 8  # behind the head, and two of start, rounds, late
        return value[:first] + bytes([value[first] ^ 1]) + value[first + 1 :]

    told = altered(studio, "windows", b"MLW1", flip)
    assert "count of load was recorded as 1.0000000000000002 and follows as 1.0" in told


def test_a_record_of_windows_that_cannot_be_read_is_told(studio: Studio) -> None:
    """With the reason, before the windows that are missing for it."""
    told = altered(studio, "windows", b"MLW1", lambda value: value[:-1])
    assert told.startswith("a record (mendline.windows partition ")
    assert "it cannot be read, and was read when it was recorded: " in told


@pytest.mark.parametrize(
    ("kind", "field", "value", "said"),
    [
        ("fault", "severity", "info", 'severity was recorded as "info" and follows as "warning" (detector load-limit)'),
        ("intent", "timeout_ms", 1, "timeout_ms was recorded as 1 and follows as"),
        ("hold", "reason", "none", 'reason was recorded as "none" and follows as "'),
        ("verification", "mended", True, "mended was recorded as true and follows as false"),
    ],
)  # fmt: skip
def test_one_altered_field_of_the_journal_is_found(
    studio: Studio, kind: str, field: str, value: object, said: str
) -> None:
    """It is named, with what it was and what it should be."""

    def change(record: bytes) -> bytes:
        return json.dumps(json.loads(record) | {field: value}, separators=(",", ":")).encode()

    assert said in altered(studio, "journal", f'"type":"{kind}"'.encode(), change)


def test_a_fault_that_does_not_follow_is_told(studio: Studio) -> None:
    """As one that somebody forged; and the one that follows in its place, and was not recorded."""

    def is_fault(value: bytes) -> bool:
        return b'"type":"fault"' in value

    with LogRecording(studio.log) as recording:
        partition, offset, value = find(recording, "mendline.journal", is_fault)
        forged = json.dumps(json.loads(value) | {"id": json.loads(value)["id"][::-1]}, separators=(",", ":")).encode()
        verdict = verified(Altered(recording, at(partition, offset, forged)), studio.settings)
    told = {one.how.partition(":")[0] for one in verdict.first if one.what.startswith("revision 0 ")}
    assert told == {NOT_SAID, NOT_RECORDED}


def test_an_altered_record_that_nothing_follows_from_breaks_a_seal(studio: Studio) -> None:
    """A progress report, for example."""

    def change(record: bytes) -> bytes:
        return json.dumps(json.loads(record) | {"source": "somebody"}, separators=(",", ":")).encode()

    told = altered(studio, "journal", b'"type":"progress"', change)
    assert told.startswith("the journal (mendline.journal offsets 0 to ")
    assert told.endswith("at least one was changed")


# Detectors of others --------------------------------------------------------------------------------------------------


def with_plug_in(name: str) -> tuple[dict[str, Any], ...]:
    """Return the detectors of the recording and one of `tests.replaying.moods`."""
    path = f"tests.replaying.moods:{name}"
    mine = {"name": "theirs", "use": path, "window": "2s", "match": {"metric": "queue"}, "open": {"above": 4}}
    return *SETTINGS["detectors"], mine


@pytest.mark.parametrize("name", ["Clock", "Chance", "Whim"])
def test_a_detector_that_is_not_deterministic_is_named_first(tmp_path: Path, name: str) -> None:
    """Whether it says other things, or scores otherwise or knows other things and has said nothing yet."""
    verdict = verify(recorded(tmp_path, 60, detectors=with_plug_in(name)))
    assert not verdict.reproduced
    told = verdict.first[0].text
    assert told.startswith(f"the detector theirs (tests.replaying.moods:{name}) (mendline.windows partition ")
    assert "it is not deterministic: two passes over the same records differ" in told


def test_a_detector_whose_code_is_another_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First, as the cause of what differs; its settings are the same."""
    studio = recorded(tmp_path, 60, detectors=with_plug_in("Limit"))
    assert verify(studio).reproduced
    monkeypatch.setattr(moods.Limit, "limit", 1_000.0)
    verdict = verify(studio)
    assert verdict.first[0].text.startswith(
        "the detector theirs (tests.replaying.moods:Limit): it is deterministic, and finds otherwise than was recorded"
    )
    opened = {f"{NOT_SAID}: opened {host}/web theirs unusual" for host in HOSTS}
    assert opened <= {one.how for one in verdict.first[1:]}


def test_what_a_stage_that_said_nothing_says_now_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though one batch holds all of its input, the newest records too, which it had not got to."""
    studio = Studio(settings_of(tmp_path, detectors=with_plug_in("Limit")))
    studio.record(20)
    behind = [one for one in studio.members if one.spec.name == "detect"]
    studio.members = [one for one in studio.members if one not in behind]
    studio.record(10)
    studio.members += behind
    studio.end(crash=True)
    assert verify(studio).reproduced
    monkeypatch.setattr(moods.Limit, "limit", 5.0)
    opened = {f"{NOT_RECORDED}: opened {host}/web theirs unusual" for host in HOSTS}
    assert opened <= {one.how for one in verify(studio).first}


def test_a_detector_that_keeps_something_else_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As other settings, which the stage had not; what does not hang on it is compared."""
    studio = recorded(tmp_path, 60, detectors=with_plug_in("Limit"))
    monkeypatch.setattr(moods.Limit, "arrays", lambda _: {"number": StateArray(), "more": StateArray()})
    verdict = verify(studio)
    whys = {(place.stage, gap.why.partition(" (")[0]) for place, gaps in verdict.gaps.items() for gap in gaps}
    assert whys == {("detect", "other settings counted there")}
    assert (verdict.reproduced, verdict.equal["windows"] > 0) == (True, True)


def test_a_detector_of_others_that_is_deterministic_is_reproduced(tmp_path: Path) -> None:
    """From its snapshots too."""
    verdict = verify(recorded(tmp_path, 60, detectors=with_plug_in("Steady")))
    assert (verdict.reproduced, verdict.first) == (True, [])
