"""What cannot be replayed exactly is told, with the reason; the rest is compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mendline.dumps.recording import LogRecording
from mendline.replaying.errors import ReplayError
from mendline.replaying.inputs import Wanted
from mendline.schemas.columnar import WINDOWS_MAGIC
from mendline.schemas.stream import NewRecord, Partition
from tests.replaying.support import HOSTS, SETTINGS, Altered, Studio, at, find, recorded, settings_of, verified, verify

pytestmark = pytest.mark.slow


def test_other_settings_than_those_recorded_are_told(studio: Studio, tmp_path: Path) -> None:
    """Nothing of the stage that they change is compared; what does not depend on them is."""
    limit, *rest = SETTINGS["detectors"]
    verdict = verify(studio, settings_of(tmp_path, detectors=[{**limit, "open": {"above": 50}}, *rest]))
    assert {place.stage for place in verdict.gaps} == {"rounds"}
    assert "other settings counted there (hash " in next(iter(verdict.gaps.values()))[0].why
    assert verdict.equal["windows"] == 2 * (65 + 22)
    assert verdict.first == []


def test_of_settings_that_changed_the_time_they_counted_is_compared(tmp_path: Path) -> None:
    """And of what was taken over from others, the part behind the first snapshot."""
    studio = Studio(settings_of(tmp_path))
    studio.record(30)
    studio.end()
    limit, *rest = SETTINGS["detectors"]
    edited = settings_of(tmp_path, detectors=[{**limit, "open": {"above": 70}}, *rest])
    studio.begin(edited)
    studio.record(40)
    studio.end()
    others = {"rounds": (0, 60)}, {"rounds": (60, 140)}
    for settings, other in zip((edited, settings_of(tmp_path)), others, strict=True):
        verdict = verify(studio, settings)
        assert verdict.first == []
        assert verdict.reproduced
        found = {place.stage: (some[0].begin, some[0].end) for place, some in verdict.gaps.items()}
        assert found == other


def test_soon_after_settings_changed_all_is_exact_again(tmp_path: Path) -> None:
    """The first snapshot under them is kept, however seldom others are."""
    topics = {"partitions": 1, "snapshots_every": "6h"}
    studio = Studio(settings_of(tmp_path, topics=topics))
    studio.record(30)
    studio.end()
    limit, *rest = SETTINGS["detectors"]
    studio.begin(settings_of(tmp_path, topics=topics, detectors=[{**limit, "open": {"above": 70}}, *rest]))
    studio.record(60)
    studio.end()
    verdict = verify(studio)
    assert (verdict.reproduced, verdict.first) == (True, [])
    (other, taken_over) = next(some for place, some in verdict.gaps.items() if place.stage == "rounds")
    assert (other.begin, other.end, taken_over.begin) == (0, 60, 60)
    assert taken_over.end < 60 + 30


def test_what_retention_left_is_replayed_from_the_nearest_snapshot(tmp_path: Path) -> None:
    """Exactly, from there on; what came before is told."""
    studio = recorded(tmp_path, 120)
    for host in range(studio.settings.topics.partitions):
        studio.log.delete_before(Partition("mendline.metrics", host), 45)
    verdict = verify(studio)
    assert (verdict.reproduced, verdict.first) == (True, [])
    assert verdict.gaps
    for place, (gap,) in verdict.gaps.items():
        assert place.partition.topic == "mendline.metrics"
        assert (gap.begin, gap.why) == (45, "neither a snapshot nor the records that its state follows from are left")
        assert 45 < gap.end <= 70


def test_what_was_said_and_is_no_longer_kept_is_no_difference(tmp_path: Path) -> None:
    """Where windows are kept for less time than rounds; behind that one that is missing is still told."""
    studio = recorded(tmp_path, 120)
    for host in range(studio.settings.topics.partitions):
        studio.log.delete_before(Partition("mendline.windows", host), 40)
    verdict = verify(studio)
    assert (verdict.reproduced, verdict.first) == (True, [])
    assert 0 < verdict.equal["windows"] < 2 * (65 + 22)
    windows: list[bytes] = []

    def tenth(value: bytes) -> bool:
        windows.extend([value] if value[:4] == WINDOWS_MAGIC else [])
        return len(windows) == 10

    with LogRecording(studio.log) as recording:
        partition, offset, _ = find(recording, "mendline.windows", tenth)
        verdict = verified(Altered(recording, at(partition, offset, b"")), studio.settings)
    assert "it follows from the recording, and was not recorded" in {one.how for one in verdict.first}


def test_a_span_of_time_is_exact_too(studio: Studio) -> None:
    """From the snapshot before it, with what follows from records in it."""
    begin = studio.clock() - 100_000
    verdict = verify(studio, wanted=Wanted(begin=begin, end=begin + 60_000))
    assert (verdict.reproduced, verdict.first, verdict.gaps) == (True, [], {})
    assert 0 < verdict.equal["windows"] < 2 * (65 + 22)


def test_one_host_and_one_topic_can_be_asked_for(studio: Studio) -> None:
    """Then no more is compared."""
    alone = verify(studio, wanted=Wanted(topics=("metrics",), sources=frozenset(HOSTS[:1])))
    assert alone.reproduced
    assert alone.equal["windows"] == 65 + 22
    assert alone.equal.keys() <= {"windows", "revisions of faults"}


def test_a_topic_that_was_not_recorded_is_told(tmp_path: Path, studio: Studio) -> None:
    """With those that are there."""
    other = studio.settings.model_copy(update={"topics": studio.settings.topics.model_copy(update={"prefix": "x"})})
    with pytest.raises(ReplayError, match=r"the topic x\.journal was not recorded \(there: mendline\.commands, "):
        verify(studio, other)


def test_a_record_of_a_newer_version_is_told(studio: Studio) -> None:
    """It was read when it was recorded, so whoever replays it needs that version."""
    newer = b"MLR2" + bytes(100)
    with LogRecording(studio.log) as recording:
        partition, offset, _ = find(recording, "mendline.metrics", lambda value: b"MLR1" in value)
        verdict = verified(Altered(recording, at(partition, offset, newer)), studio.settings)
    told = verdict.first[0].text
    assert told.startswith(f"a record (mendline.metrics partition {partition.number} offset {offset}): it cannot be ")
    assert "columnar round of version 2, but this program reads 1: upgrade it" in told


def test_what_could_not_be_read_then_either_is_no_difference(tmp_path: Path) -> None:
    """Its dead letter says so."""
    studio = Studio(settings_of(tmp_path))
    studio.record(10)
    producer = studio.log.producer("somebody")
    producer.append([NewRecord("mendline.metrics", b"{no record", b"host-1")]).result(10)
    producer.close()
    studio.record(10)
    studio.end()
    verdict = verify(studio)
    assert (verdict.reproduced, verdict.first) == (True, [])
    assert any(partition.topic == "mendline.deadletter" and end for partition, end in studio.ends().items())


def test_policies_that_this_version_reads_otherwise_are_told(studio: Studio) -> None:
    """As of another version, which knows other settings: what was decided under them is not compared."""

    def older(_: Partition, __: int, value: bytes) -> bytes:
        return re.sub(rb'"(policy_hash|config)":"[0-9a-f]{16}"', rb'"\1":"0123456789abcdef"', value)

    with LogRecording(studio.log) as recording:
        verdict = verified(Altered(recording, older), studio.settings, Wanted(topics=("journal",)))
    assert [one.what for one in verdict.first] == ["the journal"]
    assert verdict.left_out > 0
    assert not {"intents", "holds", "verifications"} & set(verdict.equal)
