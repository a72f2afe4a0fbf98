"""The judge of actions finds a decision or command that is missing, that nobody would have said, or that differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mendline.config import load_settings
from mendline.keys import key_ring
from mendline.logs.memory import MemoryLog
from mendline.responders.planner import PlannerStage
from mendline.schemas.records import Hold, Intent, Progress, Record, encode_record
from mendline.schemas.settings import Settings
from mendline.schemas.stream import NewRecord
from mendline.topics import topic_settings
from tests.chaos.actions import Acted
from tests.chaos.hosts import Service
from tests.chaos.judge import Seen, Verdict, compare
from tests.chaos.members import Members
from tests.responders.support import JOURNAL, SECOND, START_MS, Scene, fault

RESTARTED, ASKED, SHADOWED = "host-1/web", "host-4/web", "host-5/web"


class SignedScene(Scene):
    """A planner that signs as a member does."""

    def new_planner(self, other: Settings | None = None) -> PlannerStage:
        """Return a planner that has read nothing yet."""
        keys = key_ring(self.settings)
        return PlannerStage(other or self.settings, JOURNAL, keys.sign, keys.why_not)


@pytest.fixture(name="scene")
def _scene(tmp_path: Path) -> Scene:
    """Return what a planner under the members' settings says of three deaths, one of which is over."""
    scene = SignedScene(load_settings(Members(tmp_path, "memory:").config))
    for target in (RESTARTED, ASKED, SHADOWED):
        scene.say(fault(target))
        scene.tick()
    scene.say(fault(RESTARTED, "resolved", 1))
    scene.tick(30 * SECOND)
    return scene


def judged(scene: Scene) -> Verdict:
    """Return the verdict on a scene."""
    log = MemoryLog(clock=lambda: now)
    log.ensure_topics(topic_settings(scene.settings.topics))
    producer = log.producer("copy")
    for entry in scene.entries:
        now = entry.append_time
        producer.append([NewRecord(JOURNAL.topic, encode_record(entry.record), b"default", 0)]).result(0)
    for command in scene.commands:
        topic = scene.settings.topics.topic("commands")
        producer.append([NewRecord(topic, encode_record(command), command.host.encode())]).result(0)
    acted = Acted(scene.settings)
    acted.read(log)
    return compare(Seen(), Seen(), Seen(), (*acted.compared(()), acted.repeats))


def first(scene: Scene, kind: type[Record]) -> int:
    """Return the index of the first entry of a kind."""
    return next(index for index, entry in enumerate(scene.entries) if isinstance(entry.record, kind))


def alter(scene: Scene, kind: type[Record], **fields: Any) -> None:
    """Change fields of the first record of a kind."""
    entry = scene.entries[first(scene, kind)]
    entry.record = entry.record.model_copy(update=fields)


def counts(verdict: Verdict) -> tuple[int, int, int]:
    """Return how many are lost, duplicated and different."""
    return verdict.lost, verdict.duplicated, verdict.different


def test_what_one_planner_says_is_right(scene: Scene) -> None:
    """Nothing is to be said against it, and there is something of each kind."""
    assert {"auto", "shadow"} <= {one.mode for one in scene.intents}
    assert scene.commands
    assert scene.holds
    assert scene.verifications
    verdict = judged(scene)
    assert not verdict.examples
    assert counts(verdict) == (0, 0, 0)
    assert verdict.actions == len(scene.intents) + len(scene.holds) + len(scene.verifications) + len(scene.commands)


def test_a_command_sent_again_is_a_repeat(scene: Scene) -> None:
    """Executors drop it by its id."""
    scene.commands += scene.commands[:1]
    verdict = judged(scene)
    assert verdict.equal
    assert verdict.repeats == 1


def test_a_command_that_never_came_is_lost(scene: Scene) -> None:
    """An admitted intent is on the journal, its command nowhere."""
    scene.commands.pop()
    assert counts(judged(scene)) == (1, 0, 0)


@pytest.mark.parametrize("fields", [{"target": "host-1/db"}, {"deadline": START_MS}, {"signature": None}])
def test_an_altered_command_differs(scene: Scene, fields: dict[str, Any]) -> None:
    """Each field counts, the signature too."""
    scene.commands[0] = scene.commands[0].model_copy(update=fields)
    assert counts(judged(scene)) == (0, 0, 1)


def test_a_command_without_an_intent_is_one_too_many(scene: Scene) -> None:
    """The same deed under another id would be done twice."""
    scene.commands.append(scene.commands[0].model_copy(update={"id": "another"}))
    assert counts(judged(scene)) == (0, 1, 0)


def test_a_repeat_that_says_something_else_is_one_too_many(scene: Scene) -> None:
    """Whoever reads the second one first would do something else."""
    scene.commands.append(scene.commands[0].model_copy(update={"target": "host-1/db"}))
    assert counts(judged(scene)) == (0, 1, 0)


@pytest.mark.parametrize("kind", [Intent, Hold])
def test_a_decision_that_nobody_would_have_said_is_one_too_many(scene: Scene, kind: type[Record]) -> None:
    """One word of it differs from all that an undisturbed planner could have said until then."""
    alter(scene, kind, target="host-1/db")
    assert judged(scene).duplicated


def test_a_decision_said_before_its_reason_is_one_too_many(scene: Scene) -> None:
    """It is right to the byte, and stands before the fault that it is about."""
    entry = scene.entries.pop(first(scene, Intent))
    scene.entries.insert(0, entry)
    assert judged(scene).duplicated


def test_a_decision_that_never_comes_is_lost(scene: Scene) -> None:
    """All planners fall silent at once, while the detectors go on for long."""
    begin = first(scene, Intent)
    scene.entries[begin:] = [one for one in scene.entries[begin:] if isinstance(one.record, Progress)]
    scene.commands = []
    verdict = judged(scene)
    assert verdict.lost
    assert not verdict.duplicated + verdict.different


def test_how_services_fared_is_compared(scene: Scene, tmp_path: Path) -> None:
    """A start too many, one that is missing and a death that nobody heard of are found."""
    log = MemoryLog()
    log.ensure_topics(topic_settings(scene.settings.topics))
    acted = Acted(scene.settings)
    acted.read(log)

    def wrong(name: str, starts: str, deaths: int) -> set[Any]:
        (tmp_path / name).write_text(starts)
        wanted, found = acted.compared([Service(f"{name}/left", tmp_path / name, deaths)])
        return {key[0] for key in wanted if wanted[key] != found[key]}

    assert wrong("agent-2", "1\n", 0) == set()
    assert wrong("agent-1", "1\n2\n", 1) == set()
    assert wrong("agent-1", "1\n2\n3\n", 1) == {"starts"}
    assert wrong("agent-1", "1\n", 1) == {"starts"}
    assert wrong("agent-2", "1\n2\n", 1) == {"deaths"}
