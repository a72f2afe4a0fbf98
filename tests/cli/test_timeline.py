"""All that happened about one fault or incident, asked from the command line."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mendline.responders.playbook import intent_id
from mendline.schemas.records import Cancel, Command, ConfigurationChange, Intent, Notice, ProbeEvent, Verification
from mendline.schemas.rounds import Round, Sample
from mendline.schemas.windows import WindowRow, Windows
from mendline.timelines.moments import MOST_SIGNS
from tests.cli.support import Caller, append, ended, one_message, start, until, write_config
from tests.responders.support import START_MS, fault, order, outcome

OPEN = fault("host-1/web", reason="killed by \x1b[31mSIGKILL")
OTHER = fault("host-1/db")
RESOLVED = fault("host-1/web", "resolved", 2, ended="process 7 runs")
INTENT = Intent(
    id=intent_id(OPEN.id, 0, 0), source="planner", time=START_MS, fault=OPEN.id, target=OPEN.target, host="host-1",
    policy="web", policy_hash="", mode="auto", step=0, attempt=0, action="restart", timeout_ms=1000, verify_ms=1000,
    basis=0, reason="it is dead",
)  # fmt: skip
PROOF = Verification(
    id="v", source="planner", time=START_MS, intent=INTENT.id, fault=OPEN.id, target=OPEN.target, mended=True
)
BURN = """
import os, time
open("ready", "w").close()
while True:
    time.sleep(0.01)
    while os.path.exists("burn"):
        pass
