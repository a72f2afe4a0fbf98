from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mendline.cases.detecting import Heard, Planned, hear
from mendline.cases.parallel import in_parallel
from mendline.cases.planning import Decided, Planners
from mendline.cases.running import load_cases, run_cases
from mendline.detectors.base import Detector, Rows, Scores, StateArray, Step
from tests.cases.support import CONFIG, differences, results, slow, write

SLOW = slow("0.1x5 5x2 0.1x5")
KILLED = [
    {"at": "0s", "type": "process", "service": "shop", "state": "started"},
    {"at": "30s", "type": "process", "service": "shop", "state": "exited", "signal": "SIGKILL"},
]


def test_what_was_expected_happens(tmp_path: Path) -> None:
    """A fault has its times, severity and end, and the planner answers it in the same second."""
    fault = {"target": "shop", "detector": "slow", "severity": "critical", "opened": "1m10s", "cleared": "1m40s"}
    assert [] == differences(tmp_path, SLOW | {"faults": [fault], "intents": [{"at": "1m10s", "action": "restart"}]})


def test_differences_name_what_differs(tmp_path: Path) -> None:
    """An expectation is put beside what is most like it, and what nobody expected stands alone."""
    wrong = {"severity": "warning", "opened": "1m", "cleared": "never"}
    found = differences(tmp_path, SLOW | {"faults": [{"target": "shop", **wrong}, {"target": "host-9"}], "intents": []})
    assert [("faults", ["severity", "opened", "cleared"]), ("faults", []), ("intents", [])] == found


def test_a_list_that_is_not_given_is_not_looked_at(tmp_path: Path) -> None:
    """An empty one says that there are none."""
    assert [] == differences(tmp_path, SLOW | {"intents": [{"action": "restart"}]})
    assert [("faults", [])] == differences(tmp_path, SLOW | {"faults": []})


def test_a_range_of_times_may_be_given(tmp_path: Path) -> None:
    """Both ends belong to it."""
    inside = {"opened": "1m10s..2m", "cleared": "1m30s..1m40s"}
    assert [] == differences(tmp_path, SLOW | {"faults": [inside]})
    assert [("faults", ["opened"])] == differences(tmp_path, SLOW | {"faults": [{"opened": "1m11s..2m"}]})


def test_hosts_that_say_nothing_are_silent(tmp_path: Path) -> None:
    """Where no series of a host has a value, nothing comes; one that only has events beats all the while."""
    quiet = slow("0.1x5 _x12 0.1x2", faults=[{"kind": "silent", "opened": "1m20s", "cleared": "3m"}])
    assert [] == differences(tmp_path, quiet)
    assert [] == differences(tmp_path, {"events": KILLED, "until": "3m", "faults": [{"kind": "dead", "opened": "30s"}]})


def test_what_hosts_report_may_be_given(tmp_path: Path) -> None:
    """Without it a command has no answer, and the next try comes when the host's time is over."""
    answered = {"events": KILLED, "until": "3m", "outcomes": {"restart": "failed"}}
    tries = [{"at": "30s", "attempt": 1, "mended": False}, {"attempt": 2, "mended": False}]
    assert [] == differences(tmp_path, answered | {"intents": tries})
    late: list[tuple[str, list[str]]] = [("intents", []), ("holds", [])]
    assert late == differences(
        tmp_path, {"events": KILLED, "until": "40s", "intents": [], "holds": [{"guard": "busy"}]}
    )


def test_people_may_say_something(tmp_path: Path) -> None:
    """During maintenance nothing is done; an approval of a target means the newest fault there."""
    kept = {"at": "10s", "kind": "maintenance", "subject": "shop", "lasts": "1h"}
    held = {
        "events": KILLED,
        "until": "1m",
        "orders": [kept],
        "intents": [],
        "holds": [{"at": "30s", "guard": "orders"}],
    }
    assert [] == differences(tmp_path, held)
    yes = {"at": "45s", "kind": "approve", "subject": "shop"}
    approved = held | {"orders": [kept, yes], "intents": [{"at": "45s"}], "holds": [{"guard": "orders"}]}
    assert [] == differences(tmp_path, approved)


def test_drift_that_the_planner_finds_is_a_fault_too(tmp_path: Path) -> None:
    """It comes of what hosts tell of their files, when nothing is changed any more, without any other fault."""
    told = {"at": "1s", "type": "configuration", "service": "shop", "path": "/etc/shop.yaml"}
    events = [{**told, "host": f"host-{number}", "hash": one} for number, one in enumerate("aab", start=1)]
    drift = [{"service": "shop", "hold": "10s"}]
    test = {"events": events, "until": "30s", "faults": [{"target": "host-3/shop", "kind": "drift", "opened": "11s"}]}
    services = {"shop": {"config": ["/etc/shop.yaml"], "allow": ["restart"]}}
    assert [] == differences(tmp_path, test, drift=drift, services=services)


def test_detectors_that_choose_by_host_see_the_hosts_own_names(tmp_path: Path) -> None:
    """Two tests with the same host then have runs of their own."""
    chosen = [{"name": "slow", "use": "threshold", "match": {"source": "web-1"}, "open": {"above": 2}}]
    series = {"series": "http.latency", "values": "0.1x3 5x3"}
    tests: list[dict[str, Any]] = [
        {"input_series": [{**series, "host": "web-1"}], "faults": [{"target": "web-1"}]},
        {"input_series": [{**series, "host": "web-2"}], "faults": []},
        {"input_series": [{**series, "host": "web-1"}], "faults": [{"target": "web-1"}]},
    ]
    assert [[], [], []] == [one.differences for one in results(tmp_path, *tests, detectors=chosen)]


