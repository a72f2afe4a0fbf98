"""What was done, asked from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from mendline.logs.clock import wall_clock
from tests.cli.support import Caller, append
from tests.responders.support import Scene, fault, outcome, policy, settings


def scene(mode: str = "auto") -> Scene:
    """Return a journal in which one thing was decided."""
    made = Scene(settings(policy(mode)))
    now = wall_clock()  # what is older would be held: by the log's own clock it is read again
    made.say(fault(time=now, opened_at=now, reason="killed by \x1b[31mSIGKILL"))
    return made


def test_actions_are_listed(call: Caller, config: Path) -> None:
    """What was done, by which policy, and what became of it."""
    made = scene()
    made.say(outcome(made.intents[0], "failed", reason="no such \x1bfile"))
    append(config, "journal", *(entry.record for entry in made.entries))
    out = call("actions", "-c", config).out
    assert made.intents[0].id[:8] in out
    assert "restart host-1/web  failed  web-down, auto, try 1; failed: no such ?file" in out
    assert "\x1b" not in out


def test_an_action_that_asks_stands_there_too(call: Caller, config: Path) -> None:
    """By the id that approves it."""
    made = scene("ask")
    append(config, "journal", *(entry.record for entry in made.entries))
    (told,) = [json.loads(line) for line in call("actions", "--json", "-c", config).out.splitlines()]
    assert (told["id"], told["state"]) == (made.intents[0].id, "asking")


def test_actions_since_a_time_are_read_from_the_journal(call: Caller, config: Path) -> None:
    """Those before it are left out."""
    append(config, "journal", *(entry.record for entry in scene("ask").entries))
    assert len(call("actions", "--from", "1h", "--json", "-c", config).out.splitlines()) == 1
    assert call("actions", "--from", "2100-01-01", "-c", config).out == "Nothing was done.\n"


def test_what_is_remembered_and_what_is_read_are_not_asked_at_once(call: Caller, config: Path) -> None:
    """A year of the journal is not read again every second."""
    ran = call("actions", "--from", "1h", "--watch", "-c", config)
    assert (ran.status, "--from" in ran.err) == (2, True)
