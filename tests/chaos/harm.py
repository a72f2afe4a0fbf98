"""What is done to members, services, brokers and disks, drawn from a seed: one harm after the other, each undone later.

Brokers are `brokers.BrokerHarm`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tests.chaos.brokers import BrokerHarm
from tests.chaos.hosts import STEADFAST, Service
from tests.chaos.members import ROLES, Members
from tests.chaos.room import Room
from tests.chaos.schedule import Deed, Schedule

FULL_S = (0.5, 5.0)
"""How long the disk of the embedded log is full, at least and at most."""
REST_S = 3.0
"""How long it is left alone then."""


class Harm:
    """The schedule. Call `turn` often: it does what is due, waits for nothing, and looks after the members."""

    def __init__(
        self, schedule: Schedule, members: Members, brokers: BrokerHarm | None, disk: Room | None, every_s: float
    ) -> None:
        """Do a harm every `every_s` seconds on average; `disk` is what the embedded log lies on."""
        self._schedule, self._chance = schedule, schedule.chance
        self._members = members
        self._brokers = brokers
        self._disk = disk
        self._every_s = every_s
        self._may_fill = disk is not None
        schedule.after(every_s, self._harm)

    def turn(self) -> None:
        """Do what is due."""
        self._schedule.turn()
        self._members.supervise()
        if self._brokers:
            self._brokers.look_after()

    def end(self) -> None:
        """Undo all that is not undone yet, and wait until all brokers are there."""
        self._schedule.clear()
        if self._brokers:
            self._brokers.end()
        if self._disk:
            self._disk.empty()
        self._members.settle()

    def _harm(self) -> None:
        self._schedule.after(self._chance.uniform(0, 2 * self._every_s), self._harm)
        kinds = self._kinds()
        name = self._chance.choices(list(kinds), [weight for weight, _ in kinds.values()])[0]
        kinds[name][1]()

    def _kinds(self) -> Mapping[str, tuple[int, Deed]]:
        """Return what can be done now: its weight and the deed."""
        found: dict[str, tuple[int, Deed]] = {"add": (1, self._add), "reload": (1, self._reload)}
        if self._members.up:
            found["freeze"] = (3, self._freeze)
        if self._mortal():
            found |= {"kill": (6, self._kill), "stop": (2, self._stop)}
        if self._steady():
            found["kill a service"] = (4, self._kill_service)
        if self._may_fill:
            found["fill the disk"] = (2, self._fill)
        return {**found, **(self._brokers.kinds() if self._brokers else {})}

    def _mortal(self) -> list[str]:
        return [name for name in self._members.up if name != STEADFAST]

    def _count(self, kind: str, name: str) -> None:
        self._schedule.done[f"{kind} {name.partition('-')[0]}"] += 1

    # Members -----------------------------------------------------------------------------------------------------

    def _kill(self) -> None:
        name = self._chance.choice(self._mortal())
        self._count("kill", name)
        self._members.lose(name)
        self._schedule.blow(name.partition("-")[0])
        pause_s = self._chance.choice([0.0, 0.0, self._chance.uniform(0, 4)])
        self._schedule.after(pause_s, partial(self._start, name))

    def _freeze(self) -> None:
        name = self._chance.choice(self._members.up)
        self._count("freeze", name)
        self._members.freeze(name)
        longest = 15.0 if self._chance.random() < 0.3 else 4.0
        self._schedule.after(self._chance.uniform(0.3, longest), partial(self._thaw, name))

    def _stop(self) -> None:
        name = self._chance.choice(self._mortal())
        self._count("stop", name)
        self._members.leave(name)
        self._schedule.after(self._chance.uniform(1, 4), partial(self._start, name))

    def _reload(self) -> None:
        self._schedule.done["reload"] += 1
        self._members.reload()

    def _add(self) -> None:
        name = f"{self._chance.choice(ROLES)}-{self._schedule.number() + 100}"
        self._count("add", name)
        self._members.start(name)
        self._schedule.after(self._chance.uniform(4, 12), partial(self._remove, name))

    def _start(self, name: str) -> None:
        if name in self._members.leaving:
            self._schedule.after(0.2, partial(self._start, name))
        elif name not in self._members.processes:
            self._members.start(name)

    def _thaw(self, name: str) -> None:
        if name in self._members.frozen:
            self._members.thaw(name)

    def _remove(self, name: str) -> None:
        if name not in self._members.up:
            self._schedule.after(0.5, partial(self._remove, name))
            return
        self._members.leave(name)
        self._count("remove", name)

    # Services and disks ------------------------------------------------------------------------------------------

    def _kill_service(self) -> None:
        self._schedule.done["kill a service"] += 1
        self._chance.choice(self._steady()).kill()

    def _steady(self) -> list[Service]:
        return [one for one in self._members.hosts.services if one.steady]

    def _fill(self) -> None:
        assert self._disk
        self._may_fill = False
        self._schedule.done["fill the disk"] += 1
        self._schedule.blow("log")
        self._disk.fill()
        self._schedule.after(self._chance.uniform(*FULL_S), self._make_room)

    def _make_room(self) -> None:
        assert self._disk
        self._disk.empty()
        self._schedule.after(REST_S, self._allow_filling)

    def _allow_filling(self) -> None:
        self._may_fill = True
