"""Back-tests by the command line."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from mendline.config import load_settings
from tests.backtesting.support import LOAD, QUEUE, UNUSUAL, Answered
from tests.cli.recordings import recorded
from tests.cli.support import Caller, one_message, write_config
from tests.replaying.support import SETTINGS

pytestmark = pytest.mark.slow

Write = Callable[..., Path]


@pytest.fixture(scope="module", name="config")
def _config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a configuration whose log holds a recording."""
    return recorded(tmp_path_factory.mktemp("recorded"), 60, Answered)


@pytest.fixture(name="other")
def _other(config: Path, tmp_path: Path) -> Write:
    """Return what writes a configuration on the same log that differs in some keys."""

    def write(**more: Any) -> Path:
        return write_config(tmp_path, **{"log": load_settings(config).log, **SETTINGS, **more})

    return write


def test_the_settings_that_counted_change_nothing(call: Caller, config: Path) -> None:
    """Which is said in words, with what cannot be known."""
    ran = call("backtest", config)
    assert (ran.status, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == f"live against {config}, 2023-11-14 22:13:21 to 2023-11-14 22:14:20 UTC (59 s)"
    assert lines[1].startswith("Faults: 6 before, 6 after: 0 added, 0 lost, 0 moved, 0 longer, 0 shorter, ")
    assert lines[-1].startswith("Not known: how the values would have gone on after another action. ")


def test_a_detector_that_cannot_be_used_is_told_with_its_file(call: Caller, config: Path, other: Write) -> None:
    """There may be two."""
    file = other(detectors=[{**LOAD, "clear": {"below": 90}}])
    for words in (("backtest", file), ("backtest", config, "--against", file)):
        one_message(call(*words), 2, f"{file}: detector load-limit (threshold): clear: ")


def test_other_settings_tell_what_is_lost_and_what_would_have_been_done(call: Caller, other: Write) -> None:
    """Fault by fault, action by action, and both sides in a table; as JSON all of it."""
    file = other(detectors=[{**LOAD, "open": {"above": 95}}, QUEUE, UNUSUAL], guards={"cooldown": "1s"})
    lines = call("backtest", file).out.splitlines()
    assert lines[1] == "lost   host-1 load-limit (threshold, warning) on load: 2023-11-14 22:13:41 for 4 s"
    assert "added  restart of host-1/web by queues at 22:14:08.000, try 1: runs; before it is not decided on" in lines
    assert ["actions", "run", "2", "4"] in [line.split() for line in lines]
    found = json.loads(call("backtest", file, "--json").out)
    counts = found["after"][0]["counts"]
    assert (counts["lost"], counts["actions_added"], counts["held_cooldown"]) == (2, 2, 0)
    assert found["after"][0]["faults_changed"][0]["before"]["detector"] == "load-limit"
    assert found["assumed"].startswith("Not known: ")


def test_a_page_is_written_beside_what_is_printed(call: Caller, config: Path, tmp_path: Path) -> None:
    """Where it can be."""
    assert call("backtest", config, "--html", tmp_path / "page.html").out.startswith("live against ")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    one_message(
        call("backtest", config, "--html", tmp_path / "no" / "page.html"),
        3,
        "page.html: cannot be written: No such file",
    )


def test_a_dump_can_be_tested_against_old_settings(call: Caller, config: Path, other: Write, tmp_path: Path) -> None:
    """Both sides are then what the stages say now."""
    call("topics", "dump", tmp_path / "some.dump", "-c", config)
    new = other(detectors=[QUEUE])
    ran = call("backtest", new, "--against", config, "--log", tmp_path / "some.dump", "--json")
    found = json.loads(ran.out)
    assert (found["before"]["name"], found["after"][0]["counts"]["lost"]) == (str(config), 4)


def test_a_dump_without_windows_is_enough(call: Caller, config: Path, tmp_path: Path) -> None:
    """They are made of the rounds, and so the faults on them are found at the same moments."""
    small = tmp_path / "small.dump"
    call("topics", "dump", small, "--topic", "metrics", "--topic", "journal", "-c", config)
    counts = json.loads(call("backtest", config, "--log", small, "--json").out)["after"][0]["counts"]
    assert (counts["faults"], counts["lost"], counts["added"], counts["moved"]) == (6, 0, 0, 0)
    journal = tmp_path / "journal.dump"
    call("topics", "dump", journal, "--topic", "journal", "-c", config)
    one_message(call("backtest", config, "--log", journal), 3, "the topic mendline.metrics was not recorded")


def test_a_silence_tells_what_it_would_have_hidden(call: Caller, config: Path) -> None:
    """Faults and holds, in words and as JSON."""
    silence = ("--silence", "web@2023-11-14T22:13:50/2023-11-14T22:14:20")
    lines = call("backtest", config, *silence).out.splitlines()
    assert "silence of web from 2023-11-14 22:13:50 for 30 s: 4 faults were there, 4 holds" in lines
    found = json.loads(call("backtest", config, *silence, "--json").out)
    assert [(one["kind"], len(one["faults"]), one["holds"]) for one in found["after"][0]["hidden"]] == [
        ("silence", 4, 4)
    ]


def test_a_condition_makes_the_exit_status(call: Caller, other: Write, tmp_path: Path) -> None:
    """For a pipeline: 1 where it holds, and 0 where it does not; incidents of a file can be asked for."""
    file = other(detectors=[QUEUE])
    ran = call("backtest", file, "--fail-if", "lost > 3 or added > 0")
    assert (ran.status, ran.out.splitlines()[-1]) == (1, f"{file}: fails, for lost > 3 or added > 0")
    incidents = tmp_path / "incidents.yaml"
    text = "incidents: [{target: host-1, from: 2023-11-14T22:13:40, to: 2023-11-14T22:13:45}]"
    incidents.write_text(text, encoding="utf-8")
    ran = call("backtest", file, "--fail-if", "added > 0 or recall < 0", "--incidents", incidents, "--json")
    found = json.loads(ran.out)
    assert (ran.status, found["fails"], found["after"][0]["quality"]["recall"]["share"]) == (0, [False], 0.0)
    assert found["before"]["quality"]["recall"] == {"share": 1.0, "low": pytest.approx(0.2065, abs=1e-4), "high": 1.0}


def test_values_can_be_varied_side_by_side(call: Caller, config: Path) -> None:
    """All with all, in processes; a condition marks each of them, and the status is 1 only if none passes."""
    axes = ("--vary", "detectors.load-limit.open.above=80:100:10", "--vary", "guards.cooldown=1s,10s")
    ran = call("backtest", config, *axes, "--fail-if", "lost > 0", "--processes", "2")
    lines = [line.split() for line in ran.out.splitlines()]
    assert (ran.status, ran.err, lines[0][2]) == (0, "", "6")
    assert lines[1][:9] == ["setting", "faults", "lost", "added", "moved", "longer", "shorter", "run", "asked"]
    above, cooldown = "detectors.load-limit.open.above=", "guards.cooldown="
    told = [(line[0], line[1], line[2], line[3], line[8], line[-1]) for line in lines[3:9]]
    assert told == [
        (f"{above}80", f"{cooldown}1s", "6", "0", "4", "2"),
        (f"{above}80", f"{cooldown}10s", "6", "0", "2", "2"),
        (f"{above}90", f"{cooldown}1s", "4", "2", "4", "fails"),
        (f"{above}90", f"{cooldown}10s", "4", "2", "2", "fails"),
        (f"{above}100", f"{cooldown}1s", "4", "2", "4", "fails"),
        (f"{above}100", f"{cooldown}10s", "4", "2", "2", "fails"),
    ]
    assert ran.out.splitlines()[-1] == "4 of 6 settings fail, for lost > 0"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--vary", "guards.cooldown"), 2, "'guards.cooldown' varies nothing; write PATH=VALUE,VALUE or"),
        (("--vary", "guards.cooldown=1:9:0"), 2, "'1:9:0' is no range: FIRST:LAST:STEP, upwards"),
        (("--vary", "guards.attempts=1:500:1", "--vary", "guards.concurrent=1,2"), 2, "--vary makes 1,000 settings of"),
        (("--vary", "detectors.cpu.open.above=1"), 2, "there is no 'cpu' in the list; there are load-limit, queue-"),
        (("--vary", "guards.attempts=1,x"), 2, "with guards.attempts=x: "),
        (("--vary", "guards.attempts=1,x"), 2, "guards.attempts: must be a whole number (given: 'x')"),
        (
            ("--vary", "detectors.load-limit.clear.below=90"),
            2,
            "with detectors.load-limit.clear.below=90: detector load-",
        ),
        (("--vary", "detectors.load-limit.opne.above=1"), 2, "detectors.0.opne: unknown key; did you mean open?"),
        (("--fail-if", "xyzzy > 0"), 2, "'xyzzy' is nothing that is counted; there are faults_before, faults, added, "),
        (("--fail-if", "precision < 1"), 2, "precision is not known: nothing is labelled that it follows from"),
        (("--incidents", "no.yaml"), 2, "no.yaml: there is no such file; name a file of incidents"),
        (("--silence", "web"), 2, "'web' is no TARGET@FROM/TO, such as web@"),
        (("--from", "2024-01-01"), 3, "nothing was recorded in that time"),
        (("--against", "no.yaml"), 2, "no.yaml: there is no such file"),
        (("--log", "sqlite://nowhere"), 3, "sqlite://nowhere: there is no log"),
    ],
)
def test_what_cannot_be_tested_is_told(
    call: Caller, config: Path, words: tuple[str, ...], status: int, said: str
) -> None:
    """And nothing is made by looking."""
    ran = call("backtest", config, *words)
    assert ran.status == status
    assert said in " ".join(ran.err.replace("│", " ").split())


