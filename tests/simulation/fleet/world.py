"""A fleet: hosts with real publishers and executors, all stages and planners, and hours of virtual time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.logs.base import Position
from mendline.schemas.records import Fault
from mendline.schemas.stream import Partition
from mendline.topics import topic_settings
from tests.simulation.deeds import Sickness
from tests.simulation.fleet.agents import FleetAgent
from tests.simulation.fleet.harm import LONGEST_FROZEN_MS, FleetHarm
from tests.simulation.fleet.judge import KINDS, WINDOWS, FleetJudge
from tests.simulation.fleet.plan import FleetPlan, draw_fleet
from tests.simulation.fleet.publishing import in_virtual_time
from tests.simulation.fleet.stages import MEMBERS, SPECS
from tests.simulation.fleet.truth import FleetTruth
from tests.simulation.hosts import COMMANDS
from tests.simulation.judge import KINDS as JUDGED
from tests.simulation.judge import Wrong
from tests.simulation.members import IDLE, Holding, MemberLife
from tests.simulation.services import JOURNAL, METRICS
from tests.simulation.story import Line, of_kind
from tests.simulation.world import PLANNERS, Keys, World

if TYPE_CHECKING:
    from mendline.logs.base import TopicSettings
    from mendline.runtime.spec import StageSpec
    from mendline.schemas.records import Record
    from mendline.schemas.settings import Settings
    from tests.simulation.hosts import Agent, Site
    from tests.simulation.process import Process

AWAKE_MS = 40_000
CALM_MS = 240_000
HOUR_MS = 3_600_000
STANDBY_REST_MS = 15_000.0
LAST_MS = 10_000
READ = {"windows": METRICS.topic, "rounds": METRICS.topic, "detect": WINDOWS, "planner": JOURNAL.topic}
"""The topic that each stage reads."""


class Fleet(World):
    """All of it. `run` lets so many hours pass; `story` says what came of it."""

    kinds = (*JUDGED, *KINDS)
    asked, unit, per_world, step = "--fleet ", "hours", 20.0, 0.1
    dense = False
    plan: FleetPlan
    truth: FleetTruth

    def __init__(self, seed: str, folder: Path, keys: Keys, harms: Collection[str] = ()) -> None:
        """Put everything to work; of the kinds of harm only these are done, if any are named."""
        self._awake_until = 0
        self.lives: dict[str, list[FleetAgent]] = defaultdict(list)
        self.holdings: list[Holding] = []
        super().__init__(seed, folder, keys, harms)
        self.stages: dict[str, MemberLife] = {}
        self.log.listeners[JOURNAL.topic].clear()

    def run(self, amount: float, calm_ms: int = CALM_MS) -> None:
        """Let so many hours pass, with incidents and harm, and then all be well for `calm_ms`."""
        with self.disk.in_use(), in_virtual_time(self.time):
            for name in self.plan.hosts:
                self.start_agent(name)
            for name in (*PLANNERS, *MEMBERS):
                self.start_member(name)
            end = self.time.now + amount * HOUR_MS - calm_ms
            self._slow_ways()
            self.time.run(self.lots.choice([3_000, 60_000]))
            while self.time.now < end:
                self.incidents += self.truth.break_one()
                self.harm.some()
                self.notice()
                self.time.run(min(self.lots.expovariate(1 / self.plan.every_ms), end - self.time.now))
            self._calm_down()
            self._awake_until = self.time.now + calm_ms
            self.notice()
            self.time.run(calm_ms)
            self._end()

    def wrongs(self) -> Iterable[Wrong]:
        """Return all that must not have happened, once it is over."""
        return (*super().wrongs(), *FleetJudge(self).wrongs())

    def _told(self, journal: Sequence[Line[Record]]) -> Mapping[str, Sickness]:
        """Return the faults that stages told of, each as something that was wrong, beside what was so in truth."""
        found = dict(self.truth.sicknesses)
        for line in of_kind(journal, Fault):
            fault = line.record
            known = found.setdefault(fault.id, Sickness(fault.target, fault.kind, fault.opened_at))
            known.tell(Position(JOURNAL, line.offset, line.time), over=fault.transition in {"resolved", "orphaned"})
        return found

    def _slow_ways(self) -> None:
        """Let acknowledgements come at once, or take their time."""
        for site in self.sites.values():
            site.slow_ms = self.lots.choice([0.0, 0.0, 5.0])

    # Attention --------------------------------------------------------------------------------------------------------

    def notice(self) -> None:
        """Let members look every few seconds for a while; else they take many rounds at once."""
        now = self.time.now
        if now >= self._awake_until:
            self._rouse(self.planners)
            self._rouse(self.stages)
        self._awake_until = max(self._awake_until, now + AWAKE_MS)

    def _rest_ms(self, busy: bool) -> float:
        if self.time.now >= self._awake_until:
            return float(self.plan.lazy_ms)
        return self.lots.choice(self.plan.awake_ms) if busy else STANDBY_REST_MS

    # Lives ------------------------------------------------------------------------------------------------------------

    def start_member(self, name: str) -> None:
        """Begin a new life of a member, under one version of the settings or another."""
        if name in PLANNERS:
            self.start_planner(name)
            return
        settings = self.lots.choice(self.plan.versions)
        spec = SPECS[name.partition("-")[0]](settings, self.keys.planner)
        self.stages[name] = self._member(name, spec, settings)

    def _member(self, name: str, spec: StageSpec, settings: Settings) -> MemberLife:
        for one in self.holdings:
            if one.member == name:
                one.ends(self.time.now)  # the new life has the place of the old one, which may not know it yet
        pace = replace(IDLE, seldom=self.plan.seldom_s)
        about = (self.time, self.lots, self.log, spec, settings, name)
        return MemberLife(*about, pace=pace, idle_ms=self._rest_ms, holdings=self.holdings)

    def _draw_plan(self) -> FleetPlan:
        plan = draw_fleet(self.lots, dense=self.dense)
        self.session_s = 10 + 2.5 * plan.lazy_ms / 1000
        return plan

    def _topics(self) -> Sequence[TopicSettings]:
        """Return the topics; commands have one partition, as the judge of incidents reads one."""
        topics = topic_settings(self.plan.versions[0].topics)
        return [replace(one, partitions=1) if one.name == COMMANDS else one for one in topics]

    def _begin_truth(self) -> FleetTruth:
        return FleetTruth(self.time, self.lots, self.harms, self.plan.hosts, notable=self.notice)

    def _make_harm(self, only: Collection[str]) -> FleetHarm:
        return FleetHarm(self, only)

    def _make_agent(self, site: Site) -> Agent:
        agent = FleetAgent(site)
        self.lives[site.name].append(agent)
        return agent

    def _lives(self) -> Iterable[Process]:
        return (*super()._lives(), *self.stages.values())

    def _end(self) -> None:
        """Let the agents leave, and the others end when they have taken in what those before them said last."""
        for agent in self.agents.values():
            if isinstance(agent, FleetAgent) and not agent.dead:
                agent.leave()
        self.time.run(LAST_MS)
        self._die(self.agents)
        for stage in SPECS:
            self._wait_for(stage, self._ends(stage))
        self._die(self.stages)
        self._wait_for("planner")
        super()._end()

    def _die(self, lives: Mapping[str, Process]) -> None:
        for life in lives.values():
            if not life.dead:
                life.die()
        self.time.run(1)

    def _wait_for(self, stage: str, ends: Mapping[Partition, int] | None = None) -> None:
        """Let time pass until a stage has read up to `ends`, or all there is; at most until others have its place."""
        until = self.time.now + self.session_s * 1000 + LONGEST_FROZEN_MS
        while self.time.now < until and self._is_behind(stage, ends or self._ends(stage)):
            self._awake_until = self.time.now + LAST_MS
            self.time.run(LAST_MS)

    def _is_behind(self, stage: str, ends: Mapping[Partition, int]) -> bool:
        return any(self.committed(stage, partition) < end for partition, end in ends.items())

    def _ends(self, stage: str) -> Mapping[Partition, int]:
        return {one: self.log.columns(one).end for one in self.partitions(READ[stage])}

    def partitions(self, topic: str) -> list[Partition]:
        """Return the partitions of a topic."""
        return [Partition(topic, number) for number in range(self.log.topics()[topic])]

    def committed(self, stage: str, partition: Partition) -> int:
        """Return up to which offset of a partition a stage has read."""
        place = self.log.group(f"mendline.{stage}").committed.get(partition)
        return place.offset if place else 0


class DenseFleet(Fleet):
    """A fleet in which as much happens in one hour as else in twenty, and that has several partitions more often."""

    asked, per_world = "--fleet --dense ", 1.0
    dense = True