def test_hosts_that_are_expected_are_missed_only_where_they_are(tmp_path: Path) -> None:
    """A test is about the hosts that it names."""
    series = {"series": "http.latency", "values": "0.1x9", "host": "web-2"}
    late = {"series": "http.latency", "values": "_x6 1x3", "host": "web-1"}
    tests = [{"input_series": [series], "faults": []}, {"input_series": [late], "faults": [{"kind": "missing"}]}]
    found = results(tmp_path, *tests, liveness={"expected": ["web-1"]}, topics={"partitions": 7})
    assert [[], []] == [one.differences for one in found]


class Touchy(Detector):
    """Fails on any value above 8."""

    def arrays(self) -> Mapping[str, StateArray]:
        return {}

    def step(self, state: Rows, step: Step) -> Scores:
        if (step.values > 8).any():
            msg = "too much for me"
            raise ValueError(msg)
        return Scores(np.zeros_like(step.values))


def random_test(lots: random.Random) -> dict[str, Any]:
    """Return a test of some series, hosts and deaths."""
    hosts = [f"host-{number}" for number in range(lots.randint(1, 3))]
    items = ("0.1x{}", "5x{}", "_x{}", "0.5+0.5x{}")
    series = [
        {"series": name, "host": host, "values": " ".join(lots.choice(items).format(lots.randint(1, 9)) for _ in "abc")}
        for host in hosts
        for name in lots.sample(("shop http.latency", "http.latency{a=b}", "http.latency{a=c}"), 2)
    ]
    events = [{**one, "host": lots.choice(hosts), "at": f"{lots.choice((7, 30, 30.5))}s"} for one in KILLED]
    answers = lots.choice(({}, {"restart": "failed"}, {"restart": "succeeded"}))
    return {
        "input_series": series,
        "events": events,
        "outcomes": answers,
        "intents": [],
        "interval": lots.choice(("5s", "10s")),
    }


def bytes_of(heard: Heard, decided: Decided) -> list[tuple[int, bytes]]:
    """Return all that was said of a test, without what depends on who else is on the log."""
    said = [
        (at, record.model_copy(update={"evidence": None} if record.type == "fault" else {}))
        for at, record in heard.said
    ]
    intents = [(one.at, one.record) for one in decided.intents]
    holds = [(one.at, one.record) for one in decided.holds]
    return [(at, record.model_dump_json().encode()) for at, record in (*said, *intents, *holds)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_tests_that_share_a_run_go_as_each_does_alone(tmp_path: Path, seed: int) -> None:
    """All that is said is equal to the byte, ids too, but for the offsets of the records that it rests on."""
    lots = random.Random(seed)
    cases = load_cases(write(tmp_path, *(random_test(lots) for _ in range(8))))
    planned = [Planned.of(one, cases.file.interval) for one in cases.file.tests]
    planners = Planners(cases.settings)
    together = {one: bytes_of(heard, planners.plan(one, heard)) for one, heard in hear(planned, cases.settings)}
    for one in planned:
        [(_, heard)] = hear([one], cases.settings)
        assert bytes_of(heard, Planners(cases.settings).plan(one, heard)) == together[one]
    assert any(together.values())


@pytest.mark.slow
def test_tests_go_the_same_in_several_processes(tmp_path: Path) -> None:
    """Results stand in the order of the file, and what is raised in a process is raised here."""
    lots = random.Random(1)
    cases = load_cases(write(tmp_path, *(random_test(lots) for _ in range(7))))
    assert run_cases(cases, processes=1) == run_cases(cases, processes=3)
    assert ["test 4"] == [one.name for one in run_cases(cases, "test 4", processes=2)]
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda share: [1 // number for number in share], [1, 0], 2)
    with pytest.raises(ChildProcessError, match="was killed"):
        in_parallel(killed, [1, 2], 2)


def killed(_: object) -> list[int]:
    """Die as a process does that the system kills for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def test_a_detector_that_fails_spoils_no_other_test(tmp_path: Path) -> None:
    """It is switched off where it fails, and each test is then run alone."""
    broken = [{"name": "slow", "use": "tests.cases.test_running:Touchy", "match": {"metric": "http.latency"}}]
    fine = slow("0.1x9", faults=[])
    found = results(tmp_path, fine, slow("0.1x3 9x5", faults=[{"kind": "detector-failed"}]), fine, detectors=broken)
    assert [[], [], []] == [one.differences for one in found]


def test_the_example_of_a_frozen_service_does_what_its_page_says(tmp_path: Path) -> None:
    """Times in its events are after the beginning."""
    page = (Path(__file__).parents[2] / "docs/config-tests.md").read_text(encoding="utf-8")
    (example,) = (one for one in re.findall(r"```yaml\n(tests:.*?)```", page, re.DOTALL) if "failing_since" in one)
    services = {"web": CONFIG["services"]["shop"]}
    (frozen,) = results(tmp_path, *yaml.safe_load(example)["tests"], services=services)
    assert [] == frozen.differences
