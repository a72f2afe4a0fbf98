"""The tables: the steps that make them, and stores of other versions."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from mendline.logs.memory import MemoryLog
from mendline.roles import store_beside
from mendline.schemas.settings import Settings, StoreSettings
from mendline.store.checking import check_store
from mendline.store.engine import open_engine, told, transaction
from mendline.store.errors import StoreAwayError, StoreError
from mendline.store.schema import migrate, newest
from mendline.store.tables import METADATA


def test_the_steps_make_the_tables_that_are_written_to(engine: sa.Engine) -> None:
    """Column by column, kind by kind, index by index."""
    with transaction(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []


def test_a_store_of_this_version_stays_as_it_is(engine: sa.Engine) -> None:
    """The step that it has had is told."""
    assert migrate(engine) == newest()


def test_several_that_start_together_make_the_tables_once(url: str) -> None:
    """Under a lock."""
    found: list[str | None] = []

    def start() -> None:
        engine = open_engine(url)
        found.append(migrate(engine))
        engine.dispose()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=str) == sorted([None, *[newest()] * 3], key=str)


def test_a_store_of_a_newer_version_is_left_alone(engine: sa.Engine) -> None:
    """It is said which, and what to do."""
    with transaction(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"newer version of Mendline \(9999; this one knows up to \d+\): upgrade"):
        migrate(engine)


def test_a_server_that_is_not_there_is_away() -> None:
    """Its password is not told."""
    engine = open_engine("postgresql://me:hunter2@127.0.0.1:1/x")
    with pytest.raises(StoreAwayError) as caught:
        migrate(engine)
    assert "hunter2" not in f"{caught.value}{told(engine)}"
    assert "postgresql://me:***@127.0.0.1:1/x" in str(caught.value)


def test_a_file_that_is_no_database_is_no_store(tmp_path: Path) -> None:
    """And no reason to wait."""
    (tmp_path / "file").write_bytes(b"of no interest" * 100)
    with pytest.raises(StoreError, match="file: file is not a database") as caught:
        migrate(open_engine(f"sqlite://{tmp_path}/file"))
    assert not isinstance(caught.value, StoreAwayError)


@pytest.mark.parametrize("url", ["mysql://x/y", "postgresql:/x", "http://x"])
def test_an_address_that_is_none(url: str) -> None:
    """Is told without what may be secret in it."""
    with pytest.raises(StoreError, match="write sqlite://FILE or postgresql://"):
        open_engine(url)


def test_an_address_behind_a_reference(tmp_path: Path) -> None:
    """It is read where it stands; what is missing there is told."""
    (tmp_path / "url").write_text(f"sqlite://{tmp_path}/store.db\n")
    assert told(open_engine(f"file:{tmp_path}/url")) == f"sqlite://{tmp_path}/store.db"
    with pytest.raises(StoreError, match=r"store\.url: file:.*/none: No such file"):
        open_engine(f"file:{tmp_path}/none")


def test_beside_all_else_a_store_that_cannot_be_opened_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What mends goes on without it."""
    settings = Settings(log="memory:", store=StoreSettings(url=f"file:{tmp_path}/none"))
    assert store_beside(settings, MemoryLog()) == []
    assert "nothing is stored any more, all else goes on: store.url: file:" in caplog.text


def checked(url: str) -> tuple[str, str]:
    """Return what `mendline check` says of a store."""
    ((level, about, text),) = check_store(Settings(log="memory:", store=StoreSettings(url=url)))
    assert about == "store.url"
    return level, text


def test_a_store_is_checked_before_anything_runs(tmp_path: Path, url: str, engine: sa.Engine) -> None:
    """One that is there answers, one that is not there is not made, one of a newer version is wrong."""
    assert checked(url) == ("ok", f"{told(engine)} answers")
    assert checked(f"sqlite://{tmp_path}/new.db") == ("ok", f"{tmp_path}/new.db will be made")
    assert not (tmp_path / "new.db").exists()
    assert checked("postgresql://127.0.0.1:1/x")[0] == "wrong"
    with transaction(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    level, text = checked(url)
    assert (level, "newer version" in text) == ("wrong", True)


def test_a_new_file_is_nobody_elses_to_read(tmp_path: Path) -> None:
    """Nor what SQLite puts beside it."""
    engine = open_engine(f"sqlite://{tmp_path}/new/store.db")
    migrate(engine)
    files = list((tmp_path / "new").iterdir())
    assert files
    assert [one for one in (tmp_path / "new", *files) if one.stat().st_mode & 0o077] == []
    engine.dispose()
