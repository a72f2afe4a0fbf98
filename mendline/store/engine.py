"""The database behind a store's address: how it is reached, and which of its errors pass.

`sqlite://FILE`: one machine. Readers see what was committed while the store writes (WAL). A power cut may cost it the
last transactions, whole, which are read from the log again.
`postgresql://USER@HOST/DATABASE`: many machines; it needs the package psycopg, which the extra `postgresql` brings.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from mendline.schemas.secrets import SecretError, is_reference, read_secret
from mendline.store.errors import NoStoreError, StoreAwayError, StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

BUSY_S = 10.0
"""How long a writer of SQLite waits for another one."""
POSTGRESQL_OPTIONS = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "options": "-c lock_timeout=30s",
}
"""So that a network that lets nothing through, or a lock of somebody else, is found out within half a minute."""
SQLITE = "sqlite://"
POSTGRESQL = ("postgresql://", "postgres://")
_live: WeakKeyDictionary[Engine, Any] = WeakKeyDictionary()
"""The driver's connection that each database is at work through."""
PRAGMAS = ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -65536", "temp_store = MEMORY")


def open_engine(address: str, *, reading: bool = False) -> Engine:
    """Return the database behind a store's address, or behind where that stands; nothing is connected yet.

    `reading`: transactions of SQLite do not keep others from writing. Raises NoStoreError without the packages,
    StoreError for an address that is none, or cannot be read.
    """
    url = _address(address)
    try:
        import sqlalchemy as sa
    except ImportError:
        msg = "the store needs SQLAlchemy and Alembic: pip install 'mendline[store]'"
        raise NoStoreError(msg) from None
    if url.startswith(SQLITE):
        engine = sa.create_engine(sa.URL.create("sqlite", database=url.removeprefix(SQLITE)))
        _prepare_sqlite(engine, "BEGIN" if reading else "BEGIN IMMEDIATE")
        return engine
    return _postgresql(url)


def _address(text: str) -> str:
    try:
        return read_secret(text) if is_reference(text) else text
    except SecretError as error:
        msg = f"store.url: {error}"
        raise StoreError(msg) from None


def _postgresql(url: str) -> Engine:
    import sqlalchemy as sa
    from sqlalchemy.exc import ArgumentError

    wrong = StoreError("store.url: is no address of a store; write sqlite://FILE or postgresql://USER@HOST/DATABASE")
    if not url.startswith(POSTGRESQL):
        raise wrong
    try:
        parsed = sa.make_url(url).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        raise wrong from None
    try:
        return sa.create_engine(parsed, connect_args=dict(POSTGRESQL_OPTIONS))
    except ImportError:
        msg = "a store on PostgreSQL needs psycopg: pip install 'mendline[postgresql]'"
        raise NoStoreError(msg) from None


def _prepare_sqlite(engine: Engine, begin: str) -> None:
    """Let each connection work as a store needs it, and transactions begin as `begin` says, not when Python means."""
    import sqlalchemy as sa

    @sa.event.listens_for(engine, "do_connect")
    def make_file(_: Any, __: Any, arguments: Any, more: Any) -> None:
        file = Path(arguments[0])
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():  # the log is nobody else's to read either
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        more["timeout"] = BUSY_S

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def open_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def told(engine: Engine) -> str:
    """Return the database's address as people may read it: without a password."""
    url = engine.url
    if url.drivername == "sqlite":
        return f"{SQLITE}{url.database}"
    return url.set(drivername="postgresql").render_as_string(hide_password=True)


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction, committed at the end.

    Raises StoreAwayError when the database is away, full or taken by another, StoreError for all else that it says.
    """
    from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, SQLAlchemyError

    try:
        with engine.begin() as connection:
            _live[engine] = connection.connection.driver_connection
            yield connection
    except (OperationalError, InterfaceError, InternalError) as error:
        engine.dispose()
        msg = f"{told(engine)}: {_reason(error)}"
        raise StoreAwayError(msg) from error
    except OSError as error:
        msg = f"{told(engine)}: {error.strerror or error}"
        raise StoreAwayError(msg) from error
    except SQLAlchemyError as error:
        msg = f"{told(engine)}: {_reason(error)}"
        raise StoreError(msg) from error
    finally:
        _live.pop(engine, None)


def interrupt(engine: Engine) -> None:
    """Break off a transaction that waits for a server of PostgreSQL, from another thread: it then says it is away."""
    driven = _live.get(engine)
    if engine.dialect.name == "postgresql" and driven is not None and not driven.closed:
        with suppress(OSError), socket.socket(fileno=os.dup(driven.fileno())) as shared:
            shared.shutdown(socket.SHUT_RDWR)


def _reason(error: Exception) -> str:
    """Return what the driver says, on one line, without the statement and its values."""
    said = getattr(error, "orig", None) or error
    return " ".join(str(said).split()) or type(said).__name__
