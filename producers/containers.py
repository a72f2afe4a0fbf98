"""Services that Docker runs: which process is theirs, and whether it ended as it was asked to."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mendline.managers.docker import RESTARTING, Container, Docker, DockerError
from mendline.producers.asked import ANSWER_S, Asked
from mendline.producers.exits import Exit
from mendline.producers.locators import Ending

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)


class Found(NamedTuple):
    """A container, and whether it does not run because somebody wanted it so."""

    container: Container
    meant: bool


class ContainerLocator:
    """The main process of a container that Docker runs on this host, by its number outside of the container."""

    slow = True

    def __init__(self, name: str, docker: Docker) -> None:
        """Look for the container `name`."""
        self._name = name
        self._docker = docker
        self._asked = Asked(self._ask, "docker")
        self._complained = ""

    def locate(self) -> int | None:
        """Return its main process; asks at most once a second."""
        found = self._asked.known()
        return found.container.pid if found else None

    def meant_absence(self) -> bool:
        """Say whether somebody stopped it, or created and never started it."""
        found = self._asked.known()
        return found is not None and found.meant

    def explain(self, pid: int, ended: Exit) -> Ending:
        """Take an end as meant when somebody stopped, killed or restarted the container over Docker."""
        found = self._asked.settled(lambda one: one.container.pid == pid)
        asked = self._quietly(lambda: self._docker.was_asked_to_end(self._name, ANSWER_S, _stop_signal(found)))
        if found is None:  # one that is removed at its end, or nobody answers
            return Ending(ended, meant=bool(asked))
        container = found.container
        restarts = f", and restarts it itself ({container.healer})" if container.status == RESTARTING else ""
        meant = found.meant if asked is None else asked
        if ended == Exit() and container.pid is None:
            ended = _exit_of(container)
        return Ending(ended, meant, f"Docker says {container.ending}{restarts}")

    def _ask(self) -> Found | None:
        return self._quietly(self._find)

    def _find(self) -> Found:
        found = self._docker.container(self._name, ANSWER_S)
        return Found(found, self._docker.is_stopped_on_purpose(found, ANSWER_S))

    def _quietly(self, question: Callable[[], Answer]) -> Answer | None:
        """Return the answer, None when there is none; why is said once, and again when it changes."""
        try:
            answer = question()
        except (DockerError, TimeoutError) as error:
            if self._complained != str(error):
                self._complained = str(error)
                logger.warning("Docker does not tell about %s: %s", self._name, error)
            return None
        self._complained = ""
        return answer


def _stop_signal(found: Found | None) -> int:
    return found.container.stop_signal if found else signal.SIGTERM


def _exit_of(container: Container) -> Exit:
    """Return how it ended as far as Docker knows: 128 and more stand for signals."""
    try:
        return Exit(signal=signal.Signals(container.exit_code - 128).name)
    except ValueError:
        return Exit(code=container.exit_code)
