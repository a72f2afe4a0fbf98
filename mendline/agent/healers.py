"""Who else restarts services of this host: said when the agent starts, for two healers must know of each other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mendline.responders.action import PermanentError
from mendline.responders.restart_systemd import RestartUnit

if TYPE_CHECKING:
    from mendline.schemas.settings import ServiceSettings

logger = logging.getLogger(__name__)


def tell_healers(services: Mapping[str, ServiceSettings], healer: Callable[[str], str] | None = None) -> None:
    """Warn of each unit that systemd restarts by itself, on a thread of its own: systemd may be slow to answer.

    `healer` returns a unit's `Restart=`; default: systemd is asked.
    """
    units = {name: one.process.unit for name, one in services.items() if one.process and one.process.unit}
    if units:
        asked = (units, healer or RestartUnit().healer)
        threading.Thread(target=_tell, args=asked, name="healers", daemon=True).start()


def _tell(units: Mapping[str, str], healer: Callable[[str], str]) -> None:
    for service, unit in units.items():
        try:
            restart = healer(unit)
        except (PermanentError, TimeoutError) as error:
            logger.info("who else restarts %s is not known: %s", service, error)
            continue
        if restart not in ("", "no"):
            logger.warning("%s has Restart=%s: %s is left to systemd until it gives up", unit, restart, service)