"""


def resting_on(topic: str, first: int = 0, last: int = 0, series: str = "") -> Mapping[str, Any]:
    """Return evidence that rests on these offsets of a topic."""
    return {
        "event_time": START_MS,
        "topic": f"mendline.{topic}",
        "partition": 0,
        "offsets": (first, last),
        "series": series,
    }


def command(intent: str = INTENT.id) -> Command:
    """Return what goes out for an intent."""
    return Command(
        id=f"command-{intent}", source="planner", time=START_MS, intent=intent, host="host-1", target="host-1/web",
        service="web", action="restart", deadline=START_MS + 1000, timeout_ms=1000,
    )  # fmt: skip


def told(call: Caller, config: Path, fault_id: str = OPEN.id[:8]) -> Sequence[Mapping[str, Any]]:
    """Return what the timeline of the fault tells as JSON."""
    return [json.loads(line) for line in call("timeline", fault_id, "--json", "-c", config).out.splitlines()]


def texts(call: Caller, config: Path) -> str:
    """Return the timeline as people read it."""
    return call("timeline", OPEN.id[:8], "-c", config).out


def test_a_timeline_tells_all_about_one_fault(call: Caller, config: Path) -> None:
    """By the beginning of its id, in order, nothing of others, and no control characters."""
    append(config, "journal", OTHER, OPEN, INTENT, outcome(INTENT), PROOF, RESOLVED)
    lines = texts(call, config).splitlines()
    words = [line.split(" s  ", 1)[1].split()[0] for line in lines]
    assert ["first", "fault", "intent", "restart", "host-1/web", "fault"] == words
    assert "+0.000 s" in lines[0]
    assert "\x1b" not in lines[1]


def test_a_timeline_as_json_has_the_records_with_their_place_in_time(call: Caller, config: Path) -> None:
    """And the fault that each is about."""
    append(config, "journal", OPEN, INTENT, outcome(INTENT), RESOLVED)
    found = told(call, config)
    assert ["first sign", "fault", "intent", "outcome", "fault"] == [one["what"] for one in found]
    assert {OPEN.id} == {one["fault"] for one in found}
    assert [None, "opened"] == [one.get("record", {}).get("transition") for one in found[:2]]
    assert sorted(one["after_ms"] for one in found) == [one["after_ms"] for one in found]


def test_what_only_says_that_it_is_still_so_is_left_out(call: Caller, config: Path) -> None:
    """A fault that is open for a day is affirmed thousands of times."""
    append(config, "journal", OPEN, fault("host-1/web", "affirmed", 1), RESOLVED)
    assert ["first sign", "fault", "fault"] == [one["what"] for one in told(call, config)]


def test_the_first_sign_is_the_window_that_the_evidence_begins_with(call: Caller, config: Path) -> None:
    """With what it says of the series, how much more it rests on, and where it stands."""
    row = WindowRow(service="web", metric="cpu", count=10, mean=0.97, max=1.0)
    for value in (0.1, 0.97):
        rows = (row.model_copy(update={"mean": value}),)
        append(
            config, "windows", Windows(source="host-1", time=0, start=START_MS, width_ms=10_000, rounds=10, rows=rows)
        )
    append(config, "journal", fault("host-1/web", evidence=resting_on("windows", 1, 2, "web cpu")))
    assert (
        f"first sign of {OPEN.id[:8]}: host-1 window 22:13:20.000 + 10 s, web cpu mean 0.97, max 1, "
        "and what followed up to offset 2; mendline.windows/0 offset 1"
    ) in texts(call, config)


def test_the_first_sign_may_be_a_round(call: Caller, config: Path) -> None:
    """Detectors may look at the rounds themselves."""
    append(config, "metrics", Round(source="host-1", time=START_MS, samples=(Sample(metric="load", value=9.5),)))
    append(config, "journal", fault("host-1/web", evidence=resting_on("metrics", series="load")))
    assert "host-1 round of 22:13:20.000, load = 9.5; mendline.metrics/0 offset 0" in texts(call, config)


def test_a_failing_probe_shows_since_its_last_success(call: Caller, config: Path) -> None:
    """Which is told as what it is: nothing had failed yet at that time."""
    probe = ProbeEvent(
        source="host-1", time=START_MS, service="web", probe="health", ok=False, failing_since=START_MS - 2_500
    )
    append(config, "metrics", probe)
    append(config, "journal", OPEN)
    sign, opened = told(call, config)
    assert f"first sign of {OPEN.id[:8]}: from here on no success: host-1/web probe health fails" in sign["text"]
    assert opened["after_ms"] >= 2_500


def test_of_a_storm_the_first_signs_are_told(call: Caller, config: Path) -> None:
    """Each is a place of its own to read, which takes time on a broker; the faults are all there."""
    storm = [
        fault("host-1/web", name=f"kind-{number}", opened_at=START_MS + number) for number in range(MOST_SIGNS + 5)
    ]
    append(config, "journal", *storm)
    (incident,) = {json.loads(one)["incident"] for one in call("faults", "--json", "-c", config).out.splitlines()}
    found = [one["what"] for one in told(call, config, incident)]
    assert (MOST_SIGNS, MOST_SIGNS + 5) == (found.count("first sign"), found.count("fault"))


def test_silence_shows_by_what_others_say(call: Caller, config: Path) -> None:
    """The record that it rests on is of another host, and no sign of this one."""
    append(config, "metrics", Round(source="host-2", time=START_MS, samples=(Sample(metric="load", value=9.5),)))
    append(config, "journal", OPEN)
    assert f"first sign of {OPEN.id[:8]}: nothing was heard of host-1; mendline.metrics/0" in texts(call, config)


def test_a_first_sign_that_is_no_longer_kept_is_said_to_be_gone(call: Caller, config: Path) -> None:
    """The journal is kept for longer than rounds are."""
    append(config, "metrics", OTHER)
    append(config, "journal", fault("host-1/web", evidence=resting_on("metrics", 7, 7)))
    assert "it stood in mendline.metrics/0 offset 7, which the log no longer has" in texts(call, config)


def test_commands_and_what_called_them_off_stand_among_the_rest(call: Caller, config: Path) -> None:
    """Of the fault's own intents only; each once, though whoever goes on after a crash says it again."""
    cancel = Cancel(id="x", source="planner", time=START_MS, intent=INTENT.id, host="host-1", reason="it is over")
    append(config, "journal", OPEN, INTENT)
    append(config, "commands", command(), command("another"), b"{", command(), cancel)
    append(config, "journal", outcome(INTENT))
    assert ["command", "cancel"] == [one["what"] for one in told(call, config) if one["what"] in ("command", "cancel")]


