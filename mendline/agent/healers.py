"""Who else restarts services of this host: said when the agent starts, for two healers must know of each other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mendline.responders.action import PermanentError
from mendline.responders.restart_container import RestartContainer
from mendline.responders.restart_systemd import RestartUnit

if TYPE_CHECKING:
    from mendline.schemas.settings import ProcessSettings, ServiceSettings

logger = logging.getLogger(__name__)


def tell_healers(services: Mapping[str, ServiceSettings], healer: Callable[[str], str] | None = None) -> None:
    """Warn of each unit and container that is restarted by its manager, on a thread of its own: those may be slow.

    `healer` returns a unit's `Restart=`; default: systemd is asked.
    """
    managed = {
        name: one.process
        for name, one in services.items()
        if one.process and (one.process.unit or one.process.container)
    }
    if managed:
        asked = (managed, healer or RestartUnit().healer)
        threading.Thread(target=_tell, args=asked, name="healers", daemon=True).start()


def _tell(managed: Mapping[str, ProcessSettings], healer: Callable[[str], str]) -> None:
    for service, process in managed.items():
        try:
            who, words = _docker(process) if process.container else _systemd(process.unit or "", healer)
        except (PermanentError, TimeoutError) as error:
            logger.info("who else restarts %s is not known: %s", service, error)
            continue
        if words:
            logger.warning("%s: %s is left to %s until it gives up", words, service, who)


def _systemd(unit: str, healer: Callable[[str], str]) -> tuple[str, str]:
    restart = healer(unit)
    return "systemd", "" if restart in {"", "no"} else f"{unit} has Restart={restart}"


def _docker(process: ProcessSettings) -> tuple[str, str]:
    policy = RestartContainer().healer(process)
    return "Docker", "" if policy == "no" else f"{process.container} has the restart policy {policy}"
