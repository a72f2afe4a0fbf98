"""A real Alertmanager, Debian's, on loopback."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.producers.servers import free_port
from tests.support.missing import refuse

PROGRAM = "prometheus-alertmanager"
READY_S = 60.0
CONFIG = """\
route: {receiver: nobody}
receivers: [{name: nobody}]
"""


class Alertmanager:
    """One that tells nobody, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        config = self._folder / "config.yml"
        config.write_text(CONFIG)
        command = [PROGRAM, f"--config.file={config}", f"--storage.path={self._folder / 'data'}"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + READY_S
        while True:
            try:
                self.alerts()
            except OSError:
                assert time.monotonic() < end, (self._folder / "log").read_text()
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End it."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def alerts(self) -> list[Any]:
        """Return the alerts that it has, in the order of their names; those that are over are not among them."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=5) as answer:  # noqa: S310 - of this file
            found: list[Any] = json.load(answer)
        return sorted(found, key=lambda one: str(sorted(one["labels"].items())))


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    """One for the module: use alerts of your own."""
    if not shutil.which(PROGRAM):
        refuse(f"NOT TESTED ON ALERTMANAGER: install {PROGRAM}")
    made = Alertmanager(tmp_path_factory.mktemp("alertmanager"))
    try:
        made.start()
        yield made
    finally:
        made.stop()
