"""A real supervisord: its programs found, watched and restarted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mendline.managers.supervisord import Supervisord, SupervisordError
from mendline.producers.exits import Exit
from mendline.producers.programs import ProgramLocator
from mendline.responders.action import ActionContext, DeferredError, PermanentError
from mendline.responders.restart_program import RestartProgram
from mendline.schemas.settings import ProcessSettings, ServiceSettings
from tests.producers.support import until

pytestmark = pytest.mark.heavy
PROGRAMS = {"web": "autorestart=false", "keen": "autorestart=true", "broken": "startretries=1"}
CODES = {"broken": "import sys; sys.exit(1)"}
PASSWORD = "hunter2"
RPC = """[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface"""


class Server:
    """supervisord in a folder of its own, with a password, and three programs."""

    def __init__(self, folder: Path) -> None:
        self.url = f"unix://{folder}/s.sock"
        self.password = f"file:{folder}/password"
        (folder / "password").write_text(PASSWORD)
        sections = [
            f"[supervisord]\nnodaemon=true\nlogfile={folder}/log\npidfile={folder}/pid\nuser={os.getuid()}",
            f"[unix_http_server]\nfile={folder}/s.sock\nusername=me\npassword={PASSWORD}",
            RPC,
        ]
        for name, more in PROGRAMS.items():
            command = f'{sys.executable} -c "{CODES.get(name, "import time; time.sleep(600)")}"'
            sections.append(
                f"[program:{name}]\ncommand={command}\nstartsecs=0.2\nstopwaitsecs=2\n{more}".replace("0.2", "1")
            )
        (folder / "supervisord.conf").write_text("\n\n".join(sections))
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(folder / "supervisord.conf")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.client = Supervisord(self.url, "me", self.password)

    def state(self, name: str) -> str:
        """Return the state of a program; empty while the server is not up."""
        try:
            return self.client.program(name, 5).state
        except SupervisordError:
            return ""

    def pid(self, name: str) -> int:
        """Return the process of a program that runs."""
        until(lambda: self.state(name) == "RUNNING")
        return self.client.program(name, 5).pid or 0

    def context(self, name: str, **process: object) -> ActionContext:
        """Return what the action is told about a program."""
        given = {"program": name, "supervisord": self.url, "supervisord_user": "me"} | process
        settings = ProcessSettings.model_validate({"supervisord_password": self.password} | given)
        return ActionContext("i", "host-1", "web", ServiceSettings(process=settings), 20.0)


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("s"))
    try:
        until(lambda: server.state("web") == "RUNNING")
        yield server
    finally:
        server.process.terminate()
        server.process.wait(20)


def test_its_process_is_found(server: Server) -> None:
    """By the program's name."""
    locator = ProgramLocator("web", server.client)
    assert server.pid("web") == locator.locate()
    assert not locator.meant_absence()


def test_a_program_that_runs_is_restarted(server: Server) -> None:
    """It has another process afterwards."""
    before = server.pid("web")
    told = RestartProgram().run(server.context("web"))
    after = server.pid("web")
    assert f"web: process {after} in place of {before}" == told
    assert before != after


def test_a_program_that_died_is_started(server: Server) -> None:
    """Supervisord does not, as it was told so, and its death was not meant."""
    pid = server.pid("web")
    os.kill(pid, signal.SIGKILL)
    ending = ProgramLocator("web", server.client).explain(pid, Exit(signal="SIGKILL"))
    assert (False, "supervisord says EXITED") == (ending.meant, ending.detail)
    RestartProgram().run(server.context("web"))
    assert psutil.pid_exists(server.pid("web"))


def test_a_program_that_was_stopped_stays_so(server: Server) -> None:
    """Somebody wanted it, and its end was meant."""
    pid = server.pid("web")
    server.client.stop("web", 10)
    locator = ProgramLocator("web", server.client)
    assert locator.explain(pid, Exit(signal="SIGTERM")).meant
    assert locator.meant_absence()
    with pytest.raises(PermanentError, match="stopped on purpose: start it by `supervisorctl start web`"):
        RestartProgram().run(server.context("web"))
    server.client.start("web", 10)


def test_supervisord_comes_first(server: Server) -> None:
    """While it starts a program again, this waits for it."""
    pid = server.pid("keen")
    os.kill(pid, signal.SIGKILL)
    until(lambda: server.state("keen") == "STARTING")
    with pytest.raises(DeferredError, match="supervisord is about to start keen itself"):
        RestartProgram().run(server.context("keen"))
    assert pid != server.pid("keen")


def test_what_does_not_come_up_is_named(server: Server) -> None:
    """With supervisord's own reason."""
    until(lambda: server.state("broken") == "FATAL")
    with pytest.raises(PermanentError, match=r"supervisord refuses startProcess: .*broken"):
        RestartProgram().run(server.context("broken"))


@pytest.mark.parametrize(
    ("name", "process", "says"),
    [("nope", {}, "refuses getProcessInfo: BAD_NAME: nope"),
     ("web", {"supervisord_user": "you"}, "answers 401"),
     ("web", {"supervisord": "unix:///nowhere/s.sock"}, "does not answer: No such file"),
     ("web", {"supervisord_password": "env:NO_SUCH_VARIABLE"}, "the password of me at .*NO_SUCH_VARIABLE")],
)  # fmt: skip
def test_what_is_wrong_is_named(server: Server, name: str, process: dict[str, object], says: str) -> None:
    """Name, password, address: each its own message, and the password in none."""
    with pytest.raises(PermanentError, match=says) as caught:
        RestartProgram().run(server.context(name, **process))
    assert PASSWORD not in str(caught.value)
