"""A world: hosts, planners and detectors around one log in memory, and what is done to them, drawn from one seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.reading import read_batches
from mendline.responders.ledger import LedgerBusyError
from mendline.responders.signing import Beliefs, KeyRing
from mendline.roles import planner_spec
from mendline.runtime.spec import StageSpec
from mendline.schemas.records import Record, decode_record
from mendline.schemas.settings import Settings, TopicsSettings
from mendline.schemas.stream import Partition
from mendline.topics import topic_settings
from tests.simulation.deeds import Deed, Sickness
from tests.simulation.disk import Disk
from tests.simulation.harm import Harm
from tests.simulation.hosts import COMMANDS, Agent, Site
from tests.simulation.judge import KINDS, Judge, Wrong
from tests.simulation.log import TellingLog
from tests.simulation.members import MemberLife
from tests.simulation.plan import Plan, draw_plan
from tests.simulation.process import Process
from tests.simulation.services import JOURNAL, Detectors
from tests.simulation.story import Line, Story
from tests.simulation.truth import Truth
from tests.simulation.undisturbed import believed_commands, expected_commands
from tests.simulation.virtual import Time

if TYPE_CHECKING:
    from mendline.logs.base import TopicSettings

PLANNERS = ("planner-0", "planner-1")
NAMES = tuple(f"host-{number}" for number in range(5))
"""Hosts that have keys."""
EVERY_MS = (500, 4_000, 10_000)
AT_ONCE = (1, 1, 1, 4)
CALM_MS = 120_000


class Keys:
    """The keys of all worlds: of the planners, of people, and of each host."""

    def __init__(self, folder: Path) -> None:
        """Make them in `folder`."""
        hosts = {name: KeyRing(folder / name).public for name in NAMES}
        self.planner = KeyRing(folder / "planner", Beliefs(agents={name: [key] for name, key in hosts.items()}))
        self.hosts = {name: KeyRing(folder / name, Beliefs(trust=[self.planner.public])) for name in NAMES}
        self.stranger = KeyRing(folder / "stranger")


class World:
    """All of it. `run` lets so many incidents happen, then calm; `story` says what came of it."""

    kinds: Sequence[str] = KINDS
    """Of what must not happen."""
    asked, unit, per_world, step = "", "incidents", 100.0, 1.0
    """How the command line asks for it; what is counted, how much of it is in a world, and how little is too little."""
    session_s = 10.0
    """After how long without a sign of life a member's partitions are given to others."""

    def __init__(self, seed: str, folder: Path, keys: Keys, harms: Collection[str] = ()) -> None:
        """Put everything to work; of the kinds of harm only these are done, if any are named."""
        self.lots = random.Random(seed)
        self.harms: Counter[str] = Counter()
        self.incidents = 0
        self.time = Time()
        self.disk = Disk()
        self.plan = self._draw_plan()
        self.keys = keys
        self.log = TellingLog(self.time, self.session_s)
        self.log.ensure_topics(self._topics())
        self.deeds: list[Deed] = []
        self.truth = self._begin_truth()
        self.sites = {name: self._site(name, folder / name) for name in self.plan.hosts}
        self.agents: dict[str, Agent] = {}
        self.planners: dict[str, MemberLife] = {}
        self.log.listeners[COMMANDS].append(partial(self._rouse, self.agents))
        self.log.listeners[JOURNAL.topic].append(partial(self._rouse, self.planners))
        self.calm = False
        self.harm = self._make_harm(harms)

    def _draw_plan(self) -> Plan:
        return draw_plan(self.lots)

    def _topics(self) -> Sequence[TopicSettings]:
        return topic_settings(TopicsSettings())

    def _begin_truth(self) -> Truth:
        detectors = Detectors(self.time, self.lots, self.harms, self.plan.hosts)
        detectors.watch(self.log)
        return detectors

    def _make_harm(self, only: Collection[str]) -> Harm:
        return Harm(self, only)

    def run(self, amount: float, calm_ms: int = CALM_MS) -> None:
        """Let so many incidents happen, each with harm around it, and then all be well for `calm_ms`."""
        incidents = self.incidents = round(amount)
        with self.disk.in_use():
            for name in self.plan.hosts:
                self.start_agent(name)
            for name in PLANNERS:
                self.start_planner(name)
            self.time.run(3_000)
            while incidents:
                for _ in range(min(self.lots.choice(AT_ONCE), incidents)):
                    incidents -= self.truth.break_one()
                self.harm.some()
                self.time.run(self.lots.choice(EVERY_MS))
            self._calm_down()
            self.time.run(calm_ms)
            self._end()

    def wrongs(self) -> Iterable[Wrong]:
        """Return all that must not have happened, once it is over."""
        return Judge(self.story()).wrongs()

    def story(self) -> Story:
        """Return all that happened."""
        journal, commands = self._lines(JOURNAL), self._lines(Partition(COMMANDS, 0))
        expected = expected_commands(self.log, self.plan.versions[0], self.keys.planner)
        believed = believed_commands(self.log, Partition(COMMANDS, 0), self.keys.hosts[self.plan.hosts[0]])
        return Story(
            plan=self.plan,
            journal=journal,
            commands=commands,
            deeds=self.deeds,
            sicknesses=self._told(journal),
            forged=self.harm.forged,
            unsteady=self.truth.skew_ms.keys(),
            expected=expected,
            believed=believed,
        )

    def _told(self, journal: Sequence[Line[Record]]) -> Mapping[str, Sickness]:
        """Return what was wrong, by the fault as which it stands in the journal."""
        return self.truth.sicknesses if journal else {}

    # Lives ------------------------------------------------------------------------------------------------------------

    def start_agent(self, name: str) -> None:
        """Begin a new life of a host's agent; one that still stands in the way is tried again after."""
        try:
            self.agents[name] = self._make_agent(self.sites[name])
        except LedgerBusyError:
            self.harms["agent started beside an old one"] += 1
            if self.agents[name].frozen:
                self.time.after(1_000, partial(self.start_agent, name))

    def _make_agent(self, site: Site) -> Agent:
        return Agent(site)

    def start_planner(self, name: str) -> None:
        """Begin a new life of a planner."""
        settings = self.lots.choice(self.plan.versions)
        self.planners[name] = self._member(name, planner_spec(settings, self.keys.planner), settings)

    def _member(self, name: str, spec: StageSpec, settings: Settings) -> MemberLife:
        return MemberLife(self.time, self.lots, self.log, spec, settings, name)

    def _rouse(self, processes: Mapping[str, Process]) -> None:
        for process in processes.values():
            process.rouse()

    def _site(self, name: str, folder: Path) -> Site:
        folder.mkdir(parents=True)
        allowed, keys = self.plan.allowed[name], self.keys.hosts[name]
        return Site(name, folder, allowed, keys, self.log, self.truth, self.deeds, self.time, self.lots)

    # The end ----------------------------------------------------------------------------------------------------------

    def _calm_down(self) -> None:
        self.calm = self.truth.calm = True
        self.harm.end()
        for site in self.sites.values():
            site.calm, site.slow_ms = True, 5.0
        self.time.after(40_000, self._heal_all)

    def _heal_all(self) -> None:
        """Let half of what is still wrong pass by itself."""
        for service in self.truth.services.values():
            if service.sick and self.lots.random() < 0.5:
                self.truth.start(service)
                self.truth.heal(service, service.sick)

    def _lives(self) -> Iterable[Process]:
        return (*self.agents.values(), *self.planners.values())

    def _end(self) -> None:
        for process in self._lives():
            if not process.dead:
                process.die()
        self.time.run(1)

    def _lines(self, partition: Partition) -> list[Line[Record]]:
        lines: list[Line[Record]] = []
        for batch in read_batches(self.log, partition, None):
            for offset, time, value in zip(batch.offsets, batch.timestamps, batch.values, strict=True):
                lines.append(Line(offset, time, decode_record(value)))
        return lines
