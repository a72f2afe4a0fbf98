"""A first configuration."""

from __future__ import annotations

from pathlib import Path

import click

TEMPLATE = """\
# Mendline on {host}. Every key, with its default and reason: docs/configuration.md
# Check it: mendline check     Run it: mendline up

log: sqlite://.mendline/log       # the embedded log, for one machine; on many: kafka://broker-1:9092,broker-2:9092
state: .mendline/state            # what belongs to this host: epoch, ledger, keys, output of services

host:
  interval: 1s                    # time between two collection rounds

services: {{}}
#  web:
#    process:
#      command: [python3, app.py]   # run by Mendline; or unit: web.service, pidfile: /run/web.pid, match: "regex"
#      cwd: .
#    probes:
#      - {{http: "http://127.0.0.1:8080/health", every: 1s, timeout: 1s, fail_after: 5s}}
#    allow: [restart]               # what may be done here at all; this host's word is the last

detectors:
  - name: unusual                 # what a series never did before: `auto` looks at each in nine ways
    use: auto
  - name: disk-full
    use: threshold
    match: {{metric: system.filesystem.utilization}}
    open: {{above: 0.95, for: 1m}}
    clear: {{below: 0.9, for: 1m}}
    severity: critical
  - name: disk-filling            # opens when it will be full within 4 h if it goes on like this
    use: exhaustion
    match: {{metric: system.filesystem.utilization}}

policies: []
#  - name: web-down
#    when: {{target: web, kind: [dead, hung, failing]}}
#    mode: shadow                   # shadow: only say what would be done; ask: wait for a person; auto: act
#    play:
#      - {{action: restart, verify: 10s, attempts: 3}}
"""


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("mendline.yaml"))
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
def init(file: Path, *, force: bool) -> None:
    """Write a commented configuration for this host to FILE.

    Example: mendline init mendline.yaml
    """
    import socket

    try:
        with file.open("w" if force else "x", encoding="utf-8") as target:
            target.write(TEMPLATE.format(host=socket.gethostname()))
    except FileExistsError:
        msg = f"{file} is there already; --force overwrites it"
        raise click.UsageError(msg) from None
    click.echo(f"Wrote {file}. Add your services to it, then: mendline check {file}")
