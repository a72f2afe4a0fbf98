"""Hosts of their own, made of network namespaces: each has an agent, a door that peers knock at, and one cable.

The log is a file, so records come from a host whose cable is cut: the agent lives, and nobody can reach its host. All
of it needs root, and is gone after the `with` block.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self

import yaml

from mendline.config import log_of
from mendline.schemas.settings import Settings
from mendline.topics import topic_settings

DOOR = 22
LISTEN = f"""import socket
with socket.create_server(("", {DOOR})) as door:
    while True:
        door.accept()[0].close()
"""
_NUMBERS = count()


def impossible() -> str:
    """Return why no hosts can be made here, nothing if they can."""
    if sys.platform != "linux" or os.geteuid():
        return "only root makes network namespaces"
    tried = f"mendline-{os.getpid()}-try"
    if not shutil.which("ip") or subprocess.run(["ip", "netns", "add", tried], check=False).returncode:
        return "there are no network namespaces here"
    subprocess.run(["ip", "netns", "del", tried], check=True)
    return ""


def ip(*arguments: str) -> None:
    """Run `ip`; raises CalledProcessError."""
    subprocess.run(["ip", *arguments], check=True)


@dataclass
class Host:
    """A namespace with an address, and the processes in it."""

    name: str
    space: str
    port: str
    hub: str
    address: str
    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def connect(self) -> None:
        """Plug the cable in at the hub."""
        ip("netns", "add", self.space)
        ip("link", "add", self.port, "netns", self.hub, "type", "veth", "peer", "name", "eth0", "netns", self.space)
        ip("-n", self.hub, "link", "set", self.port, "master", "bridge", "up")
        ip("-n", self.space, "addr", "add", f"{self.address}/16", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", self.space, "link", "set", device, "up")

    def start(self, what: str, *command: str) -> None:
        """Start a process there."""
        with (self.folder / f"{self.name}.{what}").open("ab") as output:
            inside = ["ip", "netns", "exec", self.space, sys.executable, *command]
            self.running[what] = subprocess.Popen(inside, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def send(self, what: str, number: signal.Signals) -> None:
        """Send a signal to a process there (`ip` has become it)."""
        self.running[what].send_signal(number)

    def cut(self) -> None:
        """Pull the cable out at the hub."""
        ip("-n", self.hub, "link", "set", self.port, "down")

    def close(self) -> None:
        """Kill all there, and the namespace."""
        for process in self.running.values():
            process.kill()
            process.wait()
        ip("netns", "del", self.space)


class Network:
    """Hosts in a ring, each with the next two as peers; of three in a row at most one may fall ill, then two see it."""

    def __init__(self, folder: Path, size: int, **settings: Any) -> None:
        """Make the hosts and start door and agent of each; `settings` are added to those of the agents."""
        self.folder = folder
        self.log = f"sqlite://{folder}/log"
        self._open = ExitStack()
        self._hub = f"mendline-{os.getpid()}-{next(_NUMBERS)}"
        names = [f"host-{number}" for number in range(size)]
        self.settings = Settings.model_validate({"log": self.log, **settings})
        with log_of(self.settings) as log:
            log.ensure_topics(topic_settings(self.settings.topics))
        try:
            ip("netns", "add", self._hub)
            self._open.callback(ip, "netns", "del", self._hub)
            ip("-n", self._hub, "link", "add", "bridge", "type", "bridge")
            ip("-n", self._hub, "link", "set", "bridge", "up")
            self.hosts = {name: self._host(name, number) for number, name in enumerate(names)}
            for number, name in enumerate(names):
                peers = [names[(number + step) % size] for step in (1, 2)]
                self._start(self.hosts[name], peers, settings)
        except BaseException:
            self._open.close()
            raise

    def _host(self, name: str, number: int) -> Host:
        address = f"10.77.{number // 250}.{number % 250 + 1}"
        host = Host(name, f"{self._hub}-{name}", f"p{number}", self._hub, address, self.folder)
        self._open.callback(host.close)
        host.connect()
        return host

    def _start(self, host: Host, peers: Sequence[str], settings: Mapping[str, Any]) -> None:
        doors = {name: f"{self.hosts[name].address}:{DOOR}" for name in peers}
        about = {
            "name": host.name, "log": self.log, "state": str(self.folder / host.name),
            "host": {"interval": 250, "collect": ["load"], "peers": doors},
        }  # fmt: skip
        config = self.folder / f"{host.name}.yaml"
        config.write_text(yaml.safe_dump({**about, **settings}))
        host.start("door", "-I", "-S", "-c", LISTEN)
        host.start("agent", "-m", "mendline", "agent", "-c", str(config))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all of it."""
        self._open.close()
