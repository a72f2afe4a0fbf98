"""Services that supervisord runs: which process is theirs, and whether it ended as it was asked to."""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING

from mendline.managers.supervisord import ABOUT_TO_RUN, MEANT, Program, Supervisord, SupervisordError
from mendline.producers.locators import Ending
from mendline.producers.threads import Aside

if TYPE_CHECKING:
    from mendline.producers.exits import Exit

ANSWER_S = 2.0
ASK_AGAIN_S = 1.0
SETTLE_S = 2.0
SETTLE_STEP_S = 0.02


class ProgramLocator:
    """The process of a program that supervisord runs."""

    slow = True

    def __init__(self, name: str, supervisord: Supervisord) -> None:
        """Look for the program `name`."""
        self._name = name
        self._supervisord = supervisord
        self._aside = Aside(self._ask, "supervisord", patience_s=0.1)
        self._known: Program | None = None
        self._next = 0.0

    def locate(self) -> int | None:
        """Return its process; asks at most once a second."""
        found = self._look()
        return found.pid if found else None

    def meant_absence(self) -> bool:
        """Say whether somebody stopped it."""
        found = self._look()
        return found is not None and found.state in MEANT

    def explain(self, pid: int, ended: Exit) -> Ending:
        """Take an end as meant when the program is being stopped, or is; supervisord may need a moment to notice."""
        deadline = monotonic() + SETTLE_S
        while (found := self._ask()) and found.pid == pid and monotonic() < deadline:
            sleep(SETTLE_STEP_S)
        if found is None:
            return Ending(ended)
        restarting = ", and restarts it itself" if found.state in ABOUT_TO_RUN else ""
        return Ending(ended, meant=found.state in MEANT, detail=f"supervisord says {found.state}{restarting}")

    def _look(self) -> Program | None:
        if monotonic() >= self._next:
            self._next = monotonic() + ASK_AGAIN_S
            self._known = self._aside.ask()
        return self._known

    def _ask(self) -> Program | None:
        try:
            return self._supervisord.program(self._name, ANSWER_S)
        except (SupervisordError, TimeoutError):
            return None
