"""Admission: which intents count, for every reader alike, whatever zombies write."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mendline.responders.journal import Journal
from mendline.responders.planner import PlannerStage
from mendline.responders.playbook import MOST_REFUSALS, intent_id
from mendline.schemas.records import Command, Fault, Intent, Outcome, Verification
from tests.responders.support import (
    JOURNAL,
    SECOND,
    Entry,
    Scene,
    batch_of,
    fault,
    order,
    outcome,
    policy,
    settings,
    sign,
)
from tests.support.examples import examples


def late(scene: Scene, **changes: object) -> Intent:
    """Return the intent that a planner which saw only the fault would write now, changed a little."""
    zombie = Scene(scene.settings)
    zombie.append(fault())
    (entry,) = zombie.entries[-1:]
    zombie.take(zombie.stage.fold(batch_of([entry])))
    return zombie.intents[0].model_copy(update=changes)


def test_the_first_intent_with_an_id_counts_and_a_repeat_does_not() -> None:
    """A zombie that writes the same intent again changes nothing."""
    scene = Scene()
    scene.say(fault())
    before = scene.journal.model_copy(deep=True)
    scene.say(late(scene))
    assert len(scene.commands) == 1
    assert scene.journal.faults == before.faults


def test_a_zombies_intent_that_is_still_called_for_is_as_good_as_any() -> None:
    """Who wrote it does not matter: the living planner's own is then the repeat."""
    scene = Scene()
    scene.append(fault())
    scene.append(late(scene))
    scene.run()
    assert scene.states() == ["effective"]
    assert len(scene.commands) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"action": "format-disk"},
        {"parameters": {"force": True}},
        {"target": "host-2/web"},
        {"host": "host-2"},
        {"mode": "ask"},
        {"step": 1},
        {"attempt": 1},
        {"id": "made-up"},
        {"policy": "another"},
        {"policy_hash": "of other policies"},
        {"timeout_ms": 1},
        {"basis": 1_000_000},
        {"fault": "unknown"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_intent_that_the_playbook_does_not_call_for_is_void(change: dict[str, object]) -> None:
    """Whatever it differs in, no command follows from it."""
    scene = Scene()
    scene.append(fault())
    intent = late(scene, **change)
    scene.append(intent)
    scene.run()
    assert all(command.intent != intent.id or intent.id == scene.intents[-1].id for command in scene.commands)
    assert scene.states().count("effective") == 1
    assert [one.action for one in scene.commands if isinstance(one, Command)] == ["restart"]


def test_a_late_intent_about_a_resolved_fault_is_void() -> None:
    """What is over is not acted on."""
    scene = Scene()
    intent = late(scene)
    scene.say(order("maintenance", "web"))
    scene.say(fault(), fault(transition="resolved", revision=1))
    scene.say(intent)
    assert scene.states() == ["void"]


def test_a_late_intent_is_judged_by_the_guards_at_its_own_place() -> None:
    """A stop that came before it in the journal voids it, though its writer did not know."""
    scene = Scene()
    intent = late(scene)
    scene.say(order("stop"))
    scene.say(fault())
    scene.say(intent)
    assert scene.states() == ["void"]
    assert not scene.commands


def test_attempts_that_somebody_left_out_are_no_trap() -> None:
    """A void intent with a high attempt number does not make the planner run into its id later."""
    scene = Scene(settings(cooldown=0, attempts=100))
    intent = late(scene, attempt=2, id=intent_id(fault().id, 0, 2))
    scene.append(fault())
    scene.say(intent)
    for _ in range(3):
        scene.say(outcome(scene.intents[-1], "failed"))
    assert [one.attempt for one in scene.intents] == [2, 3, 4, 5]
    assert scene.holds[-1] == "escalated"


def test_a_void_intent_uses_up_its_id_but_is_no_try() -> None:
    """The next intent has another attempt number, and all three tries are still there."""
    scene = Scene(settings(cooldown=0))
    intent = late(scene)
    scene.say(order("maintenance", "web"))
    scene.say(fault())
    scene.say(intent)
    scene.say(order("maintenance", "web", active=False))
    for _ in range(3):
        scene.say(outcome(scene.intents[-1], "failed"))
    assert [one.attempt for one in scene.intents] == [0, 1, 2, 3]
    assert scene.holds[-1] == "escalated"


@dataclass
class Naive:
    """What the fold should say, written the plain way: all records kept, everything worked out from the start."""

    entries: list[Entry] = field(default_factory=list)

    def commanded(self) -> list[str]:
        """Return the intents that count, by looking at all records before each."""
        counted: list[tuple[Intent, int]] = []
        for entry in self.entries:
            if isinstance(entry.record, Intent) and self._counts(entry, entry.record, counted):
                counted.append((entry.record, entry.log_time))
        return [intent.id for intent, _ in counted]

    def _counts(self, entry: Entry, intent: Intent, counted: list[tuple[Intent, int]]) -> bool:
        before = self.entries[: entry.offset]
        seen = [one.record for one in before if isinstance(one.record, Intent)]
        settled = {one.record.intent for one in before if isinstance(one.record, Verification)}
        newest = {one.record.id: one.record for one in before if isinstance(one.record, Fault)}
        about = newest.get(intent.fault)
        if about is None or about.transition == "resolved" or any(one.id == intent.id for one in seen):
            return False
        if any(one.target == intent.target and one.id not in settled for one, _ in counted):
            return False
        if sum(1 for one, _ in counted if one.id not in settled) >= 2:
            return False
        needless = self._needless(before)
        mine = [one.id for one, _ in counted if one.fault == intent.fault]
        refused = [one for one in mine if one in settled and self._answers(before).get(one) == "refused"]
        tries = [one for one in mine if one not in needless and one not in refused]
        numbers = [one.attempt for one in seen if one.fault == intent.fault and self._known(one, before)]
        recent = [time for one, time in counted if one.target == intent.target and one.id not in needless]
        rested = all(entry.log_time - time >= 5 * SECOND for time in recent)
        called_for = len(tries) < 3 and len(refused) < MOST_REFUSALS
        return called_for and intent.attempt == 1 + max(numbers, default=-1) and rested

    def _known(self, intent: Intent, before: list[Entry]) -> bool:
        places = [one.offset for one in before if one.record == intent]
        opened = [one.offset for one in before if isinstance(one.record, Fault) and one.record.id == intent.fault]
        return bool(opened) and min(places) > min(opened)

    def _answers(self, before: list[Entry]) -> dict[str, str]:
        gone: dict[str, str] = {}
        for one in before:
            if isinstance(one.record, Outcome):
                gone.setdefault(one.record.intent, one.record.status)
        return gone

    def _needless(self, before: list[Entry]) -> set[str]:
        gone = self._answers(before)
        closed: set[str] = set()
        needless = set()
        for one in before:
            if isinstance(one.record, Fault) and one.record.transition == "resolved":
                closed.add(one.record.id)
            if isinstance(one.record, Verification) and one.record.fault in closed:
                needless |= {one.record.intent} if gone.get(one.record.intent) == "refused" else set()
        return needless


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.integers(0, 3)),
        st.tuples(st.just("resolve"), st.integers(0, 3)),
        st.tuples(st.just("outcome"), st.sampled_from(["succeeded", "failed", "refused"])),
        st.tuples(st.just("repeat"), st.integers(0, 20)),
        st.tuples(st.just("zombie"), st.integers(0, 20)),
        st.tuples(st.just("rest"), st.sampled_from([1, 7, 11])),
    ),
    max_size=25,
)


