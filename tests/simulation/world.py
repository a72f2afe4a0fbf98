"""A world: hosts, planners and detectors around one log in memory, and what is done to them, drawn from one seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

from mendline.reading import read_batches
from mendline.responders.ledger import LedgerBusyError
from mendline.responders.signing import Beliefs, KeyRing
from mendline.schemas.records import Record, decode_record
from mendline.schemas.settings import TopicsSettings
from mendline.schemas.stream import Partition
from mendline.topics import topic_settings
from tests.simulation.deeds import Deed
from tests.simulation.disk import Disk
from tests.simulation.harm import Harm
from tests.simulation.hosts import COMMANDS, Agent, Site
from tests.simulation.log import TellingLog
from tests.simulation.plan import HOSTS, draw_plan
from tests.simulation.planners import PlannerLife
from tests.simulation.process import Process
from tests.simulation.services import JOURNAL, Detectors
from tests.simulation.story import Line, Story
from tests.simulation.undisturbed import believed_commands, expected_commands
from tests.simulation.virtual import Time

PLANNERS = ("planner-0", "planner-1")
EVERY_MS = (500, 4_000, 10_000)
AT_ONCE = (1, 1, 1, 4)
CALM_MS = 120_000


class Keys:
    """The keys of all worlds: of the planners, of people, and of each host."""

    def __init__(self, folder: Path) -> None:
        """Make them in `folder`."""
        hosts = {name: KeyRing(folder / name).public for name in HOSTS}
        self.planner = KeyRing(folder / "planner", Beliefs(agents={name: [key] for name, key in hosts.items()}))
        self.hosts = {name: KeyRing(folder / name, Beliefs(trust=[self.planner.public])) for name in HOSTS}
        self.stranger = KeyRing(folder / "stranger")


class World:
    """All of it. `run` lets so many incidents happen, then calm; `story` says what came of it."""

    def __init__(self, seed: str, folder: Path, keys: Keys, harms: Collection[str] = ()) -> None:
        """Put everything to work; of the kinds of harm only these are done, if any are named."""
        self.lots = random.Random(seed)
        self.harms: Counter[str] = Counter()
        self.time = Time()
        self.disk = Disk()
        self.plan = draw_plan(self.lots)
        self.keys = keys
        self.log = TellingLog(self.time)
        self.log.ensure_topics(topic_settings(TopicsSettings()))
        self.deeds: list[Deed] = []
        self.detectors = Detectors(self.time, self.log, self.lots, self.harms)
        self.sites = {name: self._site(name, folder / name) for name in HOSTS}
        self.agents: dict[str, Agent] = {}
        self.planners: dict[str, PlannerLife] = {}
        self.log.listeners[COMMANDS].append(partial(self._rouse, self.agents))
        self.log.listeners[JOURNAL.topic].append(partial(self._rouse, self.planners))
        self.calm = False
        self.harm = Harm(self, harms)

    def run(self, incidents: int, calm_ms: int = CALM_MS) -> None:
        """Let so many incidents happen, each with harm around it, and then all be well for `calm_ms`."""
        with self.disk.in_use():
            for name in HOSTS:
                self.start_agent(name)
            for name in PLANNERS:
                self.start_planner(name)
            self.time.run(3_000)
            while incidents:
                for _ in range(min(self.lots.choice(AT_ONCE), incidents)):
                    incidents -= self.detectors.break_one()
                self.harm.some()
                self.time.run(self.lots.choice(EVERY_MS))
            self._calm_down()
            self.time.run(calm_ms)
            self._end()

    def story(self) -> Story:
        """Return all that happened."""
        journal, commands = self._lines(JOURNAL), self._lines(Partition(COMMANDS, 0))
        expected = expected_commands(self.log, self.plan.versions[0], self.keys.planner)
        believed = believed_commands(self.log, Partition(COMMANDS, 0), self.keys.hosts[HOSTS[0]])
        return Story(
            plan=self.plan,
            journal=journal,
            commands=commands,
            deeds=self.deeds,
            sicknesses=self.detectors.sicknesses,
            forged=self.harm.forged,
            unsteady=self.detectors.skew_ms.keys(),
            expected=expected,
            believed=believed,
        )

    # Lives ------------------------------------------------------------------------------------------------------------

    def start_agent(self, name: str) -> None:
        """Begin a new life of a host's agent; one that still stands in the way is tried again after."""
        try:
            self.agents[name] = Agent(self.sites[name])
        except LedgerBusyError:
            self.harms["agent started beside an old one"] += 1
            if self.agents[name].frozen:
                self.time.after(1_000, partial(self.start_agent, name))

    def start_planner(self, name: str) -> None:
        """Begin a new life of a planner."""
        settings = self.lots.choice(self.plan.versions)
        self.planners[name] = PlannerLife(self.time, self.lots, self.log, settings, self.keys.planner, name)

    def _rouse(self, processes: Mapping[str, Process]) -> None:
        for process in processes.values():
            process.rouse()

    def _site(self, name: str, folder: Path) -> Site:
        folder.mkdir(parents=True)
        allowed, keys = self.plan.allowed[name], self.keys.hosts[name]
        return Site(name, folder, allowed, keys, self.log, self.detectors, self.deeds, self.time, self.lots)

    # The end ----------------------------------------------------------------------------------------------------------

    def _calm_down(self) -> None:
        self.calm = self.detectors.calm = True
        self.harm.end()
        for site in self.sites.values():
            site.calm, site.slow_ms = True, 5.0
        self.time.after(40_000, self._heal_all)

    def _heal_all(self) -> None:
        """Let half of what is still wrong pass by itself."""
        for service in self.detectors.services.values():
            if service.sick and self.lots.random() < 0.5:
                self.detectors.start(service)
                self.detectors.heal(service, service.sick)

    def _end(self) -> None:
        for process in (*self.agents.values(), *self.planners.values()):
            if not process.dead:
                process.die()
        self.time.run(1)

    def _lines(self, partition: Partition) -> list[Line[Record]]:
        lines: list[Line[Record]] = []
        for batch in read_batches(self.log, partition, None):
            for offset, time, value in zip(batch.offsets, batch.timestamps, batch.values, strict=True):
                lines.append(Line(offset, time, decode_record(value)))
        return lines
