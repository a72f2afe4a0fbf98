"""A real Docker Engine: its containers found, watched and restarted."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mendline.producers.containers import ContainerLocator
from mendline.producers.exits import Exit
from mendline.producers.processes import ProcessWatch
from mendline.responders.action import ActionContext, DeferredError, PermanentError
from mendline.responders.restart_container import RestartContainer
from mendline.schemas.records import ProcessEvent
from mendline.schemas.settings import ProcessSettings, ServiceSettings
from tests.producers.support import Heard, until
from tests.support.docker import Engine

pytestmark = pytest.mark.heavy

ENDS_WHEN_ASKED = ("sh", "-c", "trap 'exit 7' TERM; sleep 600 & wait")
DEAF = ("sleep", "600")
"""As the first process of its container it ignores SIGTERM."""


@pytest.fixture
def name(docker: Engine, request: pytest.FixtureRequest) -> Iterator[str]:
    """Return a name for the test's container, which is removed afterwards."""
    yield request.node.originalname
    docker.remove(request.node.originalname)


def context(docker: Engine, name: str, timeout_s: float = 30.0, **process: object) -> ActionContext:
    """Return what the action is told about a container."""
    given = {"container": name, "docker": docker.url, "grace": "1s"} | process
    return ActionContext(
        "i", "host-1", "web", ServiceSettings(process=ProcessSettings.model_validate(given)), timeout_s
    )


def locator(docker: Engine, name: str) -> ContainerLocator:
    """Return what finds a container."""
    return ContainerLocator(name, docker.client)


def killed(pid: int) -> Exit:
    """Kill a process from outside of its container, as a crash or the kernel would."""
    os.kill(pid, signal.SIGKILL)
    return Exit(signal="SIGKILL")


def test_its_main_process_is_found(docker: Engine, name: str) -> None:
    """By its number outside of the container."""
    docker.run(name, *DEAF)
    pid = locator(docker, name).locate()
    assert list(DEAF) == psutil.Process(pid).cmdline()


def test_a_container_that_runs_is_restarted(docker: Engine, name: str) -> None:
    """It gets time to end by itself; another process is there afterwards."""
    before = docker.run(name, *ENDS_WHEN_ASKED)
    told = RestartContainer().run(context(docker, name))
    assert f"{name}: process {docker.pid(name)} in place of {before}" == told
    assert not psutil.pid_exists(before)
    assert docker.client.was_asked_to_end(name, 10)


def test_a_container_that_does_not_end_is_killed(docker: Engine, name: str) -> None:
    """After its grace."""
    before = docker.run(name, *DEAF)
    RestartContainer().run(context(docker, name))
    assert docker.pid(name) not in {0, before}


def test_a_container_that_died_is_started(docker: Engine, name: str) -> None:
    """Its death was nobody's wish, and not Docker's."""
    pid = docker.run(name, *DEAF)
    ending = locator(docker, name).explain(pid, killed(pid))
    assert (False, "Docker says exited with code 137") == (ending.meant, ending.detail)
    assert not locator(docker, name).meant_absence()
    assert f"{name}: process {docker.pid(name)}"[:-1] in RestartContainer().run(context(docker, name))
    assert docker.pid(name)


@pytest.mark.parametrize("call", ["stop?t=1", "kill?signal=SIGTERM"])
def test_a_container_that_was_stopped_stays_so(docker: Engine, name: str, call: str) -> None:
    """Its end was meant, whatever its exit code."""
    pid = docker.run(name, *ENDS_WHEN_ASKED)
    docker.call("POST", f"/containers/{name}/{call}")
    ending = locator(docker, name).explain(pid, Exit(code=7))
    assert (True, "Docker says exited with code 7") == (ending.meant, ending.detail)
    assert locator(docker, name).meant_absence()
    with pytest.raises(PermanentError, match=f"stopped on purpose: start it by `docker start {name}`"):
        RestartContainer().run(context(docker, name))


def test_a_signal_that_ends_nothing_makes_no_end_meant(docker: Engine, name: str) -> None:
    """A container that was told to reload, and crashes later, has crashed."""
    pid = docker.run(name, "sh", "-c", "trap : HUP; while :; do sleep 600 & wait; done")
    docker.call("POST", f"/containers/{name}/kill", signal="SIGHUP")
    assert not locator(docker, name).explain(pid, killed(pid)).meant


def test_a_container_that_is_removed_at_its_end_is_explained(docker: Engine, name: str) -> None:
    """Docker's events outlive it."""
    pid = docker.run(name, *ENDS_WHEN_ASKED, AutoRemove=True)
    docker.call("POST", f"/containers/{name}/stop", t=1)
    until(lambda: not psutil.pid_exists(pid))
    assert locator(docker, name).explain(pid, Exit(code=7)).meant


def test_docker_comes_first(docker: Engine, name: str) -> None:
    """While it is about to start a container again this waits for it."""
    docker.run(name, "sh", "-c", "exit 3", healer="always")

    def defers() -> bool:
        try:
            RestartContainer().run(context(docker, name))
        except DeferredError as error:
            return "is about to restart" in str(error)
        except PermanentError:
            return False
        return False

    until(defers)


def test_what_docker_starts_again_is_found_again(docker: Engine, name: str) -> None:
    """With its death told, and that it was not meant."""
    heard = Heard()
    watch = ProcessWatch("host", {"web": locator(docker, name)}, heard, lambda: 0, cores=1)
    pid = docker.run(name, *DEAF, healer="unless-stopped")

    def watched() -> int | None:
        watch.collect(0)
        return watch.pid("web")

    until(lambda: watched() == pid, 0.1)
    killed(pid)
    ended = heard.wait(ProcessEvent, lambda event: event.state == "exited")
    assert (pid, "SIGKILL", False) == (ended.pid, ended.signal, ended.meant)
    until(lambda: watched() not in {None, pid}, 0.1)
    watch.close()


def test_a_health_check_is_waited_for(docker: Engine, name: str, tmp_path: Path) -> None:
    """The container counts as restarted once it has passed, and not when it fails."""
    tmp_path.joinpath("well").touch()
    docker.run(name, *DEAF, check="cat /there/well", Binds=[f"{tmp_path}:/there"])
    RestartContainer().run(context(docker, name))
    assert "healthy" == docker.client.container(name, 10).health
    tmp_path.joinpath("well").unlink()
    one = context(docker, name)
    with pytest.raises(PermanentError, match="is unhealthy after its restart"):
        RestartContainer().run(one)
    assert "No such file" in one.attached["health check"]


def test_a_paused_container_is_left_alone(docker: Engine, name: str) -> None:
    """Somebody wants to look at it."""
    docker.run(name, *DEAF)
    docker.call("POST", f"/containers/{name}/pause")
    with pytest.raises(PermanentError, match="was paused on purpose"):
        RestartContainer().run(context(docker, name))


def test_a_container_out_of_memory_is_said_to_be(docker: Engine, name: str) -> None:
    """By Docker, beside the signal."""
    pid = docker.run(name, "sh", "-c", 'a=x; while :; do a="$a$a"; done', Memory=16 * 2**20, MemorySwap=16 * 2**20)
    until(lambda: not docker.pid(name))
    assert "code 137, out of memory" in locator(docker, name).explain(pid, Exit(signal="SIGKILL")).detail


def test_an_unknown_container_is_named(docker: Engine) -> None:
    """In Docker's own words."""
    with pytest.raises(PermanentError, match="Docker refuses: No such container: nope"):
        RestartContainer().run(context(docker, "nope"))
