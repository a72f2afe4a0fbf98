"""The demonstration's configuration: what `mendline demo --show-config` prints, and what is run."""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from mendline.config import parse_settings

if TYPE_CHECKING:
    from mendline.demo.scenario import Part
    from mendline.schemas.settings import Settings

PROGRAMS = Path(__file__).with_name("programs")
# Below the range from which the system takes ports for outgoing connections: a client that keeps knocking at a closed
# port of that range may in the end connect to itself.
FIRST_PORT, LAST_PORT = 20_000, 30_000
TRIALS = 100

HEAD = """\
name: demo
log: $log
state: state
topics: {prefix: $prefix}
web: {listen: null}          # no page: this is over soon

host:
  interval: 250ms             # so that a forecast has 16 points in 4 s
  collect: [cpu, memory]

guards: {cooldown: 0s, attempts: 1000, window: 1s}    # relaxed: here services are broken all the time, on purpose
reflex: {attempts: 0}         # everything goes the whole way through the log
"""


def config_text(log: str, prefix: str, parts: Sequence[Part], ports: Mapping[str, int], folder: Path) -> str:
    """Return the configuration file for `folder`, its topics named after `prefix`, with a port for each name."""
    programs = {f"{path.stem}_program": _quoted(str(path)) for path in PROGRAMS.glob("*.py")}
    known = {"log": _quoted(log), "prefix": prefix, "python": _quoted(sys.executable), **programs, **ports}
    for part in parts:
        known |= part.known(folder)
    sections = {
        "services": [part.settings for part in parts],
        "detectors": [part.detectors for part in parts],
        "policies": [part.policies for part in parts],
    }
    texts = [f"{name}:\n{''.join(found)}" for name, found in sections.items() if any(found)]
    return Template("\n".join([HEAD, *texts, *(part.more for part in parts if part.more)])).substitute(known)


def port_names(parts: Sequence[Part]) -> list[str]:
    """Return the names of the ports that the parts need."""
    return [name for part in parts for name in (*part.services, *part.receivers)]


def demo_settings(text: str) -> Settings:
    """Return the settings in the configuration `text`."""
    return parse_settings(text, "demo.yaml")


def free_ports(count: int) -> list[int]:
    """Return different ports on loopback that are free, drawn at random. Raises OSError when most are taken."""
    free = [port for port in random.sample(range(FIRST_PORT, LAST_PORT), TRIALS) if _is_free(port)]
    if len(free) < count:
        msg = f"of {TRIALS} ports tried on 127.0.0.1 between {FIRST_PORT} and {LAST_PORT} only {len(free)} are free"
        raise OSError(msg)
    return free[:count]


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return trial.connect_ex(("127.0.0.1", port)) != 0


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
