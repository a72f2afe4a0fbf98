"""What the journal says, asked from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mendline.responders.playbook import intent_id
from mendline.schemas.records import Intent
from tests.cli.support import Caller, append, one_message, write_config
from tests.responders.support import START_MS, fault, order, outcome

OPEN = fault("host-1/web", reason="killed by \x1b[31mSIGKILL")
MENDED = fault("host-1/db", time=START_MS)
RESOLVED = fault("host-1/db", "resolved", 1, time=START_MS + 500)
INTENT = Intent(
    id=intent_id(OPEN.id, 0, 0),
    source="planner",
    time=START_MS,
    fault=OPEN.id,
    target=OPEN.target,
    host="host-1",
    policy="web",
    policy_hash="",
    mode="auto",
    step=0,
    attempt=0,
    action="restart",
    timeout_ms=1000,
    verify_ms=1000,
    basis=0,
    reason="it is dead",
)


def test_no_fault_is_status_0(call: Caller, config: Path) -> None:
    """A script may ask; nothing open is good news."""
    append(config, "journal", MENDED, RESOLVED)
    ran = call("faults", "-c", config)
    assert (ran.status, ran.out.strip()) == (0, "No fault is open.")


def test_open_faults_are_listed_with_status_1(call: Caller, config: Path) -> None:
    """The answer to "is all well" is no; what a service said cannot steer the terminal."""
    append(config, "journal", OPEN, MENDED, RESOLVED)
    ran = call("faults", "-c", config)
    assert ran.status == 1
    assert (OPEN.id[:8] in ran.out, MENDED.id[:8] in ran.out, "\x1b" in ran.out) == (True, False, False)


def test_all_faults_are_listed_as_json(call: Caller, config: Path) -> None:
    """One object a line, closed ones too when asked for."""
    append(config, "journal", OPEN, MENDED, RESOLVED)
    told = [json.loads(line) for line in call("faults", "--all", "--json", "-c", config).out.splitlines()]
    assert [one["latest"]["transition"] for one in told] == ["opened", "resolved"]
    assert [one["closed_at"] is None for one in told if "closed_at" in one] == [False]


def test_unreadable_records_do_not_hide_the_others(call: Caller, config: Path) -> None:
    """They stand in the dead letters."""
    append(config, "journal", b"{", OPEN, b"\xff")
    assert call("faults", "-c", config).status == 1


def test_a_timeline_tells_all_about_one_fault(call: Caller, config: Path) -> None:
    """By the beginning of its id, in order, and nothing of others."""
    append(config, "journal", MENDED, OPEN, INTENT, outcome(INTENT), RESOLVED)
    lines = call("timeline", OPEN.id[:8], "-c", config).out.splitlines()
    assert [line.split(" s  ", 1)[1].split()[0] for line in lines] == ["fault", "intent", "restart"]
    assert lines[0].split()[1:3] == ["+0.000", "s"]
    told = call("timeline", OPEN.id, "--json", "-c", config).out.splitlines()
    assert [json.loads(line)["type"] for line in told] == ["fault", "intent", "outcome"]


def test_a_timeline_of_nothing_is_status_1(call: Caller, config: Path) -> None:
    """And says how to find one."""
    append(config, "journal", OPEN, order("note"))
    one_message(call("timeline", "zzz", "-c", config), 1, "'zzz'", "mendline faults --all")


def test_a_log_that_has_no_topics_is_one_message(call: Caller, config: Path) -> None:
    """Nobody ran Mendline here yet."""
    one_message(call("faults", "-c", config), 3, "mendline.journal")


def test_a_log_that_is_no_folder_is_one_message(call: Caller, tmp_path: Path) -> None:
    """It names the place."""
    (tmp_path / "log").write_text("mine")
    config = write_config(tmp_path)
    one_message(call("faults", "-c", config), 3, str(tmp_path / "log"))
    one_message(call("topics", "create", "-c", config), 3, str(tmp_path / "log"))


@pytest.mark.heavy
def test_a_broker_that_is_not_there_is_one_message(call: Caller, tmp_path: Path) -> None:
    """Commands of people do not wait for ever, and take no half minute to say so."""
    config = write_config(tmp_path, log="kafka://127.0.0.1:9")
    one_message(call("faults", "-c", config), 3, "127.0.0.1:9")
