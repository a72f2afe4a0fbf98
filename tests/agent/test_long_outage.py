"""Ten minutes without the log, on a clock set by hand: real publishers and spools, real stages, a real planner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mendline.agent import publisher as module
from mendline.agent.publisher import Publisher
from mendline.agent.spool import Spool
from mendline.logs.base import LogUnavailableError
from mendline.logs.memory import MemoryLog
from mendline.responders.signing import KeyRing
from mendline.roles import planner_spec, rounds_spec, windows_spec
from mendline.runtime.member import Clocks, Member, Pace
from mendline.schemas.records import Command, Fault, Heartbeat, ProcessEvent
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Partition
from mendline.testing.clock import ManualClock
from mendline.topics import topic_settings
from tests.faults.judging import add_windows, decoded
from tests.producers.support import until

TABLE = SeriesTable([Series(metric="m")])
OUTAGE_S = 600
PANE_S = 10
SETTINGS = {
    "topics": {"partitions": 1},
    "services": {"web": {"process": {"match": "web"}, "allow": ["restart"]}},
    "policies": [{"name": "web", "when": {"target": "web"}, "mode": "auto", "play": [{"action": "restart"}]}],
}


class Machine:
    """What an agent publishes, life after life, without collecting anything."""

    def __init__(self, scene: Scene, name: str) -> None:
        """Begin the first life."""
        self.name = name
        self.epoch = 0
        self.said = 0
        self._scene = scene
        self.begin()

    def begin(self) -> None:
        """Begin a life on the spool that the last one left."""
        self.epoch += 1
        self.spool = Spool(self._scene.folder / f"spool-{self.name}", 2**30)
        self.publisher = Publisher(
            self._scene.log, "mendline.metrics", self.name, self.epoch, lambda *_: None, self.spool,
            sign=self._scene.keys.sign_event,
        )  # fmt: skip
        self.publisher.start()

    def second(self) -> None:
        """Say what an agent says in a second."""
        now = self._scene.clock()
        self.publisher.round(now, TABLE, [float(self.said)])
        self.said += 1
        if self.said % PANE_S == 0:
            self.publisher.event(Heartbeat(source=self.name, time=now, interval_ms=10_000, services=("web",)))

    def tell(self, state: str, pid: int) -> None:
        """Say what became of the service."""
        now = self._scene.clock()
        event = {"source": self.name, "time": now, "service": "web", "state": state, "pid": pid, "started_at": now - 1}
        self.publisher.event(ProcessEvent.model_validate(event))


class Scene:
    """Two machines, a log, and the stages that judge and decide, all on one clock."""

    def __init__(self, folder: Path) -> None:
        """Put it together."""
        self.folder = folder
        self.clock = ManualClock()
        self.log = MemoryLog(clock=self.clock)
        settings = Settings.model_validate({**SETTINGS, "state": str(folder)})
        self.log.ensure_topics(topic_settings(settings.topics))
        self.keys = KeyRing(folder / "keys")
        specs = (rounds_spec(settings, self.keys), windows_spec(settings), planner_spec(settings, self.keys))
        clocks = Clocks(monotonic=lambda: self.clock() / 1000, now_ms=self.clock)
        self.members = [
            Member(self.log, spec, settings.topics, spec.name, pace=Pace(again=0.0, idle=0.0), clocks=clocks)
            for spec in specs
        ]
        for member in self.members:
            member.open()
        self.machines = [Machine(self, name) for name in ("host-1", "host-2")]

    def pass_time(self, seconds: int, machines: Sequence[Machine] | None = None) -> None:
        """Let time pass, in which the machines speak, by default both, and the stages work if the log is there."""
        for _ in range(seconds):
            self.clock.advance(1)
            for machine in self.machines if machines is None else machines:
                machine.second()
            if not self.log.away:
                self.arrive()
            self.work()

    def arrive(self) -> None:
        """Wait until all that was said is on the log."""
        for machine in self.machines:
            until(lambda machine=machine: not machine.publisher.waiting)  # type: ignore[misc]

    def keep(self) -> None:
        """Wait until all that was said is on the disk."""
        for machine in self.machines:
            until(lambda machine=machine: machine.spool.count == machine.publisher.waiting)  # type: ignore[misc]

    def work(self) -> None:
        """Give each stage a few turns."""
        for member in [*self.members] * 3:
            try:
                member.turn()
            except LogUnavailableError:
                assert self.log.away

    def records(self, topic: str) -> list[Any]:
        """Return the records of a topic that are neither rounds nor windows."""
        found = decoded(self.log, Partition(topic, 0))
        return [record for _, one in found for _, record in one.records]

    def faults(self) -> list[tuple[str, str, str]]:
        """Return what was said of faults: target, kind and transition."""
        journal = self.records("mendline.journal")
        return [(one.target, one.kind, one.transition) for one in journal if isinstance(one, Fault)]

    def counts(self) -> dict[tuple[str, int], float]:
        """Return of how many rounds each window of 10 s was made, by source and start (ms)."""
        found: dict[tuple[str, int, int, str], dict[str, float]] = {}
        for _, one in decoded(self.log, Partition("mendline.windows", 0)):
            add_windows(found, one.windows)
        return {key[:1] + key[2:3]: row["count"] for key, row in found.items() if key[1] == PANE_S * 1000}


@pytest.fixture(name="scene")
def _scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(module, "SPOOL_AFTER_S", 0.02)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.1)
    scene = Scene(tmp_path)
    yield scene
    for machine in scene.machines:
        machine.publisher.close(0.1)
    for member in scene.members:
        member.close()


def be_away(scene: Scene) -> None:
    """Take the log away for ten minutes; a service dies and is mended by hand, and an agent ends and comes again."""
    first, second = scene.machines
    scene.log.away = True
    scene.pass_time(100)
    first.tell("exited", 10)
    scene.pass_time(100)
    first.tell("started", 11)
    scene.pass_time(100)
    second.publisher.close(0.05)
    second.begin()
    scene.pass_time(OUTAGE_S - 300)
    scene.keep()
    scene.log.away = False
    scene.arrive()


@pytest.mark.slow
def test_ten_minutes_without_the_log_lose_nothing_and_mend_nothing(scene: Scene) -> None:
    """Every round makes it into its window, nobody is missed, and what was mended by hand is left alone."""
    began = scene.clock()
    scene.machines[0].tell("started", 10)
    scene.pass_time(60)
    be_away(scene)
    scene.pass_time(120)

    whole = range(began // 10_000 * 10_000 + 10_000, began + (60 + OUTAGE_S) * 1000, PANE_S * 1000)
    counts = scene.counts()
    assert {10.0} == {counts.get((machine.name, start)) for machine in scene.machines for start in whole}
    assert [60 + OUTAGE_S + 120] * 2 == [machine.said for machine in scene.machines]
    assert [0, 0] == [machine.publisher.lost for machine in scene.machines]
    assert [("host-1/web", "dead", "opened"), ("host-1/web", "dead", "resolved")] == scene.faults()
    assert not [one for one in scene.records("mendline.commands") if isinstance(one, Command)]


@pytest.mark.slow
def test_what_is_fresh_after_the_outage_is_missed_and_mended(scene: Scene) -> None:
    """The stages are not blind afterwards: a death is commanded upon, and a host that says nothing is missed."""
    first, second = scene.machines
    first.tell("started", 10)
    scene.pass_time(60)
    be_away(scene)
    scene.pass_time(120)
    first.tell("exited", 11)
    scene.pass_time(5)
    commands = [one for one in scene.records("mendline.commands") if isinstance(one, Command)]
    assert ["host-1/web"] == [one.target for one in commands]
    scene.pass_time(35, [first])
    assert (second.name, "silent", "opened") in scene.faults()


@pytest.mark.slow
def test_records_of_all_lives_are_in_order(scene: Scene) -> None:
    """Each source counts on without a gap, life after life, whatever was on a disk meanwhile."""
    scene.pass_time(20)
    be_away(scene)
    scene.pass_time(20)
    for machine in scene.machines:
        found = places(scene.log, machine.name)
        assert found == sorted(found)
        for epoch in range(1, machine.epoch + 1):
            life = [sequence for of, sequence in found if of == epoch]
            assert [*range(len(life))] == life


def places(log: MemoryLog, source: str) -> list[tuple[int, int]]:
    """Return epoch and sequence of all records of a source on the log, in order."""
    found: list[tuple[int, int, int]] = []
    for batch, one in decoded(log, Partition("mendline.metrics", 0)):
        for block in one.rounds:
            mine = zip(block.index.tolist(), block.epoch.tolist(), block.sequence.tolist(), strict=True)
            found += [
                (batch.offsets[at], epoch, sequence)
                for at, epoch, sequence in mine
                if batch.keys[at] == source.encode()
            ]
        events = [(batch.offsets[at], record) for at, record in one.records if record.source == source]
        found += [(offset, record.epoch or 0, record.sequence or 0) for offset, record in events]
    return [(epoch, sequence) for _, epoch, sequence in sorted(found)]
