"""Several planners on one journal: each reads when it likes, sleeps on what it has decided, crashes and comes back."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress

from mendline.responders.planner import PlannerStage
from mendline.responders.playbook import intent_id
from mendline.schemas.records import Command, Fault, OutcomeStatus, Record, decode_record
from mendline.schemas.settings import Settings, StepSettings
from mendline.schemas.stream import NewRecord, StateBlock
from tests.responders.support import SECOND, Scene, batch_of, fault, order, outcome, policy, progress, settings

PLANNERS = 3
ATTEMPTS = (3, 2)
"""How often the policies of either version let a restart be tried; the last planner has the other version."""

PAUSE_MS = 5 * SECOND
# `window` equals one pause, so that a model needs no doubling.
GUARDS = {
    "cooldown": PAUSE_MS,
    "window": PAUSE_MS,
    "attempts": 1000,
    "blast_radius": 1.0,
    "concurrent": 2,
    "concurrent_in_group": 1,
}

Step = tuple[str, int, int]


def version(attempts: int) -> Settings:
    """Return settings under which a restart may be tried so often."""
    step = StepSettings(action="restart", attempts=attempts, timeout=5 * SECOND, verify=10 * SECOND)
    return settings(policy("auto", step), **GUARDS)


VERSIONS = tuple(map(version, ATTEMPTS))


def through_json(blocks: Sequence[StateBlock]) -> list[StateBlock]:
    """Return state after the way that a snapshot goes."""
    return [StateBlock(tuple(one.sources), values=json.loads(json.dumps(one.values))) for one in blocks]


@dataclass
class Planner:
    """A planner: the next entry that it reads, what it has said but not appended, and its newest snapshot."""

    scene: Scene
    settings: Settings
    stage: PlannerStage
    read: int = 0
    pocket: list[NewRecord] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    snapshot: tuple[int, list[StateBlock]] = (0, [])

    def look(self, most: int) -> None:
        """Read up to `most` entries; only who has read all of them decides."""
        some = self.scene.entries[self.read : self.read + most]
        if some:
            self.read += len(some)
            self.pocket += self.stage.fold(batch_of(some, caught_up=self.read == len(self.scene.entries)))

    def speak(self) -> None:
        """Append what was said, however long ago that was, and make a snapshot of the state after it."""
        records = [decode_record(new.value) for new in self.pocket]
        journal = [new.topic == "mendline.journal" for new in self.pocket]
        self.commands += [record for record in records if isinstance(record, Command)]
        self.scene.append(*compress(records, journal))
        self.pocket = []
        self.snapshot = (self.read, list(self.stage.dump()))

    def crash(self) -> None:
        """Lose what was not appended, and go on from the snapshot."""
        self.read, blocks = self.snapshot
        self.stage, self.pocket = self.scene.new_planner(self.settings), []
        if blocks:
            self.stage.load(through_json(blocks))


@dataclass
class Fleet:
    """Planners of two versions on one journal, and the world that faults, outcomes and orders come from."""

    scene: Scene = field(default_factory=lambda: Scene(VERSIONS[0]))
    planners: list[Planner] = field(default_factory=list)
    names: dict[int, int] = field(default_factory=dict)
    two_versions: bool = True

    def __post_init__(self) -> None:
        """Start the planners; none has read anything."""
        versions = [VERSIONS[0]] * (PLANNERS - 1) + [VERSIONS[self.two_versions]]
        self.planners = [Planner(self.scene, one, self.scene.new_planner(one)) for one in versions]

    def play(self, steps: Sequence[Step]) -> None:
        """Do the steps of a story; let everybody read all in the end."""
        for what, which, how in steps:
            getattr(self, f"_{what}")(which, how)
        for planner in self.planners:
            planner.speak()
        for planner in self.planners:
            planner.look(len(self.scene.entries))
            planner.pocket = [new for new in planner.pocket if new.topic == "mendline.commands"]
            planner.speak()

    # What planners do -------------------------------------------------------------------------------------------------

    def _work(self, which: int, how: int) -> None:
        """Let a planner that is awake, mostly the first, read and decide some times."""
        for _ in range(1 + how % 4):
            self.planners[which // PLANNERS].look(len(self.scene.entries))
            self.planners[which // PLANNERS].speak()

    def _look(self, which: int, how: int) -> None:
        """Let a planner read; it says what it decides when it wakes."""
        self.planners[which % PLANNERS].look(len(self.scene.entries) if how % 4 else 1 + how)

    def _wake(self, which: int, _how: int) -> None:
        self.planners[which % PLANNERS].speak()

    def _crash(self, which: int, _how: int) -> None:
        self.planners[which % PLANNERS].crash()

    # What happens in the world ----------------------------------------------------------------------------------------

    def _open(self, which: int, _how: int) -> None:
        self.names[which] = self.names.get(which, 0) + 1
        self.scene.append(self._fault(which))

    def _resolve(self, which: int, _how: int) -> None:
        if which in self.names:
            self.scene.append(self._fault(which, resolved=True))

    def _outcome(self, which: int, how: int) -> None:
        commands = [command for planner in self.planners for command in planner.commands]
        statuses: Sequence[OutcomeStatus] = ("succeeded", "failed", "refused", "refused", "overtaken", "deferred")
        if commands:
            self.scene.append(outcome(commands[-1 - which % 2 % len(commands)], statuses[how % len(statuses)]))

    def _repeat(self, which: int, how: int) -> None:
        """Append again what somebody said before, most likely of a fault."""
        said: Sequence[Record] = self.scene.all(Fault) if how % 3 else [one.record for one in self.scene.entries]
        if said:
            self.scene.append(said[-1 - (10 * which + how) % len(said)])

    def _early(self, which: int, how: int) -> None:
        """Append the intent for a later try than the journal calls for, as a planner that saw another journal might."""
        if intents := self.scene.intents:
            one = intents[-1 - which % len(intents)]
            changed = {"attempt": one.attempt + how % 3, "id": intent_id(one.fault, one.step, one.attempt + how % 3)}
            self.scene.append(one.model_copy(update=changed))

    def _order(self, which: int, how: int) -> None:
        what = order("maintenance", "web", active=how % 2 == 0) if which % 2 else order("stop", active=how % 3 == 0)
        self.scene.append(what)

    def _rest(self, _which: int, how: int) -> None:
        """Let time pass, with the sign of life that the detectors' partition gives each second."""
        for _ in range(1 + how):
            self.scene.now += SECOND
            self.scene.append(progress(self.scene))

    def _fault(self, which: int, *, resolved: bool = False) -> Fault:
        """Return the newest fault of a target; two targets are of the same service."""
        return fault(
            f"host-{which}/{'web' if which < 2 else 'db'}",
            name=f"dead{self.names[which]}",
            transition="resolved" if resolved else "opened",
            revision=int(resolved),
            time=self.scene.time(),
        )


WEIGHTS = {
    "work": 4, "look": 5, "wake": 3, "crash": 1,
    "open": 4, "resolve": 2, "outcome": 4, "repeat": 2, "early": 2, "order": 1, "rest": 2,
}  # fmt: skip
DEEDS = [name for name, weight in WEIGHTS.items() for _ in range(weight)]


def random_steps(seed: int) -> list[Step]:
    """Return a story of some length."""
    lots = random.Random(seed)
    return [(lots.choice(DEEDS), lots.randrange(4), lots.randrange(10)) for _ in range(lots.randint(20, 60))]
