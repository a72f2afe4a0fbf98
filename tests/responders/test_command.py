"""Commands by name, on real processes: what is run, what is refused, and what is left when the time is over."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

import pytest

from mendline.responders import running
from mendline.responders.action import ActionContext, PermanentError, TemporaryError
from mendline.responders.command import Command
from mendline.responders.identity import identify, wait_gone
from mendline.responders.running import run_bounded
from mendline.schemas.settings import ServiceSettings


def context(script: str, timeout_s: float = 10.0, **more: object) -> ActionContext:
    """Return what the action is told about `web`, which has the command `mend`: a Python script."""
    command = {"argv": [sys.executable, "-c", script], **more}
    settings = ServiceSettings.model_validate({"commands": {"mend": command}})
    return ActionContext("i-1", "host-1", "web", settings, timeout_s, {"name": "mend"})


def test_it_runs_the_vector_that_the_host_names() -> None:
    """And returns what the program printed, which is attached too."""
    told = context("print('flushed 3')")
    assert Command().run(told) == "mend ended with 0: flushed 3"
    assert told.attached == {"output": "flushed 3"}


def test_no_shell_reads_the_vector() -> None:
    """What means something to a shell is an argument like any other."""
    argv = [sys.executable, "-c", "import sys; print(sys.argv[1:])", "$HOME; echo `id`", "*"]
    told = context("", argv=argv)
    assert Command().run(told) == "mend ended with 0: ['$HOME; echo `id`', '*']"


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"name": "rm"}, "knows no command 'rm' of web; services.….commands has: mend"),
        ({}, "name is missing; add it .which of the service's `commands`"),
        ({"name": "mend", "argv": "rm -r /"}, "argv is no parameter; known here: name"),
    ],
)
def test_a_record_can_only_choose_among_names(parameters: dict[str, str], why: str) -> None:
    """Anything else in a step is refused before anything runs."""
    told = context("raise SystemExit('it ran')")
    with pytest.raises(PermanentError, match=why):
        Command().run(ActionContext("i-1", "host-1", "web", told.settings, 5.0, parameters))


def test_the_exit_status_decides() -> None:
    """Some are worth another try, by default sysexits' EX_TEMPFAIL; the others are failures."""
    with pytest.raises(PermanentError, match=r"mend ended with 3: no$"):
        Command().run(context("print('no'); raise SystemExit(3)"))
    with pytest.raises(TemporaryError, match="mend ended with 75: it printed nothing"):
        Command().run(context("raise SystemExit(75)"))


def test_a_program_that_is_not_there_is_named() -> None:
    """So that a typing error is found."""
    with pytest.raises(PermanentError, match="the command mend cannot be run: /nowhere/mend: No such file"):
        Command().run(context("", argv=["/nowhere/mend"]))
    with pytest.raises(PermanentError, match="nobody-here: there is no such user"):
        Command().run(context("", user="nobody-here"))


CHILD = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
with open(sys.argv[1], "w") as file:
    file.write(str(child.pid))
time.sleep(600)
"""


@pytest.mark.slow
def test_nothing_is_left_when_the_time_is_over(tmp_path: Path) -> None:
    """The program and the daemon that it started are killed, whichever of the two bounds was nearer."""
    note = tmp_path / "pid"
    argv = [sys.executable, "-c", CHILD, str(note)]
    with pytest.raises(TimeoutError, match=r"did not end within 1\.0 s"):
        Command().run(context("", timeout_s=1.0, argv=argv))
    child = identify(int(note.read_text()))
    assert child is None or wait_gone(child, 10.0)
    with pytest.raises(TimeoutError, match=r"did not end within 0\.2 s"):
        Command().run(context("import time; time.sleep(600)", timeout=200))


@pytest.mark.slow
def test_a_program_that_prints_for_ever_does_not_fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old output is let go of, and the end of it is kept."""
    monkeypatch.setattr(running, "MOST_ON_DISK", 64 * 1024)
    monkeypatch.setattr(running, "LOOK_EVERY_S", 0.01)
    sizes: list[int] = []
    truncate = os.ftruncate

    def noting(handle: int, length: int) -> None:
        sizes.append(os.fstat(handle).st_size)
        truncate(handle, length)

    monkeypatch.setattr(os, "ftruncate", noting)
    script = "import time\nfor _ in range(40): print('x' * 16384, flush=True); time.sleep(0.01)\nprint('end')"
    assert run_bounded([sys.executable, "-c", script], 20.0).output.endswith("end")
    assert len(sizes) > 1


def test_the_user_we_are_needs_no_rights() -> None:
    """Naming the own user changes nothing, its environment included."""
    told = context("import os; print(os.environ['PATH'])", user=getpass.getuser())
    assert Command().run(told) == f"mend ended with 0: {os.environ['PATH']}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_another_user_gets_its_own_rights_and_not_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No group of root's stays, and no secret in a variable is passed on."""
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    script = "import os; print(os.getuid(), os.getgroups() == [os.getgid()], os.environ.get('SHOP_PASSWORD'))"
    uid = run_bounded(["id", "-u", "nobody"], 5.0).output
    told = context("", argv=["/usr/bin/env", "python3", "-c", script], user="nobody")
    assert Command().run(told) == f"mend ended with 0: {uid} True None"
