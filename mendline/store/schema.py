"""Tables as this version of Mendline has them, made or moved on from those of an older one.

The steps are Alembic's and stand in `migrations`, one file each; a store knows which of them it has had. All of them
happen in one transaction under a lock, so that of several members that start together one does the work.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mendline.store.engine import told, transaction
from mendline.store.errors import NoStoreError, StoreError

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection, Engine

FOLDER = Path(__file__).parent / "migrations"
LOCK = 7_237_125_112_001
"""A number for PostgreSQL's lock that no other program is likely to take."""


def migrate(engine: Engine) -> str | None:
    """Bring the store's tables to this version; return the step they had before, None for a new store.

    Raises StoreError for tables of a newer version, StoreAwayError, NoStoreError.
    """
    steps = _steps()
    with transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        before = version(connection)
        refuse_newer(engine, before)
        if before != steps.get_current_head():
            _upgrade(connection, steps)
    return before


def version(connection: Connection) -> str | None:
    """Return the newest step that a store has had, None for one without tables."""
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """Return the newest step that this version knows."""
    return str(_steps().get_current_head())


def refuse_newer(engine: Engine, before: str | None) -> None:
    """Raise StoreError for tables that have had a step which this version does not know."""
    steps = _steps()
    if before is None or before in {step.revision for step in steps.walk_revisions()}:
        return
    msg = (
        f"{told(engine)}: its tables are of a newer version of Mendline ({before}; this one knows up to "
        f"{steps.get_current_head()}): upgrade this host, or name another store in store.url"
    )
    raise StoreError(msg)


def _steps() -> ScriptDirectory:
    try:
        from alembic.script import ScriptDirectory
    except ImportError:
        msg = "the store needs SQLAlchemy and Alembic: pip install 'mendline[store]'"
        raise NoStoreError(msg) from None
    return ScriptDirectory(str(FOLDER), version_locations=[str(FOLDER)])


def _upgrade(connection: Connection, steps: ScriptDirectory) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    def ahead(revision: Any, _: MigrationContext) -> Any:
        return steps._upgrade_revs("head", revision)  # noqa: SLF001 - as Alembic's manual has it for programs

    with EnvironmentContext(Config(), steps, fn=ahead, destination_rev="head") as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()
