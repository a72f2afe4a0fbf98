"""Which services have exited, so that the reflex can be asked about them for as long as they are down."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mendline.schemas.records import ProcessEvent

logger = logging.getLogger(__name__)


class Reflex(Protocol):
    """Restarts a service while the log cannot be reached, as `responders.reflex.Reflex` does."""

    def exited(self, service: str) -> str | None:
        """Restart the service; return why not, or None when it began."""


class Reflexes:
    """Asks the reflex about each dead service at each `tick`. `heard` may be called from any thread."""

    def __init__(self, reflex: Reflex) -> None:
        """Ask `reflex`."""
        self._reflex = reflex
        self._dead: set[str] = set()
        self._lock = threading.Lock()
        self.count = 0

    def heard(self, event: ProcessEvent) -> None:
        """Note a death that nobody asked for, and a new process."""
        with self._lock:
            if event.state == "exited" and not event.meant:
                self._dead.add(event.service)
            elif event.state != "missing":
                self._dead.discard(event.service)

    def tick(self) -> None:
        """Ask about each service that is dead; the reflex says no while the log can be reached."""
        with self._lock:
            dead = sorted(self._dead)
        for service in dead:
            why = self._reflex.exited(service)
            if why is None:
                self.count += 1
                logger.warning("the log cannot be reached and %s has exited: it is restarted", service)
            else:
                logger.debug("%s stays down: %s", service, why)
