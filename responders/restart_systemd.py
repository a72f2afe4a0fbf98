"""Restart a systemd unit, unless systemd is about to do it itself or somebody stopped it on purpose."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence

from mendline.responders.action import ActionContext, DeferredError, PermanentError
from mendline.responders.denial import denied

PROPERTIES = ("LoadState", "ActiveState", "SubState", "Result", "Restart", "MainPID")
ASK_TIMEOUT_S = 5.0
DENIALS = ("Interactive authentication required", "Access denied", "Permission denied")
"""What `systemctl` says where polkit does not allow it, where there is no polkit, and where the bus is closed."""


class RestartUnit:
    """Restart the systemd unit of a service by `systemctl`.

    systemd's own `Restart=` comes first: while it waits to start the unit again, this action defers to it. A unit that
    is inactive with the result `success` was stopped on purpose and stays so. Afterwards the unit must be active.
    """

    name = "restart"

    def __init__(self, systemctl: Sequence[str] = ()) -> None:
        """Use the argument vector `systemctl` in place of the installed program."""
        self._systemctl = tuple(systemctl)

    def run(self, context: ActionContext) -> str:
        """Return the unit's new main process.

        Raises PermanentError when it is not there, stopped on purpose, or does not come up; DeferredError while
        systemd restarts it; TimeoutError.
        """
        unit = (context.settings.process and context.settings.process.unit) or ""
        deadline = time.monotonic() + context.timeout_s
        before = self._show(unit, deadline)
        self._check(unit, before)
        after = self._brought_up("restart", unit, before, deadline)
        return f"{unit}: process {after['MainPID']} in place of {before['MainPID']}"

    def healer(self, unit: str, timeout_s: float = ASK_TIMEOUT_S) -> str:
        """Return the unit's `Restart=`, `no` when systemd leaves it alone. Raises as `run` does."""
        return self._show(unit, time.monotonic() + timeout_s)["Restart"]

    def is_stopped_on_purpose(self, unit: str, timeout_s: float) -> bool:
        """Say whether the unit is inactive because somebody wanted it so. Raises as `run` does."""
        state = self._show(unit, time.monotonic() + timeout_s)
        return _was_meant(state)

    def stop(self, unit: str, timeout_s: float) -> None:
        """Stop the unit; systemd leaves it stopped, whatever its `Restart=`. Raises as `run` does."""
        self._call(("stop", "--", unit), time.monotonic() + timeout_s)

    def start(self, unit: str, timeout_s: float) -> str:
        """Start the unit and return its main process. Raises as `run` does."""
        deadline = time.monotonic() + timeout_s
        after = self._brought_up("start", unit, self._show(unit, deadline), deadline)
        return f"{unit}: process {after['MainPID']} started"

    def _brought_up(self, verb: str, unit: str, before: Mapping[str, str], deadline: float) -> Mapping[str, str]:
        """Let systemd `start` or `restart` the unit, and return what it says of it afterwards. Raises as `run` does."""
        if before["SubState"] == "failed":
            self._call(("reset-failed", "--", unit), deadline)
        self._call((verb, "--", unit), deadline)
        after = self._show(unit, deadline)
        if after["ActiveState"] != "active":
            msg = f"{unit} is {after['ActiveState']} ({after['SubState']}, {after['Result']}) after its {verb}"
            raise PermanentError(msg)
        return after

    def _check(self, unit: str, state: Mapping[str, str]) -> None:
        if state["LoadState"] != "loaded":
            msg = f"systemd knows no unit {unit} ({state['LoadState']}): check services.….process.unit"
            raise PermanentError(msg)
        if state["SubState"].startswith("auto-restart"):
            msg = f"systemd is about to restart {unit} itself (Restart={state['Restart']})"
            raise DeferredError(msg)
        if _was_meant(state):
            msg = f"{unit} was stopped on purpose: start it by `systemctl start {unit}`"
            raise PermanentError(msg)

    def _show(self, unit: str, deadline: float) -> Mapping[str, str]:
        text = self._call(("show", f"--property={','.join(PROPERTIES)}", "--", unit), deadline)
        found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return {name: found.get(name, "") for name in PROPERTIES}

    def _call(self, arguments: Sequence[str], deadline: float) -> str:
        program = self._systemctl or (_find_systemctl(),)
        vector = (*program, "--no-ask-password", "--no-pager", *arguments)
        try:
            done = subprocess.run(
                vector,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=max(deadline - time.monotonic(), 0.001),
                check=False,
                env={**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0"},
            )
        except subprocess.TimeoutExpired as error:
            msg = f"`systemctl {arguments[0]}` did not answer in time"
            raise TimeoutError(msg) from error
        except OSError as error:
            msg = f"{vector[0]} cannot be run: {error.strerror}"
            raise PermanentError(msg) from error
        if done.returncode and any(one in done.stderr for one in DENIALS):
            asked = f"`systemctl {arguments[0]} {arguments[-1]}`"
            raise denied(asked, done.stderr.splitlines()[0], f"allow it by a polkit rule for {arguments[-1]}")
        if done.returncode:
            msg = f"`systemctl {arguments[0]} {arguments[-1]}` failed: {done.stderr.strip() or done.returncode}"
            raise PermanentError(msg)
        return done.stdout


def _was_meant(state: Mapping[str, str]) -> bool:
    """Say whether a unit in this state was stopped by somebody who wanted that."""
    return state["ActiveState"] == "inactive" and state["Result"] == "success"


def _find_systemctl() -> str:
    found = shutil.which("systemctl")
    if found is None:
        msg = "there is no systemctl on this host"
        raise PermanentError(msg)
    return found
