"""What looks after the data of services: by a clock that stands still, and in a whole agent."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mendline.agent.data import DataKeeper, DataWatch
from mendline.responders.signing import KeyRing
from mendline.responders.snapshots.deadline import Deadline
from mendline.responders.snapshots.saving import save
from mendline.responders.snapshots.store import Store
from mendline.responders.snapshots.unfinished import Note
from mendline.responders.supervisor import Supervisor
from mendline.schemas.records import Event, Outcome, ProbeEvent
from mendline.schemas.settings import DataSettings, ServiceSettings
from tests.agent.support import memory_log, restart_command, running, send, service, settings, wait_for
from tests.producers.support import until

NOW_MS = 1_800_000_000_000
CHECK = ["grep", "-q", "good", "{path}"]
FAR = 2**45


@dataclass
class Desk:
    """A keeper of one file, and a clock that only the test moves."""

    folder: Path
    given: dict[str, object] = field(default_factory=dict)
    now_s: float = 0.0
    told: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.file = self.folder / "stock"
        self.file.write_text("good")
        self.store = Store(self.folder / "state", "web", "stock")
        self.keeper = self.new()

    def new(self) -> DataKeeper:
        """Return a keeper as an agent that starts now would make it."""
        data = DataSettings.model_validate({"path": str(self.file), "check": CHECK, **self.given})
        return DataKeeper("h1", self.store, data, self.told.append, self.clock, lambda: self.now_s)

    def clock(self) -> int:
        return NOW_MS + round(self.now_s * 1000)

    def pass_time(self, seconds: float) -> None:
        """Let the keeper do all that is due within so many seconds."""
        end = self.now_s + seconds
        while (idle := self.keeper.idle_s()) <= end - self.now_s:
            self.now_s += idle
            self.keeper.turn()
        self.now_s = end

    def verdicts(self) -> list[bool]:
        return [event.ok for event in self.told if isinstance(event, ProbeEvent)]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a desk with good data."""
    return Desk(tmp_path)


@pytest.mark.slow
def test_good_data_are_told_once_and_saved_at_once_and_then_on_schedule(desk: Desk) -> None:
    """A new agent goes on with the schedule instead of beginning a new one."""
    desk.pass_time(1)
    assert [True] == desk.verdicts()
    first = desk.store.ids()
    assert 1 == len(first)
    desk.file.write_text("good, newer")
    desk.pass_time(1800)
    desk.keeper = desk.new()
    desk.pass_time(1700)
    assert first == desk.store.ids()
    desk.pass_time(200)
    assert 2 == len(desk.store.ids())


@pytest.mark.slow
def test_corrupt_data_are_told_when_confirmed_again_and_again_and_never_saved(tmp_path: Path) -> None:
    """After the second check, a second later; then every second; then that they are good again, once."""
    desk = Desk(tmp_path, {"every": "5m"})
    desk.pass_time(1)
    desk.file.write_text("bad")
    desk.pass_time(59.5)
    assert [True] == desk.verdicts()
    desk.pass_time(3)
    assert [True, False, False, False] == desk.verdicts()
    event = desk.told[-1]
    assert isinstance(event, ProbeEvent)
    assert ("data stock", "stock", "wrong", 4) == (event.probe, event.data, event.failure, event.attempts)
    assert "status 1" in event.error
    assert event.error.endswith("the newest snapshot is 63 s old")
    desk.pass_time(400)
    assert 1 == len(desk.store.ids())
    desk.file.write_text("good again")
    desk.pass_time(120)
    assert desk.verdicts()[-2:] == [False, True]


