"""Drift on a real host: agent, rounds, journal, planner and executor together, on an embedded log."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mendline.reading import read_batches
from mendline.responders.versions.history import History
from mendline.schemas.stream import Partition
from mendline.schemas.versions import content_hash, version_hash
from tests.cli.support import Caller, ended, opened, start, until, write_config

SERVICE = (sys.executable, "-S", "-c", "import time; time.sleep(600)")


def config_of(folder: Path, file: Path) -> Path:
    """Write a configuration whose only host is to have the content `declared`, and is mended when it has not."""
    web = {
        "process": {"command": list(SERVICE)},
        "config": [str(file)],
        "allow": ["restart", "update_config"],
    }
    return write_config(
        folder,
        host={"collect": ["load"], "interval": "200ms"},
        services={"web": web},
        drift=[{"service": "web", "declared": version_hash({str(file): content_hash(b"declared")}), "hold": "1s"}],
        policies=[{"name": "drift", "when": {"target": "web"}, "mode": "auto", "playbook": "drift"}],
    )


def on_log(config: Path) -> Iterator[bytes]:
    """Yield the values of all records on the log."""
    _settings, log = opened(config)
    with log:
        for topic, count in log.topics().items():
            for number in range(count):
                for batch in read_batches(log, Partition(topic, number)):
                    yield from batch.values


@pytest.mark.heavy
def test_a_file_that_was_changed_by_hand_is_put_back_and_that_is_verified(
    call: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the host tells then is the proof; its contents never were on the log."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "web.conf"
    file.write_text("declared")
    config, history = config_of(tmp_path, file), History(tmp_path / "state", "web")
    up = start(config, "up")
    try:
        until("the first version", history.newest)
        file.write_text("a secret edit")
        until("the version put back", lambda: file.read_text() == "declared")
        until("the proof", lambda: '"mended": true' in call("faults", "--all", "--json", "-c", config).out)
    finally:
        up.send_signal(signal.SIGTERM)
        assert 0 == ended(up).status
    (fault,) = (json.loads(line) for line in call("faults", "--all", "--json", "-c", config).out.splitlines())
    assert ("drift", "warning", "resolved") == tuple(fault["latest"][key] for key in ("kind", "severity", "transition"))
    assert ["a secret edit"] == [
        content
        for one in history.versions()
        for content in (entry.data.decode() for entry in history.files(one).values())
        if content != "declared"
    ]
    values = list(on_log(config))
    assert (True, False) == tuple(any(part in value for value in values) for part in (b"web.conf", b"a secret edit"))
    assert 0 == call("configs", "drift", "-c", config).status
