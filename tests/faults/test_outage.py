"""The broker away, at the start and later, under running roles: they say so, wait, catch up, and mend nothing stale."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from mendline.config import load_settings, log_of
from mendline.logs.base import Log
from mendline.schemas.records import Fault, Intent, Outcome
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Partition
from mendline.testing.kafka import LocalKafka
from tests.faults.fleet import SERVICE, Fleet, deployed, free_port, wait_for
from tests.faults.judging import decoded, read_journal
from tests.faults.test_kill import faults_missing, open_faults, windows_missing

# The library leaves a socket that was refused to the garbage collector, which tells wherever it happens to run.
pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")]

LIMIT_S = 4
"""Every limit of freshness and silence in these tests that can be set; the executor's, of 10 s, cannot."""

MOST_LINES = 8
"""What a role may say of an outage: when it began, what was tried, when it was over."""

BEFORE = 6
"""Records on the journal before the outage: the stages are at work, and their progress is told."""

AWAY_S = 20
"""Longer than any of them, and than a role asks in vain before it says so: 8 s for an answer, then for a connection."""


@pytest.fixture(scope="module")
def absent(kafka_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """Return a broker that nobody has started yet."""
    folder = tmp_path_factory.mktemp("absent")
    broker = LocalKafka(folder, quick=True)
    yield broker
    broker.kill()
    shutil.rmtree(folder)


class ByHand:
    """A service that a person runs; Mendline knows it by its pidfile."""

    def __init__(self, folder: Path) -> None:
        self.port, self.starts, self.pidfile = free_port(), folder / "by-hand", folder / "by-hand.pid"
        self.start()

    def start(self) -> None:
        """Start it, as a person would."""
        command = [sys.executable, "-S", "-E", str(SERVICE), str(self.port), str(self.starts)]
        self.process = subprocess.Popen(command)
        self.pidfile.write_text(str(self.process.pid))

    def kill(self) -> None:
        """Let it die."""
        self.process.kill()
        self.process.wait()

    def settings(self) -> dict[str, Any]:
        """Return what the configuration says of it."""
        probe = {"tcp": f"127.0.0.1:{self.port}", "every": "200ms", "timeout": "500ms"}
        return {"process": {"pidfile": str(self.pidfile)}, "probes": [probe], "allow": ["restart"]}


@pytest.fixture
def by_hand(tmp_path: Path) -> Iterator[ByHand]:
    """Run a service by hand."""
    service = ByHand(tmp_path)
    yield service
    service.kill()


def impatient(fleet: Fleet, by_hand: ByHand) -> Settings:
    """Add the service run by hand and short limits to the fleet's settings; return them."""
    settings = yaml.safe_load(fleet.config.read_text())
    settings["services"]["byhand"] = by_hand.settings()
    settings["policies"][0]["when"]["target"] = "*"
    settings["guards"]["fresh"] = f"{LIMIT_S}s"
    settings["liveness"] = {"silent_after": f"{LIMIT_S}s"}
    fleet.config.write_text(yaml.safe_dump(settings))
    return load_settings(fleet.config)


def said_of(fleet: Fleet, role: str) -> list[str]:
    """Return the lines in which a role says that the broker is away; fail when it said anything odd."""
    said = fleet.said(role)
    assert "Traceback" not in said, said
    return [line for line in said.splitlines() if "trying again" in line]


def rounds_missing(log: Log, settings: Settings) -> set[int]:
    """Return the numbers that the agent gave to no record on the log, though to one before and one after."""
    found: set[int] = set()
    for _, one in decoded(log, Partition(settings.topics.topic("metrics"), 0)):
        found |= {sequence for block in one.rounds for sequence in block.sequence.tolist()}
        found |= {each.sequence for _, each in one.records if each.sequence is not None}
    return set(range(min(found), max(found))) - found


def test_roles_wait_for_a_broker_that_is_not_there_yet_and_go_on_when_it_is(tmp_path: Path, absent: LocalKafka) -> None:
    """Each says where it looked and that it goes on trying; then all is as ever."""
    fleet = Fleet(tmp_path, absent.url, "start")
    try:
        fleet.start(*fleet.roles)
        wait_for("a word of each role", lambda: all(said_of(fleet, role) for role in fleet.roles))
        fleet.alive()
        assert all(absent.bootstrap in said_of(fleet, role)[0] for role in fleet.roles)
        absent.start()
        wait_for("the first answer of the service", fleet.answers)
        settings = load_settings(fleet.config)
        with log_of(settings) as log:
            os.kill(fleet.service_pids()[0], signal.SIGKILL)
            wait_for("the mended service", lambda: len(fleet.service_pids()) == 2 and fleet.answers())
            wait_for("its resolved fault", lambda: not open_faults(log, settings))
        fleet.stop(*fleet.roles)
    finally:
        fleet.clear()


def be_away(kafka: LocalKafka, fleet: Fleet, by_hand: ByHand) -> int:
    """Freeze the broker, let both services die, mend one by hand, and kill the broker; return when it was back (ms)."""
    began = time.monotonic()
    kafka.freeze()
    os.kill(fleet.service_pids()[-1], signal.SIGKILL)
    by_hand.kill()
    by_hand.start()
    wait_for("the end of the outage", lambda: time.monotonic() > began + AWAY_S)
    kafka.kill()
    back = time.time_ns() // 1_000_000
    kafka.start()
    return back


def judge_words(fleet: Fleet) -> None:
    """Fail unless each role says in a few lines that it waits for the broker, and soon that it goes on.

    Who has no part in mending may be the last to go on. That a collector is slow says nothing of the log.
    """
    for role in fleet.roles:
        goes_on = "the log is back" if role == "agent" else "takes records again"
        wait_for(f"{role} to go on", partial(_says, fleet, role, goes_on), 60)
        said = fleet.said(role)
        assert "Traceback" not in said, said
        # The client names the broker as it was told of it, or by the address that this stands for.
        assert f":{fleet.url.rpartition(':')[2]}" in said or role == "agent", said
        assert len([line for line in said.splitlines() if " collector " not in line]) <= MOST_LINES, said


def _says(fleet: Fleet, role: str, words: str) -> bool:
    return words in fleet.said(role)


def judge_deeds(journal: Sequence[Any], back: int) -> None:
    """Fail unless what was done rests on fresh evidence, and nobody was taken for silent."""
    faults = [one for one in journal if isinstance(one, Fault) and one.transition == "opened"]
    assert {(one.target, one.kind) for one in faults} == {("host-1/web", "dead"), ("host-1/byhand", "dead")}
    intents = [place for place, one in enumerate(journal) if isinstance(one, Intent)]
    assert {journal[place].target for place in intents} == {"host-1/web"}
    before = [one for one in journal[: intents[0]] if isinstance(one, Fault) and one.target == "host-1/web"]
    assert ["opened", "affirmed"] == [one.transition for one in before]
    assert before[0].evidence.delay_ms > LIMIT_S * 1000
    (done,) = (one for one in journal if isinstance(one, Outcome))
    assert done.status == "succeeded"
    assert done.began_at is not None
    assert done.began_at > back


def test_an_outage_loses_nothing_and_what_is_stale_is_not_mended(
    tmp_path: Path, absent: LocalKafka, by_hand: ByHand
) -> None:
    """A service mended by hand meanwhile is left alone; one still dead is mended once fresh evidence says so."""
    absent.start()
    fleet = Fleet(tmp_path, absent.url, "outage")
    settings = impatient(fleet, by_hand)
    with log_of(settings) as log, deployed(fleet):
        wait_for("progress on the journal", lambda: len(read_journal(log, settings)) > BEFORE)
        back = be_away(absent, fleet, by_hand)
        wait_for("the mended service", lambda: len(fleet.service_pids()) == 2 and fleet.answers(), 90)
        wait_for("all faults resolved", lambda: not open_faults(log, settings))
        judge_words(fleet)
        fleet.stop("agent")
        wait_for("all windows", lambda: not windows_missing(log, settings))
        wait_for("all faults", lambda: not faults_missing(log, settings))
        fleet.stop(*tuple(fleet.processes))
        assert not rounds_missing(log, settings)
        judge_deeds(read_journal(log, settings), back)
        assert len(fleet.service_pids()) == 2