def test_a_check_that_cannot_be_made_is_no_verdict(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once (and why no snapshot is taken), and the metric has no value."""
    desk.file.unlink()
    desk.pass_time(10)
    assert not desk.verdicts()
    assert math.isnan(desk.keeper.values(desk.clock())[0])
    assert 2 == len(caplog.records)
    assert 1 == caplog.text.count("is missing")


def test_a_snapshot_that_fails_is_counted_and_tried_again_soon(desk: Desk) -> None:
    """With growing pauses of at most a minute."""
    desk.file.unlink()
    desk.pass_time(600)
    failures = desk.keeper.values(desk.clock())[4]
    assert 12 <= failures <= 16
    desk.file.write_text("good")
    desk.pass_time(61)
    age, size, now_failures = desk.keeper.values(desk.clock())[2:]
    assert (True, 4.0, failures) == (0 <= age <= 61, size, now_failures)


@pytest.mark.slow
def test_content_that_the_disk_forgot_is_found_within_a_day_and_saved_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Though the file that it is of was not touched since, and is not read again otherwise."""
    desk = Desk(tmp_path, {"check": []})
    long_ago = desk.file.stat().st_mtime - 100
    os.utime(desk.file, (long_ago, long_ago))
    desk.pass_time(7300)
    (content,) = (desk.store.folder / "objects").glob("*/*")
    content.chmod(0o600)
    content.write_text("bad!")
    desk.pass_time(86_400)
    assert "snapshots of web/stock are damaged: ['stock']" in caplog.text
    assert "good" == content.read_text()


def test_data_without_anything_to_tell_good_from_bad_are_only_saved(tmp_path: Path) -> None:
    """No check, no verdict."""
    desk = Desk(tmp_path, {"check": []})
    desk.pass_time(3601)
    assert not desk.told
    assert 1 == len(desk.store.ids())


def test_a_restore_that_was_cut_off_is_put_in_order_before_services_start(tmp_path: Path) -> None:
    """And what it had stopped is started."""
    file = tmp_path / "stock"
    file.write_text("old")
    web = service(data={"stock": {"path": str(file)}})
    store = Store(tmp_path / "state", "web", "stock")
    note = Note(str(file), "t")
    note.side.write_text("half")
    with store.locked():
        note.write(store)
    (store.folder / "stopped").touch()
    supervisor = Supervisor({"web": web}, tmp_path / "state")
    watch = DataWatch("h1", {"web": web}, tmp_path / "state", lambda _: None, lambda: NOW_MS)
    watch.put_in_order(supervisor)
    assert "old" == file.read_text()
    assert not note.side.exists()
    assert supervisor.current("web")
    assert not (store.folder / "stopped").exists()
    supervisor.stop("web")


@pytest.mark.slow
def test_an_agent_finds_corrupt_data_and_restores_them_on_command(tmp_path: Path) -> None:
    """It saves, tells of the corruption, restores, and tells that they are good again."""
    log, file = memory_log(), tmp_path / "stock"
    file.write_text("good")
    data = {"stock": {"path": str(file), "check": CHECK, "check_every": "100ms"}}
    chosen = settings(tmp_path, {"web": service(allow=("restore_data",), data=data)})
    with running(chosen, log):
        wait_for(log, ProbeEvent, lambda one: one.ok)
        until(lambda: bool(Store(tmp_path / "state", "web", "stock").ids()))
        file.write_text("bad")
        corrupt = wait_for(log, ProbeEvent, lambda one: not one.ok)
        command = restart_command(chosen, "web", FAR).model_copy(update={"action": "restore_data", "signature": None})
        send(log, KeyRing(Path(chosen.state) / "keys").sign(command))
        outcome = wait_for(log, Outcome)
        good = wait_for(log, ProbeEvent, lambda one: one.ok and one.time > corrupt.time)
    assert ("succeeded", "stock") == (outcome.status, good.data)
    assert "good" == file.read_text()
    assert "every hash verified" in outcome.reason


def test_snapshots_are_those_of_the_store(tmp_path: Path) -> None:
    """Age and size of the newest are known before the first is taken in this life."""
    desk = Desk(tmp_path)
    save(desk.store, DataSettings(path=str(desk.file)), NOW_MS - 5000, Deadline.after(10))
    assert [5.0, 4.0, 0.0] == desk.new().values(desk.clock())[2:]
    assert ServiceSettings().data == {}
