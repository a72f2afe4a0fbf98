"""What is done to a fleet besides: stages die, freeze and hand over, settings change, answers are lost."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.harm import Harm, Kinds

if TYPE_CHECKING:
    from tests.simulation.fleet.world import Fleet
    from tests.simulation.members import MemberLife

LONGEST_FROZEN_MS = 200_000
FROZEN_MS = (4_000, 25_000, LONGEST_FROZEN_MS)
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
            "settings changed": (3, self._change_settings),
            "member cut off": (5, self._cut_member_off),
            "answer lost": (5, self._lose_answer),
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

    def _change_settings(self) -> None:
        """Let all members of a stage end and begin anew, each under the version it finds."""
        stage = self._of(self.fleet.stages).partition("-")[0]
        for name in [name for name in self.fleet.stages if name.partition("-")[0] == stage]:
            self._end_soon(self.fleet.stages[name], partial(self.fleet.start_member, name))

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

    def _member(self) -> tuple[str, dict[str, MemberLife]]:
        lives = self.fleet.stages if self.world.lots.random() < 0.7 else self.fleet.planners
        return self._of(lives), lives
