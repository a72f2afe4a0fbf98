"""A real PostgreSQL of a test's own, on a Unix socket. Use the fixture `postgres`, or `running_postgres` for more."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.missing import refuse

PROGRAMS = "usr/lib/postgresql/*/bin"
DATABASE = "stock"


class Postgres:
    """A server with the database `stock`, whose pages have check sums."""

    def __init__(self, programs: Path, folder: Path) -> None:
        """Run `programs` on the data in `folder`."""
        self._programs, self.folder = programs, folder
        self._user = "postgres" if os.geteuid() == 0 else None

    def vector(self, program: str, *arguments: str) -> Sequence[str]:
        """Return the argument vector of a client."""
        return (str(self._programs / program), "-h", str(self.folder), "-U", "mendline", *arguments)

    def query(self, text: str) -> str:
        """Return what the database answers, without headings."""
        done = subprocess.run(
            self.vector("psql", "-At", "-v", "ON_ERROR_STOP=1", "-c", text, DATABASE),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.strip()

    def create(self) -> None:
        """Make the server's data and the database."""
        if self._user:
            shutil.chown(self.folder, self._user)
        self._run("initdb", "-D", str(self.folder / "data"), "-A", "trust", "-U", "mendline", "--data-checksums", "-N")
        self.start()
        subprocess.run(self.vector("createdb", DATABASE), check=True, timeout=60)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off -c shared_buffers=16MB"
        self._run(
            "pg_ctl", "-D", str(self.folder / "data"), "-o", options, "-l", str(self.folder / "log"), "-w", "start"
        )

    def stop(self) -> None:
        """Stop the server."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "fast", "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        vector = (str(self._programs / program), *arguments)
        subprocess.run(vector, user=self._user, cwd=self.folder, stdout=subprocess.DEVNULL, check=True, timeout=120)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Yield a running server, in a folder that another user than root may enter; skip the test where there is none."""
    programs = sorted(Path("/").glob(PROGRAMS))
    if not programs:
        refuse("NOT TESTED ON POSTGRESQL: install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    folder.chmod(0o755)
    server = Postgres(programs[-1], folder)
    try:
        server.create()
        yield server
    finally:
        with suppress(subprocess.CalledProcessError):
            server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """Yield a running server."""
    with running_postgres() as server:
        yield server
