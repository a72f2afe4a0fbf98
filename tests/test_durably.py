"""Files that are put in place as a whole."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from mendline.durably import replacing, write_durably

TOKEN = "0123456789abcdef"


def test_a_file_is_there_in_whole_or_not_at_all(tmp_path: Path) -> None:
    """What fails in the middle leaves the file before it as it was, and nothing beside it."""
    path = tmp_path / "out"
    write_durably(path, b"first")
    with pytest.raises(TypeError), replacing(path) as file:
        file.writelines([b"second", 2])  # type: ignore[list-item]
    assert (b"first", [path]) == (path.read_bytes(), list(tmp_path.iterdir()))


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is told at once or when the file is synced."""
    path = tmp_path / "out"
    write_durably(path, b"first")
    if call == "write":
        monkeypatch.setattr("mendline.durably.os.open", opened_without_room)
    else:
        monkeypatch.setattr("mendline.durably.os.fsync", no_room)
    with pytest.raises(OSError, match="No space left on device") as raised:
        write_durably(path, b"second")
    assert str(path) == raised.value.filename
    assert (b"first", [path]) == (path.read_bytes(), list(tmp_path.iterdir()))


def opened_without_room(path: Path, flags: int, mode: int, opened: Callable[..., int] = os.open) -> int:
    """Make the file, and write into one that has no room."""
    os.close(opened(path, flags, mode))
    return opened("/dev/full", os.O_WRONLY)


def no_room(_: int) -> None:
    """Say that the disk is full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_device_is_written_into(tmp_path: Path) -> None:
    """What is asked for as /dev/null goes there, and /dev/null stays what it is."""
    device = tmp_path / "null"
    device.symlink_to(os.devnull)
    write_durably(device, b"anything")
    assert list(tmp_path.iterdir()) == [device]
    assert device.is_char_device()


def test_the_file_has_the_mode_asked_for_or_the_usual_one(tmp_path: Path) -> None:
    """Whatever the umask is, or as it has it; never is it open to more people meanwhile."""
    before = os.umask(0o077)
    try:
        write_durably(tmp_path / "open", b"", mode=0o644)
        write_durably(tmp_path / "usual", b"")
        os.umask(0)
        with replacing(tmp_path / "mine", mode=0o600):
            (draft,) = tmp_path.glob(".mine.*")
            assert 0o600 == draft.stat().st_mode & 0o777
    finally:
        os.umask(before)
    assert {"open": 0o644, "usual": 0o600, "mine": 0o600} == {
        one.name: one.stat().st_mode & 0o777 for one in tmp_path.iterdir()
    }


def test_what_a_killed_process_left_goes_with_the_next_one(tmp_path: Path) -> None:
    """Of the same file only, and only what nobody is writing."""
    left, at_work, others = (tmp_path / f".{name}.new" for name in (f"out.{TOKEN}", f"out.1{TOKEN[1:]}", f"o.{TOKEN}"))
    for one in (left, at_work, others):
        one.touch()
    with at_work.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write_durably(tmp_path / "out", b"")
    assert {tmp_path / "out", at_work, others} == set(tmp_path.iterdir())


def test_nothing_of_other_people_is_taken_for_left(tmp_path: Path) -> None:
    """Neither what is called alike, nor what is no file, which is not waited for either."""
    for name in (".out.2026.new", ".out.2026-old.new", f".out.{TOKEN}.new.txt"):
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / f".out.1{TOKEN[1:]}.new")
    (tmp_path / f".out.2{TOKEN[1:]}.new").mkdir()
    (tmp_path / f".out.3{TOKEN[1:]}.new").symlink_to(tmp_path / ".out.2026.new")
    before = set(tmp_path.iterdir())
    write_durably(tmp_path / "out", b"")
    assert {*before, tmp_path / "out"} == set(tmp_path.iterdir())


def test_a_file_is_kept_from_another_writer_until_it_has_its_name(tmp_path: Path) -> None:
    """The other one writes the same file meanwhile, and takes it for nothing that was left by one that died."""
    put, path = Path.replace, tmp_path / "d"
    others: list[bytes] = []

    def write_as_another() -> None:
        with patch.object(Path, "replace", put):
            write_durably(path, b"other")
        others.append(path.read_bytes())

    def replaced(draft: Path, target: Path) -> Path:
        write_as_another()
        return put(draft, target)

    with patch.object(Path, "replace", replaced), replacing(path) as file:
        file.write(b"mine")
        write_as_another()
    assert ([b"other"] * 2, b"mine") == (others, path.read_bytes())
    assert [path] == list(tmp_path.iterdir())


def test_a_file_that_is_taken_for_left_before_it_is_locked_is_begun_again(tmp_path: Path) -> None:
    """Another writer of the same file begins between the opening of this one's and its lock."""
    path, lock = tmp_path / "d", fcntl.flock
    others = [b"other"]

    def locked(handle: int, how: int) -> None:
        while others:
            write_durably(path, others.pop())
        lock(handle, how)

    with patch("mendline.durably.fcntl.flock", locked):
        write_durably(path, b"mine")
    assert (b"mine", [path]) == (path.read_bytes(), list(tmp_path.iterdir()))


