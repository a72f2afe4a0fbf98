"""What `mendline check` says of the store; nothing is made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.finding import Finding
from mendline.store.errors import NoStoreError, StoreError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from mendline.schemas.settings import Settings

ABOUT = "store.url"
SQLITE = "sqlite://"


def check_store(settings: Settings) -> Iterator[Finding]:
    """Yield whether the store can be reached with what is installed, and whether this version can work with it."""
    from mendline.store.engine import open_engine, told

    if settings.store is None:
        return
    try:
        engine = open_engine(settings.store.url, reading=True)
    except (NoStoreError, StoreError) as error:
        yield Finding("wrong", ABOUT, str(error))
        return
    file = told(engine).removeprefix(SQLITE)
    if engine.dialect.name == "sqlite" and not Path(file).exists():
        yield Finding("ok", ABOUT, f"{file} will be made")
    else:
        yield _check_tables(engine)
    engine.dispose()


def _check_tables(engine: Engine) -> Finding:
    from mendline.store.engine import told, transaction
    from mendline.store.schema import refuse_newer, version

    try:
        with transaction(engine) as connection:
            step = version(connection)
        refuse_newer(engine, step)
    except (NoStoreError, StoreError) as error:
        return Finding("wrong", ABOUT, str(error))
    return Finding("ok", ABOUT, f"{told(engine)} answers" + ("" if step else "; tables will be made"))
