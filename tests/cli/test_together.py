"""People's orders obeyed by running roles, and members that share and take over: real processes on one SQLite log."""

from __future__ import annotations

import os
import re
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from mendline.reading import fold_journal, read_batches
from mendline.responders.facts import IntentFact
from mendline.responders.journal import Journal
from mendline.schemas.rounds import encode_round
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.stream import ROUND_HEADERS, NewRecord, Partition
from tests.cli.support import Caller, ended, opened, start, until, write_config
from tests.faults.fleet import Fleet, deployed, free_port

pytestmark = pytest.mark.heavy


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Make fleets that are cleared in the end; the argument is the mode of the policy."""
    made: list[Fleet] = []

    def make(mode: str) -> Fleet:
        one = Fleet(tmp_path, f"sqlite://{tmp_path / 'log'}")
        settings = yaml.safe_load(one.config.read_text())
        settings["policies"][0]["mode"] = mode
        one.config.write_text(yaml.safe_dump(settings))
        made.append(one)
        return one

    yield make
    for one in made:
        one.clear()


def journal(fleet: Fleet) -> Journal:
    """Return the fold over the fleet's journal."""
    settings, log = opened(fleet.config)
    with log:
        return fold_journal(log, settings)


def asking(fleet: Fleet) -> IntentFact | None:
    """Return an intent that waits for a person."""
    intents = (one for fault in journal(fleet).faults.values() for one in fault.intents.values())
    return next((one for one in intents if one.state == "asking"), None)


def break_service(fleet: Fleet) -> None:
    """Kill the service."""
    os.kill(fleet.service_pids()[-1], signal.SIGKILL)


def test_nothing_is_begun_while_all_is_stopped(fleet: Callable[..., Fleet], call: Caller) -> None:
    """A broken service stays as it is until the stop is lifted; then it is mended."""
    with deployed(fleet("auto")) as running:
        assert call("stop-all", "--text", "test", "-c", running.config).status == 0
        break_service(running)
        until("the fault", lambda: any(fault.open for fault in journal(running).faults.values()))
        until("the guard that holds", lambda: any(fault.hold for fault in journal(running).faults.values()))
        assert not running.answers()
        assert len(running.service_pids()) == 1
        assert call("stop-all", "--lift", "-c", running.config).status == 0
        until("the mended service", running.answers)
        assert len(running.service_pids()) == 2


def test_an_action_that_asks_waits_for_its_approval(fleet: Callable[..., Fleet], call: Caller) -> None:
    """From the fault to the mended service, with a person between."""
    with deployed(fleet("ask")) as running:
        break_service(running)
        intent = until("the question", lambda: asking(running))
        assert len(running.service_pids()) == 1
        assert call("approve", intent.record.id[:10], "-c", running.config).status == 0
        until("the mended service", running.answers)
        assert len(running.service_pids()) == 2
        until("the proof", lambda: not any(fault.open for fault in journal(running).faults.values()))


TABLE = SeriesTable([Series(metric="system.load")])


class Rounds:
    """Writes a round a second of event time to each of two partitions, and counts the windows that come of them."""

    def __init__(self, config: Path) -> None:
        self.settings, self.log = opened(config)
        self.time = int(time.time()) * 1000
        self.count = 0

    def write(self) -> None:
        """Append rounds of 20 s, which close two windows of 10 s in each partition."""
        producer = self.log.producer("test")
        topic = self.settings.topics.topic("metrics")
        for _ in range(20):
            self.count, self.time = self.count + 1, self.time + 1000
            for number in range(2):
                value = encode_round(f"host-{number}", 1, self.count, self.time, TABLE, [1.0])
                producer.append([NewRecord(topic, value, None, number, ROUND_HEADERS)]).result(10)
        producer.close()

    def windows(self, number: int) -> int:
        """Return how many records of windows stand in a partition."""
        topic = self.settings.topics.topic("windows")
        return sum(len(batch) for batch in read_batches(self.log, Partition(topic, number)))


def owned(port: int) -> set[str]:
    """Return the partitions of rounds that a member works on, by its own metrics."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            text = answer.read().decode()
    except OSError:
        return set()
    return set(re.findall(r'^mendline_lag_records{partition="(\d+)",stage="windows"}', text, re.MULTILINE))


def test_two_members_share_the_partitions_and_one_takes_over(tmp_path: Path) -> None:
    """While both are there each has one; when one is killed, the other makes its windows too."""
    ports = [free_port(), free_port()]
    configs = []
    for number, port in enumerate(ports):
        folder = tmp_path / str(number)
        folder.mkdir()
        listen = {"listen": f"127.0.0.1:{port}"}
        shared = {"log": f"sqlite://{tmp_path / 'log'}", "state": str(tmp_path / "state")}
        configs.append(write_config(folder, **shared, topics={"partitions": 2}, metrics=listen))
    rounds = Rounds(configs[0])
    members = [start(config, "process") for config in configs]
    try:
        rounds.write()
        until("one partition each", lambda: [len(owned(port)) for port in ports] == [1, 1])
        assert owned(ports[0]) != owned(ports[1])
        rounds.write()
        until("windows of both", lambda: rounds.windows(0) and rounds.windows(1))
        members[0].kill()
        before = [rounds.windows(number) for number in range(2)]
        rounds.write()
        until("windows of both by one", lambda: all(rounds.windows(n) > before[n] for n in range(2)), 60)
        until("both told as its own", lambda: len(owned(ports[1])) == 2)
    finally:
        for member in members:
            member.terminate()
        done = [ended(member) for member in members]
        rounds.log.close()
    assert [one.status for one in done] == [-signal.SIGKILL, 0]
