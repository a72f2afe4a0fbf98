"""Versions of configuration files as the agent keeps and judges them; time is told, and nothing waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from mendline.agent.versions import ConfigurationVersions
from mendline.logs.memory import MemoryLog
from mendline.responders.ledger import Ledger
from mendline.responders.versions.files import read_files
from mendline.responders.versions.history import History
from mendline.schemas.records import Event, ProbeEvent, ProcessEvent
from mendline.schemas.settings import RollbackSettings, ServiceSettings, Settings
from tests.agent.support import memory_log, records, running, service, settings, wait_for
from tests.responders.versions.support import Service, killed_at

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


# What a killed agent left in the middle -----------------------------------------------------------------------------

TAKE_OVER = 5


def lives(chosen: Settings, log: MemoryLog, number: int) -> list[int]:
    """Let an agent live until it knows its service; return the processes that the service has had by then."""
    with running(chosen, log, stop_services=False):
        wait_for(log, ProcessEvent, lambda event: event.epoch == number and event.state in {"started", "adopted"})
    return list(dict.fromkeys(one.pid for one in records(log, ProcessEvent) if one.state in {"started", "adopted"}))


def cut_off(folder: Path, log: MemoryLog, *allow: str) -> Settings:
    """Have a service at work on a bad configuration, and a rollback killed right before it restarts the service."""
    web = Service(folder, "aside")
    chosen = settings(folder, {"web": service(allow=("restart", *allow), config=web.settings.config)})
    web.write("good")
    web.history.judge(web.history.take(read_files(web.settings.config)), "good")
    web.write("bad")
    lives(chosen, log, 1)
    assert killed_at(web, TAKE_OVER)
    assert ["good", "good"] == web.content()
    return chosen


@pytest.mark.slow
def test_the_next_agent_restarts_what_a_killed_rollback_did_not(tmp_path: Path) -> None:
    """Once: the service went on with the old files in its memory."""
    log = memory_log()
    chosen = cut_off(tmp_path, log, "rollback_config")
    assert 2 == len(lives(chosen, log, 2))
    with running(chosen, log):
        wait_for(log, ProcessEvent, lambda event: (event.epoch, event.state) == (3, "adopted"))
    assert 2 == len({one.pid for one in records(log, ProcessEvent)})
    assert "rolled back to" in next(History(tmp_path / "state", "web").versions()).text


@pytest.mark.slow
@pytest.mark.parametrize("reason", ["stopped", "not allowed"])
def test_nothing_is_ended_that_people_stopped_or_that_is_not_allowed_any_more(tmp_path: Path, reason: str) -> None:
    """The service goes on as it is."""
    log = memory_log()
    chosen = cut_off(tmp_path, log, *(("rollback_config",) if reason == "stopped" else ()))
    if reason == "stopped":
        with Ledger(tmp_path / "state") as ledger:
            ledger.stop("order-1", "ann")
    with running(chosen, log):
        wait_for(log, ProcessEvent, lambda event: (event.epoch, event.state) == (2, "adopted"))
    assert 1 == len({one.pid for one in records(log, ProcessEvent)})
