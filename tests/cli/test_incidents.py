"""Incidents and the pipeline as they stand, asked from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from mendline.schemas.records import Progress
from tests.cli.support import Caller, append
from tests.responders.support import START_MS, fault


def test_incidents_are_listed_the_most_urgent_first(call: Caller, config: Path) -> None:
    """One line each; what is over only on demand, below; the exit status says whether one is open."""
    over = (fault("host-3/web"), fault("host-3/web", transition="resolved", revision=1))
    append(config, "journal", fault("host-1/web", severity="warning", reason="it \x1bhangs"), fault("host-2/db"), *over)
    ran = call("incidents", "-c", config)
    lines = ran.out.splitlines()
    assert (ran.status, [line.split()[1:4] for line in lines]) == (
        1,
        [["critical", "host-2/db", "dead"], ["warning", "host-1/web", "dead"]],
    )
    assert lines[1].endswith("it ?hangs")
    assert ["over", "host-3/web", "dead"] == call("incidents", "--all", "-c", config).out.splitlines()[2].split()[1:4]


def test_of_what_is_over_is_told_how_long_it_lasted(call: Caller, config: Path) -> None:
    """Of an incident as of its faults: `since` told neither its end nor its length."""
    over = fault(transition="resolved", revision=1, time=START_MS + 90_000)
    append(config, "journal", fault(), over, fault("host-2/web"))
    for command in ("faults", "incidents"):
        told = call(command, "--all", "-c", config).out
        assert told.count(" UTC for 1.5 min") == 1
        assert told.count(" since ") == 1


def test_incidents_as_json(call: Caller, config: Path) -> None:
    """As the page's API tells them."""
    append(config, "journal", fault("host-1/web"))
    (told,) = [json.loads(line) for line in call("incidents", "--json", "-c", config).out.splitlines()]
    assert ("host-1/web", True, 1) == (told["target"], told["open"], told["faults"])


def test_no_incident_is_told(call: Caller, config: Path) -> None:
    """With the exit status of an answer that is good."""
    append(config, "journal", fault(), fault(transition="resolved", revision=1))
    ran = call("incidents", "-c", config)
    assert (ran.status, ran.out) == (0, "No incident is open.\n")


def test_the_lag_of_each_stage_is_listed(call: Caller, config: Path) -> None:
    """Who is heard of is fresh; the exit status says whether somebody is not."""
    made = {"stage": "detect", "topic": "mendline.windows", "partition": 3, "log_time": 0, "offset": 7, "lag": 1200}
    append(config, "journal", Progress.model_validate({"source": "x", "time": START_MS, "behind_ms": 2500, **made}))
    ran = call("lag", "-c", config)
    assert ran.status == 0
    assert "detect/3" in ran.out
    assert "1,200 records to read, 2.5 s behind" in ran.out
    (told,) = [json.loads(line) for line in call("lag", "--json", "-c", config).out.splitlines()]
    assert (1200, 2500) == (told["lag"], told["behind_ms"])
