"""Databases to store in: a file, and one of a real PostgreSQL that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from mendline.logs.memory import MemoryLog
from mendline.schemas.settings import Settings
from mendline.store.engine import open_engine
from mendline.store.schema import migrate
from mendline.topics import topic_settings
from tests.support.postgres import DATABASE, Postgres, running_postgres


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[Postgres]:
    """Start one server for all."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Return the address of a file that is not there yet."""
    return f"sqlite://{tmp_path}/store.db"


@pytest.fixture
def postgres_url(shared_postgres: Postgres) -> str:
    """Return the address of an empty database."""
    shared_postgres.query("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return f"postgresql://mendline@/{DATABASE}?host={shared_postgres.folder}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.heavy)])
def url(request: pytest.FixtureRequest) -> str:
    """Return the address of either."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """Yield the database with its tables."""
    engine = open_engine(url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def settings() -> Settings:
    """Return settings with two partitions of windows."""
    return Settings.model_validate({"log": "memory:", "topics": {"partitions": 2}})


@pytest.fixture
def log(settings: Settings) -> MemoryLog:
    """Return a log with all topics."""
    log = MemoryLog()
    log.ensure_topics(topic_settings(settings.topics))
    return log
