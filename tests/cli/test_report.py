"""The report, asked from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mendline.schemas.records import Heartbeat
from tests.cli.support import Caller, append
from tests.responders.support import fault, order

OPEN = fault("host-1/web", reason="killed")
ALIVE = Heartbeat(source="host-1", time=0, interval_ms=10_000, services=("web", "db"))


def test_a_report_tells_in_words(call: Caller, config: Path) -> None:
    """For a terminal, with what nobody can know yet left open."""
    append(config, "journal", OPEN)
    out = call("report", "-c", config).out
    assert "incidents                 1           wrong 1 time, 1 still open" in out
    assert "\nDetectors\n" in out


def test_a_service_that_never_failed_is_told_of(call: Caller, config: Path) -> None:
    """By the heartbeats, for the journal has nothing about it."""
    append(config, "metrics", ALIVE)
    append(config, "journal", OPEN)
    told = json.loads(call("report", "--json", "-c", config).out)
    assert [(one["service"], one["hosts"]) for one in told["services"]] == [("db", 1), ("web", 1)]


@pytest.mark.parametrize(
    ("form", "begin"), [("--html", "<!doctype html>"), ("--markdown", "# Report"), ("--json", '{"begin":')]
)
def test_a_report_in_other_forms(call: Caller, config: Path, form: str, begin: str) -> None:
    """Each to be written into a file."""
    append(config, "journal", OPEN)
    assert call("report", form, "-c", config).out.startswith(begin)


def test_a_report_on_a_time_in_which_nothing_was(call: Caller, config: Path) -> None:
    """From now on, or before there was anything."""
    append(config, "journal", OPEN)
    for words in (("--from", "2100-01-01"), ("--to", "2001-01-01")):
        told = json.loads(call("report", "--json", *words, "-c", config).out)
        assert (told["incidents"]["count"], told["detectors"]) == (0, [])
    assert json.loads(call("report", "--json", "--from", "1h", "-c", config).out)["incidents"]["count"] == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [(("--from", "soon"), "soon"), (("--from", "2026-01-02", "--to", "2026-01-01"), "is not after")],
)
def test_a_time_that_is_none_is_one_message(call: Caller, config: Path, words: tuple[str, ...], told: str) -> None:
    """With what was given."""
    append(config, "journal", OPEN)
    ran = call("report", *words, "-c", config)
    assert (ran.status, told in ran.err) == (2, True)


def test_a_label_that_nobody_signed_is_left_out(call: Caller, config: Path) -> None:
    """And the report says why: whoever can write to the journal cannot make a detector look better."""
    append(config, "journal", OPEN, order("label", OPEN.id, text="true"))
    told = json.loads(call("report", "--json", "-c", config).out)
    assert (0, {"it is not signed": 1}) == (told["detectors"][0]["true"], told["ignored"])
    assert "left out: it is not signed" in call("report", "-c", config).out
