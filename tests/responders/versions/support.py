"""A service with two configuration files whose restarts are counted, and what kills its process at a step."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

from mendline.responders.action import ActionContext
from mendline.responders.snapshots.deadline import Deadline
from mendline.responders.versions.files import read_files
from mendline.responders.versions.history import History
from mendline.responders.versions.replacement import Ended, Replacement
from mendline.schemas.settings import ServiceSettings

PATIENCE_S = 60.0


class Killer:
    """Counts steps, and kills this process at the one that is wanted."""

    def __init__(self, at: int) -> None:
        self._left = at

    def __call__(self, _: str) -> None:
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


class Service:
    """A service with two files, whose restarts are lines of a file; its check wants `good` in the first."""

    def __init__(self, folder: Path, aside: str) -> None:
        self.files = [folder / "a.conf", folder / "b.conf"]
        self.restarts = folder / "restarts"
        self.history = History(folder / "state", "web")
        place = "{path}" if aside == "aside" else ""
        check = {"argv": ["grep", "-q", "good", f"{place}{self.files[0]}"]}
        self.settings = ServiceSettings.model_validate({
            "config": [str(file) for file in self.files],
            "commands": {"valid": check},
            "rollback": {"check": "valid"},
        })  # fmt: skip

    def write(self, text: str) -> None:
        """Have this in place."""
        for file in self.files:
            file.write_text(text)

    def content(self) -> list[str]:
        """Return what is in place."""
        return [file.read_text() for file in self.files]

    def restart(self) -> str:
        """Restart it, for the record."""
        with self.restarts.open("a") as file:
            file.write(f"{time.time_ns() // 1_000_000}\n")
        return "restarted"

    def started(self) -> list[int]:
        """Return when it was restarted (ms)."""
        return [int(line) for line in self.restarts.read_text().splitlines()] if self.restarts.exists() else []

    def replacement(self, kill: Killer) -> Replacement:
        """Return a replacement that is killed then."""
        context = ActionContext("i1", "host-1", "web", self.settings, PATIENCE_S)
        return Replacement(self.history, context, Deadline.after(PATIENCE_S), self.restart, kill)

    def put_good(self, kill: Killer) -> str:
        """Put the good version, which was the first, in the place of what is there."""
        now = read_files(self.settings.config)
        current = self.history.take(now)
        good = next(one for one in self.history.versions() if self.history.is_judged(one, "good"))
        return self.replacement(kill).run(now, current, good, is_bad=True)

    def end(self) -> Ended | None:
        """End what an earlier life left."""
        started = self.started()
        return self.replacement(Killer(-1)).end_unfinished(started[-1] if started else None)


# A fork of this process would share the lock of a history that an agent's thread happens to hold, and wait for itself.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])


def _put_good(service: Service, number: int) -> None:
    service.put_good(Killer(number))


def killed_at(service: Service, number: int) -> bool:
    """Put the good version in place in another process that is killed at a step; say whether it came so far."""
    child = _PROCESSES.Process(target=_put_good, args=(service, number))
    child.start()
    child.join()
    return child.exitcode == -signal.SIGKILL
