"""What `mendline up` prints: what it watches, what to try, and each event that matters as it happens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.options import DEFAULT_CONFIG
from mendline.runtime.follower import Follower
from mendline.schemas.records import Fault, Hold, Intent, Outcome, Record, Verification
from mendline.words import clock, describe

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.schemas.settings import Settings

COLOURS = {"opened": "red", "resolved": "green", "orphaned": "yellow"}


def say_hello(settings: Settings, config: Path) -> None:
    """Print what is run here, and what to try; `config` is the file that the settings come from."""
    click.echo(f"Mendline is up on {settings.log}; Ctrl-C stops it.")
    for name, service in settings.services.items():
        rights = ", ".join(service.allow) or "nothing"
        click.echo(f"  watching {name}: probes: {len(service.probes)}, allowed: {rights}")
    if not settings.services:
        click.echo("  no services are configured; host metrics only (`mendline init` writes an example)")
    option = "" if str(config) == DEFAULT_CONFIG else f" -c {config}"
    click.echo(f"Try: kill -9 one of them, then `mendline faults --all{option}`.")


class LiveView(Follower):
    """Prints faults, actions and their effect."""

    def __init__(self, log: Log, journal: str) -> None:
        """Follow the `journal` topic."""
        super().__init__(log, journal, "live", self._print)

    def _print(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record, Fault) and record.transition != "affirmed":
                self._line(record, COLOURS.get(record.transition))
            elif isinstance(record, Intent | Hold | Outcome):
                self._line(record, "yellow")
            elif isinstance(record, Verification):
                self._line(record, "green" if record.mended else "red")

    def _line(self, record: Record, colour: str | None) -> None:
        click.secho(f"{clock(record.time)} {describe(record)}", fg=colour)