def test_what_was_changed_and_written_before_stands_there_too(call: Caller, config: Path) -> None:
    """On the fault's own target; what only tells what the host has is no change."""
    changed = ConfigurationChange(source="host-1", time=START_MS, service="web", path="/etc/web", hash="a")
    append(config, "journal", changed, changed.model_copy(update={"known": True, "path": "/etc/known"}))
    append(config, "journal", changed.model_copy(update={"service": "db", "path": "/etc/db"}))
    append(config, "journal", order("note", "web", text="deployed 1.2"), order("note", "db", text="not about it"))
    append(config, "journal", OPEN, order("acknowledge", OPEN.id, text="I look"), order("stop", text="enough"))
    append(config, "journal", order("note", "host-1/*", text="it was the deployment"))
    found = texts(call, config)
    assert [True] * 5 == [word in found for word in ("/etc/web", "1.2", "I look", "enough", "it was the")]
    assert [False] * 3 == [word in found for word in ("/etc/known", "/etc/db", "not about it")]


def test_a_change_that_is_the_first_sign_itself_is_told_once(call: Caller, config: Path) -> None:
    """As of a host that drifts."""
    changed = ConfigurationChange(source="host-1", time=START_MS, service="web", path="/etc/web", hash="a")
    append(config, "journal", changed, fault("host-1/web", evidence=resting_on("journal")))
    assert ["first sign", "fault"] == [one["what"] for one in told(call, config)]


def test_the_draft_of_a_post_mortem_says_what_is_known_and_where_people_must_write(call: Caller, config: Path) -> None:
    """What stands in the journal is text there, and no markup; what is attached is code."""
    said = fault("host-1/web", reason="it said | <b>dead</b>")
    append(config, "journal", said, INTENT, outcome(INTENT, attached={"output": "last | words"}), PROOF, RESOLVED)
    draft = call("timeline", OPEN.id, "--markdown", "-c", config).out
    assert "# host-1/web dead, 2023-11-14 22:13:20 UTC" in draft
    for part in ("- over: after ", "- verified: after ", "restart host-1/web | web | succeeded | yes |"):
        assert part in draft
    assert r"it said \| \<b\>dead" in draft
    assert "    output: last | words" in draft
    assert ["Summary", "Faults", "Likely causes", "What was done", "Timeline"] == [
        line.removeprefix("## ") for line in draft.splitlines() if line.startswith("## ")
    ][:5]


def test_the_draft_of_what_goes_on_says_that_it_is_not_over(call: Caller, config: Path) -> None:
    """And that nothing was done."""
    append(config, "journal", OPEN)
    draft = call("timeline", OPEN.id, "--markdown", "-c", config).out
    assert "- over: not yet\n" in draft
    assert "## What was done\n\nNothing.\n" in draft


@pytest.mark.parametrize("beginning", ["", "1", "12"])
def test_a_timeline_is_of_one_fault_only(call: Caller, config: Path, beginning: str) -> None:
    """Several would be told as if they were one: the ids that are meant are named instead."""
    several = [fault("host-1/web").model_copy(update={"id": f"12{digit * 30}"}) for digit in "ab"]
    append(config, "journal", *several)
    ran = call("timeline", beginning, "-c", config)
    assert (ran.status, ran.out) == (2, "")
    assert all(one.id[:8] in ran.err for one in several)
    assert call("timeline", "12a", "-c", config).status == 0


def test_a_timeline_of_nothing_is_status_1(call: Caller, config: Path) -> None:
    """And says how to find one."""
    append(config, "journal", OPEN, order("note"))
    one_message(call("timeline", "zzz", "-c", config), 1, "'zzz'", "mendline faults --all")


