"""What people say of faults, and what is counted of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.support import Caller, append
from tests.responders.support import START_MS, fault

OPEN = fault("host-1/web", reason="killed")


def test_a_label_is_shown_and_counted(call: Caller, config: Path) -> None:
    """By the beginning of the fault's id, with the reason."""
    append(config, "journal", OPEN)
    assert call("label", OPEN.id[:8], "false", "--note", "a backup", "-c", config).status == 0
    assert "false: a backup" in call("faults", "-c", config).out
    told = json.loads(call("report", "--json", "-c", config).out)["detectors"][0]
    assert (told["faults"], told["false"], told["precision"]["share"]) == (1, 1, 0.0)


def test_an_acknowledgement_is_shown(call: Caller, config: Path) -> None:
    """So that a second person need not look, until it is taken back."""
    append(config, "journal", OPEN)
    assert call("ack", OPEN.id[:8], "-c", config).status == 0
    assert "acknowledged by" in call("faults", "-c", config).out
    assert call("ack", OPEN.id[:8], "--lift", "-c", config).status == 0
    assert "acknowledged by" not in call("faults", "-c", config).out


def test_an_acknowledgement_that_changes_nothing_is_recorded_and_doubted(call: Caller, config: Path) -> None:
    """Of a fault that is over, and one taken back that nobody gave."""
    append(config, "journal", OPEN)
    assert "" == call("ack", OPEN.id[:8], "-c", config).err
    assert "" == call("ack", OPEN.id[:8], "--lift", "-c", config).err
    ran = call("ack", OPEN.id[:8], "--lift", "-c", config)
    assert (0, f"But nobody had acknowledged the fault {OPEN.id[:8]}.\n") == (ran.status, ran.err)
    append(config, "journal", fault("host-1/web", revision=1, transition="resolved"))
    ran = call("ack", OPEN.id[:8], "-c", config)
    assert (0, f"But the fault {OPEN.id[:8]} is resolved already: nothing will follow.\n") == (ran.status, ran.err)


@pytest.mark.parametrize("words", [("ack",), ("label", "true"), ("approve",)])
def test_the_id_of_an_incident_is_told_to_be_one(call: Caller, config: Path, words: tuple[str, ...]) -> None:
    """With the faults that may be meant."""
    append(config, "journal", OPEN)
    told = json.loads(call("faults", "--json", "-c", config).out)
    ran = call(words[0], told["incident"][:8], *words[1:], "-c", config)
    said = f"{told['incident'][:8]!r} is an incident; name a fault of it: {OPEN.id[:8]}"
    assert (2, True) == (ran.status, said in " ".join(ran.err.split()))


def test_of_an_incident_the_open_faults_are_named_first_and_how_many_more_there_are(call: Caller, config: Path) -> None:
    """The newest open one is most likely meant; the oldest five were named, as if these were all."""
    several = [fault(name=f"odd-{number}", opened_at=START_MS + number) for number in range(7)]
    over = fault(name="odd-6", revision=1, transition="resolved", opened_at=START_MS + 6)
    append(config, "journal", *several, over)
    told = json.loads(call("faults", "--json", "-c", config).out.splitlines()[0])
    ran = call("ack", told["incident"][:8], "-c", config)
    names = ", ".join(one.id[:8] for one in reversed(several[1:6]))
    assert f"name a fault of it: {names}, or one of 2 more" in " ".join(ran.err.split())


def test_a_note_is_a_candidate_for_the_cause(call: Caller, config: Path) -> None:
    """What was deployed right before comes first."""
    append(config, "journal", fault("host-9/db"))
    assert call("note", "deployed 1.2", "--on", "web", "-c", config).status == 0
    append(config, "journal", OPEN)
    assert "deployed 1.2, 0 s before; host-1/web is dead" in call("faults", "-c", config).out


def test_a_label_of_no_fault_is_refused(call: Caller, config: Path) -> None:
    """Nobody would ever count it."""
    append(config, "journal", OPEN)
    ran = call("label", "zzz", "true", "-c", config)
    assert (ran.status, "'zzz'" in ran.err) == (2, True)


def test_a_timeline_of_an_incident_tells_of_all_its_faults(call: Caller, config: Path) -> None:
    """In the order of the journal, after their first signs."""
    other = fault("host-1/web", name="unusual", kind="unusual", opened_at=OPEN.opened_at + 1)
    append(config, "journal", OPEN, other)
    told = [json.loads(line) for line in call("faults", "--json", "-c", config).out.splitlines()]
    assert [one.get("parent") for one in told] == [None, OPEN.id]
    assert len(call("timeline", told[0]["incident"][:10], "-c", config).out.splitlines()) == 4
