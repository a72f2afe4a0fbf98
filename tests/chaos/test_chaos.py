"""A bounded part of the chaos suite; `make chaos` does as much as one likes."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mendline.testing.kafka import LocalKafka
from tests.chaos.run import Report, run

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
    """Members die, freeze, come and go, and the configuration changes: windows and faults are as without."""
    judge(run(tmp_path, seed(), SECONDS, None, 0.7))


def test_harm_to_members_and_brokers_leaves_no_trace(tmp_path: Path, private_kafka: Callable[..., LocalKafka]) -> None:
    """The same on three brokers, which die and freeze too."""
    judge(run(tmp_path / "fleet", seed(), SECONDS, private_kafka(nodes=3), 0.7))


def seed() -> int:
    """Return a new seed, and print it: a failing test shows what was printed."""
    chosen = random.randrange(10**6)
    print(f"make chaos SEED={chosen}")
    return chosen
