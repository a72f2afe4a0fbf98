"""`mendline up` as a child process in a folder of its own, with the service it runs."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import mendline
from mendline.config import load_settings, log_of
from mendline.demo.client import Client
from mendline.demo.config import CONFIG, GOOD, SERVICE, STOCK, config_text, free_port
from mendline.demo.journal import Journal
from mendline.demo.stock import make_stock
from mendline.responders.snapshots.store import Store
from mendline.topics import topic_settings

if TYPE_CHECKING:
    from mendline.logs.base import Log

STOP_S = 30.0
LAST_WORDS = 2000
OWN_LOG = "sqlite://log"


class DemoError(Exception):
    """Raised when the demonstration cannot go on; the message says why, with what `mendline up` said last."""


class Deployment:
    """A running `mendline up`, the client of its service and the reader of its journal."""

    def __init__(self, folder: Path, port: int, log: Log, client: Client, journal: Journal) -> None:
        """Start `mendline up` on the configuration in `folder`."""
        self.port = port
        self.folder = folder
        self.log = log
        self.client = client
        self.journal = journal
        self._said = folder / "mendline.out"
        with self._said.open("wb") as output:
            self._up = subprocess.Popen(
                [sys.executable, "-m", "mendline", "up", "-c", str(folder / "mendline.yaml")],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(Path(mendline.__file__).parents[1])},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the demonstration, which ends it in order
            )

    @property
    def config(self) -> Path:
        """Where the service's configuration lies."""
        return self.folder / CONFIG

    @property
    def stock(self) -> Path:
        """Where the service's data lie."""
        return self.folder / STOCK

    @property
    def store(self) -> Store:
        """Where the snapshots of its data lie."""
        return Store(self.folder / "state", SERVICE, STOCK)

    def check(self) -> None:
        """Raise DemoError when `mendline up` has ended."""
        if self._up.poll() is not None:
            msg = f"`mendline up` ended with status {self._up.returncode}; it said last:\n{self.last_words()}"
            raise DemoError(msg)

    def last_words(self) -> str:
        """Return the end of what `mendline up` printed."""
        return self._said.read_text(errors="replace")[-LAST_WORDS:].strip()

    def stop(self) -> None:
        """End `mendline up` and its service: asked first, then by force."""
        self._up.terminate()
        try:
            self._up.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._up.kill()
            self._up.wait()
        for pid in self.client.pids[-1:]:
            if _is_ours(pid, self.port):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _is_ours(pid: int, port: int) -> bool:
    """Say whether the process is still the demonstration's service and no other that got its number since."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(port).encode() in arguments


@contextmanager
def deployed(url: str | None, *, stock: bool = False) -> Iterator[Deployment]:
    """Run `mendline up` for the length of the block, on `url` or an embedded log of its own; nothing is left behind.

    `stock`: its service has data.

    Raises LogError, DemoError.
    """
    folder = Path(tempfile.mkdtemp(prefix="mendline-demo-"))
    try:
        port, prefix = free_port(), f"mendline-demo-{secrets.token_hex(4)}"
        file = folder / "mendline.yaml"
        file.write_text(config_text(url or OWN_LOG, prefix, port, stock=stock), encoding="utf-8")
        folder.joinpath(CONFIG).write_text(GOOD)
        if stock:
            make_stock(folder / STOCK)
        settings = load_settings(file)
        with log_of(settings) as log:
            log.ensure_topics(topic_settings(settings.topics))
            try:
                with _running(Deployment(folder, port, log, Client(port), Journal(log, settings))) as running:
                    yield running
            finally:
                _delete_topics(settings.log, [topic.name for topic in topic_settings(settings.topics)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(deployment: Deployment) -> Iterator[Deployment]:
    deployment.journal.start()
    deployment.client.start()
    try:
        yield deployment
    finally:
        deployment.stop()
        deployment.client.close()
        deployment.journal.close()


def _delete_topics(url: str, names: list[str]) -> None:
    """Delete the topics of this run where they are on a broker that others use too, if that is allowed."""
    if not url.startswith("kafka://"):
        return
    from mendline.demo.topics import delete_topics

    delete_topics(url, names)
