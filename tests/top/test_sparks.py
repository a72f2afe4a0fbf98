"""What was measured around a fault, as lines of blocks."""

from __future__ import annotations

from pathlib import Path

from mendline.schemas.records import Evidence
from mendline.schemas.rounds import Round, Sample
from mendline.top.sparks import evidence_lines
from tests.cli.support import append, opened, write_config
from tests.responders.support import SECOND, START_MS, fault


def test_what_was_measured_is_drawn(tmp_path: Path) -> None:
    """The series that the fault rests on, around its opening, with the range that was expected."""
    config, at = write_config(tmp_path), START_MS + 2 * SECOND
    samples = [
        (Sample(metric="load", value=value), Sample(metric="other", value=0.0)) for value in (1.0, 1.0, 9.0, 5.0)
    ]
    rounds = [Round(source="host-1", time=START_MS + n * SECOND, samples=some) for n, some in enumerate(samples)]
    append(config, "metrics", *rounds)
    place = {"topic": "mendline.metrics", "partition": 0, "offsets": (2, 2)}
    evidence = Evidence.model_validate({"series": "load", "low": 0.5, "high": 2.0, "event_time": at} | place)
    _, log = opened(config)
    with log:
        lines = evidence_lines(log, fault("host-1", evidence=evidence, opened_at=at), at + 8 * SECOND, 80)
    assert lines == [
        "from 5 min before it opened to 8 s after:",
        "  load: 1 to 9 1, expected 0.5 to 2",
        "  ▁▁█▅",
    ]


def test_where_nothing_was_measured_nothing_is_drawn(tmp_path: Path) -> None:
    """As of a log that is empty, or has no such topic."""
    _, log = opened(write_config(tmp_path))
    with log:
        assert evidence_lines(log, fault(), START_MS, 80) == []
