"""The hosts as they stand, asked from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from mendline.schemas.records import Heartbeat
from tests.cli.support import Caller, append
from tests.responders.support import fault, order

ALIVE = Heartbeat(source="host-1", time=0, interval_ms=10_000, services=("db", "web"), sick={"disk": "it \x1bhangs"})


def test_hosts_are_listed_with_their_services(call: Caller, config: Path) -> None:
    """The worst of each, what cannot be measured, and hosts that are known by a fault only."""
    append(config, "metrics", ALIVE)
    append(config, "journal", fault("host-1/web"), fault("host-2", kind="silent"), order("maintenance", "db"))
    lines = call("hosts", "-c", config).out.splitlines()
    assert [line.split(" ago")[-1].strip() for line in lines[:2]] == [
        "db maintenance, web critical",
        "not measured: disk: it ?hangs",
    ]
    assert lines[2].split() == ["host-2", "critical", "not", "heard", "of", "no", "services"]


def test_of_a_host_that_left_and_its_services_only_faults_are_known(call: Caller, config: Path) -> None:
    """They were told as ok after Mendline was ended there, which stops the services that it runs."""
    append(config, "metrics", ALIVE, ALIVE.model_copy(update={"leaving": True}))
    append(config, "journal", fault("host-1/web"))
    first = call("hosts", "-c", config).out.splitlines()[0]
    assert first.startswith("host-1  unknown  left ")
    assert first.endswith("  db unknown, web critical")


def test_hosts_as_json(call: Caller, config: Path) -> None:
    """One object a line, as the page's API tells them."""
    append(config, "metrics", ALIVE)
    append(config, "journal", fault("host-1/web"))
    (told,) = [json.loads(line) for line in call("hosts", "--json", "-c", config).out.splitlines()]
    assert told["services"][0] == {"name": "db"}
    assert (told["services"][1]["state"], told["services"][1]["fault"]) == ("critical", fault("host-1/web").id)


def test_no_host_is_told(call: Caller, config: Path) -> None:
    """Nothing measures yet."""
    append(config, "journal", order("note"))
    assert call("hosts", "-c", config).out == "No host is heard of.\n"
