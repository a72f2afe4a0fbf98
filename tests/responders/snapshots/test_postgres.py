"""A real PostgreSQL saved and restored by its own programs."""

from __future__ import annotations

from typing import Any

import pytest

from mendline.responders.snapshots.errors import CorruptDataError
from mendline.responders.snapshots.inspection import inspect
from mendline.responders.snapshots.restoration import Restoration
from tests.responders.snapshots.support import Place, soon
from tests.support.postgres import DATABASE, Postgres

PAGE = 8192


def settings_of(postgres: Postgres) -> dict[str, Any]:
    """Return the data as a host would declare them."""
    return {
        "kind": "command",
        "path": None,
        "stop": False,
        "save": postgres.vector("pg_dump", "--format=directory", "--file={path}/dump", DATABASE),
        "restore": postgres.vector(
            "pg_restore", "--clean", "--if-exists", "--single-transaction", f"--dbname={DATABASE}", "{path}/dump"
        ),
        "check": postgres.vector("pg_amcheck", "--install-missing", DATABASE),
        "corrupt": [2],
    }


def ruin_table(postgres: Postgres) -> None:
    """Overwrite half of the first page of the table on the disk, as a failing disk might."""
    file = postgres.folder / "data" / postgres.query("SELECT pg_relation_filepath('stock')")
    postgres.query("CHECKPOINT")
    postgres.stop()
    with file.open("r+b") as opened:
        opened.seek(PAGE // 2)
        opened.write(b"\xff" * (PAGE // 2))
    postgres.start()


@pytest.mark.heavy
def test_a_corrupt_table_is_found_and_brought_back(place: Place, postgres: Postgres) -> None:
    """By pg_amcheck, pg_dump and pg_restore; a server that is away proves nothing, and a corrupt one is not saved."""
    postgres.query("CREATE TABLE stock AS SELECT number, repeat('x', 100) FROM generate_series(1, 5000) AS number")
    given = settings_of(postgres)
    settings = place.settings(**given)
    saved = place.save(**given)
    assert "good" == inspect(place.store, settings, soon()).health
    ruin_table(postgres)
    assert "corrupt" == inspect(place.store, settings, soon()).health
    with pytest.raises(CorruptDataError):
        place.save(**given)
    report = Restoration(place.store, settings, place.service, soon()).run()
    assert saved.digest == report.digest
    assert "5000" == postgres.query("SELECT count(*) FROM stock")
    assert "could not be saved first" in report.broken
    assert "good" == inspect(place.store, settings, soon()).health
    postgres.stop()
    assert "unknown" == inspect(place.store, settings, soon()).health
    postgres.start()
