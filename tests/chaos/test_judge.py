"""The judge of the chaos suite finds what is lost, what is there beside it, and what differs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mendline.config import load_settings
from mendline.logs.base import Log
from mendline.logs.memory import MemoryLog
from mendline.reading import read_batches
from mendline.schemas.settings import Settings
from mendline.schemas.stream import NewRecord, Partition
from mendline.topics import topic_settings
from tests.chaos.judge import Seen, Verdict, as_folded, caught_up, compare, partitions_of, seen_on, undisturbed
from tests.chaos.members import Members

BEGAN, ROUNDS, SEED = 1_750_000_000_000, 120, 7


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return the settings that the members run under."""
    return load_settings(Members(tmp_path_factory.mktemp("judge"), "memory:").config)


@pytest.fixture(scope="module")
def log(settings: Settings) -> MemoryLog:
    """Return a log on which all is as it must be."""
    return undisturbed(settings, SEED, BEGAN, ROUNDS)


def records_of(log: Log, partition: Partition) -> list[NewRecord]:
    """Return the partition's records as they were appended."""
    return [
        NewRecord(partition.topic, value, key, partition.number, headers)
        for batch in read_batches(log, partition)
        for key, value, headers in zip(batch.keys, batch.values, batch.headers, strict=True)
    ]


def judged(log: Log, settings: Settings, topic: str, change: Callable[[list[NewRecord]], object]) -> Verdict:
    """Return the verdict on a log that is right but for a change of the records of one partition of a topic."""
    other = MemoryLog()
    other.ensure_topics(topic_settings(settings.topics))
    changed = Partition(settings.topics.topic(topic), 0)  # type: ignore[arg-type]
    journal = Partition(settings.topics.topic("journal"), 0)
    for partition in (*partitions_of(settings, "metrics"), *partitions_of(settings, "windows"), journal):
        records = records_of(log, partition)
        if partition == changed:
            change(records)
        other.producer("copy").append(records).result(0)
    return compare(seen_on(log, settings), seen_on(other, settings), as_folded(log, settings))


@pytest.mark.slow
def test_the_story_follows_from_the_seed_alone(settings: Settings, log: MemoryLog) -> None:
    """Two passes say the same, another seed says something else, and faults of three detectors are in it."""
    expected, again = seen_on(log, settings), seen_on(undisturbed(settings, SEED, BEGAN, ROUNDS), settings)
    other = seen_on(undisturbed(settings, SEED + 1, BEGAN, ROUNDS), settings)
    assert expected.windows == again.windows
    assert expected.faults == again.faults
    assert caught_up(expected, again)
    assert expected.windows.keys() == other.windows.keys()
    assert expected.windows != other.windows
    assert {one.detector for one in expected.records.values()} == {"level-now", "level", "liveness"}


@pytest.mark.slow
@pytest.mark.parametrize("topic", ["windows", "journal"])
def test_a_log_without_harm_is_equal_also_with_repeats(settings: Settings, log: MemoryLog, topic: str) -> None:
    """All records once more, as after a crash, are dropped by order."""
    verdict = judged(log, settings, topic, lambda records: records.extend(list(records)))
    assert verdict.equal
    assert verdict.repeats
    assert not verdict.examples


@pytest.mark.slow
@pytest.mark.parametrize("topic", ["windows", "journal"])
def test_what_is_not_there_is_lost(settings: Settings, log: MemoryLog, topic: str) -> None:
    """The last record is missing."""
    verdict = judged(log, settings, topic, lambda records: records.pop())
    assert verdict.lost
    assert not verdict.duplicated + verdict.different


def test_a_window_after_a_later_one_of_its_source_is_not_seen() -> None:
    """No reader takes it any more; and a repeat that says something else is a difference."""
    seen = Seen()
    seen.take_window(("host-1", 500, 1_000), "a")
    seen.take_window(("host-1", 500, 500), "b")
    assert {("host-1", 500, 1_000): "a"} == seen.windows
    assert not seen.different
    seen.take_window(("host-1", 500, 1_000), "c")
    assert {("host-1", 500, 1_000)} == seen.different


@pytest.mark.slow
@pytest.mark.parametrize("topic", ["windows", "journal"])
def test_what_belongs_to_another_story_is_found(settings: Settings, log: MemoryLog, topic: str) -> None:
    """Windows of another story differ; faults of one that began at another time should not be there."""
    other = undisturbed(settings, SEED + 1, BEGAN + (topic == "journal"), ROUNDS)
    partition = Partition(settings.topics.topic(topic), 0)  # type: ignore[arg-type]

    def change(records: list[NewRecord]) -> None:
        records[:] = records_of(other, partition)

    verdict = judged(log, settings, topic, change)
    assert verdict.different if topic == "windows" else verdict.duplicated
    assert verdict.examples
