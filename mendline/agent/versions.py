"""Keeps the versions of services' configuration files as they change, and says which of them are good.

A version is good when its service was well for `good_after` since the version was seen: it ran, and nothing it did was
told of as a failure. The first look keeps what is in place.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.producers.base import NOTHING, Collected
from mendline.responders import rollback_config
from mendline.responders.action import ActionContext, DeferredError, OvertakenError, PermanentError, TemporaryError
from mendline.responders.versions.files import VersionError, read_files
from mendline.responders.versions.history import History
from mendline.schemas.records import ProbeEvent, ProcessEvent

if TYPE_CHECKING:
    from mendline.responders.action import Action
    from mendline.responders.versions.history import Version
    from mendline.schemas.settings import ServiceSettings, Settings

logger = logging.getLogger(__name__)

Look = tuple[tuple[int, int, int, int], ...]
NO_FILE = (0, 0, 0, 0)
WITHIN_S = 20.0
"""What the end of a change may take at a start: a host that says nothing for longer would be missed."""


class ServiceVersions:
    """The versions of one service's files. `runs` says whether its process is there."""

    def __init__(self, history: History, settings: ServiceSettings, runs: Callable[[], bool]) -> None:
        """Look at the files for the first time in the first turn."""
        self._history, self._settings, self._runs = history, settings, runs
        self._look: Look = ()
        self._current: Version | None = None
        self._well_since: int | None = None
        self._said = ""

    def unwell(self) -> None:
        """Count anew for how long the service has been well. May be called on any thread."""
        self._well_since = None

    def turn(self, now_ms: int) -> None:
        """Keep a version if the files seem changed, and call it good when it is time."""
        try:
            self._keep()
            self._judge(now_ms)
        except (OSError, VersionError) as error:
            if str(error) != self._said:
                logger.warning("versions of the configuration of %s: %s", self._history.service, error)
            self._said = str(error)

    def _keep(self) -> None:
        look = tuple(_look(path) for path in self._settings.config)
        if look != self._look:
            version = self._history.take(read_files(self._settings.config))
            if self._current is None or version.tree != self._current.tree:
                self._well_since = None
            self._look, self._current = look, version

    def _judge(self, now_ms: int) -> None:
        if self._current is None or not self._runs():
            self._well_since = None
            return
        if self._well_since is None or self._well_since > now_ms:  # later: the clock was set back
            self._well_since = now_ms
        if now_ms - self._well_since >= self._settings.rollback.good_after:
            self._history.judge(self._current, "good")
            self._current = None
            logger.info("the configuration of %s is good", self._history.service)


class ConfigurationVersions:
    """Looks once a round; a collector without series."""

    name = "versions"

    def __init__(self, state: Path, services: Mapping[str, ServiceSettings], runs: Callable[[str], bool]) -> None:
        """Keep versions for the services with a `config`, below the host's state folder."""
        self._services = {
            name: ServiceVersions(History(state, name), one, lambda name=name: runs(name))  # type: ignore[misc]
            for name, one in services.items()
            if one.config
        }

    def heard(self, event: object) -> None:
        """Take in what is told of a service: a failure makes it count anew. Called on any thread; never blocks."""
        if not isinstance(event, ProcessEvent | ProbeEvent) or (isinstance(event, ProbeEvent) and event.ok):
            return
        if one := self._services.get(event.service):
            one.unwell()

    def collect(self, now_ms: int) -> Collected:
        """Look at each service's files."""
        for one in self._services.values():
            one.turn(now_ms)
        return NOTHING


def end_unfinished(source: str, settings: Settings, restart: Action, started_at: Callable[[str], int | None]) -> None:
    """End each change of a configuration that an earlier life left in the middle; call it when services were started.

    `started_at` returns when a service's process was started (ms). What the host does not allow any more is not done.
    """
    for name, service in settings.services.items():
        if not service.config or not {"rollback_config", "update_config"} & set(service.allow):
            continue
        context = ActionContext("", source, name, service, WITHIN_S)
        try:
            if said := rollback_config.end_unfinished(Path(settings.state), restart, context, started_at(name)):
                logger.warning("configuration of %s: %s", name, said)
        except (PermanentError, OvertakenError, DeferredError, TemporaryError, TimeoutError) as error:
            logger.error("configuration of %s: %s", name, error)  # noqa: TRY400 - the message says it all


def _look(path: str) -> tuple[int, int, int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - every round, at half the cost
    except OSError:
        return NO_FILE
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns)
