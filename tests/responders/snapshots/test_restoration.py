"""Restoring real files and databases, and what a crash at any step leaves."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mendline.responders.snapshots import exchange as exchange_module
from mendline.responders.snapshots.deadline import Deadline
from mendline.responders.snapshots.errors import SnapshotError
from mendline.responders.snapshots.exchange import exchange
from mendline.responders.snapshots.restoration import Report, Restoration
from mendline.responders.snapshots.unfinished import reconcile
from tests.responders.snapshots.support import HOUR_MS, NOW_MS, Place, database, rows, ruin, soon

ROOT = Path(__file__).parents[3]
MOST_STEPS = 40


def restore(place: Place, snapshot: str = "", step: Callable[[str], None] = lambda _: None, **given: object) -> Report:
    """Restore the place's data an hour after `NOW_MS`."""
    now = NOW_MS + HOUR_MS
    return Restoration(place.store, place.settings(**given), place.service, soon(), lambda: now, step).run(snapshot)


def test_a_folder_is_as_it_was_and_the_corrupt_one_is_kept(place: Place) -> None:
    """The report says how old the snapshot was, how long it took, and the proof."""
    place.fill({"a": "one", "deep/b": "two"})
    manifest = place.save()
    place.fill({"a": "corrupt", "new": "too"})
    report = restore(place)
    assert {"a": "one", "deep/b": "two"} == place.content()
    assert ["stop", "start"] == place.service.said
    assert (manifest.id, manifest.digest, 2, 6, 3600.0) == report[:5]
    assert "corrupt" == Path(report.broken.removeprefix("the corrupt data are kept in ")).joinpath("a").read_text()
    assert f"every hash verified; digest {manifest.digest}; recovery point 3600.0 s" in str(report)


def test_a_file_alone_is_restored(place: Place) -> None:
    """The data may be one file."""
    place.path.parent.mkdir(parents=True)
    place.path.write_text("good")
    place.save()
    place.path.write_text("bad")
    restore(place)
    assert "good" == place.path.read_text()


def test_data_that_are_gone_come_back(place: Place) -> None:
    """There is no corrupt copy to keep then."""
    place.fill({"a": "one"})
    place.save()
    (place.path / "a").unlink()
    place.path.rmdir()
    assert not restore(place).broken
    assert {"a": "one"} == place.content()


def test_a_write_in_place_afterwards_leaves_the_snapshot_alone(place: Place) -> None:
    """What was restored shares nothing with the store."""
    place.fill({"a": "one"})
    manifest = place.save()
    restore(place)
    with (place.path / "a").open("r+") as file:
        file.write("two")
    assert not place.store.damage(manifest.entries, soon())


def test_a_database_is_restored_without_the_log_of_the_corrupt_one(place: Place) -> None:
    """Which SQLite would write into it otherwise."""
    database(place.path, 500)
    place.save(kind="sqlite")
    with closing(sqlite3.connect(place.path)) as link:
        link.execute("PRAGMA journal_mode=WAL")
        link.execute("PRAGMA wal_autocheckpoint=0")
        link.execute("DELETE FROM stock")
        link.commit()
        wal = place.path.with_name("stock-wal").read_bytes()
    place.path.with_name("stock-wal").write_bytes(wal)  # as a killed writer leaves it
    ruin(place.path)
    restore(place, kind="sqlite")
    assert 500 == rows(place.path)
    assert wal == next(place.path.parent.glob(".stock.mendline-broken-*-wal")).read_bytes()


def test_only_so_many_corrupt_copies_are_kept(place: Place) -> None:
    """The newest, with what belongs to them."""
    place.fill({"a": "one"})
    place.save()
    for now in range(3):
        settings = place.settings(broken=1)
        place.fill({"a": f"corrupt {now}"})
        Restoration(place.store, settings, place.service, soon(), lambda now=now: NOW_MS + now).run()  # type: ignore[misc]
    (broken,) = place.beside()
    assert "corrupt 2" == (place.path.parent / broken / "a").read_text()
    restore(place, broken=0)
    assert not place.beside()


