"""The loop of the live overview: show what stands, wait for a key or for news, answer."""

from __future__ import annotations

import getpass
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from mendline.cli.journal import incident_lines
from mendline.logs.base import LogError
from mendline.logs.clock import wall_clock
from mendline.orders import append_order
from mendline.responders.incidents import incidents
from mendline.responders.signing import KeyFileError
from mendline.subjects import doubt_about_answer
from mendline.top.desk import Answer, Desk
from mendline.top.drawing import draw
from mendline.top.keys import read_key, single_keys
from mendline.top.scene import Row, Scene, scene
from mendline.top.sparks import evidence_lines

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.responders.incidents import Incident
    from mendline.responders.journal import Journal
    from mendline.schemas.settings import Settings
    from mendline.watching import Watch

LOOK_S = 0.2
RENEW_S = 1.0


class Top:
    """The live overview of a log; `watch` keeps up to date what it shows."""

    def __init__(self, log: Log, settings: Settings, watch: Watch, console: Console) -> None:
        """Show it on `console`."""
        self._log = log
        self._settings = settings
        self._watch = watch
        self._console = console
        self._desk = Desk()
        self._scene = Scene([("reading the journal", "bold")], [])
        self._renewed = 0.0
        self._measured: tuple[str, Sequence[str]] = ("", ())

    def run(self, terminal: int) -> None:
        """Show and answer until a person wants to leave; `terminal` (a file descriptor) is where keys come from.

        Raises EOFError when the terminal is gone.
        """
        with (
            single_keys(terminal),
            Live(console=self._console, screen=True, auto_refresh=False, vertical_overflow="crop") as live,
        ):
            while True:
                self._renew()
                width, height = self._console.size
                live.update(draw(self._scene, self._desk, self._more(), width, height), refresh=True)
                key = read_key(terminal, LOOK_S)
                wish = self._desk.press(key, self._scene) if key else None
                if wish == "quit":
                    return
                if wish:
                    self._answer(wish)

    def _renew(self) -> None:
        """Take in what is new; at least once a second, for what is shown grows old."""
        news = self._watch.changed.is_set()
        if self._desk.asked or not (news or time.monotonic() - self._renewed >= RENEW_S):
            return  # what a person is about to say yes to stays as they see it
        self._watch.changed.clear()
        self._renewed = time.monotonic()
        self._scene = self._seen()

    def _seen(self) -> Scene:
        with self._watch.journal.read() as journal:
            if journal.offset < 0 and self._watch.journal.trouble:
                return Scene([(self._watch.journal.trouble, "bold yellow")], [], known=False)
            return scene(journal, self._watch.journal.trouble, wall_clock())

    def _more(self) -> Sequence[str]:
        """Return all that is told about the selected row, if it is opened; what was measured is read once."""
        row = self._desk.row(self._scene) if self._desk.more else None
        if row is None:
            self._measured = ("", ())
            return ()
        with self._watch.journal.read() as journal:
            incident = _incident_of(journal, row)
            told = list(incident_lines(journal, incident, everything=True)) if incident else [row.text]
            lead = incident.lead.latest if incident else None
        if lead and self._measured[0] != row.key:
            self._measured = row.key, evidence_lines(self._log, lead, wall_clock(), self._console.width)
        return [*told, *self._measured[1]]

    def _answer(self, answer: Answer) -> None:
        """Give the answer, unless what it is about is not asked any more."""
        with self._watch.journal.read() as journal:
            asked = any(row.subject == answer.subject for row in scene(journal, "", wall_clock()).rows)
            doubt = doubt_about_answer(journal, answer.subject) if asked else ""
        if not asked:
            self._desk.message = "it is not asked any more: nothing was answered"
            return
        try:
            order = append_order(self._log, self._settings, answer.kind, answer.subject, by=getpass.getuser())
        except (LogError, KeyFileError) as error:
            self._desk.message = f"nothing was answered: {error}"
        else:
            self._desk.message = f"recorded, but {doubt}" if doubt else f"recorded: {order}"


def _incident_of(journal: Journal, row: Row) -> Incident | None:
    """Return the incident that a row is about, or a fault of which it is about."""
    for incident in incidents(journal):
        if row.incident in (incident.id, *(fault.id for fault in incident.faults)):
            return incident
    return None
