"""Containers of an engine that hangs, breaks, forgets or says what a real one seldom does."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mendline.agent.healers import tell_healers
from mendline.managers.docker import Docker, DockerError
from mendline.producers.containers import ContainerLocator
from mendline.producers.exits import Exit
from mendline.responders.action import ActionContext, DeferredError, PermanentError
from mendline.responders.restart_container import RestartContainer
from mendline.schemas.settings import ProcessSettings, ServiceSettings
from tests.producers.support import until
from tests.support.fake_docker import HANGS, FakeDocker, events, fake_docker, inspection

INSPECT = "GET /containers/web/json"
RESTART = "POST /containers/web/restart"
EVENTS = "GET /events"
DONE = (204, "")
RUNS, RUNS_ANEW = (200, inspection(pid=10)), (200, inspection(pid=20))

Start = Callable[[dict[str, Any]], FakeDocker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return what starts a fake engine with the given answers."""
    with ExitStack() as stack:
        yield lambda answers: stack.enter_context(fake_docker(tmp_path / "docker.sock", answers))


def context(url: str, timeout_s: float = 10.0, **process: object) -> ActionContext:
    """Return what the action is told about the container `web`."""
    given = {"container": "web", "docker": url} | process
    return ActionContext(
        "i", "host-1", "shop", ServiceSettings(process=ProcessSettings.model_validate(given)), timeout_s
    )


def test_a_container_is_asked_to_end_within_its_grace(start: Start) -> None:
    """Docker itself kills what has not ended by then; the new process is told."""
    docker = start({INSPECT: [RUNS, RUNS_ANEW], RESTART: DONE})
    assert "web: process 20 in place of 10" == RestartContainer().run(context(docker.url, grace="3s"))
    assert [INSPECT, f"{RESTART}?t=3", INSPECT] == docker.asked


def test_grace_leaves_half_of_the_time_to_the_start(start: Start) -> None:
    """A command's time is bounded, whatever the service's own grace."""
    docker = start({INSPECT: [RUNS, RUNS_ANEW], RESTART: DONE})
    RestartContainer().run(context(docker.url, timeout_s=9.0, grace="1m"))
    assert f"{RESTART}?t=4" == docker.asked[1]


def test_a_health_check_is_waited_for(start: Start) -> None:
    """Only a healthy container counts as restarted."""
    waits = (200, inspection(pid=20, health="starting"))
    docker = start({INSPECT: [RUNS, waits, waits, (200, inspection(pid=20, health="healthy"))], RESTART: DONE})
    RestartContainer().run(context(docker.url))
    assert 5 == len(docker.asked)


def test_an_unhealthy_container_is_not_restarted_well(start: Start) -> None:
    """What its check printed is attached."""
    docker = start({INSPECT: [RUNS, (200, inspection(pid=20, health="unhealthy"))], RESTART: DONE})
    one = context(docker.url)
    with pytest.raises(PermanentError, match="web is unhealthy after its restart"):
        RestartContainer().run(one)
    assert {"health check": "it is unhealthy"} == one.attached


def test_a_health_check_that_takes_too_long_is_a_time_out(start: Start) -> None:
    """The container runs, and nobody knows how well."""
    docker = start({INSPECT: [RUNS, (200, inspection(pid=20, health="starting"))], RESTART: DONE})
    with pytest.raises(TimeoutError, match="its health check has not passed in time"):
        RestartContainer().run(context(docker.url, timeout_s=0.3))


def test_a_container_that_ends_again_is_told(start: Start) -> None:
    """With its exit code, and whether memory was out."""
    ended = (200, inspection("exited", 0, ExitCode=137, OOMKilled=True))
    docker = start({INSPECT: [RUNS, ended], RESTART: DONE})
    with pytest.raises(PermanentError, match="web is exited with code 137, out of memory after its restart"):
        RestartContainer().run(context(docker.url))


def test_docker_itself_comes_first(start: Start) -> None:
    """While it starts a container again this leaves it alone; one that runs and hangs is restarted all the same."""
    restarting = (200, inspection("restarting", 0, healer="always"))
    runs = (200, inspection(pid=10, healer="always"))
    docker = start({INSPECT: [restarting, runs, RUNS_ANEW], RESTART: DONE})
    with pytest.raises(DeferredError, match="Docker is about to restart web itself"):
        RestartContainer().run(context(docker.url))
    assert "web: process 20 in place of 10" == RestartContainer().run(context(docker.url))