def test_a_snapshot_that_is_damaged_or_fails_the_check_is_passed_over(place: Place) -> None:
    """And an older one that is whole is taken; a person may name one."""
    place.fill({"a": "good"})
    old = place.save()
    place.fill({"a": "bad"})
    place.save(NOW_MS + 1000)
    place.fill({"a": "good too"})
    damaged = place.save(NOW_MS + 2000)
    content = place.store.object(next(one.hash for one in damaged.entries if one.name == "a"))
    content.unlink()
    report = restore(place, check=["grep", "-q", "good", "{path}/a"])
    assert (old.id, 2) == (report.snapshot, len(report.skipped))
    assert {"a": "good"} == place.content()
    with pytest.raises(SnapshotError, match="the content of a is missing"):
        restore(place, damaged.id)


def test_without_a_good_snapshot_nothing_is_touched(place: Place) -> None:
    """Nor is the service stopped, whatever is wrong."""
    place.fill({"a": "now"})
    with pytest.raises(SnapshotError, match="none was taken yet"):
        restore(place)
    place.save()
    with pytest.raises(SnapshotError, match="cannot be checked"):
        restore(place, check=["/no/such/program"])
    with pytest.raises(TimeoutError):
        Restoration(place.store, place.settings(), place.service, Deadline.after(0)).run()
    assert {"a": "now"} == place.content()
    assert not place.service.said
    assert not place.beside()


def test_data_whose_file_system_is_not_mounted_are_left_alone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be restored there would be hidden later, or live on besides the true data."""
    place.fill({"a": "one"})
    place.save()
    monkeypatch.setattr("mendline.responders.snapshots.restoration.mount_of", lambda _: "/elsewhere")
    with pytest.raises(SnapshotError, match="which is not there now"):
        restore(place)


def test_a_mount_point_is_left_alone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the service is stopped for nothing."""
    place.fill({"a": "one"})
    place.save()
    monkeypatch.setattr(Path, "is_mount", lambda path: path in (place.path, Path("/")))
    with pytest.raises(SnapshotError, match="is a mount point"):
        restore(place)
    assert not place.service.said


