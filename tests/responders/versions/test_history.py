"""Versions of configuration files: kept, found again by git itself, and put back whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from mendline.responders.action import OvertakenError
from mendline.responders.snapshots.exchange import exchange
from mendline.responders.versions import files as module
from mendline.responders.versions.files import Entry, VersionError, put_in_place, read_files
from mendline.responders.versions.history import History, Version


def history(folder: Path) -> History:
    """Return an empty history of the service web."""
    return History(folder / "state", "web")


def write(path: Path, text: str, mode: int = 0o640) -> Path:
    """Write a file with a mode that git does not know."""
    path.write_text(text)
    path.chmod(mode)
    return path


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return sorted(path.name for path in folder.iterdir() if path.name != "state")


def kept(one: History, *paths: Path) -> Version:
    """Keep what lies at the paths."""
    return one.take(read_files([str(path) for path in paths]))


def test_a_version_comes_back_as_it_was(tmp_path: Path) -> None:
    """Content, mode, owner and links; a file that is not there has no entry."""
    file = write(tmp_path / "web.conf", "port=1\n")
    link = tmp_path / "current"
    link.symlink_to("web.conf")
    one = history(tmp_path)
    found = one.files(kept(one, link, tmp_path / "missing"))
    assert {
        str(link): Entry(b"web.conf", link=True),
        str(file): Entry(b"port=1\n", mode=0o640, owner=(os.getuid(), os.getgid())),
    } == found


def test_what_did_not_change_is_no_version(tmp_path: Path) -> None:
    """The newest stays the newest, however often it is looked at."""
    file, one = write(tmp_path / "web.conf", "a"), history(tmp_path)
    first = kept(one, file)
    assert first == kept(one, file)
    second = kept(one, write(file, "b"))
    assert [second.id, first.id] == [version.id for version in one.versions()]


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_git_reads_the_history(tmp_path: Path) -> None:
    """People have the tools they know."""
    file, one = write(tmp_path / "web.conf", "a\n"), history(tmp_path)
    kept(one, file)
    kept(one, write(file, "b\n"))
    command = ["git", "-c", "safe.directory=*", "-C", str(one.folder), "log", "-p", "--format=%s", "main"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert ["-a", "+b"] == [line for line in said.splitlines() if line in ("-a", "+b")]
    fsck = subprocess.run([*command[:5], "fsck", "--strict"], capture_output=True, text=True, check=True)
    assert "error" not in fsck.stderr


def test_good_and_bad_are_contents(tmp_path: Path) -> None:
    """The same files again are as good as they were; what was bad once is never gone back to."""
    file, one = write(tmp_path / "web.conf", "a"), history(tmp_path)
    first = kept(one, file)
    one.judge(first, "good")
    second = kept(one, write(file, "b"))
    one.judge(second, "good")
    broken = kept(one, write(file, "c"))
    assert second == one.last_good(broken)
    one.judge(second, "bad")
    assert first == one.last_good(broken)
    again = kept(one, write(file, "a"))
    assert one.is_judged(again, "good")
    assert one.last_good(again) is None


def test_a_version_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    """And by nothing else."""
    file, one = write(tmp_path / "web.conf", "a"), history(tmp_path)
    first = kept(one, file)
    assert first == one.find(first.short)
    with pytest.raises(VersionError, match=f"version 'zz': there is none; the newest are {first.short}"):
        one.find("zz")


def test_a_damaged_history_is_named(tmp_path: Path) -> None:
    """With what to do."""
    file, one = write(tmp_path / "web.conf", "a"), history(tmp_path)
    kept(one, file)
    shutil.rmtree(one.folder / "objects")
    (one.folder / "objects").mkdir()
    with pytest.raises(VersionError, match=r"web\.git is damaged .*; move it away"):
        list(one.versions())


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    """Configuration files hold secrets."""
    one = history(tmp_path)
    kept(one, write(tmp_path / "web.conf", "password"))
    assert 0o700 == stat.S_IMODE(one.folder.stat().st_mode)


# Putting back -------------------------------------------------------------------------------------------------------


def test_files_are_put_back_with_mode_and_link(tmp_path: Path) -> None:
    """A link is pointed back, a file that came is taken away, one that went comes back."""
    old, new, link = write(tmp_path / "old", "1", 0o600), tmp_path / "new", tmp_path / "current"
    link.symlink_to("old")
    before = read_files(map(str, (link, old, new)))
    link.unlink()
    link.symlink_to("new")
    write(new, "2")
    old.unlink()
    changed = put_in_place(read_files(map(str, (link, old, new))), before)
    assert [str(link), str(new), str(old)] == changed
    assert ("old", "1", False) == (str(link.readlink()), old.read_text(), new.exists())
    assert 0o600 == stat.S_IMODE(old.stat().st_mode)
    assert ["current", "old"] == names(tmp_path)


def test_an_edit_made_meanwhile_stays(tmp_path: Path) -> None:
    """Somebody is at work on it, and knows better."""
    file = write(tmp_path / "web.conf", "good")
    good = read_files([str(file)])
    write(file, "bad")
    bad = read_files([str(file)])
    write(file, "mended by hand")
    with pytest.raises(OvertakenError, match=r"web\.conf was edited meanwhile, and stays as it is"):
        put_in_place(bad, good)
    assert ("mended by hand", ["web.conf"]) == (file.read_text(), names(tmp_path))


def test_an_edit_at_the_very_moment_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the last look and the exchange: what was there is looked at once more, and put back."""
    file = write(tmp_path / "web.conf", "good")
    good = read_files([str(file)])
    write(file, "bad")
    bad = read_files([str(file)])

    def edited_before(path: Path, side: Path, aside: Path) -> bool:
        write(file, "mended by hand")
        return exchange(path, side, aside)

    monkeypatch.setattr(module, "exchange", edited_before)
    with pytest.raises(OvertakenError, match="was edited meanwhile"):
        put_in_place(bad, good)
    assert ("mended by hand", ["web.conf"]) == (file.read_text(), names(tmp_path))


@pytest.mark.parametrize("step", ["open", "fsync", "renameat2"])
def test_a_crash_leaves_the_old_file_or_the_new(tmp_path: Path, step: str) -> None:
    """Whatever it comes at, and the next try clears up."""
    file = write(tmp_path / "web.conf", "good")
    good = read_files([str(file)])
    write(file, "bad")
    bad = read_files([str(file)])
    child = os.fork()
    if child == 0:
        _die_at(step)
        put_in_place(bad, good)
        os._exit(0)
    assert 9 == os.waitpid(child, 0)[1]
    assert "bad" == file.read_text()
    put_in_place(bad, good)
    assert ("good", ["web.conf"]) == (file.read_text(), names(tmp_path))


def _die_at(step: str) -> None:
    def die(*_: object) -> bool:
        os.kill(os.getpid(), 9)
        return False

    if step == "renameat2":
        module.exchange = die  # type: ignore[attr-defined, assignment]
    elif step == "open":
        module._swap = die  # type: ignore[assignment]
    else:
        os.fsync = die  # type: ignore[assignment]


def test_what_is_no_configuration_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too large, or a folder."""
    monkeypatch.setattr(module, "MOST_BYTES", 2**20)
    large = tmp_path / "large"
    large.write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(VersionError, match="large is larger than 1 MiB: that is no configuration file"):
        read_files([str(large)])
    with pytest.raises(VersionError, match="cannot be read: Is a directory"):
        read_files([str(tmp_path)])
