"""What `mendline up` prints: what it watches, what to try, and each event that matters as it happens."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.options import as_typed, typed
from mendline.runtime.follower import Follower, Listener
from mendline.schemas.records import Fault, Hold, Intent, Outcome, Record, Verification
from mendline.words import clock, describe

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.schemas.settings import Settings

logger = logging.getLogger(__name__)

START_S = 10.0
LOOK_S = 0.05
COLOURS = {"opened": "red", "resolved": "green", "orphaned": "yellow"}


def say(text: str, colour: str | None = None) -> None:
    """Print a line. When nobody reads any more that is told once, and nothing else suffers."""
    try:
        click.secho(text, fg=colour)
    except UnicodeEncodeError:
        click.secho(text.encode("ascii", "replace").decode(), fg=colour)
    except OSError as error:
        logger.warning("nothing is printed any more, for nobody reads it (%s); all else goes on", error.strerror)
        # What is left in the buffer must not fail again at the end.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class Greeting:
    """Prints once what is run here, as soon as it runs, and what people ordered that stands; a `Runner`."""

    name = "greeting"

    def __init__(
        self,
        settings: Settings,
        config: Path,
        pid_of: Callable[[str], int | None],
        in_force: Callable[[], Iterable[str]],
        page: str = "",
    ) -> None:
        """Print of `settings`, which come from the file `config`; `pid_of` tells a service's process, if it runs.

        `in_force` tells, in words, the orders that stand, `page` where the page is.
        """
        self._settings = settings
        self._config = config
        self._pid_of = pid_of
        self._in_force = in_force
        self._page = page

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
        say(f"Mendline is up on {settings.log}; Ctrl-C stops it.")
        for name, service in settings.services.items():
            process = f" (process {pids[name]})" if pids.get(name) else ""
            rights = ", ".join(service.allow) or "nothing"
            say(f"  watching {name}{process}: probes: {len(service.probes)}, allowed: {rights}")
        if not settings.services:
            say("  no services are configured; host metrics only (`mendline init` writes an example)")
        if self._page:
            say(self._page)
        for order in self._in_force():
            say(as_typed(f"In force: {order}", self._config), "yellow")
        say(f"`{typed('faults --all', self._config)}` lists what was found and done.")


class LiveView(Follower):
    """Prints faults, actions and their effect."""

    def __init__(self, log: Log, journal: str, config: Path) -> None:
        """Follow the `journal` topic, where the file `config` is in use."""
        super().__init__(log, journal, "live", Listener(self._print))
        self._config = config

    def _print(self, record: Record) -> None:
        if isinstance(record, Fault) and record.transition != "affirmed":
            self._line(record, COLOURS.get(record.transition))
        elif isinstance(record, Intent | Hold | Outcome):
            self._line(record, "yellow")
        elif isinstance(record, Verification):
            self._line(record, "green" if record.mended else "red")

    def _line(self, record: Record, colour: str | None) -> None:
        say(as_typed(f"{clock(record.time)} {describe(record)}", self._config), colour)
