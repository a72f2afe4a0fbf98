"""Restart a container of Docker, unless Docker is about to do it itself or somebody stopped it on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mendline.responders.action import ActionContext, DeferredError, PermanentError
from mendline.responders.snapshots.deadline import Deadline

if TYPE_CHECKING:
    from mendline.managers.docker import Container, Docker
    from mendline.schemas.settings import ProcessSettings

STOP_SHARE = 0.5
"""Of the time that there is: the rest is for the start, and for its health check."""
LOOK_AGAIN_S = 0.1
ASK_TIMEOUT_S = 5.0


class RestartContainer:
    """Restart a container over Docker's Engine API; afterwards it must run, and be healthy if its image has a check.

    Docker's own restart policy comes first: while it starts the container again, this action defers to it. A container
    that somebody stopped or paused stays so.
    """

    name = "restart"

    def run(self, context: ActionContext) -> str:
        """Return the container's new main process.

        Raises PermanentError when it is not known, stopped or paused on purpose, does not come up or is not healthy;
        DeferredError while Docker starts it; TimeoutError.
        """
        from mendline.managers.docker import Docker, DockerError  # only where there is one

        settings = context.settings.process
        if settings is None or not settings.container:
            msg = f"services.{context.service}.process names no container"
            raise PermanentError(msg)
        deadline, docker = Deadline.after(context.timeout_s), Docker.of(settings)
        try:
            before = docker.container(settings.container, deadline.left)
            _check(docker, before, deadline)
            docker.restart(before.name, min(settings.grace / 1000, STOP_SHARE * deadline.left), deadline.left)
            after = _well(docker, before.name, deadline)
        except DockerError as error:
            raise PermanentError(str(error)) from error
        if after.checked and after.health:
            context.attach("health check", after.checked)
        if after.pid is None or after.health == "unhealthy":
            msg = f"{before.name} is {after.health or after.ending} after its restart"
            raise PermanentError(msg)
        return f"{before.name}: process {after.pid} in place of {before.pid or 'none'}"

    def healer(self, process: ProcessSettings, timeout_s: float = ASK_TIMEOUT_S) -> str:
        """Return the container's restart policy, `no` when Docker leaves it alone. Raises as `run` does."""
        from mendline.managers.docker import Docker, DockerError

        try:
            return Docker.of(process).container(process.container or "", timeout_s).healer
        except DockerError as error:
            raise PermanentError(str(error)) from error


def _check(docker: Docker, found: Container, deadline: Deadline) -> None:
    """Raise PermanentError or DeferredError when it is not to be restarted now."""
    from mendline.managers.docker import PAUSED, RESTARTING

    if found.status == RESTARTING:
        msg = f"Docker is about to restart {found.name} itself (restart policy {found.healer})"
        raise DeferredError(msg)
    if found.status == PAUSED:
        msg = f"{found.name} was paused on purpose: let it go on by `docker unpause {found.name}`"
        raise PermanentError(msg)
    if docker.is_stopped_on_purpose(found, deadline.left):
        msg = f"{found.name} was stopped on purpose: start it by `docker start {found.name}`"
        raise PermanentError(msg)


def _well(docker: Docker, name: str, deadline: Deadline) -> Container:
    """Return the container once nothing more is to be waited for. Raises TimeoutError, DockerError."""
    from mendline.managers.docker import HEALTHY, UNHEALTHY

    while True:
        found = docker.container(name, deadline.left)
        if found.pid is None or found.health in {"", HEALTHY, UNHEALTHY}:
            return found
        deadline.stop.wait(min(LOOK_AGAIN_S, deadline.left))
        if not deadline.left:
            msg = f"{name} runs, but its health check has not passed in time"
            raise TimeoutError(msg)