def test_an_agent_says_at_its_start_what_docker_restarts(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """A Docker that does not answer is no reason to stop."""
    caplog.set_level("INFO", "mendline.agent.healers")
    docker = start({INSPECT: (200, inspection(healer="always"))})
    calm = context(docker.url, container="calm").settings
    tell_healers({"shop": context(docker.url).settings, "calm": calm})
    until(lambda: len(caplog.records) == 2)
    assert [
        "web has the restart policy always: shop is left to Docker until it gives up",
        "who else restarts calm is not known: Docker refuses: No such container: web (404)",
    ] == caplog.messages


@pytest.mark.parametrize(
    ("inspected", "happened", "says"),
    [
        (inspection("paused"), "", "paused on purpose: let it go on by `docker unpause web`"),
        (inspection("created", 0), "", "stopped on purpose: start it by `docker start web`"),
        (inspection("exited", 0, ExitCode=137), events("start", "kill 9", "die"), "stopped on purpose"),
        (inspection("exited", 0, ExitCode=131), events("start", "kill 3", "die"), "stopped on purpose"),
        (inspection("exited", 0, ExitCode=143), "", "stopped on purpose"),
        (inspection("exited", 0, ExitCode=1, healer="always"), "", "stopped on purpose"),
    ],
    ids=["paused", "never started", "killed", "by its own signal", "forgotten, gracefully", "forgotten, not healed"],
)
def test_what_somebody_stopped_stays_so(start: Start, inspected: dict[str, Any], happened: str, says: str) -> None:
    """Docker's events tell; where it has forgotten them, how the container ended."""
    docker = start({INSPECT: (200, inspected), EVENTS: (200, happened), RESTART: DONE})
    with pytest.raises(PermanentError, match=says):
        RestartContainer().run(context(docker.url))
    assert not any(call.startswith("POST") for call in docker.asked)


@pytest.mark.parametrize(
    ("inspected", "happened"),
    [
        (inspection("exited", 0, ExitCode=0), events("start", "die")),
        (inspection("exited", 0, ExitCode=1), events("start", "kill 1", "die")),
        (inspection("exited", 0, ExitCode=1), events("start", "kill 15", "die", "start", "die")),
        (inspection("exited", 0, ExitCode=139), ""),
        (inspection("exited", 0, ExitCode=128, Error="port is already allocated", healer="always"), ""),
    ],
    ids=["by itself", "told to reload before", "stopped an earlier time", "forgotten, by a crash", "could not start"],
)
def test_what_ended_by_itself_is_started(start: Start, inspected: dict[str, Any], happened: str) -> None:
    """Whatever its exit code."""
    docker = start({INSPECT: [(200, inspected), RUNS_ANEW], EVENTS: (200, happened), RESTART: DONE})
    assert "web: process 20 in place of none" == RestartContainer().run(context(docker.url))


def test_an_unknown_container_is_named(start: Start) -> None:
    """In Docker's own words."""
    with pytest.raises(PermanentError, match=r"Docker refuses: No such container: web \(404\)"):
        RestartContainer().run(context(start({}).url))


def test_an_error_of_docker_is_told(start: Start) -> None:
    """Whether it is JSON or not."""
    docker = start({INSPECT: RUNS, RESTART: [(500, {"message": "driver failed"}), (502, "<html>bad gateway")]})
    for says in ("driver failed", "<html>bad gateway"):
        with pytest.raises(PermanentError, match=says):
            RestartContainer().run(context(docker.url))


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"State": {"Status": "running"}}'])
def test_what_is_not_docker_is_told(start: Start, body: str) -> None:
    """Somebody else may listen at that socket."""
    docker = start({INSPECT: (200, body)})
    with pytest.raises(PermanentError, match="is not Docker"):
        RestartContainer().run(context(docker.url))


@pytest.mark.parametrize("hanging", [INSPECT, RESTART])
def test_an_engine_that_hangs_takes_no_longer_than_the_action_may(start: Start, hanging: str) -> None:
    """Whichever call it is that hangs."""
    docker = start({INSPECT: RUNS, RESTART: DONE} | {hanging: (HANGS, "")})
    with pytest.raises(TimeoutError, match="does not answer in time"):
        RestartContainer().run(context(docker.url, timeout_s=0.2))


def test_a_socket_that_is_missing_or_of_nobody_is_told(tmp_path: Path) -> None:
    """With what to do about it."""
    with pytest.raises(PermanentError, match=r"no such socket; start Docker, or name its socket in process\.docker"):
        RestartContainer().run(context(f"unix://{tmp_path}/nowhere.sock"))
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "dead.sock"))
    with pytest.raises(PermanentError, match="nobody listens; start Docker"):
        RestartContainer().run(context(f"unix://{tmp_path}/dead.sock"))


def test_a_socket_that_this_user_may_not_use_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it would mean to let it."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(DockerError, match="put Mendline's user into the socket's group, which is as good as root"):
        Docker("unix:///var/run/docker.sock").container("web", 1.0)


def test_a_name_is_no_path(start: Start) -> None:
    """Whatever a caller gives as a name is one part of the path."""
    docker = start({})
    with pytest.raises(DockerError):
        Docker(docker.url).restart("a/../b?c", 1, 5)
    assert ["POST /containers/a%2F..%2Fb%3Fc/restart?t=1"] == docker.asked


def test_why_docker_does_not_tell_is_said_once(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """A process that cannot be asked for is not known, and its absence not meant."""
    caplog.set_level(logging.WARNING)
    locator = ContainerLocator("web", Docker(start({}).url))
    assert not locator.explain(10, Exit(signal="SIGKILL")).meant
    assert locator.locate() is None
    assert not locator.meant_absence()
    assert ["Docker does not tell about web: Docker refuses: No such container: web (404)"] == [
        message for message in caplog.messages if "404" in message
    ]


def test_an_end_that_the_kernel_did_not_explain_is_as_docker_says(start: Start) -> None:
    """128 and more stand for signals."""
    ended = inspection("exited", 0, ExitCode=139)
    docker = start({INSPECT: (200, ended), EVENTS: (200, events("start", "die"))})
    ending = ContainerLocator("web", Docker(docker.url)).explain(10, Exit())
    assert (Exit(signal="SIGSEGV"), False, "Docker says exited with code 139") == ending[:3]
