"""Versions of configuration files as the agent keeps and judges them; time is told, and nothing waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from mendline.agent.versions import ConfigurationVersions
from mendline.responders.versions.history import History
from mendline.schemas.records import Event, ProbeEvent, ProcessEvent
from mendline.schemas.settings import RollbackSettings, ServiceSettings

GOOD_AFTER = 10_000


class Scene:
    """A service with one file, that runs or does not."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "web.conf"
        self.file.write_text("a")
        self.runs = True
        self.history = History(folder / "state", "web")
        settings = ServiceSettings(config=(str(self.file),), rollback=RollbackSettings(good_after=GOOD_AFTER))
        self.versions = ConfigurationVersions(folder / "state", {"web": settings}, lambda _: self.runs)

    def good(self) -> list[bool]:
        """Say of each version, newest first, whether it is good."""
        return [self.history.is_judged(one, "good") for one in self.history.versions()]

    def pass_time(self, *moments: int) -> list[bool]:
        """Make a round at each moment (ms), and say what is good then."""
        for now in moments:
            self.versions.collect(now)
        return self.good()


@pytest.fixture(name="scene")
def _scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def event(kind: type[ProbeEvent | ProcessEvent], **fields: object) -> Event:
    """Return something that is told of the service."""
    given = {"id": "e", "source": "host-1", "time": 0, "service": "web", **fields}
    return kind.model_validate(given)


def test_a_version_is_good_when_its_service_was_well_for_long_enough(scene: Scene) -> None:
    """Counted from the first round that saw it."""
    assert [False] == scene.pass_time(0, GOOD_AFTER - 1)
    assert [True] == scene.pass_time(GOOD_AFTER)


def test_each_change_is_a_version_that_is_judged_anew(scene: Scene) -> None:
    """The one before keeps what was said of it."""
    scene.pass_time(0, GOOD_AFTER)
    scene.file.write_text("changed")
    assert [False, True] == scene.pass_time(GOOD_AFTER + 1, 2 * GOOD_AFTER)
    assert [True, True] == scene.pass_time(2 * GOOD_AFTER + 1)


@pytest.mark.parametrize(
    "bad",
    [event(ProbeEvent, probe="health", ok=False), event(ProcessEvent, state="exited", pid=1)],
    ids=["probe", "process"],
)
def test_a_failure_makes_it_count_anew(scene: Scene, bad: Event) -> None:
    """What a service was told of with is not what it was well with."""
    scene.pass_time(0, GOOD_AFTER - 1)
    scene.versions.heard(bad)
    assert [False] == scene.pass_time(GOOD_AFTER, 2 * GOOD_AFTER - 1)
    assert [True] == scene.pass_time(2 * GOOD_AFTER)


def test_a_success_is_no_failure(scene: Scene) -> None:
    """It is told when a probe answers for the first time."""
    scene.pass_time(0)
    scene.versions.heard(event(ProbeEvent, probe="health", ok=True))
    assert [True] == scene.pass_time(GOOD_AFTER)


def test_nothing_is_good_without_a_process(scene: Scene) -> None:
    """However quiet it is."""
    scene.runs = False
    assert [False] == scene.pass_time(0, GOOD_AFTER, 2 * GOOD_AFTER)


def test_a_clock_that_is_set_back_begins_to_count_anew(scene: Scene) -> None:
    """Nothing is good too early, nor never."""
    assert [False] == scene.pass_time(50_000, 0, GOOD_AFTER - 1)
    assert [True] == scene.pass_time(GOOD_AFTER)


def test_what_cannot_be_kept_is_told_once(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """And the agent goes on."""
    scene.file.unlink()
    scene.file.mkdir()
    scene.pass_time(0, 1_000, 2_000)
    assert 1 == caplog.text.count("cannot be read: Is a directory")
