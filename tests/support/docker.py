"""A real Docker Engine in a folder of its own, without networks, and one image made of busybox.

Use the fixture `docker`; import it in the `conftest.py` of the folder that needs it.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import pytest

from mendline.managers.docker import Docker
from mendline.managers.unix_http import UnixConnection
from tests.support.missing import refuse

PACKAGES = "docker.io and busybox-static, and run the tests as root"
FORBIDDEN = ("operation not permitted", "permission denied", "read-only file system")
IMAGE = "busy:1"
NO_NETWORK = ("--iptables=false", "--ip6tables=false", "--bridge=none")
READY_WITHIN_S = 60.0
END_WITHIN_S = 30.0


class ForbiddenError(Exception):
    """Raised when the kernel does not let Docker run here; the message says what it refused."""


class Engine:
    """A running dockerd. `url` is its socket, `client` what talks to it."""

    def __init__(self, folder: Path) -> None:
        """Keep all that is Docker's in `folder`, whose path must be short enough for a socket's."""
        self.folder = folder
        self.url = f"unix://{folder}/s"
        self.client = Docker(self.url)
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, make the image, and run a container. Raises ForbiddenError when the kernel does not allow it."""
        places = ("--data-root", f"{self.folder}/d", "--exec-root", f"{self.folder}/e", "--pidfile", f"{self.folder}/p")
        vector = ["dockerd", *places, "--host", self.url, "--storage-driver=vfs", *NO_NETWORK]
        with (self.folder / "log").open("wb") as log:
            self._daemon = subprocess.Popen(vector, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._answers():
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                raise _problem((self.folder / "log").read_text())
            time.sleep(0.05)
        try:
            self.call("POST", "/images/create", _image(), fromSrc="-", repo="busy", tag="1")
            self.run("first", "true")
        except AssertionError as error:
            raise _problem(str(error)) from error
        self.remove("first")

    def stop(self) -> None:
        """End the daemon, its containerd and all containers, and leave nothing behind."""
        if self._daemon is None:
            return
        if self._daemon.poll() is None and self._answers():
            for one in json.loads(self.call("GET", "/containers/json", all="true")):
                self.remove(one["Id"])
        below = psutil.Process(self._daemon.pid).children(recursive=True) if self._daemon.poll() is None else []
        self._daemon.terminate()
        self._daemon.wait(END_WITHIN_S)
        for left in psutil.wait_procs(below, END_WITHIN_S)[1]:
            left.kill()
        for mount in [one.mountpoint for one in psutil.disk_partitions(all=True)][::-1]:
            if mount.startswith(f"{self.folder}/"):
                subprocess.run(["umount", mount], check=False)

    def run(self, name: str, *command: str, check: str = "", healer: str = "no", **host: object) -> int:
        """Create a container of the image, start it, and return its main process, 0 if that has ended already."""
        health = {"Healthcheck": {"Test": ["CMD-SHELL", check], "Interval": 10**8, "Retries": 2}} if check else {}
        policy = {"NetworkMode": "host", "RestartPolicy": {"Name": healer}}
        body = {"Image": IMAGE, "Cmd": command, "HostConfig": policy | host} | health
        self.call("POST", "/containers/create", json.dumps(body).encode(), name=name)
        self.call("POST", f"/containers/{name}/start")
        return self.pid(name)

    def pid(self, name: str) -> int:
        """Return the main process of a container, 0 without one."""
        return self.client.container(name, END_WITHIN_S).pid or 0

    def remove(self, name: str) -> None:
        """Remove a container, whether it runs or not."""
        with suppress(AssertionError):
            self.call("DELETE", f"/containers/{name}", force="true")

    def call(self, method: str, path: str, body: bytes = b"", **query: object) -> Any:
        """Return what the API answers; fails when it refuses."""
        kind = "application/x-tar" if path == "/images/create" else "application/json"
        with closing(UnixConnection(f"{self.folder}/s", END_WITHIN_S)) as connection:
            connection.request(
                method, f"{path}?{urlencode(query)}" if query else path, body or None, {"Content-Type": kind}
            )
            answer = connection.getresponse()
            text = answer.read().decode()
        assert answer.status < http.client.BAD_REQUEST, text
        return text

    def _answers(self) -> bool:
        try:
            return bool(self.call("GET", "/_ping"))
        except (OSError, http.client.HTTPException):
            return False


def _problem(said: str) -> Exception:
    if any(words in said.lower() for words in FORBIDDEN):
        return ForbiddenError(said[-500:])
    return RuntimeError(f"Docker does not come up: {said[-2000:]}")


def _image() -> bytes:
    """Return the root of an image with busybox under some of its names, as a tar file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(shutil.which("busybox") or "", "bin/busybox")
        for name in ("sh", "sleep", "true", "cat", "httpd"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return packed.getvalue()


@pytest.fixture(scope="session")
def docker() -> Iterator[Engine]:
    """One engine for the session: use containers of your own.

    Where its packages are missing the tests are skipped, with CI=true they fail. Where the kernel does not let it run,
    as in a container without rights, they are skipped everywhere.
    """
    missing = [name for name in ("dockerd", "busybox") if not shutil.which(name)]
    if os.geteuid() != 0 or missing:
        refuse(f"NOT TESTED ON DOCKER: install {PACKAGES}")
    folder = Path(tempfile.mkdtemp(prefix="docker-", dir="/tmp"))
    engine = Engine(folder)
    try:
        engine.start()
        yield engine
    except ForbiddenError as error:
        pytest.skip(f"NOT TESTED ON DOCKER: the kernel does not let it run here: {error}")
    finally:
        engine.stop()
        shutil.rmtree(folder)
