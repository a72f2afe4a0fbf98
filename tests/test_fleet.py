"""Which hosts are there, by their heartbeats."""

from __future__ import annotations

from pathlib import Path

import pytest

from mendline import fleet
from mendline.fleet import read_fleet
from mendline.schemas.records import Heartbeat
from tests.cli.support import append, opened, write_config


def alive(source: str, **more: object) -> Heartbeat:
    """Return a heartbeat."""
    return Heartbeat.model_validate({"source": source, "time": 0, "interval_ms": 10_000, "services": ("web",)} | more)


def test_the_newest_word_of_each_host_counts(tmp_path: Path) -> None:
    """In the order of their names; what cannot be read hides nobody."""
    config = write_config(tmp_path)
    gone = alive("host-1", leaving=True, sick={"disk": "it hangs"})
    append(config, "metrics", alive("host-2"), alive("host-1"), b'{"heartbeat"', gone)
    settings, log = opened(config)
    with log:
        found = read_fleet(log, settings)
    assert [(name, one.leaving, dict(one.sick)) for name, one in found.items()] == [
        ("host-1", True, {"disk": "it hangs"}),
        ("host-2", False, {}),
    ]


def test_no_more_hosts_are_kept_than_memory_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may write metrics could name any number."""
    monkeypatch.setattr(fleet, "MOST_HOSTS", 2)
    config = write_config(tmp_path)
    append(config, "metrics", *(alive(f"host-{number}") for number in range(5)), alive("host-1", leaving=True))
    settings, log = opened(config)
    with log:
        found = read_fleet(log, settings)
    assert [(name, one.leaving) for name, one in found.items()] == [("host-0", False), ("host-1", True)]


def test_a_log_without_metrics_has_no_hosts(tmp_path: Path) -> None:
    """Nobody ran an agent there yet."""
    settings, log = opened(write_config(tmp_path))
    with log:
        assert dict(read_fleet(log, settings)) == {}
