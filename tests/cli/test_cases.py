from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cases.support import CONFIG, slow, write
from tests.cli.support import Caller, one_message

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
SLOW = slow("0.1x5 5x2 0.1x5")


def test_the_example_does_what_its_tests_say(call: Caller) -> None:
    """The file of tests beside the configuration of the quick start."""
    ran = call("test", QUICKSTART / "tests.yaml")
    assert (0, "5 tests passed") == (ran.status, ran.out.partition(" in ")[0])


def test_a_changed_bound_is_seen(call: Caller, tmp_path: Path) -> None:
    """Who raises the bound of a full disk is told which test that breaks."""
    folder = shutil.copytree(QUICKSTART, tmp_path / "q")
    text = (folder / "mendline.yaml").read_text(encoding="utf-8")
    (folder / "mendline.yaml").write_text(text.replace("above: 0.95", "above: 0.98"), encoding="utf-8")
    ran = call("test", folder / "tests.yaml")
    assert 1 == ran.status
    assert "failed: a full disk is told" in ran.out
    assert "1 of 5 tests failed" in ran.out


def test_a_difference_is_told_as_a_diff(call: Caller, tmp_path: Path) -> None:
    """What was expected with its line, what happened, and where they differ."""
    file = write(tmp_path, SLOW | {"faults": [{"target": "shop", "opened": "1m"}], "intents": []})
    ran = call("test", file)
    happened = "target: host-1/shop, detector: slow, kind: threshold, severity: critical, series: shop http.latency"
    intended = "at: 1m10s, target: host-1/shop, action: restart, policy: mend, mode: auto, attempt: 1, mended: false"
    expected = [
        f"{file}:3: failed: test 0",
        "  - faults (line 8): target: shop, opened: 1m",
        f"  + faults: {happened}, opened: 1m10s, cleared: 1m40s",
        "    differs in: opened",
        f"  + intents: {intended}",
        "    nobody expected it",
    ]
    assert (1, expected) == (ran.status, ran.out.splitlines()[:-1])
    assert "1 of 1 test failed" in ran.out.splitlines()[-1]


def test_results_as_json(call: Caller, tmp_path: Path) -> None:
    """One object for each test, times as they are written in a test."""
    file = write(tmp_path, SLOW | {"faults": [{"opened": "1m..1m5s"}]}, SLOW | {"faults": [{"opened": "1m10s"}]})
    ran = call("test", file, "--json")
    failed, passed = map(json.loads, ran.out.splitlines())
    assert (1, False, True) == (ran.status, failed["passed"], passed["passed"])
    [one] = failed["differences"]
    assert ("faults", {"opened": "1m..1m5s"}, "1m10s") == (one["kind"], one["expected"], one["happened"]["opened"])
    assert (str(file), 3, "test 0") == (failed["file"], failed["line"], failed["test"])


def test_some_tests_may_be_chosen(call: Caller, tmp_path: Path) -> None:
    """By a part of their name; that none has it is no success."""
    file = write(tmp_path, SLOW | {"faults": []}, SLOW | {"faults": [{}]})
    assert 0 == call("test", file, "-k", "test 1").status
    ran = call("test", file, "-k", "nothing")
    assert (1, "No test has such a name.\n") == (ran.status, ran.out)


