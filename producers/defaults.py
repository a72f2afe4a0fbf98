"""Detectors that belong to the agent's own metrics, for settings that name none for them.

An agent that cannot see is itself a fault: a collector or mount that hangs, records that fell off the queue.
"""

from __future__ import annotations

from mendline.schemas.settings import Condition, DetectorSettings, MatchSettings

DETECTORS: tuple[DetectorSettings, ...] = (
    DetectorSettings(
        name="collector-overdue",
        use="threshold",
        match=MatchSettings(metric="mendline.collector.overdue"),
        window=0,
        statistic="last",
        open=Condition.model_validate({"above": 0.5, "for": "5s"}),
        clear=Condition.model_validate({"below": 0.5, "for": "5s"}),
        severity="warning",
        kind="overdue",
    ),
    DetectorSettings(
        name="records-lost",
        use="threshold",
        match=MatchSettings(metric="mendline.agent.records.lost"),
        window=10_000,
        statistic="rate",
        open=Condition(above=0.001),
        clear=Condition.model_validate({"below": 0.001, "for": "1m"}),
        severity="warning",
        kind="lossy",
    ),
)
