"""Services that supervisord runs: which process is theirs, and whether it ended as it was asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mendline.managers.supervisord import ABOUT_TO_RUN, MEANT, Program, Supervisord, SupervisordError
from mendline.producers.asked import ANSWER_S, Asked
from mendline.producers.locators import Ending

if TYPE_CHECKING:
    from mendline.producers.exits import Exit


class ProgramLocator:
    """The process of a program that supervisord runs."""

    slow = True

    def __init__(self, name: str, supervisord: Supervisord) -> None:
        """Look for the program `name`."""
        self._name = name
        self._supervisord = supervisord
        self._asked = Asked(self._ask, "supervisord")

    def locate(self) -> int | None:
        """Return its process; asks at most once a second."""
        found = self._asked.known()
        return found.pid if found else None

    def meant_absence(self) -> bool:
        """Say whether somebody stopped it."""
        found = self._asked.known()
        return found is not None and found.state in MEANT

    def explain(self, pid: int, ended: Exit) -> Ending:
        """Take an end as meant when the program is being stopped, or is; supervisord may need a moment to notice."""
        found = self._asked.settled(lambda program: program.pid == pid)
        if found is None:
            return Ending(ended)
        restarting = ", and restarts it itself" if found.state in ABOUT_TO_RUN else ""
        return Ending(ended, meant=found.state in MEANT, detail=f"supervisord says {found.state}{restarting}")

    def _ask(self) -> Program | None:
        try:
            return self._supervisord.program(self._name, ANSWER_S)
        except (SupervisordError, TimeoutError):
            return None
