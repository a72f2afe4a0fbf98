"""Evidence about a real process is collected, masked and bounded, and nothing is touched."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mendline.cli.journal import what_was_done
from mendline.responders import diagnose as module
from mendline.responders import looking
from mendline.responders.action import ActionContext
from mendline.responders.diagnose import Diagnose
from mendline.responders.messages import message_of
from mendline.responders.supervisor import Supervisor
from mendline.schemas.records import Verification
from mendline.schemas.settings import ServiceSettings, StepSettings
from mendline.web.telling import tell_playbook
from tests.producers.support import until
from tests.responders.support import Scene, fault, outcome, policy, settings

SERVICE = """
import socket, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "--password", "hunter2"])
listener = socket.create_server(("127.0.0.1", 0))
caller = socket.create_connection(listener.getsockname())
print("token=hunter2 up", child.pid, listener.getsockname()[1], flush=True)
time.sleep(600)
"""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Diagnose, ActionContext]]:
    """Yield the action and what it is told about a running service with a child, a socket and a log file."""
    (tmp_path / "web.log").write_text("first\nlast: api_key=hunter2\n")
    logs = [str(tmp_path / "web.log"), str(tmp_path / "gone.log")]
    (tmp_path / "web.py").write_text(SERVICE)
    command = [sys.executable, str(tmp_path / "web.py")]
    one = ServiceSettings.model_validate({"process": {"command": command}, "logs": logs})
    supervisor = Supervisor({"web": one}, tmp_path)
    pid = supervisor.start("web").pid
    until(lambda: bool(supervisor.tail("web", 1)))
    yield Diagnose(supervisor, lambda _: pid), ActionContext("i-1", "host-1", "web", one, 20.0)
    supervisor.stop("web")


@pytest.mark.slow
def test_what_a_person_would_look_at_is_attached(web: tuple[Diagnose, ActionContext]) -> None:
    """Processes, threads, sockets, output, logs, host; secrets masked in each, and what is missing named."""
    action, context = web
    told = action.run(context)
    found = context.attached
    child, port = found["output"].split()[-2:]
    assert told.startswith("collected processes, threads, sockets, output, log web.log, host")
    assert "log gone.log: FileNotFoundError" in told
    assert found["output"] == f"token=***** up {child} {port}"
    assert found["log web.log"] == "first\nlast: api_key=*****"
    assert found["processes"].splitlines()[2].startswith(f"{child} ")
    assert found["processes"].endswith("--password *****")
    assert found["sockets"].splitlines() == [f"listens on 127.0.0.1:{port}", "1 ESTABLISHED"]
    assert " S " in found["threads"]
    assert found["host"].startswith("load ")
    assert "hunter2" not in "".join(found.values())


def test_a_host_or_a_service_that_is_away_has_evidence_too(tmp_path: Path) -> None:
    """What there is without a process."""
    context = ActionContext("i-1", "host-1", "", ServiceSettings(), 20.0)
    Diagnose(Supervisor({}, tmp_path), lambda _: None).run(context)
    assert context.attached.keys() - {"kernel"} == {"host"}


def test_a_look_that_hangs_is_left_behind_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are not held up by more than its share of the time."""
    gate = threading.Event()
    monkeypatch.setattr(module, "LONGEST_LOOK_S", 0.05)
    monkeypatch.setattr(looking, "host", lambda: str(gate.wait(20)))
    monkeypatch.setattr(looking, "kernel", lambda: "warned")
    context = ActionContext("i-1", "host-1", "", ServiceSettings(), 20.0)
    told = Diagnose(Supervisor({}, tmp_path), lambda _: None).run(context)
    gate.set()
    assert told == "collected kernel (6 bytes); not host: did not come back within 0.1 s"
    assert context.attached == {"kernel": "warned"}


def test_the_kernels_warnings_are_read_and_its_talk_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their priority; what follows a record's first line is for programs."""
    records = ["6,1,1000000,-;bridge up\n", "3,2,2000000,-;I/O error on sdb\n SUBSYSTEM=block\n", "12,3,1,-;other\n"]
    monkeypatch.setattr(looking, "_kernel_records", lambda: iter(records))
    monkeypatch.setattr("time.clock_gettime", lambda _: 12.0)
    assert looking.kernel().splitlines() == ["10 s ago: I/O error on sdb", "12 s ago: other"]


def test_a_look_delays_no_deed_and_counts_against_none() -> None:
    """The deed follows at its outcome, before any time passes; the cooldown after it holds further looks only."""
    looks = StepSettings(action="diagnose", attempts=1, verify=0)
    on = Scene(settings(policy("auto", looks, StepSettings(action="restart", attempts=1)), cooldown=60_000))
    on.say(fault(name="overloaded"))
    on.say(outcome(on.intents[0], began_at=1))
    on.tick(1_000)
    assert [one.action for one in on.intents] == ["diagnose"]
    assert on.holds == ["kind"]
    assert on.journal.changes == []
    on = Scene(settings(policy("auto", looks, StepSettings(action="restart", attempts=1)), cooldown=60_000))
    on.say(fault())
    on.say(outcome(on.intents[0], began_at=1))
    assert [one.action for one in on.intents] == ["diagnose", "restart"]
    (proof,) = on.all(Verification)
    assert (proof.awaited, message_of(proof)) == (False, None)
    (known,) = on.journal.faults.values()
    assert what_was_done(known) == "diagnose: succeeded; restart: at work"
    shown = tell_playbook(on.journal, known)
    assert shown is not None
    assert [step.state for step in shown.steps] == ["done", "working"]


def test_what_is_attached_is_on_the_log_and_not_in_the_planners_memory() -> None:
    """A timeline shows it; a hundred thousand faults would not fit otherwise."""
    on = Scene()
    on.say(fault())
    on.say(outcome(on.intents[0], attached={"output": "much"}))
    kept = on.journal.faults[fault().id].intents[on.intents[0].id].outcome
    assert (kept.attached if kept else "", len(on.all(type(outcome(on.intents[0]))))) == (None, 1)


def test_the_current_process_has_lines(tmp_path: Path) -> None:
    """One that ended since is named by the error."""
    assert looking.processes(os.getpid()).splitlines()[1].startswith(f"{os.getpid()} {os.getppid()} ")
    ended = subprocess.Popen(["true"])
    ended.wait()
    with pytest.raises(Exception, match=str(ended.pid)):
        looking.processes(ended.pid)
