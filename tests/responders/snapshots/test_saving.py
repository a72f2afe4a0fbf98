"""Taking snapshots of real files and databases."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mendline.responders.snapshots.content import hash_file
from mendline.responders.snapshots.deadline import Deadline
from mendline.responders.snapshots.errors import (
    CorruptDataError,
    DamagedSnapshotError,
    SnapshotError,
    StoreBusyError,
)
from mendline.responders.snapshots.layout import lay_out, prove
from mendline.responders.snapshots.saving import save
from tests.responders.snapshots.support import HOUR_MS, NOW_MS, Place, database, rows, ruin, soon


def test_a_snapshot_holds_names_rights_links_and_the_hash_of_each_file(place: Place) -> None:
    """What is laid out from it is what was there."""
    place.fill({"a.txt": "one", "deep/b.txt": "two"})
    (place.path / "a.txt").chmod(0o640)
    (place.path / "to-b").symlink_to("deep/b.txt")
    os.mkfifo(place.path / "pipe")
    manifest = place.save()
    assert hashlib.sha256(b"one").hexdigest() == next(one.hash for one in manifest.entries if one.name == "a.txt")
    assert ["", "a.txt", "deep", "deep/b.txt", "to-b"] == [entry.name for entry in manifest.entries]
    copy = place.folder / "copy"
    lay_out(place.store, manifest, copy, soon())
    prove(manifest, copy, soon())
    assert "two" == (copy / "to-b").read_text()
    assert 0o640 == (copy / "a.txt").stat().st_mode & 0o777
    assert (place.path / "deep").stat().st_mtime_ns == (copy / "deep").stat().st_mtime_ns


def test_a_name_that_is_no_text_is_kept(place: Place) -> None:
    """Linux allows any bytes."""
    place.path.mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(place.path) + b"/\xff\xfe")).write_text("odd")
    place.save()
    copy = place.folder / "copy"
    lay_out(place.store, place.store.load(place.store.ids()[0]), copy, soon())
    assert ["\udcff\udcfe"] == [path.name for path in copy.iterdir()]


def test_content_is_kept_once_and_a_write_in_place_leaves_snapshots_alone(place: Place) -> None:
    """No file in place is a hard link to what the store holds."""
    place.fill({"a": "same", "b": "same", "c": "other"})
    first = place.save()
    assert 2 == place.objects()
    with (place.path / "a").open("r+") as file:
        file.write("SAME")
    second = place.save(NOW_MS + HOUR_MS)
    assert 3 == place.objects()
    assert not place.store.damage([*first.entries, *second.entries], soon())


def test_one_of_the_same_content_takes_the_place_of_the_newest(place: Place) -> None:
    """So those that are kept differ."""
    place.fill({"a": "one"})
    place.save()
    again = place.save(NOW_MS + HOUR_MS)
    assert [again.id] == list(place.store.ids())


@pytest.mark.slow
def test_only_so_many_are_kept_and_one_of_each_day(place: Place) -> None:
    """And content goes with the last snapshot that needs it."""
    ids = []
    for hour in range(36):
        place.fill({"a": f"at {hour}"})
        ids.append(place.save(NOW_MS + hour * HOUR_MS, keep=2, daily=2).id)
    days = [next(one for one in reversed(ids) if one.startswith(day)) for day in ("20270116", "20270115")]
    assert [ids[-1], ids[-2], days[1]] == list(place.store.ids())
    assert 3 == place.objects()


def test_what_did_not_change_is_not_read_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it was touched so shortly before the last snapshot that its time stamps prove nothing."""
    place.fill({"old": "one", "young": "two"})
    touched = max((place.path / name).stat().st_ctime_ns for name in ("old", "young")) // 1_000_000
    place.save(touched + 1000)
    place.save(touched + 10_000)
    read = []
    monkeypatch.setattr("mendline.responders.snapshots.saving.fill", lambda *given: read.append(given))
    place.save(touched + 20_000)
    assert not read


def test_data_that_the_check_calls_corrupt_are_not_kept(place: Place) -> None:
    """The check sees the copy, not the data in place, and a check that cannot be made keeps nothing either."""
    place.fill({"a": "good"})
    check = ["grep", "-q", "good", "{path}/a"]
    good = place.save(check=check)
    place.fill({"a": "bad"})
    with pytest.raises(CorruptDataError, match="status 1"):
        place.save(NOW_MS + HOUR_MS, check=check)
    with pytest.raises(SnapshotError, match="cannot be made"):
        place.save(NOW_MS + HOUR_MS, check=["/no/such/program"])
    with pytest.raises(SnapshotError, match="itself failed, with status 2"):
        place.save(NOW_MS + HOUR_MS, check=["grep", "-q", "good", "{path}/nowhere"])
    assert [good.id] == list(place.store.ids())
    assert not list(place.store.drafts.iterdir())