@pytest.mark.parametrize(
    ("changed", "line", "told"),
    [
        ({"input_series": [{"series": "up", "values": "1 2y3"}]}, 5, "values as 5, 5x3, 0+2x3, _, _x3 or stale"),
        ({"input_series": [{"series": "up{", "values": "1"}]}, 5, "is no series; write METRIC"),
        ({"input_series": [{"series": "up", "values": "1", "hots": "h"}]}, 7, "unknown key; did you mean host?"),
        ({"faults": [{"opened": "soon"}]}, 8, "'soon' is no duration"),
        ({"faults": [{"opened": "2m..1m"}]}, 8, "ends before it begins"),
        ({"faults": [{"severity": "bad"}]}, 8, "must be 'info', 'warning' or 'critical'"),
        ({"faults": None}, 3, "nothing is expected; give faults, intents or holds"),
        ({"input_series": []}, 3, "nothing comes in; give input_series, events or orders"),
        ({"input_series": [{"series": "a", "values": "1"}] * 2}, 3, "a of host-1 is given twice"),
        ({"events": [{"at": "1s", "type": "process", "service": "a"}]}, 9, "state"),
        ({"events": [{"at": "1s"}]}, 9, "give `type`: process, probe, heartbeat or configuration"),
        ({"events": [{"at": "1s", "type": "probe", "probe": "x", "okay": True}]}, 12, "unknown key; did you mean ok?"),
        ({"events": [{"at": "1s", "type": "heartbeat", "x": 1}]}, 11, "known here: at, host, type, interval_ms"),
        ({"events": [{"at": "1s", "type": "process", "started_at": "soon"}]}, 9, "'soon' is no duration"),
        ({"orders": [{"at": "1s", "kind": "shout"}]}, 10, "kind"),
        ({"orders": [{"at": "1s", "kind": "stop", "subjekt": "x"}]}, 11, "unknown key; did you mean subject?"),
        ({"outcomes": {"restart": "splendid"}}, 9, "must be 'succeeded', 'failed'"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(
    call: Caller, tmp_path: Path, changed: dict[str, Any], line: int, told: str
) -> None:
    """One message with file, line and reason, and the status of wrong use."""
    file = write(tmp_path, slow("1x3", faults=[]) | changed)
    ran = call("test", file)
    assert (2, "") == (ran.status, ran.out)
    assert ran.err.startswith(f"mendline: {file}:{line}: tests.0")
    assert told in ran.err
    assert 1 == len(ran.err.splitlines())


def test_files_that_cannot_be_tests(call: Caller, tmp_path: Path) -> None:
    """No file, no YAML, no keys, no tests, names that stand twice, a configuration that is not there or wrong."""
    file = write(tmp_path, SLOW | {"faults": []})
    whole = yaml.safe_load(file.read_text(encoding="utf-8"))
    texts = {
        "tests: [": "not valid YAML",
        "- a": "must hold keys and values",
        "interval: 10s": "tests: is missing",
        yaml.safe_dump(whole | {"tests": whole["tests"] * 2}): "two tests are called 'test 0'",
        yaml.safe_dump(whole | {"config": "other.yaml"}): "there is no such file",
    }
    for text, told in texts.items():
        file.write_text(text, encoding="utf-8")
        ran = call("test", file)
        assert 2 == ran.status
        assert told in ran.err
    assert "no such file" in call("test", tmp_path / "none.yaml").err
    (tmp_path / "mendline.yaml").write_text("detectors: [{name: a, use: nothing}]", encoding="utf-8")
    file.write_text(yaml.safe_dump(whole), encoding="utf-8")
    ran = call("test", file)
    assert (2, True) == (ran.status, "nothing" in ran.err)


def with_plug_in(folder: Path, name: str, window: str | int) -> Path:
    """Write a test of which a detector of `tests.replaying.moods` makes nothing, besides the one that finds a fault."""
    theirs = {"name": "theirs", "use": f"tests.replaying.moods:{name}", "window": window, "open": {"above": 1_000}}
    detectors = [*CONFIG["detectors"], {**theirs, "match": {"metric": "http.latency"}}]
    return write(folder, SLOW | {"faults": [{"detector": "slow"}]}, detectors=detectors)


@pytest.mark.parametrize("window", [0, "10s"])
@pytest.mark.parametrize("name", ["Chance", "Whim"])
def test_a_plug_in_that_is_not_deterministic_is_named(
    call: Caller, tmp_path: Path, name: str, window: str | int
) -> None:
    """Though each test went as expected: the next time it need not."""
    ran = call("test", with_plug_in(tmp_path, name, window))
    one_message(ran, 2, f"the detector theirs (tests.replaying.moods:{name}): it is not deterministic: two passes over")


@pytest.mark.parametrize("window", [0, "10s"])
def test_a_plug_in_that_is_deterministic_is_tested_like_all(call: Caller, tmp_path: Path, window: str | int) -> None:
    """Nothing is told of it."""
    ran = call("test", with_plug_in(tmp_path, "Limit", window))
    assert (0, "1 test passed") == (ran.status, ran.out.partition(" in ")[0])