def test_without_room_nothing_is_touched(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is looked at before anything is written."""
    place.fill({"a": "one"})
    place.save()
    monkeypatch.setattr("mendline.responders.snapshots.restoration.free_bytes", lambda _: 1000)
    with pytest.raises(SnapshotError, match="has 1000 bytes free"):
        restore(place)
    assert not place.beside()


def test_a_service_is_started_again_when_the_exchange_fails(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """After all that was moved is back: SQLite's log belongs to the old database."""
    database(place.path, 5)
    place.save(kind="sqlite")
    place.path.with_name("stock-wal").write_text("log")

    def fails(*_: object) -> bool:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr("mendline.responders.snapshots.restoration.exchange", fails)
    with pytest.raises(OSError, match="busy"):
        restore(place, kind="sqlite")
    assert ["stock-wal"] == place.beside()
    assert ["stop", "start"] == place.service.said


def test_commands_restore_what_they_alone_can_reach(place: Place) -> None:
    """From a folder that was proven; the corrupt data are saved first, and the check is asked after."""
    place.path.mkdir(parents=True)
    live = place.path / "live"
    live.write_text("good")
    commands: dict[str, Any] = {
        "kind": "command",
        "path": None,
        "save": ["cp", str(live), "{path}/dump"],
        "restore": ["cp", "{path}/dump", str(live)],
        "check": ["grep", "-q", "good", str(live)],
        "stop": False,
    }
    place.save(**commands)
    live.write_text("bad")
    report = restore(place, **commands)
    assert "good" == live.read_text()
    assert "bad" == Path(report.broken.removeprefix("the corrupt data are kept in "), "dump").read_text()
    assert not place.service.said
    with pytest.raises(SnapshotError, match="ended with status 5"):
        restore(place, **commands | {"restore": ["sh", "-c", "exit 5"]})


def test_where_the_system_cannot_exchange_two_renames_do(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same result."""
    place.fill({"a": "one"})
    place.save()
    place.fill({"a": "corrupt"})
    monkeypatch.setattr(exchange_module, "_swap", lambda *_: False)
    restore(place)
    assert {"a": "one"} == place.content()
    assert 1 == len(place.beside())


def test_what_cannot_be_exchanged_says_so(tmp_path: Path) -> None:
    """A missing copy is the system's error with the file's name."""
    (tmp_path / "data").write_text("old")
    with pytest.raises(FileNotFoundError, match="data"):
        exchange(tmp_path / "data", tmp_path / "side", tmp_path / "aside")
    assert "old" == (tmp_path / "data").read_text()


def killed_at(place: Place, kind: str, number: int) -> bool:
    """Restore in another process that kills itself at the step of this number; say whether it came so far."""
    command = [sys.executable, "-m", "tests.responders.snapshots.restorer", str(place.folder), kind, str(number)]
    return subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode == -signal.SIGKILL


@pytest.mark.heavy
def test_a_crash_at_any_step_leaves_the_old_folder_or_the_restored_one(place: Place) -> None:
    """As a whole, before and after the next start has put the rest in order; and then a restore works."""
    good, bad = {"a": "one", "deep/b": "two"}, {"a": "corrupt", "deep/b": "two"}
    place.fill(good)
    place.save()
    seen = []
    for number in range(MOST_STEPS):
        place.fill(bad)
        if not killed_at(place, "files", number):
            break
        before = place.content()
        assert before in (good, bad)
        with place.store.locked():
            said = reconcile(place.store)
        assert before == place.content()
        assert not [name for name in place.beside() if name.endswith("restored")]
        assert not reconcile(place.store)
        seen.append((before == good, bool(said)))
    assert [False] * 7 + [True] * 3 == [restored for restored, _ in seen]
    assert [False] + [True] * 8 + [False] == [was_open for _, was_open in seen]
    restore(place)
    assert good == place.content()


@pytest.mark.heavy
def test_a_crash_at_any_step_leaves_a_database_with_its_own_log(place: Place) -> None:
    """Never one with the other's: afterwards it is the old one with its log, or the restored one without."""
    database(place.path, 50)
    place.save(kind="sqlite")
    wal = place.path.with_name("stock-wal")
    for number in range(4, MOST_STEPS):  # from where the copy is verified
        ruin(place.path)
        broken = place.path.read_bytes()
        wal.write_bytes(b"its log")
        killed = killed_at(place, "sqlite", number)
        with place.store.locked():
            reconcile(place.store)
        is_old = place.path.read_bytes() == broken
        assert is_old == wal.exists()
        if not killed:
            break
    assert 50 == rows(place.path)
    assert number > len(("-wal", "-shm", "-journal"))


def test_a_crash_between_two_renames_is_ended(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system cannot exchange, nothing is in place for an instant: the verified copy is put there."""
    place.fill({"a": "one"})
    place.save()
    place.fill({"a": "corrupt"})

    def first_half(path: Path, side: Path, aside: Path) -> bool:
        path.rename(aside)
        raise KeyboardInterrupt

    monkeypatch.setattr("mendline.responders.snapshots.restoration.exchange", first_half)
    monkeypatch.setattr("mendline.responders.snapshots.restoration.reconcile", lambda _: "")
    with pytest.raises(KeyboardInterrupt):
        restore(place)
    assert not place.path.exists()
    assert "as good as done" in reconcile(place.store)
    assert {"a": "one"} == place.content()


def test_a_damaged_note_is_left_to_people(place: Place) -> None:
    """It might be about anything."""
    place.fill({"a": "one"})
    place.save()
    (place.store.folder / "restoring").write_text("{")
    with pytest.raises(SnapshotError, match="is damaged"):
        restore(place)
    assert os.path.lexists(place.store.folder / "restoring")