def test_a_file_goes_on_being_as_private_as_it_was(tmp_path: Path) -> None:
    """Its mode stays, unless another one is asked for, whatever the umask; never is the new one open to more people."""
    path = tmp_path / "out"
    path.touch(0o600)
    with replacing(path):
        (draft,) = tmp_path.glob(".out.*")
        assert 0o600 == draft.stat().st_mode & 0o777
    assert 0o600 == path.stat().st_mode & 0o777
    path.chmod(0o666)
    write_durably(path, b"")
    assert 0o666 == path.stat().st_mode & 0o777
    write_durably(path, b"", mode=0o640)
    assert 0o640 == path.stat().st_mode & 0o777


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_stays_its_owners(tmp_path: Path) -> None:
    """Though root writes it; one with a mode of its own is the writer's."""
    path = tmp_path / "out"
    path.touch()
    os.chown(path, 1234, 2345)
    write_durably(path, b"")
    assert (1234, 2345) == (path.stat().st_uid, path.stat().st_gid)
    write_durably(path, b"", mode=0o600)
    assert os.geteuid() == path.stat().st_uid


@pytest.mark.parametrize("there", [True, False])
def test_what_a_link_points_to_is_replaced(tmp_path: Path, *, there: bool) -> None:
    """In its own folder; and the link stays, also one that points to nothing yet."""
    folder, link = tmp_path / "elsewhere", tmp_path / "out"
    folder.mkdir()
    link.symlink_to("elsewhere/file")
    if there:
        link.touch()
    write_durably(link, b"new")
    assert (b"new", Path("elsewhere/file")) == ((folder / "file").read_bytes(), link.readlink())
    assert ([folder / "file"], {folder, link}) == (list(folder.iterdir()), set(tmp_path.iterdir()))


@pytest.mark.parametrize("name", ["a" * 255, "ü" * 127, "🙂" * 63])
def test_a_file_may_be_called_as_the_file_system_lets_it(tmp_path: Path, name: str) -> None:
    """Whatever it is called until it is there."""
    write_durably(tmp_path / name, b"long")
    assert [tmp_path / name] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a" * 256, "File name too long"),
        ("none/out", "No such file or directory"),
        ("file/out", "Not a directory"),
        ("folder", "Is a directory"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_what_fails_tells_of_the_file_that_was_asked_for(tmp_path: Path, name: str, reason: str) -> None:
    """People know nothing of the one that it is until it is there."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match=reason) as raised:
        write_durably(tmp_path / name, b"")
    assert str(tmp_path / name) == str(raised.value.filename)
    assert {"file", "folder", "loop"} == {one.name for one in tmp_path.iterdir()}