@dataclass
class Story:
    """A scene with a zombie: a second planner that saw the journal only up to a point and speaks later."""

    scene: Scene = field(
        # `window` equals one pause, so that the naive model needs no doubling.
        default_factory=lambda: Scene(
            settings(policy("auto"), cooldown=5 * SECOND, window=5 * SECOND, attempts=1000, blast_radius=1.0)
        )
    )
    names: dict[int, int] = field(default_factory=dict)

    def play(self, what: str, how: int | str) -> None:
        """Do one step of the story."""
        scene = self.scene
        if what == "open":
            self.names[int(how)] = self.names.get(int(how), 0) + 1
            scene.say(self.fault(int(how)))
        elif what == "resolve" and int(how) in self.names:
            scene.say(self.fault(int(how), resolved=True))
        elif what == "outcome" and scene.journal.at_work:
            intent = scene.journal.intent(next(iter(scene.journal.at_work.values())))
            assert intent
            scene.say(outcome(intent.record, how))  # type: ignore[arg-type]
        elif what == "repeat" and scene.entries:
            scene.say(scene.entries[int(how) % len(scene.entries)].record)
        elif what == "zombie":
            self.zombie(int(how))
        elif what == "rest":
            scene.tick(int(how) * SECOND)

    def fault(self, target: int, *, resolved: bool = False) -> Fault:
        """Return the newest fault of a target; two targets are of the same service."""
        return fault(
            f"host-{target}/{'web' if target < 2 else 'db'}",
            name=f"dead{self.names[target]}",
            transition="resolved" if resolved else "opened",
            revision=int(resolved),
            time=self.scene.time(),
        )

    def zombie(self, seen: int) -> None:
        """Let a planner that saw only the first records write now what it decided then."""
        planner = PlannerStage(self.scene.settings, JOURNAL, sign, self.scene.vouch)
        upto = self.scene.entries[: 2 + seen % max(len(self.scene.entries) - 1, 1)]
        said = list(planner.fold(batch_of(upto)))
        self.scene.take([new for new in said if new.topic == "mendline.journal"])
        self.scene.run()


@hypothesis_settings(max_examples=examples(150), deadline=None)
@given(STEPS)
def test_every_reader_computes_the_same_as_a_naive_model(steps: list[tuple[str, int | str]]) -> None:
    """Zombies, repeats and all: the commands are those of the intents that count, once each, for every reader."""
    story = Story()
    for what, how in steps:
        story.play(what, how)
    scene = story.scene
    commanded = [command.intent for command in scene.commands if isinstance(command, Command)]
    assert commanded == Naive(scene.entries).commanded()
    assert len(set(commanded)) == len(commanded)
    reader = Journal()
    for entry in scene.entries:
        reader.apply(entry.record, entry.offset, entry.log_time, entry.append_time)
    assert reader == scene.journal
