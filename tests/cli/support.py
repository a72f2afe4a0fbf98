"""Helpers: the command line called as a person does, a configuration with an embedded log, and records to read."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from mendline.cli import main
from mendline.config import load_settings, log_of
from mendline.logs.base import Log
from mendline.schemas.base import Envelope
from mendline.schemas.records import encode_record
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Headers, NewRecord
from mendline.topics import topic_settings

NOW = 1_700_000_000_000


class Ran(NamedTuple):
    """How a call of the command line ended, and what it printed."""

    status: int
    out: str
    err: str


def write_config(folder: Path, **more: Any) -> Path:
    """Write a configuration with an embedded log below `folder`, and return its file."""
    file = folder / "mendline.yaml"
    settings = {
        "name": "host-1",
        "log": "sqlite://log",
        "state": "state",
        "host": {"collect": ["load"]},
        "web": {"listen": None},
    }
    file.write_text(yaml.safe_dump(settings | more), encoding="utf-8")
    return file


def opened(config: Path) -> tuple[Settings, Log]:
    """Return the settings of a file and its log, with all topics."""
    settings = load_settings(config)
    log = log_of(settings)
    log.ensure_topics(topic_settings(settings.topics))
    return settings, log


def append(config: Path, topic: Any, *values: Envelope | bytes, headers: Headers = ()) -> None:
    """Append records to partition 0 of a topic of the configuration's log."""
    settings, log = opened(config)
    with log:
        producer = log.producer("test")
        made = [value if isinstance(value, bytes) else encode_record(value) for value in values]
        appended = producer.append(
            [NewRecord(settings.topics.topic(topic), value, b"default", 0, headers=headers) for value in made]
        )
        appended.result(10)
        producer.close()


class Caller:
    """Calls the command line in this process: `call("faults", "-c", file)`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capfd = monkeypatch, capfd

    def __call__(self, *words: str | Path) -> Ran:
        """Return how it ended; an error that is not explained is raised."""
        self._monkeypatch.setattr(sys, "argv", ["mendline", *map(str, words)])
        self._capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        said = self._capfd.readouterr()
        code = left.value.code
        return Ran(code if isinstance(code, int) else 0, said.out, said.err)


def start(config: Path, *words: str) -> subprocess.Popen[str]:
    """Start a command in a process of its own, in the folder of the configuration."""
    return start_in(config.parent, *words, "-c", str(config))


def start_in(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start a command in a process of its own, in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "mendline", *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )


def ended(process: subprocess.Popen[str], patience_s: float = 60) -> Ran:
    """Wait for the end of a command."""
    try:
        out, err = process.communicate(timeout=patience_s)
    finally:
        process.kill()
        process.wait()
    return Ran(process.returncode, out, err)


def one_message(ran: Ran, status: int, *words: str) -> None:
    """Fail unless a command ended with `status` and one clear line on standard error that has all `words` in it."""
    assert "Traceback" not in ran.err, ran.err
    assert ran.status == status, ran
    lines = ran.err.strip().splitlines()
    assert len(lines) == 1, lines
    for word in words:
        assert word in lines[0]


def until(what: str, question: Callable[[], Any], patience_s: float = 30) -> Any:
    """Return the first answer that is true; fail, naming `what`, when there is none in time."""
    end = time.monotonic() + patience_s
    while not (answer := question()):
        assert time.monotonic() < end, f"{what}: not within {patience_s:g} s"
        time.sleep(0.01)
    return answer


def values(records: Sequence[Any]) -> list[Any]:
    """Return the records without their places."""
    return [stored.record for stored in records]
