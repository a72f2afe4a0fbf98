"""What is done to a fleet besides: stages die, freeze and hand over, settings change, answers are lost."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.fleet.stages import MEMBERS
from tests.simulation.harm import SKEWS_MS, Harm, Kinds

if TYPE_CHECKING:
    from tests.simulation.fleet.world import Fleet
    from tests.simulation.members import MemberLife

LONGEST_FROZEN_MS = 200_000
FROZEN_MS = (4_000, 25_000, LONGEST_FROZEN_MS)
STORM_MS = 40_000
MOST_MEMBERS = 4
CUT_OFF_MS = 60_000
NOT_HERE = ("detectors blind",)


class FleetHarm(Harm):
    """Draws what is done to a fleet."""

    def __init__(self, world: Fleet, only: Collection[str] = ()) -> None:
        """Do harm to `world`: of all kinds, or `only` of these."""
        self.fleet = world
        super().__init__(world, only)

    def some(self) -> None:
        """Do harm, twice as much as around an incident alone."""
        super().some()
        super().some()

    def _kinds_of(self, kinds: Kinds) -> Kinds:
        more: Kinds = {
            "stage killed": (6, self._kill_stage),
            "stage frozen": (5, self._freeze_stage),
            "member more": (2, self._add_member),
            "rebalance storm": (3, self._storm),
            "records read again": (2, self._read_again),
            "member's clock set": (1, self._set_members_clock),
            "settings changed": (3, self._change_settings),
            "member cut off": (5, self._cut_member_off),
            "answer lost": (5, self._lose_answer),
            "agent killed cut off": (2, self._kill_cut_off),
            "log silent": (4, self._silence_log),
            "disk full": (2, self._fill_disk),
        }
        return {name: kind for name, kind in kinds.items() if name not in NOT_HERE} | more

    def _slow_down(self) -> None:
        """Let acknowledgements of a host take their time for a while."""
        site = self.world.sites[self._of(self.world.sites)]
        before, site.slow_ms = site.slow_ms, self.world.lots.choice([5.0, 2_000.0, 9_000.0])
        self.world.time.after(self.world.lots.choice([60_000, 3_600_000]), partial(setattr, site, "slow_ms", before))

    def _kill_stage(self) -> None:
        name = self._of(self.fleet.stages)
        self._end_soon(self.fleet.stages[name], partial(self.fleet.start_member, name))

    def _freeze_stage(self) -> None:
        fuse = self._fuse()._replace(freeze_ms=self.world.lots.choice(FROZEN_MS))
        self.fleet.stages[self._of(self.fleet.stages)].light(fuse)

    def _add_member(self) -> None:
        """Let one more member take its share for a while: partitions are handed over, and back when it dies."""
        stage = self._of(self.fleet.stages).partition("-")[0]
        name = f"{stage}-2"
        if name not in self.fleet.stages or self.fleet.stages[name].dead:
            self.fleet.start_member(name)
            self.world.time.after(self.world.lots.choice([5_000, 60_000, 600_000]), self.fleet.stages[name].die)

    def _storm(self) -> None:
        """Let members of a stage come and go in quick succession, most of them in good order."""
        lots, stage = self.world.lots, self._of(self.fleet.stages).partition("-")[0]
        for _ in range(lots.randrange(4, 12)):
            come_or_go = partial(self._come_or_go, f"{stage}-{lots.randrange(MOST_MEMBERS)}")
            self.world.time.after(lots.randrange(STORM_MS), come_or_go)
        self.world.time.after(STORM_MS, partial(self._settle, stage))

    def _come_or_go(self, name: str) -> None:
        life = self.fleet.stages.get(name)
        if life is None or life.dead:
            self.fleet.start_member(name)
        elif self.world.lots.random() < 0.8:
            life.leave()
        else:
            life.die()

    def _settle(self, stage: str) -> None:
        """Let those go who are too many, and those come who belong there."""
        for name in [name for name in self.fleet.stages if name.partition("-")[0] == stage and name not in MEMBERS]:
            self.fleet.stages[name].leave()
        for name in MEMBERS:
            if name.partition("-")[0] == stage and self.fleet.stages[name].dead:
                self.fleet.start_member(name)

    def _read_again(self) -> None:
        """Let a member be given again what it has read: its client went back, as one does that lost its place."""
        name, lives = self._member()
        if not lives[name].dead:
            lives[name].read_again(self.world.lots.choice([1, 10, 200]))

    def _set_members_clock(self) -> None:
        name, lives = self._member()
        lives[name].skew_ms = self.world.lots.choice(SKEWS_MS)

    def _change_settings(self) -> None:
        """Let all members of a stage end and begin anew, each under the version it finds."""
        stage = self._of(self.fleet.stages).partition("-")[0]
        for name in [name for name in self.fleet.stages if name.partition("-")[0] == stage]:
            self._end_soon(self.fleet.stages[name], partial(self.fleet.start_member, name))

    def _lose(self, name: str) -> None:
        """Lose what was not synced of the spool as well."""
        super()._lose(name)
        for path in sorted((self.world.sites[name].folder / "spool").glob("*.records")):
            self.world.disk.cut_power(path, self.world.lots)

    def _fill_disk(self) -> None:
        """Let a host have no room for its ledger and its spool for a while, and mostly no way to the log either."""
        site = self.world.sites[self._of(self.world.sites)]
        self.world.disk.fill(site.folder)
        self.world.time.after(self.world.lots.choice([5_000, 60_000]), partial(self.world.disk.free, site.folder))
        if self.world.lots.random() < 0.7:
            site.way.cut_until = self.world.time.now + self.world.lots.choice([8_000, 20_000])

    def _cut_member_off(self) -> None:
        """Let nothing of what a member says get through for a while, in which it ends, perhaps."""
        name, lives = self._member()
        lives[name].way.cut_until = self.world.time.now + self.world.lots.choice([2_000, 10_000, 60_000])
        if self.world.lots.random() < 0.5:
            self._end_soon(lives[name], partial(self.fleet.start_member, name))

    def _lose_answer(self) -> None:
        """Let a host or a member hear nothing of some appends that arrived: it says them again."""
        site = self.world.sites[self._of(self.world.sites)]
        name, lives = self._member()
        way = site.way if self.world.lots.random() < 0.5 else lives[name].way
        way.answers_lost += self.world.lots.choice([1, 1, 3])

    def _kill_cut_off(self) -> None:
        """Let a host's agent end and begin anew, once or again and again, while it does not reach the log."""
        name, lots = self._of(self.world.agents), self.world.lots
        self.world.sites[name].way.cut_until = self.world.time.now + CUT_OFF_MS
        for _ in range(lots.choice([1, 2, 3])):
            self.world.time.after(lots.randrange(CUT_OFF_MS), partial(self._end_agent, name))

    def _end_agent(self, name: str) -> None:
        self._end_soon(self.world.agents[name], partial(self._start_agent, name))

    def _silence_log(self) -> None:
        """Let a host or a member wait for answers, and hear then that its appends failed, of which some arrived."""
        site = self.world.sites[self._of(self.world.sites)]
        name, lives = self._member()
        way = site.way if self.world.lots.random() < 0.3 else lives[name].way
        lasts_ms, arriving = self.world.lots.choice([1_000, 5_000, 30_000]), self.world.lots.choice([0, 0, 1, 5])
        way.fall_silent(self.world.time.now + lasts_ms, arriving)

    def _member(self) -> tuple[str, dict[str, MemberLife]]:
        lives = self.fleet.stages if self.world.lots.random() < 0.7 else self.fleet.planners
        return self._of(lives), lives
