"""The seams between the supervisor, which runs services, and the watch, which sees them live and die."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.producers.base import NOTHING, Collected
from mendline.producers.exits import Exit
from mendline.producers.locators import Ending, Locator, MatchLocator, PidfileLocator
from mendline.producers.systemd import Systemd, UnitLocator
from mendline.responders.identity import Identity
from mendline.responders.supervisor import Started, Supervisor

if TYPE_CHECKING:
    from mendline.schemas.settings import ProcessSettings, ServiceSettings

ERROR_LINES = 20
ROTATE_EVERY_MS = 5000

OnStarted = Callable[[str, Started], None]
OnUnseenEnd = Callable[[str, Identity], None]


class WatchedSupervisor(Supervisor):
    """A supervisor that tells of each process it started or found, before anybody can wait for it in vain."""

    def __init__(
        self, services: Mapping[str, ServiceSettings], state: Path, on_started: OnStarted, on_unseen_end: OnUnseenEnd
    ) -> None:
        """Tell `on_started` on the thread that started the process, and `on_unseen_end` before another is started."""
        super().__init__(services, state)
        self._on_started = on_started
        self._on_unseen_end = on_unseen_end

    def start(self, service: str) -> Started:
        """Start the service, or find it. Raises SupervisorError."""
        if ended := self.ended_unseen(service):
            self._on_unseen_end(service, ended)
        started = super().start(service)
        self._on_started(service, started)
        return started

    def restart(self, service: str, timeout_s: float | None = None) -> Started:
        """Restart the service. Raises SupervisorError."""
        started = super().restart(service, timeout_s)
        self._on_started(service, started)
        return started


class SupervisedLocator:
    """A process that Mendline runs itself: it knows which one, whether its end was asked for, and its last words."""

    slow = False

    def __init__(self, service: str, supervisor: Supervisor) -> None:
        """Ask `supervisor` about `service`."""
        self._service = service
        self._supervisor = supervisor

    def locate(self) -> int | None:
        """Return the process that runs now."""
        current = self._supervisor.current(self._service)
        return current[0] if current else None

    def meant_absence(self) -> bool:
        """Mendline starts it in a moment."""
        return True

    def explain(self, pid: int, ended: Exit) -> Ending:
        """Add the last lines of what it wrote, unless its end was asked for."""
        meant = self._supervisor.meant(self._service, pid)
        return Ending(ended, meant, error_lines=() if meant else self._supervisor.tail(self._service, ERROR_LINES))


class OutputRotation:
    """Keeps the output files of services short; a collector without series, since a disk may hang."""

    name = "output"

    def __init__(self, supervisor: Supervisor) -> None:
        """Rotate the files of `supervisor`'s services."""
        self._supervisor = supervisor
        self._next_ms = 0

    def collect(self, now_ms: int) -> Collected:
        """Rotate what is too long, every 5 s."""
        if now_ms >= self._next_ms:
            self._next_ms = now_ms + ROTATE_EVERY_MS
            self._supervisor.rotate()
        return NOTHING


def _program(name: str, process: ProcessSettings) -> Locator:
    """Return how a program of supervisord is found; what its server needs is not imported elsewhere."""
    from mendline.managers.supervisord import Supervisord
    from mendline.producers.programs import ProgramLocator

    return ProgramLocator(name, Supervisord.of(process))


def _container(name: str, process: ProcessSettings) -> Locator:
    """Return how a container of Docker is found; what its API needs is not imported elsewhere."""
    from mendline.managers.docker import Docker
    from mendline.producers.containers import ContainerLocator

    return ContainerLocator(name, Docker.of(process))


def locators(services: Mapping[str, ServiceSettings], supervisor: Supervisor) -> dict[str, Locator]:
    """Return how the process of each service that has one on this host is found. Raises re.error for a bad pattern."""
    given = {name: service.process for name, service in services.items() if service.process}
    processes = {name: process for name, process in given.items() if not process.workload}
    systemd = Systemd(process.unit for process in processes.values() if process.unit)
    found: dict[str, Locator] = {}
    for name, process in processes.items():
        if process.unit:
            found[name] = UnitLocator(process.unit, systemd)
        elif process.program:
            found[name] = _program(process.program, process)
        elif process.container:
            found[name] = _container(process.container, process)
        elif process.pidfile:
            found[name] = PidfileLocator(process.pidfile)
        elif process.match:
            found[name] = MatchLocator(process.match)
        else:
            found[name] = SupervisedLocator(name, supervisor)
    return found


def cores() -> int:
    """Return the number of cores this program may use."""
    return os.cpu_count() or 1
