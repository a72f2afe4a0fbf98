"""Keeps what is wrong with the page from ending what mends."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mendline.runtime.together import Runner

logger = logging.getLogger(__name__)


class Apart:
    """Runs another runner, and goes on without it when that fails; a `Runner`.

    Runners that live together end together, which is right for an agent and its detectors, and wrong for a page.
    """

    def __init__(self, runner: Runner) -> None:
        """Run `runner`, under its name."""
        self.name = runner.name
        self._runner = runner

    def run(self, stop: threading.Event) -> None:
        """Run it until `stop` is set, or it fails; then wait for `stop`."""
        try:
            self._runner.run(stop)
        except (Exception, SystemExit):
            logger.exception(
                "%s has failed, which is a defect: the page is not as it should be, all else goes on", self.name
            )
        stop.wait()

    def wake(self) -> None:
        """Make it look at its `stop`."""
        self._runner.wake()
