"""The demonstration's configuration: what `mendline demo --show-config` prints, and what is run."""

from __future__ import annotations

import random
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.agent.services import cores
from mendline.config import parse_settings

if TYPE_CHECKING:
    from mendline.schemas.settings import Settings

SERVICE = "web"
PROGRAM = Path(__file__).with_name("service.py")
# Below the range from which the system takes ports for outgoing connections: a client that keeps knocking at a closed
# port of that range may in the end connect to itself.
FIRST_PORT, LAST_PORT = 20_000, 30_000
LEAK_LIMIT = 128 * 2**20
"""What the service must never take of memory, in bytes."""
BUSY = 0.5
"""So much of a core, for longer than any burst, is unusual for the service."""

TEMPLATE = """\
name: demo
log: {log}
state: state
topics: {{prefix: {prefix}}}
web: {{listen: null}}          # no page: this is over soon

host:
  interval: 250ms             # so that a forecast has 16 points in 4 s
  collect: [cpu, memory]

services:
  {service}:
    process:
      command: [{python}, -I, -S, {program}, "{port}"{stock}]
      grace: 100ms
      environment: {{CONFIG: {config}}}
    config: [{config}]
    rollback: {{good_after: 500ms}}    # impatient too
    probes:
      - name: health
        http: http://127.0.0.1:{port}/health
        every: 100ms
        timeout: 200ms
        fail_after: 1.2s        # impatient: made for a demonstration with stalls of 1 s; 3 s or more suit most services
        body: ^ok
    allow: [restart, rollback_config{also}]
{data}
detectors:
  - name: leak                # 4 s before the limit: a restart takes a tenth of one
    use: exhaustion
    match: {{metric: process.memory.usage, service: {service}}}
    window: 0
    parameters: {{limit: {limit}, horizon: 4, block: 1, blocks: 16}}
    severity: critical
    kind: leaking
  - name: burn                # longer than any of its bursts
    use: threshold
    match: {{metric: process.cpu.utilization, service: {service}}}
    window: 0
    open: {{above: {busy:g}, for: 2500ms}}    # of all cores: half of one
    severity: critical
    kind: burning

policies:
  - name: {service}-ill
    when: {{target: {service}, kind: [leaking, burning]}}
    mode: auto
    play:
      - {{action: restart, verify: 10s, attempts: 1000}}
{restores}  - name: {service}-config
    when: {{target: {service}, kind: [dead], cause: configuration}}
    mode: auto
    play:
      - {{action: rollback_config, verify: 10s, attempts: 1}}
      - {{action: restart, verify: 10s, attempts: 1000}}
  - name: {service}-down
    when: {{target: {service}, kind: [dead, hung, failing, stopped]}}
    mode: auto
    play:
      - {{action: restart, verify: 10s, attempts: 1000}}

guards: {{cooldown: 0s, attempts: 1000, window: 1s}}    # relaxed: here services are broken all the time, on purpose
reflex: {{attempts: 0}}         # everything goes the whole way through the log
"""

CONFIG = "web.conf"
GOOD = "answer = ok\n"
STOCK = "stock"
DATA = f"""\
    data:
      {STOCK}:                  # 100 MB that never change: what differs from the snapshot by its hash is corrupt
        path: {STOCK}
        immutable: true
        check_every: 100ms    # a look at time stamps; what they say was touched is read
        confirm: 1
"""
RESTORES = """\
  - name: {service}-data
    when: {{target: {service}, kind: [corrupt]}}
    mode: auto
    play:
      - {{action: restore_data, verify: 10s, attempts: 1000}}
"""


def config_text(log: str, prefix: str, port: int, *, stock: bool = False) -> str:
    """Return the configuration file: `prefix` is that of the topics, `port` the service's, which may have a `stock`."""
    python, program = (_quoted(str(one)) for one in (sys.executable, PROGRAM))
    places = {"log": _quoted(log), "prefix": prefix, "port": port, "python": python, "program": program}
    data = {"stock": "", "also": "", "data": "", "restores": ""}
    if stock:
        restores = RESTORES.format(service=SERVICE)
        data = {"stock": f", {STOCK}", "also": ", restore_data", "data": DATA, "restores": restores}
    return TEMPLATE.format(service=SERVICE, config=CONFIG, limit=LEAK_LIMIT, busy=BUSY / cores(), **places, **data)


def demo_settings(text: str) -> Settings:
    """Return the settings in the configuration `text`."""
    return parse_settings(text, "demo.yaml")


def free_port() -> int:
    """Return a port on loopback that nobody listens on, drawn at random. Raises OSError when a hundred are taken."""
    for port in random.sample(range(FIRST_PORT, LAST_PORT), 100):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if trial.connect_ex(("127.0.0.1", port)) != 0:
                return port
    msg = f"none of 100 ports tried on 127.0.0.1 between {FIRST_PORT} and {LAST_PORT} is free"
    raise OSError(msg)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
