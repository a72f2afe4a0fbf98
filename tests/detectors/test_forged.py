"""Who may say what of a host: an event that is not by its agent has no effect, and is told of."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mendline.responders.signing import Beliefs, KeyRing
from mendline.schemas.records import (
    ConfigurationChange,
    DeadLetter,
    Event,
    Heartbeat,
    ProbeEvent,
    ProcessEvent,
    decode_record,
)
from tests.detectors.support import BEGIN, Story, brief, rounds_stage, said, settings

Forgery = Callable[["Scene"], Event]
HEAD: dict[str, Any] = {"source": "h1", "epoch": 1, "time": BEGIN + 1000}


class Scene:
    """A host that runs a service, another host, and a stage that knows the keys of both."""

    def __init__(self, folder: Path) -> None:
        """Tell that the service runs."""
        self.h1, self.h2, self.stranger = (KeyRing(folder / name) for name in ("h1", "h2", "stranger"))
        agents = {"h1": [self.h1.public], "h2": [self.h2.public]}
        self.judge = KeyRing(folder / "judge", Beliefs(agents=agents))
        self.story = Story()
        self.started = self.h1.sign(process("started", 100, 1))
        self.story.tell(self.started)

    def outcome(self) -> tuple[list[str], list[str]]:
        """Return what is said of faults, and the reasons of dead letters."""
        records = said(rounds_stage(settings(), self.judge.why_not), self.story.inputs())
        letters = [decode_record(one.value) for one in records if one.topic == "mendline.deadletter"]
        journal = [one for one in records if one.topic == "mendline.journal"]
        return brief(journal), [one.reason for one in letters if isinstance(one, DeadLetter)]


def process(state: str, pid: int, sequence: int, **more: Any) -> ProcessEvent:
    """Return what became of a process of h1."""
    fields = {"service": "web", "state": state, "pid": pid, "started_at": BEGIN + pid}
    return ProcessEvent.model_validate(HEAD | fields | {"sequence": sequence} | more)


def altered(scene: Scene) -> Event:
    """Make of a clean end, which the host told, a death."""
    return scene.h1.sign(process("exited", 100, 2, meant=True)).model_copy(update={"meant": False})


def renumbered(scene: Scene) -> Event:
    """Say again, as the newest, how another instance of the service died."""
    return scene.h1.sign(process("exited", 99, 0)).model_copy(update={"sequence": 9})


FORGERIES: dict[str, tuple[Forgery, str]] = {
    "unsigned": (lambda _: process("exited", 100, 2), "it is not signed, and h1 has a key"),
    "a key nobody knows": (lambda scene: scene.stranger.sign(process("exited", 100, 2)), "keys.agents under h1"),
    "another host's key": (lambda scene: scene.h2.sign(process("exited", 100, 2)), "keys.agents under h1"),
    "altered": (altered, "is wrong"),
    "said again with another number": (renumbered, "is wrong"),
    "a probe": (
        lambda _: ProbeEvent(**HEAD, sequence=2, service="web", probe="http", ok=False, failing_since=BEGIN - 60_000),
        "this probe by h1 is not believed",
    ),
    "a configuration": (
        lambda _: ConfigurationChange(**HEAD, sequence=2, service="web", path="/etc/web", hash=""),
        "this configuration by h1 is not believed",
    ),
}


@pytest.mark.parametrize("how", FORGERIES)
def test_a_forged_event_has_no_effect_and_is_told_of(tmp_path: Path, how: str) -> None:
    """No fault opens, and the dead letter names the host, and the key and its place where one is missing."""
    forge, told = FORGERIES[how]
    scene = Scene(tmp_path)
    scene.story.wait(1)
    scene.story.tell(forge(scene))
    scene.story.wait(2)
    faults, reasons = scene.outcome()
    assert ([], 1) == (faults, len(reasons))
    assert "by h1 is not believed" in reasons[0]
    assert told in reasons[0]


def test_the_true_event_after_a_forged_one_counts(tmp_path: Path) -> None:
    """Forgery does not use its number up: not even the order of the source's records is touched."""
    scene = Scene(tmp_path)
    scene.story.tell(process("exited", 100, 9))
    scene.story.tell(scene.h1.sign(process("exited", 100, 2)))
    scene.story.wait(1)
    assert ["opened dead h1/web"] == scene.outcome()[0]


def test_an_event_that_is_said_again_is_no_news(tmp_path: Path) -> None:
    """It is by whom it says it is, and is dropped by its number, like any repeat."""
    scene = Scene(tmp_path)
    died = scene.h1.sign(process("exited", 100, 2))
    scene.story.tell(died)
    scene.story.tell(scene.h1.sign(process("started", 101, 3, time=BEGIN + 2000)))
    scene.story.wait(12)
    scene.story.tell(died)
    scene.story.wait(1)
    assert (["opened dead h1/web", "resolved dead h1/web"], []) == scene.outcome()


def test_a_forged_event_does_not_make_a_host_heard_of(tmp_path: Path) -> None:
    """Else whoever silenced a host could speak for it."""
    scene = Scene(tmp_path)
    scene.story.tell(Heartbeat(**HEAD | {"time": BEGIN}, sequence=2, interval_ms=1000))
    for sequence in range(3, 23):
        scene.story.wait(2)
        scene.story.tell(process("continued", 100, sequence, time=scene.story.now))
    faults, reasons = scene.outcome()
    assert ["opened silent h1"] == [one for one in faults if "affirmed" not in one]
    assert 20 == len(reasons)


def test_unsigned_events_count_only_when_that_is_wanted_and_no_key_is_known(tmp_path: Path) -> None:
    """While agents are upgraded; a host that has a key must use it."""
    h1 = KeyRing(tmp_path / "h1")
    event = process("exited", 100, 2)
    strict, open_handed = (KeyRing(tmp_path / "judge", Beliefs(unsigned=unsigned)) for unsigned in (False, True))
    keyed = KeyRing(tmp_path / "judge", Beliefs(agents={"h1": [h1.public]}, unsigned=True))
    assert "set keys.unsigned to accept" in (strict.why_not(event) or "")
    assert open_handed.why_not(event) is None
    assert "upgrade the agent there" in (keyed.why_not(event) or "")
    assert "keys.agents under h1" in (open_handed.why_not(h1.sign(event)) or "")


def test_a_dead_letter_holds_the_record_as_it_was(tmp_path: Path) -> None:
    """So it can be looked at, and given back once the key is there."""
    forged = process("exited", 100, 2)
    scene = Scene(tmp_path)
    scene.story.tell(forged)
    records = said(rounds_stage(settings(), scene.judge.why_not), scene.story.inputs())
    (letter,) = [one for one in map(decode_record, (one.value for one in records)) if isinstance(one, DeadLetter)]
    assert decode_record(base64.b64decode(letter.value)) == forged
    assert ("rounds", "mendline.metrics", 1) == (letter.stage, letter.topic, letter.offset)
