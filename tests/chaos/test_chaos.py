"""A bounded part of the chaos suite; `make chaos` does as much as one likes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.chaos.run import Report, run, three_brokers

SECONDS = 10.0
ENOUGH = 5

# The library leaves a socket that was refused to the garbage collector, which tells wherever it happens to run.
pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")]


def judge(report: Report) -> None:
    """Fail, naming the seed, unless harm was done and the log is as it must be."""
    assert report.harms_total >= ENOUGH, report
    assert report.verdict.windows, report
    assert report.verdict.equal, report
    assert not report.seals_broken, report


def test_harm_to_members_on_the_embedded_log_leaves_no_trace(tmp_path: Path) -> None:
    """Members die, freeze, come and go, services die, the disk is full: windows, faults and actions are as without."""
    judge(run(tmp_path, seed(), SECONDS, None, 0.7))


@pytest.mark.usefixtures("kafka_tools")
def test_harm_to_members_and_brokers_leaves_no_trace(tmp_path: Path) -> None:
    """The same on three brokers, which die and freeze too."""
    with three_brokers(tmp_path / "kafka", SECONDS) as (kafka, disks):
        judge(run(tmp_path / "fleet", seed(), SECONDS, kafka, 0.7, disks=disks))


def seed() -> int:
    """Return a new seed, and print it: a failing test shows what was printed."""
    chosen = random.randrange(10**6)
    print(f"make chaos SEED={chosen}")
    return chosen