def test_a_database_is_saved_while_it_is_written_to(place: Place) -> None:
    """As of one moment, what lies in its write-ahead log included."""
    database(place.path, 100)
    with closing(sqlite3.connect(place.path)) as link:
        link.execute("PRAGMA journal_mode=WAL")
        link.execute("PRAGMA wal_autocheckpoint=0")
        link.execute("INSERT INTO stock (text) VALUES ('committed')")
        link.commit()
        link.execute("INSERT INTO stock (text) VALUES ('not yet')")
        manifest = place.save(kind="sqlite")
    copy = place.folder / "copy"
    lay_out(place.store, manifest, copy, soon())
    assert 101 == rows(copy)


def test_a_corrupt_database_is_not_kept(place: Place) -> None:
    """SQLite's own check finds it."""
    database(place.path, 1000)
    ruin(place.path)
    with pytest.raises(CorruptDataError, match="not kept as a snapshot"):
        place.save(kind="sqlite")
    assert not place.store.ids()


def test_a_command_saves_what_it_alone_can_reach(place: Place) -> None:
    """It fills a folder; should it fail, nothing is kept."""
    program = "import pathlib, sys; (pathlib.Path(sys.argv[1]) / 'dump').write_text('rows')"
    given: dict[str, Any] = {"kind": "command", "path": None, "restore": ["true"]}
    manifest = place.save(**given, save=[sys.executable, "-c", program, "{path}"])
    assert ["", "dump"] == [entry.name for entry in manifest.entries]
    with pytest.raises(SnapshotError, match="ended with status 3: no server"):
        place.save(NOW_MS + 1, **given, save=["sh", "-c", "echo no server; exit 3"])
    assert [manifest.id] == list(place.store.ids())


def test_a_file_that_never_stands_still_is_no_snapshot(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be kept never was at any moment."""
    place.fill({"a": "one"})

    def fill_late(source: int, target: int, deadline: Deadline) -> None:
        os.write(target, b"half")
        with (place.path / "a").open("a") as file:
            file.write("more")

    monkeypatch.setattr("mendline.responders.snapshots.saving.fill", fill_late)
    with pytest.raises(SnapshotError, match="changes while it is read"):
        place.save()


def test_damage_to_the_store_is_found(place: Place) -> None:
    """By hash, of the content and of the manifest, which names no file outside."""
    place.fill({"a": "one", "b": "two"})
    manifest = place.save()
    entry = next(one for one in manifest.entries if one.name == "b")
    place.store.object(entry.hash).chmod(0o600)
    place.store.object(entry.hash).write_text("TWO")
    assert ["b: its content is not what it was"] == list(place.store.damage(manifest.entries, soon()))
    path = place.store.folder / "snapshots" / manifest.id
    for old, new in (('"b"', '"../b"'), ('"b"', '"c"'), ('"version": 1', '"version": 2')):
        path.write_text(manifest.encode().decode().replace(old, new))
        with pytest.raises(DamagedSnapshotError, match="no manifest"):
            place.store.load(manifest.id)
    with pytest.raises(DamagedSnapshotError, match="there is no snapshot"):
        place.store.load("../lock")


def test_two_do_not_work_on_the_same_data(place: Place) -> None:
    """The second is told so at once."""
    place.fill({"a": "one"})
    with place.store.locked(), pytest.raises(StoreBusyError, match="under way"):
        place.save()


def test_a_snapshot_that_takes_too_long_leaves_nothing(place: Place) -> None:
    """Neither a manifest nor drafts."""
    place.fill({"a": "one"})
    with pytest.raises(TimeoutError):
        save(place.store, place.settings(), NOW_MS, Deadline.after(0))
    assert not place.store.ids()
    assert not list(place.store.drafts.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 24 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_too_small_or_fills_up_keeps_what_there_was(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The space is looked at before; should others take it meanwhile, nothing half is left."""
    place = Place(small_disk)
    place.fill({"a": "one"})
    good = place.save()
    (place.path / "big").write_bytes(os.urandom(11 << 20))
    with pytest.raises(SnapshotError, match="bytes free, and a snapshot needs"):
        place.save(NOW_MS + HOUR_MS)
    monkeypatch.setattr("mendline.responders.snapshots.saving.RESERVE", -(1 << 30))
    (small_disk / "others").write_bytes(bytes(4 << 20))
    with pytest.raises(OSError, match="No space left"):
        place.save(NOW_MS + HOUR_MS)
    assert [good.id] == list(place.store.ids())
    assert not list(place.store.drafts.iterdir())
    assert not place.store.damage(good.entries, soon())


def test_a_file_hash_is_of_the_file_itself(tmp_path: Path) -> None:
    """A link is not followed: it might lead anywhere."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic links"):
        hash_file(tmp_path / "link", soon())
