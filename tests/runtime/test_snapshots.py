"""Snapshots: what a stage keeps, through the records of the state topic and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from mendline.detectors.stage import DetectStage, RoundsStage
from mendline.logs.base import TopicSettings
from mendline.logs.memory import MemoryLog
from mendline.processors.windows import WindowsStage
from mendline.responders.planner import PlannerStage
from mendline.roles import with_own_detectors
from mendline.runtime.logtime import LogClock
from mendline.runtime.snapshots import SnapshotHead, SnapshotPlace, in_portions, read_snapshot, write_snapshot
from mendline.schemas.settings import Settings
from mendline.schemas.stream import NewRecord, Partition, Stage, StateBlock
from tests.responders.support import sign

METRICS = Partition("mendline.metrics", 0)
STATE = "mendline.state"
SETTINGS = with_own_detectors(Settings())

STAGES: dict[str, Callable[[], Stage]] = {
    "windows": lambda: WindowsStage(SETTINGS, METRICS),
    "rounds": lambda: RoundsStage(SETTINGS, METRICS, lambda _: None),
    "detect": lambda: DetectStage(SETTINGS, METRICS),
    "planner": lambda: PlannerStage(SETTINGS, METRICS, sign, lambda _: None),
}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_that_keeps_nothing_yet_is_restored(name: str) -> None:
    """A member may stop after its first records, none of which a stage had to keep."""
    log = MemoryLog()
    log.ensure_topics([TopicSettings(STATE, 1)])
    head = SnapshotHead(name, METRICS, 7, LogClock(), "config")
    producer = log.producer("p")
    places = producer.append(list(write_snapshot(head, STAGES[name]().dump(), STATE))).result(1)
    found = read_snapshot(log, STATE, SnapshotPlace.of(places), name, METRICS)
    assert found is not None
    assert (found.offset, found.config) == (7, "config")
    fresh = STAGES[name]()
    fresh.load(found.blocks)
    assert list(map(repr, fresh.dump())) == list(map(repr, STAGES[name]().dump()))


def numbered(count: int, begin: int = 0) -> Iterator[StateBlock]:
    """Yield so many blocks, each with its number."""
    for number in range(begin, begin + count):
        yield StateBlock([f"h{number}"], {"x": np.array([number])})


def of(offset: int, count: int, begin: int = 0, stage: str = "s") -> list[NewRecord]:
    """Return the records of a snapshot of so many blocks, taken at the offset."""
    head = SnapshotHead(stage, METRICS, offset, LogClock(), "config")
    return list(write_snapshot(head, numbered(count, begin), STATE))


def read_back(*records: NewRecord) -> list[int] | None:
    """Return the numbers in the snapshot that the last of the records ends, all of them being its run on the log."""
    log = MemoryLog()
    log.ensure_topics([TopicSettings(STATE, 1)])
    places = log.producer("p").append(records).result(1)
    found = read_snapshot(log, STATE, SnapshotPlace.of(places), "s", METRICS)
    return None if found is None else [int(block.arrays["x"][0]) for block in found.taken()]


def test_a_snapshot_is_read_from_among_others() -> None:
    """Other members write there at the same time, and one that was late may write an older one of the same stage."""
    mine, older, others = of(7, 3), of(5, 3, 10), of(7, 3, 20, "other")
    assert [0, 1, 2] == read_back(mine[0], others[0], older[0], mine[1], others[1], older[1], older[2], mine[2])


def test_blocks_that_were_sent_again_count_once() -> None:
    """Where the log did not answer, a part of the run stands there twice."""
    first, second, third = of(7, 3)
    assert [0, 1, 2] == read_back(first, second, first, second, third)


@pytest.mark.parametrize("missing", range(3))
def test_a_snapshot_without_one_of_its_blocks_is_none(missing: int) -> None:
    """Also without the last, which alone tells how many there are."""
    records = of(7, 3)
    del records[missing]
    assert read_back(*records) is None


def test_snapshots_of_before_are_read() -> None:
    """In those each block told how many there are."""
    records = of(7, 3)
    values = [one.value.replace(b'"blocks":0', b'"blocks":3') for one in records]
    assert values != [one.value for one in records]
    assert [0, 1, 2] == read_back(
        *[NewRecord(STATE, value, one.key) for value, one in zip(values, records, strict=True)]
    )


def test_a_large_snapshot_is_never_there_as_a_whole() -> None:
    """Blocks are made as they are asked for, one ahead, and handed on in portions of a few MB."""
    made: list[int] = []

    def blocks() -> Iterator[StateBlock]:
        for number in range(100):
            made.append(number)
            yield StateBlock([], {"x": np.zeros(50_000)})

    head = SnapshotHead("s", METRICS, 1, LogClock(), "config")
    sizes, ahead = [], []
    for portion in in_portions(write_snapshot(head, blocks(), STATE)):
        sizes.append(sum(len(record.value) for record in portion))
        ahead.append(len(made))
    assert 100 == len(made)
    assert len(sizes) == 10
    assert max(sizes) < 5_000_000
    assert [12, 23, 34] == ahead[:3]
