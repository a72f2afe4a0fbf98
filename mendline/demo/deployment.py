"""`mendline up` as a child process in a folder of its own, with the services it runs."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import mendline
from mendline.config import load_settings, log_of
from mendline.demo.client import Client
from mendline.demo.config import config_text, free_ports, port_names
from mendline.demo.journal import Journal
from mendline.topics import topic_settings

if TYPE_CHECKING:
    from mendline.demo.scenario import Part
    from mendline.logs.base import Log

START_S = 60.0
STOP_S = 30.0
LOOK_S = 0.05
LAST_WORDS = 2000
FILE = "mendline.yaml"
OWN_LOG = "sqlite://log"


class DemoError(Exception):
    """Raised when the demonstration cannot go on; the message says why, with what `mendline up` said last."""


class Deployment:
    """A running `mendline up`, the ports of its services and the reader of its journal."""

    def __init__(self, folder: Path, ports: Mapping[str, int], log: Log, journal: Journal) -> None:
        """Start `mendline up` on the configuration in `folder`."""
        self.ports = ports
        self.folder = folder
        self.log = log
        self.journal = journal
        self._said = folder / "mendline.out"
        self._clients: list[Client] = []
        with self._said.open("wb") as output:
            self._up = subprocess.Popen(
                [sys.executable, "-m", "mendline", "up", "-c", str(folder / FILE)],
                cwd=folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the demonstration, which ends it in order
            )

    def order(self, *arguments: str) -> None:
        """Call another `mendline` on the same configuration, as a person would. Raises DemoError."""
        done = subprocess.run(
            [sys.executable, "-m", "mendline", *arguments, "-c", str(self.folder / FILE)],
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            msg = f"`mendline {' '.join(arguments)}` ended with status {done.returncode}: {done.stderr.strip()}"
            raise DemoError(msg)

    @contextmanager
    def client(self, service: str, every_s: float) -> Iterator[Client]:
        """Ask a service every `every_s` seconds while the block lasts."""
        client = Client(self.ports[service], every_s)
        self._clients.append(client)
        client.start()
        try:
            yield client
        finally:
            client.close()

    def wait(self, question: Callable[[], bool], failing: str) -> None:
        """Wait until `question` is true, for a minute. Raises DemoError, with `failing` in its message."""
        deadline = time.monotonic() + START_S
        while not question():
            self.check()
            if time.monotonic() > deadline:
                msg = f"{failing} within {START_S:g} s; `mendline up` said last:\n{self.last_words()}"
                raise DemoError(msg)
            time.sleep(LOOK_S)

    def check(self) -> None:
        """Raise DemoError when `mendline up` has ended."""
        if self._up.poll() is not None:
            msg = f"`mendline up` ended with status {self._up.returncode}; it said last:\n{self.last_words()}"
            raise DemoError(msg)

    def last_words(self) -> str:
        """Return the end of what `mendline up` printed."""
        return self._said.read_text(errors="replace")[-LAST_WORDS:].strip()

    def stop(self) -> None:
        """End `mendline up` and its services: asked first, then by force."""
        self._up.terminate()
        try:
            self._up.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._up.kill()
            self._up.wait()
        for client in self._clients:
            for pid in client.pids[-1:]:
                if _is_ours(pid, client.port):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(mendline.__file__).parents[1])}


def _is_ours(pid: int, port: int) -> bool:
    """Say whether the process is still the demonstration's own service and no other that got its number since."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(port).encode() in arguments


@contextmanager
def deployed(url: str | None, parts: Sequence[Part]) -> Iterator[Deployment]:
    """Run `mendline up` with the parts for the length of the block, on `url` or an embedded log of its own.

    Nothing is left behind. Raises LogError, DemoError.
    """
    folder = Path(tempfile.mkdtemp(prefix="mendline-demo-"))
    try:
        names = port_names(parts)
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        text = config_text(url or OWN_LOG, f"mendline-demo-{secrets.token_hex(4)}", parts, ports, folder)
        (folder / FILE).write_text(text, encoding="utf-8")
        with ExitStack() as beside:
            for part in parts:
                part.prepare(folder)
                beside.enter_context(part.beside(folder, ports))
            yield beside.enter_context(_running(folder, ports))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(folder: Path, ports: Mapping[str, int]) -> Iterator[Deployment]:
    settings = load_settings(folder / FILE)
    topics = topic_settings(settings.topics)
    with log_of(settings) as log:
        log.ensure_topics(topics)
        journal = Journal(log, settings)
        journal.start()
        deployment = Deployment(folder, ports, log, journal)
        try:
            yield deployment
        finally:
            deployment.stop()
            journal.close()
            _delete_topics(settings.log, [topic.name for topic in topics])


def _delete_topics(url: str, names: list[str]) -> None:
    """Delete the topics of this run where they are on a broker that others use too, if that is allowed."""
    if not url.startswith("kafka://"):
        return
    from mendline.demo.topics import delete_topics

    delete_topics(url, names)