@pytest.mark.heavy
def test_an_incident_is_followed_from_its_first_window_to_the_proof(
    call: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a real service that burns a core, seen in windows, restarted, and well again."""
    monkeypatch.chdir(tmp_path)
    config = write_config(
        tmp_path,
        host={"collect": ["load"], "interval": "200ms"},
        windows={"pane": "1s", "widths": ["1s"]},
        services={"web": {"process": {"command": [sys.executable, "-S", "-c", BURN]}, "allow": ["restart"]}},
        detectors=[{
            "name": "burn", "use": "threshold", "match": {"metric": "process.cpu.utilization", "service": "web"},
            "window": "1s", "open": {"above": 0.02}, "kind": "burning",
        }],
        policies=[{"name": "web", "when": {"kind": ["burning"]}, "mode": "auto", "play": [{"action": "restart"}]}],
    )  # fmt: skip
    up = start(config, "up")
    try:
        until("the service", (tmp_path / "ready").exists)
        (tmp_path / "burn").touch()
        until("the restart", lambda: '"action": "restart"' in call("faults", "--json", "-c", config).out)
        (tmp_path / "burn").unlink()
        until("the proof", lambda: '"mended": true' in call("faults", "--all", "--json", "-c", config).out)
    finally:
        up.send_signal(signal.SIGTERM)
        assert 0 == ended(up).status
    (about, *_) = (json.loads(line) for line in call("faults", "--all", "--json", "-c", config).out.splitlines())
    found = told(call, config, about["incident"])
    whats = [one["what"] for one in found]
    assert ["first sign", "fault", "intent", "command", "outcome"] == whats[:5]
    assert "web process.cpu.utilization mean" in found[0]["text"]
    assert "verification" in whats


def notice(offset: int, status: str, **more: Any) -> Notice:
    """Return what is noted of a message about the record at an offset of the journal."""
    return Notice.model_validate({
        "id": f"notice-{offset}", "source": "notifier", "time": START_MS, "receiver": "mail", "status": status,
        "offsets": [offset], "text": "host-1/web is down", **more,
    })  # fmt: skip


def test_who_was_told_stands_between_what_was_found_and_what_people_wrote(call: Caller, config: Path) -> None:
    """Once for each message, when it had arrived; nothing of those about other faults."""
    append(config, "journal", OTHER, OPEN, notice(1, "sending"), notice(0, "delivered"), notice(1, "delivered"))
    append(config, "journal", order("note", OPEN.target, text="looking"), RESOLVED)
    found = told(call, config)
    assert [one["what"] for one in found] == ["first sign", "fault", "notice", "order", "fault"]
    assert (found[2]["text"], found[2]["fault"]) == ("mail was told: host-1/web is down", OPEN.id)
    assert "| mail was told: host-1/web is down |" in call("timeline", OPEN.id[:8], "--markdown", "-c", config).out


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ((), "mail is being told: host-1/web is down"),
        (
            (notice(0, "abandoned", tries=3, reason="no route"),),
            "mail was not told: host-1/web is down; given up after",
        ),
    ],
)
def test_a_message_that_has_not_arrived_is_told_as_what_it_is(
    call: Caller, config: Path, then: Sequence[Notice], said: str
) -> None:
    """Under way, or given up with why."""
    append(config, "journal", OPEN, notice(0, "sending"), *then)
    assert [one["text"].startswith(said) for one in told(call, config) if one["what"] == "notice"] == [True]


def test_the_draft_tells_how_long_something_was_wrong_where_it_was_several_times(call: Caller, config: Path) -> None:
    """The times between are no part of it."""
    again: dict[str, Any] = {"id": "again", "opened_at": START_MS + 60_000}
    over = fault("host-1/web", "resolved", 1, START_MS + 63_000, **again)
    append(config, "journal", OPEN, fault("host-1/web", "resolved", 1, START_MS + 2_000))
    append(config, "journal", fault("host-1/web", **again), over)
    listed = call("faults", "--all", "--json", "-c", config).out.splitlines()
    (incident,) = {json.loads(one)["incident"] for one in listed}
    assert ", wrong for 5 s of it, 2 times\n" in call("timeline", incident, "--markdown", "-c", config).out
