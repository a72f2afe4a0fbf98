"""Whether data in place are good: by hash where they never change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mendline.responders.snapshots import inspection
from mendline.responders.snapshots.content import hash_file
from mendline.responders.snapshots.deadline import Deadline
from mendline.responders.snapshots.inspection import Seen, inspect
from tests.responders.snapshots.support import Place, database, ruin, soon

AN_HOUR_AGO_S = 1_700_000_000


def reads(place: Place, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """Inspect, and return what was found and how many files were read for it."""
    read: list[Path] = []

    def noted(path: Path, deadline: Deadline) -> str:
        read.append(path)
        return hash_file(path, deadline)

    with monkeypatch.context() as patch:
        patch.setattr(inspection, "hash_file", noted)
        found = inspect(place.store, place.settings(immutable=True), soon(), seen)
    return found.health, len(read)


def test_what_never_changes_is_read_where_time_stamps_tell_of_a_write(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And again and again as long as these are so young that they prove nothing; all of it once an hour."""
    place.fill({"a": "one", "b": "two"})
    place.save(immutable=True)
    seen = Seen()
    assert ("good", 2) == reads(place, seen, monkeypatch) == reads(place, seen, monkeypatch)
    monkeypatch.setattr(inspection, "SETTLED_NS", -1_000_000_000)
    assert ("good", 2) == reads(place, seen, monkeypatch)
    assert ("good", 0) == reads(place, seen, monkeypatch)
    seen.read_at -= inspection.READ_ALL_S
    assert ("good", 2) == reads(place, seen, monkeypatch)
    ruin(place.path / "a")
    os.utime(place.path / "a", (AN_HOUR_AGO_S, AN_HOUR_AGO_S))
    assert ("corrupt", 2) == reads(place, seen, monkeypatch) == reads(place, seen, monkeypatch)


def test_the_files_that_differ_are_named(place: Place) -> None:
    """A few of them; those that are new, gone or other."""
    place.fill({f"{number}": "same" for number in range(9)})
    place.save()
    place.fill({"3": "other", "new": "one"})
    (place.path / "8").unlink()
    text = inspect(place.store, place.settings(immutable=True), soon()).text
    assert text.endswith("3, 8, new")
    place.fill({f"{number}": "other" for number in range(9)})
    assert inspect(place.store, place.settings(immutable=True), soon()).text.endswith("0, 1, 2, 3, 4 and 5 more")


def test_a_database_in_use_is_checked_and_a_corrupt_one_found(place: Place) -> None:
    """Without any check of its own; what is no database at all is corrupt too."""
    database(place.path, 2000)
    settings = place.settings(kind="sqlite")
    assert "good" == inspect(place.store, settings, soon()).health
    ruin(place.path)
    assert "corrupt" == inspect(place.store, settings, soon()).health
    place.path.write_text("no database at all")
    assert "corrupt" == inspect(place.store, settings, soon()).health
    place.path.unlink()
    assert "unknown" == inspect(place.store, settings, soon()).health
