"""What the journal says, asked from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mendline import reading
from mendline.cli.journal import what_was_done
from mendline.keys import key_ring
from mendline.logs.base import Log
from mendline.reading import read_batches
from mendline.responders.playbook import intent_id
from mendline.roles import planner_spec
from mendline.runtime.member import Member, Pace
from mendline.schemas.records import Intent
from mendline.schemas.stream import Batch, Partition
from tests.cli.support import Caller, append, one_message, opened, write_config
from tests.responders.support import START_MS, Scene, fault, order, outcome, policy, settings

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


def test_a_fault_that_is_over_shows_its_cause_and_its_end(call: Caller, config: Path) -> None:
    """Who asks afterwards wants to know why it happened first."""
    over = RESOLVED.model_copy(update={"reason": "killed by SIGKILL", "ended": "process 7 runs"})
    append(config, "journal", MENDED, over)
    assert "  why   killed by SIGKILL\n  over  process 7 runs\n" in call("faults", "--all", "-c", config).out


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


def test_a_number_beyond_all_times_does_not_hide_the_faults(call: Caller, config: Path) -> None:
    """Its record is unreadable, as any other that makes no sense."""
    endless = OPEN.model_dump_json().replace(f'"opened_at":{OPEN.opened_at}', f'"opened_at":{"9" * 29}')
    append(config, "journal", endless.encode(), MENDED)
    ran = call("faults", "-c", config)
    assert (ran.status, MENDED.id[:8] in ran.out, OPEN.id[:8] in ran.out) == (1, True, False)


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


@pytest.fixture
def planned(config: Path) -> Path:
    """Let a planner read a journal with an open fault, snapshot it and end; records of its own time stand there too."""
    append(config, "journal", OPEN)
    own, log = opened(config)
    with log:
        member = Member(log, planner_spec(own, key_ring(own)), own.topics, "planner", pace=Pace(idle=0.0))
        member.open()
        for _ in range(20):
            member.turn()
        member.finish()
        member.close()
    return config


def test_only_what_came_after_the_planners_snapshot_is_read(
    call: Caller, planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal of a year is not folded anew for each question; the answer is the same."""
    append(planned, "journal", MENDED)
    begins: list[int | None] = []

    def noting(log: Log, partition: Partition, begin: int | None = None) -> Iterator[Batch]:
        begins.append(begin)
        return read_batches(log, partition, begin)

    monkeypatch.setattr(reading, "read_batches", noting)
    told = call("faults", "-c", planned).out
    assert OPEN.id[:8] in told
    assert MENDED.id[:8] in told
    assert begins[0]


def test_what_people_ordered_is_said_as_long_as_it_stands(call: Caller, config: Path) -> None:
    """Nobody should wonder why nothing is mended."""
    append(config, "journal", OPEN)
    call("stop-all", "--text", "storm", "-c", config)
    call("maintenance", "begin", "web", "--for", "2h", "-c", config)
    told = call("faults", "-c", config).out
    assert "stopped everything" in told
    assert "(storm): `mendline stop-all --lift` ends that" in told
    assert "maintenance of web for 2 h more" in told
    call("stop-all", "--lift", "-c", config)
    call("maintenance", "end", "web", "-c", config)
    assert "In force" not in call("faults", "-c", config).out


def test_what_asks_is_shown_with_all_that_an_answer_needs(call: Caller, config: Path) -> None:
    """The evidence, the proposal, until when, what the guards say, and how it went before; as JSON too."""
    scene = Scene(settings(policy("ask"), fresh=3 * 10**12))
    found = fault("host-1/web", reason="it does not answer", kind="hung")
    evidence = found.evidence.model_copy(
        update={"series": "web.latency", "value": 9.5, "low": 0.0, "high": 2.0, "unit": "s"}
    )
    scene.say(found.model_copy(update={"evidence": evidence}))
    append(config, "journal", *[entry.record for entry in scene.entries])
    told = call("faults", "-c", config).out
    for line in (
        "  seen  web.latency = 9.5 s, expected 0 ms to 2 s\n",
        "  asks  restart of host-1/web: step 1 of 1 of policy web-down, try 1 of 3; at most 5 s, and the",
        f"  yes   `mendline approve {scene.intents[0].id[:8]}` or `deny`, within 15 min\n",
        "  but   no guard has anything against it\n",
        "  past  never tried here; never tried on other hosts (7 days)\n",
    ):
        assert line in told
    (as_json,) = map(json.loads, call("faults", "--json", "-c", config).out.splitlines())
    assert as_json["question"]["action"] == "restart"
    assert as_json["question"]["here"] == {"tries": 0, "mended": 0, "back": 0, "median_ms": None}


def test_who_answered_is_said() -> None:
    """With what came of it."""
    for said, told in (("approve", "restart: approved by ann, at work"), ("deny", "restart: denied by ann")):
        scene = Scene(settings(policy("ask")))
        scene.say(fault())
        scene.say(order("approve" if said == "approve" else "deny", scene.intents[0].id))
        (sick,) = scene.journal.faults.values()
        assert what_was_done(sick).startswith(told)


def test_what_was_tried_says_whether_it_helped() -> None:
    """An action that succeeded has mended nothing yet."""
    scene = Scene(settings(policy("auto")))
    scene.say(fault())
    (sick,) = scene.journal.faults.values()
    assert what_was_done(sick) == "restart: at work"
    scene.say(outcome(scene.intents[0]))
    assert what_was_done(sick) == "restart: succeeded"
    scene.tick(30_000)
    assert what_was_done(sick).startswith("restart: succeeded, did not mend it; ")
    again = Scene(settings(policy("auto")))
    again.say(fault())
    again.say(outcome(again.intents[0]), fault(transition="resolved", revision=1))
    assert ["restart: succeeded, mended"] == [what_was_done(one) for one in again.journal.faults.values()]
