"""Keeps a database that cannot be used from ending what mends."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from mendline.store.errors import StoreError

if TYPE_CHECKING:
    from mendline.runtime.together import Runner

logger = logging.getLogger(__name__)


def give_up(error: Exception) -> None:
    """Say that nothing is stored, and why."""
    logger.error("nothing is stored any more, all else goes on: %s", error)


class Beside:
    """Runs a member of the store, and goes on without it when that fails; a `Runner`."""

    def __init__(self, member: Runner) -> None:
        """Run `member`, under its name."""
        self.name = member.name
        self._member = member

    def run(self, stop: threading.Event) -> None:
        """Run it until `stop` is set, or it fails; then wait for `stop`."""
        try:
            self._member.run(stop)
        except StoreError as error:
            give_up(error)
        except Exception:
            logger.exception(
                "%s has failed, which is a defect: nothing is stored any more, all else goes on", self.name
            )
        stop.wait()

    def wake(self) -> None:
        """Make it look at its `stop`."""
        self._member.wake()
