"""A store that is made anew, and how one stands: from the command line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa

from mendline.logs.base import Log
from mendline.schemas.settings import Settings
from mendline.store.engine import open_engine, transaction
from mendline.store.member import Pace, StoreMember
from mendline.store.schema import migrate
from mendline.store.window_rows import Known, write_windows
from tests.cli.support import Caller, opened, write_config
from tests.store.support import (
    NOW,
    WIDTH,
    append_journal,
    append_windows,
    assert_exact,
    block,
    several,
    stored_windows,
    story,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Caller:
    """Return what calls the command line in this process."""
    return Caller(monkeypatch, capfd)


def place(folder: Path, url: str) -> tuple[Path, Settings, Log]:
    """Return a configuration with a store at `url`, and its log with some of everything on it."""
    config = write_config(folder, store={"url": url})
    settings, log = opened(config)
    append_windows(log, settings, several(Random(1), 20))
    append_journal(log, settings, [one for number in range(4) for one in story(number)])
    return config, settings, log


def test_a_store_is_made_of_the_log_alone(tmp_path: Path, url: str, call: Caller) -> None:
    """Of one that was not there, and of one in which somebody changed and removed rows."""
    config, settings, log = place(tmp_path, url)
    engine = open_engine(url)
    with log:
        assert "made anew" in call("store", "rebuild", "--yes", "-c", config).out
        assert_exact(engine, log, settings)
        with transaction(engine) as connection:
            for text in ("UPDATE faults SET reason = 'x'", "DELETE FROM holds", "UPDATE windows SET max = 7"):
                connection.exec_driver_sql(text)
            connection.exec_driver_sql("DELETE FROM windows WHERE sum > 0")
        assert call("store", "rebuild", "--yes", "-c", config).status == 0
        assert_exact(engine, log, settings)
    engine.dispose()


def test_what_the_log_no_longer_has_stays_unless_all_is_to_go(tmp_path: Path, sqlite_url: str, call: Caller) -> None:
    """It could not be brought again."""
    config, settings, log = place(tmp_path, sqlite_url)
    engine = open_engine(sqlite_url)
    migrate(engine)
    long_ago = block(["gone"], NOW - 400 * 86_400_000)
    with log, transaction(engine) as connection:
        write_windows(connection, [long_ago], Known())
    old = stored_windows(engine)
    assert old
    with log:
        call("store", "rebuild", "--yes", "-c", config)
        assert old.items() <= stored_windows(engine).items()
        call("store", "rebuild", "--yes", "--all", "-c", config)
        assert_exact(engine, log, settings)
    engine.dispose()


def test_a_member_at_work_goes_on_after_it(tmp_path: Path, engine: sa.Engine, url: str, call: Caller) -> None:
    """It learns that the places were set back before it writes anything."""
    config, settings, log = place(tmp_path, url)
    with log:
        member = StoreMember(log, open_engine(url), settings.topics, "m", Pace(idle=0.01, tell=1000.0))
        for _ in range(3):
            member.turn()
        call("store", "rebuild", "--yes", "-c", config)
        append_windows(log, settings, [block(["host-0-0"], NOW + 100 * WIDTH)])
        for _ in range(4):
            member.turn()
        assert_exact(engine, log, settings)
        member.close()


def test_how_it_stands(tmp_path: Path, sqlite_url: str, call: Caller) -> None:
    """Before there are tables, and with what is stored of each partition."""
    config, _, log = place(tmp_path, sqlite_url)
    with log:
        ran = call("store", "status", "-c", config)
        assert (ran.status, "has no tables yet" in ran.out) == (1, True)
        call("store", "rebuild", "--yes", "-c", config)
        assert "mendline.windows/0: stored to 20 of 20, lag 0" in call("store", "status", "-c", config).out
        told, *places = map(json.loads, call("store", "status", "--json", "-c", config).out.splitlines())
    assert (told["rows"]["faults"], told["url"]) == (4, sqlite_url)
    assert {(one["topic"], one["lag"]) for one in places} == {("mendline.windows", 0), ("mendline.journal", 0)}


def test_a_store_that_does_not_answer(tmp_path: Path, call: Caller) -> None:
    """It is said, and answers a script with 1."""
    config = write_config(tmp_path, store={"url": "postgresql://127.0.0.1:1/x"})
    opened(config)[1].close()
    ran = call("store", "status", "-c", config)
    assert ran.status == 1
    assert ran.out.startswith("the store does not answer: postgresql://127.0.0.1:1/x: ")


def test_nothing_is_removed_without_a_yes(
    tmp_path: Path, sqlite_url: str, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person is asked first."""
    config, settings, log = place(tmp_path, sqlite_url)
    engine = open_engine(sqlite_url)
    with log:
        call("store", "rebuild", "--yes", "-c", config)
        monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
        assert call("store", "rebuild", "--all", "-c", config).status == 130
        assert_exact(engine, log, settings)
    engine.dispose()
