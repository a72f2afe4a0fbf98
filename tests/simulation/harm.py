"""What is done to a world: all the things that go wrong by themselves, and some that somebody does on purpose."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

from mendline.responders.playbook import intent_id
from mendline.schemas.base import record_id
from mendline.schemas.records import (
    Activation,
    Command,
    Fault,
    Intent,
    Order,
    OrderKind,
    Record,
    Stop,
    decode_record,
    encode_record,
)
from mendline.schemas.stream import NewRecord, Partition
from tests.simulation.hosts import COMMANDS
from tests.simulation.plan import ACTIONS, draw_allowed
from tests.simulation.process import Fuse
from tests.simulation.services import JOURNAL

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

LIKELY = 0.6
MOST_STEPS = 10
LATELY = 60
SKEWS_MS = (0, 500, 20_000, 50_000, -500, -20_000, -3_600_000)
LASTS_MS = (3_000, 15_000)
FROZEN_MS = (500, 4_000, 14_000, 25_000)


Kinds = dict[str, tuple[int, Callable[[], None]]]
"""What may be done, by name: how likely it is beside the others, and what does it."""


class Harm:
    """Draws what is done, and does it. `forged` are the ids of orders that nobody gave."""

    def __init__(self, world: World, only: Collection[str] = ()) -> None:
        """Do harm to `world`: of all kinds, or `only` of these."""
        self.world = world
        self.forged: set[str] = set()
        self._standing: set[str] = set()
        kinds: Kinds = {
            "planner killed": (3, self._kill_planner),
            "planner frozen": (4, self._freeze_planner),
            "agent killed": (4, self._kill_agent),
            "agent frozen": (2, self._freeze_agent),
            "power cut": (2, self._cut_power),
            "host's file changed": (2, self._change_file),
            "clock set": (1, self._set_clock),
            "host cut off": (2, self._cut_off),
            "acknowledgements slow": (1, self._slow_down),
            "detectors blind": (1, self._blind),
            "old record said again": (3, self._echo),
            "intent of another try": (2, self._early),
            "command said again": (4, partial(self._soon, self._repeat_command)),
            "command forged": (3, partial(self._soon, self._forge_command)),
            "order forged": (1, self._forge_order),
            "stop": (1, self._stop),
            "maintenance": (2, self._maintain),
            "person answers": (6, self._answer),
        }
        kinds = self._kinds_of(kinds)
        self._kinds = {name: kinds[name] for name in only or kinds}

    def _kinds_of(self, kinds: Kinds) -> Kinds:
        """Return what may happen in such a world, each with how likely it is."""
        return kinds

    def some(self) -> None:
        """Do harm, or, sometimes, none."""
        lots = self.world.lots
        while lots.random() < LIKELY:
            name = lots.choices(list(self._kinds), [weight for weight, _ in self._kinds.values()])[0]
            self.world.harms[name] += 1
            self._kinds[name][1]()

    def end(self) -> None:
        """Undo what lasts: people take back what they ordered."""
        self._order("stop", "", active=False)
        for target in sorted(self._standing):
            self._end_maintenance(target)
        self._say_stop(active=False)

    # Programs ---------------------------------------------------------------------------------------------------------

    def _kill_planner(self) -> None:
        name = self._of(self.world.planners)
        self._end_soon(self.world.planners[name], partial(self.world.start_planner, name))

    def _freeze_planner(self) -> None:
        self._freeze(self.world.planners[self._of(self.world.planners)])

    def _kill_agent(self) -> None:
        name = self._of(self.world.agents)
        self._end_soon(self.world.agents[name], partial(self._start_agent, name))

    def _freeze_agent(self) -> None:
        name = self._of(self.world.agents)
        self._freeze(self.world.agents[name])
        if self.world.lots.random() < 0.5:
            self.world.time.after(1_000, partial(self._start_agent, name))

    def _cut_power(self) -> None:
        """Let a host go down, at once or between two steps: what was not synced is lost."""
        name = self._of(self.world.agents)
        self._end_soon(self.world.agents[name], partial(self._start_agent, name), lambda: self._lose(name))

    def _lose(self, name: str) -> None:
        if not self.world.agents[name].dead:
            self.world.agents[name].die()
        self.world.disk.cut_power(self.world.sites[name].folder / "ledger", self.world.lots)

    def _change_file(self) -> None:
        """Let a host allow other things from its agent's next life on."""
        name = self._of(self.world.agents)
        self.world.sites[name].allowed = draw_allowed(self.world.lots)
        self._end_soon(self.world.agents[name], partial(self._start_agent, name))

    def _start_agent(self, name: str) -> None:
        if self.world.agents[name].dead or self.world.lots.random() < 0.5:
            self.world.start_agent(name)

    def _end_soon(self, process: Process, again: Callable[[], None], then: Callable[[], None] = lambda: None) -> None:
        """End it between two of its next steps, or soon if it takes none; begin its next life some time later."""
        world, lots = self.world, self.world.lots
        process.light(self._fuse())

        def end() -> None:
            if not process.dead:
                process.die()
            then()
            world.time.after(lots.choice([0, 1_000, 5_000]), again)

        world.time.after(lots.choice([50, 2_000, 6_000]), end)

    def _freeze(self, process: Process) -> None:
        """Freeze it between two of its next steps."""
        process.light(self._fuse()._replace(freeze_ms=self.world.lots.choice(FROZEN_MS)))

    def _fuse(self) -> Fuse:
        """Return one that burns down around the next deed, or soon."""
        return Fuse(self.world.lots.randrange(MOST_STEPS), deeds=self.world.lots.random() < LIKELY)

    # Ways -------------------------------------------------------------------------------------------------------------

    def _cut_off(self) -> None:
        site = self.world.sites[self._of(self.world.sites)]
        site.way.cut_until = self.world.time.now + self.world.lots.choice([1_000, 8_000, 20_000, 60_000])

    def _set_clock(self) -> None:
        self.world.truth.skew_ms[self._of(self.world.sites)] = self.world.lots.choice(SKEWS_MS)

    def _slow_down(self) -> None:
        site = self.world.sites[self._of(self.world.sites)]
        site.slow_ms = self.world.lots.choice([5.0, 2_000.0, 9_000.0])

    def _blind(self) -> None:
        self.world.truth.go_blind(self.world.time.now + self.world.lots.choice([3_000, 12_000]))

    # Records ----------------------------------------------------------------------------------------------------------

    def _echo(self) -> None:
        """Append again what stands in the journal, as a planner or detector might that woke up late."""
        kinds = self.world.lots.choice(((Intent, Fault, Order), (Activation,)))
        said = [one for one in self._said(JOURNAL, 4 * LATELY) if isinstance(one, kinds)]
        if said:
            self._append(said[-1 - self.world.lots.randrange(min(len(said), 20))])

    def _early(self) -> None:
        """Append an intent for another try than the journal calls for, as a planner might that saw another journal."""
        intents = [one for one in self._said(JOURNAL) if isinstance(one, Intent)]
        if intents:
            one = intents[-1 - self.world.lots.randrange(min(len(intents), 8))]
            attempt = one.attempt + self.world.lots.randrange(1, 3)
            name = intent_id(one.fault, one.step, attempt)
            self._append(one.model_copy(update={"attempt": attempt, "id": name}))

    def _soon(self, harm: Callable[[], None]) -> None:
        """Wait for what is commanded about the incident, perhaps."""
        self.world.time.after(self.world.lots.choice([0, 1_000, 2_000, 4_000]), harm)

    def _repeat_command(self) -> None:
        if commands := self._commands():
            self._command(self.world.lots.choice(commands[-3:]))

    def _forge_command(self) -> None:
        """Append what no planner said, or said otherwise; it has no signature, or that of a stranger."""
        world, lots = self.world, self.world.lots
        host, service = lots.choice(world.plan.hosts), lots.choice(list(world.truth.services.values())).name
        made = Command(
            source="planner", time=world.time.now, intent=record_id("forged", world.time.now), host=host,
            target=f"{host}/{service}", service=service, action=lots.choice(ACTIONS),
            deadline=world.time.now + 10_000, timeout_ms=4_000,
        )  # fmt: skip
        commands = self._commands()
        if commands and lots.random() < 0.5:
            made = lots.choice(commands[-2:]).model_copy(update={"action": "wipe", "deadline": made.deadline})
        self._command(world.keys.stranger.sign(made) if lots.random() < 0.5 else made)

    def _commands(self) -> list[Command]:
        return [one for one in self._said(Partition(COMMANDS, 0)) if isinstance(one, Command)]

    def _said(self, partition: Partition, lately: int = LATELY) -> list[Record]:
        columns = self.world.log.columns(partition)
        batch = columns.read(max(columns.end - lately, columns.first), lately)
        return [decode_record(value) for value in batch.values] if batch else []

    def _append(self, record: Record) -> None:
        self._put(NewRecord(JOURNAL.topic, encode_record(record), b"default", 0))

    def _command(self, record: Command | Stop) -> None:
        self._put(NewRecord(COMMANDS, encode_record(record), partition=0))

    def _put(self, record: NewRecord) -> None:
        self.world.log.producer("harm").append([record])

    # People -----------------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._say_stop(active=True)
        self._order("stop", "", active=True)
        self.world.time.after(self.world.lots.choice([2_000, 10_000]), self._go_on)

    def _go_on(self) -> None:
        self._say_stop(active=False)
        self._order("stop", "", active=False)

    def _say_stop(self, *, active: bool) -> None:
        now = self.world.time.now
        stop = Stop(id=record_id("stop", now, active), source="ann", time=now, by="ann", active=active)
        self._command(self.world.keys.planner.sign(stop))

    def _maintain(self) -> None:
        target, lasts_ms = self.world.lots.choice(list(self.world.truth.services)), self.world.lots.choice(LASTS_MS)
        ends = self.world.lots.random() < 0.5
        self._order("maintenance", target, active=True, lasts_ms=lasts_ms if ends else None)
        if ends:
            self._standing.discard(target)
        else:
            self._standing.add(target)
            self.world.time.after(lasts_ms, partial(self._end_maintenance, target))

    def _end_maintenance(self, target: str) -> None:
        if target in self._standing:
            self._standing.discard(target)
            self._order("maintenance", target, active=False)

    def _answer(self) -> None:
        """Approve or deny something, asked for or not, of late or long ago."""
        intents = [one for one in self._said(JOURNAL, 4 * LATELY) if isinstance(one, Intent)]
        if intents:
            asked = [one for one in intents if one.mode == "ask"] or intents
            kind: OrderKind = "approve" if self.world.lots.random() < 0.8 else "deny"
            meant = asked[-1] if self.world.lots.random() < 0.5 else self.world.lots.choice(asked)
            subject = meant.id if self.world.lots.random() < 0.7 else meant.fault
            self._order(kind, subject, active=True)

    def _forge_order(self) -> None:
        intents = [one for one in self._said(JOURNAL) if isinstance(one, Intent)]
        subject = intents[-1].id if intents else ""
        order = self._made("approve" if self.world.lots.random() < 0.5 else "stop", subject, active=False)
        self.forged.add(order.id)
        self._append(self.world.keys.stranger.sign(order) if self.world.lots.random() < 0.5 else order)

    def _order(self, kind: OrderKind, subject: str, *, active: bool, lasts_ms: int | None = None) -> None:
        self._append(self.world.keys.planner.sign(self._made(kind, subject, active=active, lasts_ms=lasts_ms)))

    def _made(self, kind: OrderKind, subject: str, *, active: bool, lasts_ms: int | None = None) -> Order:
        now, number = self.world.time.now, self.world.lots.random()
        name = record_id("order", kind, subject, now, str(number))
        ends = None if lasts_ms is None else now + lasts_ms
        return Order(
            id=name, source="ann", time=now, kind=kind, by="ann", subject=subject, active=active, expires=ends
        )  # fmt: skip

    def _of(self, named: Mapping[str, object]) -> str:
        return self.world.lots.choice(list(named))
