"""Commands that go on showing what changes."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import click
import pytest

from mendline.cli import again, cli
from mendline.cli.again import screen
from tests.cli.support import append, ended, start
from tests.responders.support import fault


@pytest.mark.slow
@pytest.mark.parametrize("command", ["faults", "hosts", "incidents"])
def test_what_comes_later_is_shown_too(config: Path, command: str) -> None:
    """As JSON for a program: each object once it is there; Ctrl-C ends it."""
    append(config, "journal", fault("host-1/web"))
    process = start(config, command, "--watch", "--json")
    try:
        assert process.stdout
        assert "host-1" in process.stdout.readline()
        append(config, "journal", fault("host-2/web"))
        assert "host-2" in json.dumps(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGINT)
    finally:
        ran = ended(process)
    assert (ran.status, ran.err.strip()) == (130, "")


@pytest.mark.slow
def test_topics_are_listed_again_as_they_grow(config: Path) -> None:
    """A topic is told again once it has another record."""
    append(config, "journal", fault("host-1/web"))
    process = start(config, "topics", "list", "--watch", "--json")
    try:
        assert process.stdout
        first = [json.loads(process.stdout.readline()) for _ in range(6)]
        append(config, "journal", fault("host-2/web"))
        before = next(one["records"] for one in first if one["topic"] == "mendline.journal")
        later = (json.loads(line) for line in process.stdout)
        assert next(one for one in later if one["records"] == before + 1)["topic"] == "mendline.journal"
        process.send_signal(signal.SIGINT)
    finally:
        ended(process)


@pytest.mark.parametrize("color", [None, False])
def test_a_screen_is_not_overrun(monkeypatch: pytest.MonkeyPatch, color: object) -> None:
    """What does not fit is counted; without colours none is written, and the screen is still drawn anew."""
    monkeypatch.setenv("LINES", "4")
    with click.Context(cli) as context:
        context.color = color  # type: ignore[assignment]
        drawn = screen([click.style(f"line {number}", fg="red") for number in range(5)])
    assert ("… 3 lines more" in drawn, "line 2" in drawn) == (True, False)
    assert (again.HOME in drawn, "\x1b[31m" in drawn) == (True, color is None)
