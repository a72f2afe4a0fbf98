"""Snapshots: what a stage keeps, through the records of the state topic and back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mendline.detectors.stage import DetectStage, RoundsStage
from mendline.logs.base import TopicSettings
from mendline.logs.memory import MemoryLog
from mendline.processors.windows import WindowsStage
from mendline.responders.planner import PlannerStage
from mendline.roles import with_own_detectors
from mendline.runtime.logtime import LogClock
from mendline.runtime.snapshots import SnapshotHead, SnapshotPlace, read_snapshot, write_snapshot
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Partition, Stage
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
    places = producer.append(write_snapshot(head, STAGES[name]().dump(), STATE)).result(1)
    found = read_snapshot(log, STATE, SnapshotPlace.of(places), name, METRICS)
    assert found is not None
    assert (found.offset, found.config) == (7, "config")
    fresh = STAGES[name]()
    fresh.load(found.blocks)
    assert list(map(repr, fresh.dump())) == list(map(repr, STAGES[name]().dump()))
