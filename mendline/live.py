"""What `mendline up` prints: what it watches, what to try, and each event that matters as it happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
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

START_S = 10.0
LOOK_S = 0.05
COLOURS = {"opened": "red", "resolved": "green", "orphaned": "yellow"}


class Greeting:
    """Prints once what is run here, as soon as it runs, and what people ordered that stands; a `Runner`."""

    name = "greeting"

    def __init__(
        self,
        settings: Settings,
        config: Path,
        pid_of: Callable[[str], int | None],
        in_force: Callable[[], Iterable[str]],
    ) -> None:
        """Print of `settings`, which come from the file `config`; `pid_of` tells a service's process, if it runs.

        `in_force` tells, in words, the orders that stand.
        """
        self._settings = settings
        self._config = config
        self._pid_of = pid_of
        self._in_force = in_force

    def run(self, stop: threading.Event) -> None:
        """Wait for the processes, some seconds at most; print; wait for the end."""
        ours = [name for name, one in self._settings.services.items() if one.process and one.process.command]
        pids: dict[str, int | None] = {}
        for _ in range(round(START_S / LOOK_S)):
            pids = {name: self._pid_of(name) for name in ours}
            if all(pids.values()) or stop.wait(LOOK_S):
                break
        if not stop.is_set():
            self._say(pids)
        stop.wait()

    def wake(self) -> None:
        """Do nothing: whoever sets `stop` has woken it."""

    def _say(self, pids: Mapping[str, int | None]) -> None:
        settings = self._settings
        click.echo(f"Mendline is up on {settings.log}; Ctrl-C stops it.")
        for name, service in settings.services.items():
            process = f" (process {pids[name]})" if pids.get(name) else ""
            rights = ", ".join(service.allow) or "nothing"
            click.echo(f"  watching {name}{process}: probes: {len(service.probes)}, allowed: {rights}")
        if not settings.services:
            click.echo("  no services are configured; host metrics only (`mendline init` writes an example)")
        for order in self._in_force():
            click.secho(f"In force: {order}", fg="yellow")
        option = "" if str(self._config) == DEFAULT_CONFIG else f" -c {self._config}"
        click.echo(f"`mendline faults --all{option}` lists what was found and done.")


class LiveView(Follower):
    """Prints faults, actions and their effect."""

    def __init__(self, log: Log, journal: str) -> None:
        """Follow the `journal` topic."""
        super().__init__(log, journal, "live", self._print)

    def _print(self, record: Record) -> bool:
        if isinstance(record, Fault) and record.transition != "affirmed":
            self._line(record, COLOURS.get(record.transition))
        elif isinstance(record, Intent | Hold | Outcome):
            self._line(record, "yellow")
        elif isinstance(record, Verification):
            self._line(record, "green" if record.mended else "red")
        return True

    def _line(self, record: Record, colour: str | None) -> None:
        click.secho(f"{clock(record.time)} {describe(record)}", fg=colour)
