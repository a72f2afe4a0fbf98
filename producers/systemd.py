"""Services that systemd runs: which process is theirs, and whether it ended as it was asked to.

One call of `systemctl show` for all units (8 ms of CPU), only while a unit has no known process or one has just died.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import NamedTuple

from mendline.producers.exits import Exit
from mendline.producers.locators import Ending
from mendline.producers.threads import Aside

logger = logging.getLogger(__name__)

_PROPERTIES = "Id,LoadState,ActiveState,SubState,Result,MainPID,ExecMainPID,ExecMainCode,ExecMainStatus"
_ANSWER_S = 5.0
_ASK_AGAIN_S = 1.0
_SETTLE_S = 2.0
_SETTLE_STEP_S = 0.02

Show = Callable[[Sequence[str]], str]


class Unit(NamedTuple):
    """What systemd says of a unit. `code` is 1 for exited, 2 killed, 3 dumped, as in `waitid`."""

    loaded: bool
    active: str
    sub: str
    result: str
    main_pid: int
    last_pid: int
    code: int
    status: int

    @property
    def ended(self) -> Exit:
        """How the last main process ended, as far as systemd knows."""
        if self.code == os.CLD_EXITED:
            return Exit(code=self.status)
        if self.code in {os.CLD_KILLED, os.CLD_DUMPED}:
            return Exit(signal=signal.Signals(self.status).name)
        return Exit()


NOT_THERE = Unit(loaded=False, active="unknown", sub="", result="", main_pid=0, last_pid=0, code=0, status=0)


def ask_systemctl(names: Sequence[str]) -> str:
    """Return what `systemctl show` prints for the units.

    Raises OSError when there is no systemctl, subprocess.SubprocessError when it does not answer.
    """
    command = ["systemctl", "show", "--no-pager", f"--property={_PROPERTIES}", "--", *names]
    done = subprocess.run(command, capture_output=True, check=True, timeout=_ANSWER_S)
    return done.stdout.decode(errors="replace")


class Systemd:
    """The units of this host's services. Used from several threads."""

    def __init__(self, names: Iterable[str], show: Show = ask_systemctl) -> None:
        """Ask about these units, all at once, by `show`."""
        self._names = tuple(dict.fromkeys(names))
        self._show = show
        self._aside = Aside(self._ask, "systemctl", patience_s=0.1)
        self._known: Mapping[str, Unit] = {}
        self._next = 0.0
        self._complained = False

    def unit(self, name: str) -> Unit:
        """Return what is known of a unit; asks at most once a second, and never blocks for long."""
        if monotonic() >= self._next:
            self._next = monotonic() + _ASK_AGAIN_S
            self._known = self._aside.ask() or self._known
        return self._known.get(name, NOT_THERE)

    def settled(self, name: str, dead: int) -> Unit:
        """Return the unit as it is once systemd has noticed that process `dead` is dead; blocks up to 2 s."""
        until = monotonic() + _SETTLE_S
        pause = threading.Event()
        while True:
            self._known = self._ask()
            self._next = monotonic() + _ASK_AGAIN_S
            unit = self._known.get(name, NOT_THERE)
            noticed = unit.main_pid != dead and not (unit.last_pid == dead and not unit.code)
            if noticed or not unit.loaded or monotonic() >= until:
                return unit
            pause.wait(_SETTLE_STEP_S)

    def _ask(self) -> Mapping[str, Unit]:
        try:
            text = self._show(self._names)
        except (OSError, subprocess.SubprocessError) as error:
            if not self._complained:
                self._complained = True
                logger.warning("systemd does not tell about %s: %s", ", ".join(self._names), error)
            return {}
        blocks = (dict(line.partition("=")[::2] for line in block.splitlines()) for block in text.split("\n\n"))
        # Answers come in the order of the names; the Id differs from the name for an alias or a name without suffix.
        return {name: _unit(block) for name, block in zip(self._names, blocks, strict=False)}


class UnitLocator:
    """The main process of a systemd unit."""

    slow = True

    def __init__(self, name: str, systemd: Systemd) -> None:
        """Look for the unit `name`."""
        self._name = name
        self._systemd = systemd

    def locate(self) -> int | None:
        """Return the unit's main process; None while it has none."""
        return self._systemd.unit(self._name).main_pid or None

    def meant_absence(self) -> bool:
        """Say whether the unit is stopped and did not fail."""
        unit = self._systemd.unit(self._name)
        return unit.loaded and unit.active == "inactive" and unit.result == "success"

    def explain(self, pid: int, ended: Exit) -> Ending:
        """Take an end that systemd calls a success as meant: `systemctl stop` and `restart`, or an exit with 0."""
        unit = self._systemd.settled(self._name, pid)
        if ended == Exit() and unit.last_pid == pid:
            ended = unit.ended
        detail = f"unit {self._name} is {unit.active} ({unit.sub}), result {unit.result}"
        return Ending(ended, meant=unit.loaded and unit.result == "success", detail=detail)


def _unit(fields: Mapping[str, str]) -> Unit:
    def number(name: str) -> int:
        return int(fields.get(name) or 0)

    return Unit(
        loaded=fields.get("LoadState") == "loaded",
        active=fields.get("ActiveState", ""),
        sub=fields.get("SubState", ""),
        result=fields.get("Result", ""),
        main_pid=number("MainPID"),
        last_pid=number("ExecMainPID"),
        code=number("ExecMainCode"),
        status=number("ExecMainStatus"),
    )
