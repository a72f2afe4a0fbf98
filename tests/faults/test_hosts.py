"""Hosts are lost in every way, for real, and what their records and their peers' probes say must tell which it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.network import Network, impossible
from tests.faults.outages import APART, AWAY_S, OUTAGES, SETTINGS, Watch, hold_log

pytestmark = pytest.mark.heavy


def test_a_host_an_agent_a_way_and_a_log_that_are_lost_are_told_apart(tmp_path: Path) -> None:
    """A dead host, a dead agent, a cut cable, each in a network where the others live; and a log that is away."""
    if why := impossible():
        pytest.skip(why)
    cases = [(said, outage) for said, some in OUTAGES.items() for outage in some]
    with Network(tmp_path, APART * len(cases), **SETTINGS) as network:
        watch = Watch(network)
        watch.wait_for_rhythm()
        assert [said for said, _ in cases] == watch.observe([outage for _, outage in cases])
        before = len(watch.incidents())
        hold_log(network)
        assert watch.longest_pause_s() >= AWAY_S
        assert before == len(watch.incidents())
