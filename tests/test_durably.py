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
    with pytest.raises(OSError, match="No space left on device"):
        write_durably(path, b"second")
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
    left, at_work, others = (tmp_path / name for name in (".out.1.new", ".out.2.new", ".out.txt.3.new"))
    for one in (left, at_work, others):
        one.touch()
    with at_work.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write_durably(tmp_path / "out", b"")
    assert {tmp_path / "out", at_work, others} == set(tmp_path.iterdir())


def test_a_file_is_kept_from_another_process_until_it_has_its_name(tmp_path: Path) -> None:
    """The other one writes the same file meanwhile, and takes it for nothing that was left by one that died."""
    put, path = Path.replace, tmp_path / "d"
    others: list[bytes] = []

    def write_as_another_process() -> None:
        with (
            patch.object(Path, "replace", put),
            patch("mendline.durably.os.getpid", return_value=os.getpid() + 1),
        ):
            write_durably(path, b"other")
        others.append(path.read_bytes())

    def replaced(draft: Path, target: Path) -> Path:
        write_as_another_process()
        return put(draft, target)

    with patch.object(Path, "replace", replaced), replacing(path) as file:
        file.write(b"mine")
        write_as_another_process()
    assert ([b"other"] * 2, b"mine") == (others, path.read_bytes())
    assert [path] == list(tmp_path.iterdir())
