"""Configuration files: told when they change, and told as they are so that hosts can be compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from mendline.producers.configuration import TELL_EVERY_MS, ConfigurationWatch
from mendline.responders.versions.files import contents_name, read_files
from mendline.schemas.records import ConfigurationChange
from mendline.schemas.versions import content_hash, version_hash


class Watched:
    """Two files of a service, and what is told of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = [folder / "a.conf", folder / "link"]
        self.paths[0].write_text("password = one")
        (folder / "b.conf").write_text("two")
        self.paths[1].symlink_to("b.conf")
        self.told: list[ConfigurationChange] = []
        self.begin()

    def begin(self) -> None:
        """Have a new agent."""
        files = {"web": [str(path) for path in self.paths]}
        self._watch = ConfigurationWatch("host-1", files, self.folder / "memory", self.told.append)  # type: ignore[arg-type]

    def look(self, now_ms: int) -> list[tuple[str, bool | None]]:
        """Make a round, and return what was told in it: name of the file, and whether it was known."""
        before = len(self.told)
        self._watch.collect(now_ms)
        return [(Path(one.path).name, one.known) for one in self.told[before:]]


@pytest.fixture(name="watched")
def _watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_what_is_there_is_told_at_the_start_and_every_six_hours(watched: Watched) -> None:
    """Of each file; a change in between is one, and counts as told."""
    both = [("a.conf", True), ("link", True)]
    assert both == watched.look(0)
    assert [] == watched.look(TELL_EVERY_MS - 1)
    watched.paths[0].write_text("password = another")
    assert [("a.conf", None), ("link", True)] == watched.look(TELL_EVERY_MS)
    assert [] == watched.look(2 * TELL_EVERY_MS - 1)
    assert both == watched.look(2 * TELL_EVERY_MS)
    watched.begin()
    assert both == watched.look(2 * TELL_EVERY_MS + 1)


def test_a_clock_that_is_set_back_ends_nothing(watched: Watched) -> None:
    """It is told once more, and from then on by the new time."""
    watched.look(100 * TELL_EVERY_MS)
    assert 2 == len(watched.look(0))
    assert [] == watched.look(1)


def test_a_change_made_while_no_agent_looked_is_told_once(watched: Watched) -> None:
    """As a change, and not as known besides."""
    watched.look(0)
    watched.paths[0].unlink()
    watched.begin()
    assert [("a.conf", None), ("link", True)] == watched.look(1)
    assert "" == watched.told[-2].hash


def test_hashes_alone_leave_the_host_and_name_the_version_that_is_kept(watched: Watched) -> None:
    """So that `update_config` finds by it what another host has, links included."""
    watched.look(0)
    assert "password" not in "".join(one.model_dump_json() for one in watched.told)
    assert content_hash(b"password = one") == watched.told[0].hash
    paths = [str(path) for path in watched.paths]
    assert version_hash({one.path: one.hash for one in watched.told}) == contents_name(read_files(paths), paths)
