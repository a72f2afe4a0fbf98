"""Whole runs: the command as people call it, real processes, real logs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from mendline.testing.kafka import LocalKafka

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]


def demonstrated(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demonstration to its end, whatever that is."""
    command = [sys.executable, "-m", "mendline", "demo", "--json", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)


def demo(*arguments: str) -> dict[str, Any]:
    """Run the demonstration, and return what it tells of what it did well."""
    done = demonstrated(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _inside(folder: Path) -> list[str]:
    """Return where processes are at work in the folder or below."""
    places = [process.info["cwd"] or "" for process in psutil.process_iter(["cwd"])]
    return [place for place in places if place.startswith(f"{folder}/")]


def test_every_scenario_is_mended_on_the_embedded_log() -> None:
    """Killed, stopped and deadlocked services answer again by one restart each; stalled ones are let alone."""
    told = demo("--rounds", "2")["scenarios"]
    assert list(told) == ["kill", "hang", "stall"]
    for name in ("kill", "hang"):
        assert {key: told[name][key] for key in ("rounds", "mended", "actions", "needless")} == {
            "rounds": 2,
            "mended": 2,
            "actions": 2,
            "needless": 0,
        }
        assert 0 <= told[name]["detected_s"]["min"] <= told[name]["commanded_s"]["min"]
        assert told[name]["commanded_s"]["min"] < told[name]["answering_s"]["min"]
    assert (told["stall"]["mended"], told["stall"]["actions"]) == (2, 0)
    assert told["stall"]["answering_s"]["min"] >= 0.95


def test_what_a_service_takes_too_much_of_is_seen_in_time() -> None:
    """A leak is mended before the limit, a burnt core after more than a burst, and a burst is let alone."""
    ways = ("leak", "burn", "burst")
    told = demo("--rounds", "1", *(word for name in ways for word in ("--scenario", name)))["scenarios"]
    assert list(ways) == list(told)
    assert [(1, 1), (1, 1), (1, 0)] == [(told[name]["mended"], told[name]["actions"]) for name in ways]
    assert 0 == told["leak"]["crossed"]


def test_corrupt_data_are_what_they_were_within_three_seconds() -> None:
    """100 MB, by a hash that none of Mendline's own code takes part in, and the service answers from them."""
    told = demo("--rounds", "1", "--scenario", "corrupt-data")["scenarios"]["corrupt-data"]
    assert (1, 1, 1, 100_000_000) == tuple(told[key] for key in ("mended", "actions", "intact", "bytes"))
    (proof,) = told["sha256"]
    assert proof["before"] == proof["after"]
    assert 0 < told["recovery_time_s"]["max"] < told["answering_s"]["max"]
    assert 0 < told["recovery_point_s"]["min"]


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the service nor its folder outlives the demonstration, and a log given by the user stays."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    demo("--scenario", "kill", "--rounds", "1", "--log", f"sqlite://{tmp_path}/log")
    assert [] == [*_inside(tmp_path), *tmp_path.glob("mendline-demo-*")]
    assert any((tmp_path / "log").iterdir())


def test_service_is_mended_through_kafka(kafka: LocalKafka) -> None:
    """The same on Apache Kafka, whose topics are gone afterwards."""
    from kafka import KafkaAdminClient

    url = kafka.url
    told = demo("--scenario", "kill", "--rounds", "2", "--log", url)
    assert told["log"] == url
    assert told["scenarios"]["kill"]["mended"] == told["scenarios"]["kill"]["actions"] == 2
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        assert not [name for name in admin.list_topics() if name.startswith("mendline-demo-")]
    finally:
        admin.close()
