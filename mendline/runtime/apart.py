"""Keeps what fails beside that which mends from ending it."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mendline.runtime.together import Runner

logger = logging.getLogger(__name__)


def go_without(lost: str, error: Exception) -> None:
    """Say what is lost, in words such as "nothing is stored any more", and why."""
    logger.error("%s, all else goes on: %s", lost, error)


class Apart:
    """Runs another runner, and goes on without it when that fails; a `Runner`.

    Runners that live together end together, which is right for an agent and its detectors, and wrong for a page or a
    store, on which nothing depends that mends.
    """

    def __init__(self, runner: Runner, lost: str, *expected: type[Exception]) -> None:
        """Run `runner`, under its name; `lost` says in words what there is not when it fails.

        `expected` errors speak for themselves; any other is told as a defect, with its traceback.
        """
        self.name = runner.name
        self._runner, self._lost, self._expected = runner, lost, expected

    def run(self, stop: threading.Event) -> None:
        """Run it until `stop` is set, or it fails; then wait for `stop`."""
        try:
            self._runner.run(stop)
        except self._expected as error:
            go_without(self._lost, error)
        except (Exception, SystemExit):  # a web server that cannot go on exits
            logger.exception("%s has failed, which is a defect: %s, all else goes on", self.name, self._lost)
        stop.wait()

    def wake(self) -> None:
        """Make it look at its `stop`."""
        self._runner.wake()