def test_what_is_missing_is_one_message(call: Caller, other: Write) -> None:
    """A topic, a plug-in, a configuration that can be read."""
    one_message(call("backtest", other(topics={"prefix": "x"})), 3, "the topic x.")
    lost = {"name": "lost", "use": "nobody_has_this", "match": {"metric": "load"}}
    one_message(call("backtest", other(detectors=[lost])), 2, "nobody_has_this")
    file = other()
    file.write_text("polices: []\n", encoding="utf-8")
    one_message(call("backtest", file), 2, "polices", "policies")


def test_a_full_disk_of_temporary_files_is_told_with_its_place(call: Caller, config: Path, tmp_path: Path) -> None:
    """For windows that are made anew; and nothing is left there."""
    full = OSError(errno.ENOSPC, "No space left on device")
    with patch("tempfile.tempdir", str(tmp_path)), patch("mendline.durably.os.fsync", side_effect=full):
        ran = call("backtest", config, "--vary", "windows.pane=1s,2s")
    one_message(
        ran, 3, f"mendline: {tmp_path}/mendline-", ": cannot be written: No space left on device; nothing is left"
    )
    assert [] == list(tmp_path.iterdir())


def test_a_full_disk_costs_the_page_and_not_what_was_found(call: Caller, config: Path) -> None:
    """It took its time, and is printed all the same."""
    ran = call("backtest", config, "--html", "/dev/full")
    one_message(ran, 3, "/dev/full: cannot be written: No space left on device")
    assert ran.out.startswith("live against ")
