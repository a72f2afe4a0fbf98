"""The supervisor: processes are started once, found again, and ended for certain."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from mendline.responders import offspring
from mendline.responders import supervisor as module
from mendline.responders.identity import Identity, boot_id, identify, is_alive, state_of, wait_gone
from mendline.responders.output import OutputFile
from mendline.responders.supervisor import Supervisor, SupervisorError
from mendline.schemas.settings import ProcessSettings, ServiceSettings

PATIENCE_S = 20.0
SLEEP = (sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(600)")
STUBBORN = (
    sys.executable,
    "-S",
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
)

Make = Callable[..., Supervisor]


def until(true: Callable[[], object], what: str) -> None:
    """Wait until something outside became true."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def service(*command: str, depends_on: tuple[str, ...] = (), **settings: object) -> ServiceSettings:
    """Return a service that Mendline runs."""
    given = {"command": command or SLEEP, "grace": 10_000} | settings
    return ServiceSettings(process=ProcessSettings.model_validate(given), depends_on=depends_on)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make supervisors on one state folder; whatever they run is ended and reaped afterwards, as the agent would."""
    children: dict[int, str] = {}
    spawn = module._spawn

    def note_child(settings: ProcessSettings, output: OutputFile, token: str) -> int:
        pid = spawn(settings, output, token)
        children[pid] = token
        return pid

    def one(**services: ServiceSettings) -> Supervisor:
        return Supervisor(services or {"web": service()}, tmp_path)

    monkeypatch.setattr(module, "_spawn", note_child)
    yield one
    for pid, token in children.items():
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        offspring.kill_all(token)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def wait_up(supervisor: Supervisor, name: str = "web") -> None:
    """Wait until the service says that it is up."""
    until(lambda: "up" in supervisor.tail(name, 5), f"{name} did not come up")


def test_a_service_is_started_once(make: Make) -> None:
    """A second start finds the first process."""
    supervisor = make()
    first = supervisor.start("web")
    assert supervisor.start("web").pid == first.pid
    assert supervisor.current("web") == first[:2]
    assert not first.adopted
    assert abs(first.started_at - time.time() * 1000) < 60_000


def test_a_process_leads_a_session_of_its_own_and_reads_nothing(make: Make) -> None:
    """Ctrl-C in Mendline's terminal must not reach it."""
    pid = make().start("web").pid
    assert os.getsid(pid) == pid != os.getsid(0)
    assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")


def test_environment_and_folder_are_the_settings(make: Make, tmp_path: Path) -> None:
    """Added to Mendline's own environment, in the folder that was asked for."""
    code = "import os; print(os.environ['COLOUR'], os.getcwd(), 'PATH' in os.environ, flush=True)"
    supervisor = make(web=service(sys.executable, "-S", "-c", code, cwd=str(tmp_path), environment={"COLOUR": "red"}))
    supervisor.start("web")
    until(lambda: supervisor.tail("web", 1) == (f"red {tmp_path} True",), "the output is not what was expected")


def test_a_stop_ends_it_gently_and_is_marked_as_meant(make: Make) -> None:
    """SIGTERM is enough, and the agent can tell that this exit was asked for."""
    supervisor = make()
    pid = supervisor.start("web").pid
    wait_up(supervisor)
    assert not supervisor.meant("web", pid)
    assert supervisor.stop("web")
    assert supervisor.current("web") is None
    assert supervisor.meant("web", pid)
    assert os.waitpid(pid, 0)[1] == signal.SIGTERM
    assert not supervisor.stop("web")


def test_an_exit_that_nobody_asked_for_is_not_meant(make: Make) -> None:
    """Killed from outside and then restarted by us: the old exit was still not meant."""
    supervisor = make()
    pid = supervisor.start("web").pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert supervisor.restart("web").pid != pid
    assert not supervisor.meant("web", pid)


def test_the_stop_signal_is_the_settings(make: Make) -> None:
    """Some services end well only on SIGINT."""
    supervisor = make(web=service(stop_signal="SIGINT"))
    pid = supervisor.start("web").pid
    wait_up(supervisor)
    supervisor.stop("web")
    assert b"KeyboardInterrupt" in supervisor.output_path("web").read_bytes()
    os.waitpid(pid, 0)


@pytest.mark.slow
def test_what_ignores_the_signal_is_killed_after_its_grace(make: Make) -> None:
    """The grace is kept, then SIGKILL."""
    supervisor = make(web=service(*STUBBORN, grace=200))
    pid = supervisor.start("web").pid
    wait_up(supervisor)
    began = time.monotonic()
    supervisor.stop("web")
    assert time.monotonic() - began >= 0.2
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL


@pytest.mark.slow
def test_a_restart_in_a_hurry_cuts_the_grace_short(make: Make) -> None:
    """The command's time bounds the whole."""
    supervisor = make(web=service(*STUBBORN, grace=600_000))
    first = supervisor.start("web").pid
    wait_up(supervisor)
    assert supervisor.restart("web", timeout_s=0.5).pid != first


def test_a_stopped_process_ends_at_once(make: Make) -> None:
    """SIGSTOP keeps it from seeing SIGTERM; SIGCONT follows, so no grace is waited for."""
    supervisor = make(web=service(grace=600_000))
    first = supervisor.start("web")
    wait_up(supervisor)
    os.kill(first.pid, signal.SIGSTOP)
    identity = identify(first.pid)
    assert identity
    until(lambda: state_of(identity) == "T", "it does not stop")
    second = supervisor.restart("web")
    assert os.waitpid(first.pid, 0)[1] == signal.SIGTERM
    assert supervisor.current("web") == second[:2]


@pytest.mark.slow
def test_a_process_that_is_held_is_killed_without_waiting(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that stays stopped whatever it is told, as under a debugger, cannot end by itself."""
    supervisor = make(web=service(*STUBBORN, grace=600_000))
    pid = supervisor.start("web").pid
    wait_up(supervisor)
    monkeypatch.setattr(signal, "SIGCONT", signal.SIGSTOP)
    assert supervisor.stop("web")
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL


def test_the_whole_group_goes_even_when_its_leader_is_gone(make: Make) -> None:
    """What a dead service left behind would hold its port: it is killed before the next start."""
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\nchild.wait()"
    )
    supervisor = make(web=service(sys.executable, "-S", "-c", code))
    pid = supervisor.start("web").pid
    until(lambda: supervisor.tail("web", 1), "no child")
    child = identify(int(supervisor.tail("web", 1)[0]))
    assert child
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert is_alive(child)
    supervisor.restart("web")
    assert wait_gone(child, PATIENCE_S)


DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
    def end(*_):
        time.sleep(0.1)
        open(sys.argv[1], "a").write("ended in order")
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[2] == "stubborn" else end)
    print(os.getpid(), flush=True)
    while True:
        time.sleep(600)
os.wait()
while True:
    time.sleep(600)
"""


class Daemonising(NamedTuple):
    """A service that started a daemon: double-forked, in a session of its own, with init for a parent."""

    supervisor: Supervisor
    pid: int
    daemon: Identity
    note: Path


@pytest.fixture
def daemonising(make: Make, tmp_path: Path) -> Callable[[str], Daemonising]:
    """Start such a service; its daemon notes that it ended in order, or is stubborn."""

    def one(mood: str) -> Daemonising:
        note = tmp_path / "note"
        supervisor = make(web=service(sys.executable, "-S", "-c", DAEMON, str(note), mood, grace=500))
        pid = supervisor.start("web").pid
        until(lambda: supervisor.tail("web", 1), "no daemon")
        daemon = identify(int(supervisor.tail("web", 1)[0]))
        assert daemon
        assert os.getsid(daemon.pid) != os.getsid(pid)
        return Daemonising(supervisor, pid, daemon, note)

    return one


@pytest.mark.slow
def test_a_daemon_ends_in_order_with_its_service(daemonising: Callable[[str], Daemonising]) -> None:
    """It gets the stop signal and what is left of the grace, though no signal to the group reaches it."""
    one = daemonising("orderly")
    one.supervisor.stop("web")
    assert not is_alive(one.daemon)
    assert one.note.read_text() == "ended in order"


@pytest.mark.slow
def test_a_stubborn_daemon_is_killed_after_the_grace(daemonising: Callable[[str], Daemonising]) -> None:
    """As its service would be."""
    one = daemonising("stubborn")
    one.supervisor.stop("web")
    assert wait_gone(one.daemon, PATIENCE_S)


def test_a_daemon_does_not_outlive_a_restart_after_its_service_died(
    make: Make, daemonising: Callable[[str], Daemonising]
) -> None:
    """Also when it is the next agent that restarts it: a second daemon would find the port taken."""
    one = daemonising("orderly")
    os.kill(one.pid, signal.SIGKILL)
    os.waitpid(one.pid, 0)
    assert is_alive(one.daemon)
    make().restart("web")
    assert wait_gone(one.daemon, PATIENCE_S)


def test_what_another_service_started_is_left_alone(make: Make) -> None:
    """Each start of each service has a token of its own."""
    supervisor = make(web=service(), app=service())
    supervisor.start_all()
    wait_up(supervisor, "app")
    supervisor.stop("web")
    assert supervisor.current("app")


def test_services_start_after_what_they_depend_on_and_stop_before_it(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is that of `depends_on`, whatever the order in the file."""
    stopped: list[str] = []

    def note_stop(name: str) -> bool:
        stopped.append(name)
        return stop(name)

    supervisor = make(
        web=service(depends_on=("app", "elsewhere")),
        app=service(depends_on=("db",)),
        db=service(),
        watched=ServiceSettings(),
    )
    assert tuple(supervisor.start_all()) == ("db", "app", "web")
    stop = supervisor.stop
    monkeypatch.setattr(supervisor, "stop", note_stop)
    supervisor.stop_all()
    assert stopped == ["web", "app", "db"]
    assert all(supervisor.current(name) is None for name in supervisor.order)


def test_a_circle_of_dependencies_is_refused(tmp_path: Path) -> None:
    """With the circle in the message."""
    services = {"a": service(depends_on=("b",)), "b": service(depends_on=("a",))}
    with pytest.raises(SupervisorError, match=r"in a circle: (a -> b -> a|b -> a -> b)"):
        Supervisor(services, tmp_path)


def test_a_service_that_somebody_else_runs_is_none_of_its_business(make: Make) -> None:
    """Only services with a command."""
    supervisor = make(web=service(), db=ServiceSettings())
    with pytest.raises(SupervisorError, match="db is not run by Mendline"):
        supervisor.start("db")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"command": ("/no/such/program",)}, "/no/such/program does not exist"),
        ({"command": ("true",), "cwd": "/no/such/folder"}, "/no/such/folder does not exist"),
        ({"command": ("/",)}, "Permission denied: /"),
        ({"command": ("true",), "output": "/proc/no/file"}, "/proc/no does not exist"),
        ({"command": ("true\0",)}, "embedded null byte"),
    ],
)
def test_what_cannot_be_started_says_why(make: Make, settings: dict[str, object], message: str) -> None:
    """One clear message, and nothing runs."""
    supervisor = make(web=ServiceSettings(process=ProcessSettings.model_validate(settings)))
    with pytest.raises(SupervisorError, match=f"web cannot be started: {message}"):
        supervisor.start("web")
    assert supervisor.current("web") is None


RUN = """
import sys, time
from pathlib import Path
from mendline.responders.supervisor import Supervisor
from mendline.schemas.settings import ProcessSettings, ServiceSettings

web = ServiceSettings(process=ProcessSettings(command=tuple(sys.argv[2:])))
supervisor = Supervisor({"web": web}, Path(sys.argv[1]))
BEFORE
print(supervisor.start("web").pid, flush=True)
time.sleep(600)
"""
DIE_BEFORE_THE_NOTE = """
import os, signal
from mendline.responders import offspring
from mendline.responders import supervisor as module
spawn = module._spawn
def spawn_and_die(*arguments):
    print(spawn(*arguments), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
module._spawn = spawn_and_die
"""


@pytest.mark.slow
@pytest.mark.parametrize("before", ["", DIE_BEFORE_THE_NOTE], ids=["running", "in the middle of the start"])
def test_services_outlive_mendlines_death_and_are_adopted(make: Make, tmp_path: Path, before: str) -> None:
    """Kill -9 of Mendline at any moment: the service runs on, is found, and no second copy is started."""
    code = RUN.replace("BEFORE", before)
    arguments = [sys.executable, "-c", code, str(tmp_path), *SLEEP]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as mendline:
        assert mendline.stdout
        pid = int(mendline.stdout.readline())
        os.kill(mendline.pid, signal.SIGKILL)
    supervisor = make()
    assert supervisor.current("web") is None
    assert supervisor.adopt_all()["web"].pid == pid
    found = supervisor.start("web")
    assert (found.pid, found.adopted) == (pid, True)
    assert make().start_all()["web"].pid == pid
    second = supervisor.restart("web")
    assert second.pid != pid
    assert not second.adopted
    assert identify(pid) is None


def test_a_reused_pid_is_not_taken_for_the_service(make: Make, tmp_path: Path) -> None:
    """Another start time, or another boot: another process, which is left alone."""
    supervisor = make()
    supervisor.start("web")
    note = tmp_path / "services" / "web.json"
    mine = identify(os.getpid())
    assert mine
    for text in (
        f'{{"pid": {mine.pid}, "started": {mine.started + 1}, "boot": "{boot_id()}", "token": "x", "since": 0}}',
        f'{{"pid": {mine.pid}, "started": {mine.started}, "boot": "another", "token": "x", "since": 0}}',
    ):
        note.write_text(text)
        assert make().adopt("web") is None
    supervisor.stop("web")


@pytest.mark.parametrize("note", ["{", "[]", "{}", f'{{"boot": "{boot_id()}"}}'])
def test_a_damaged_note_is_said(make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, note: str) -> None:
    """The file is named, and what follows from it."""
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "web.json").write_text(note)
    assert make().adopt("web") is None
    assert "if web runs already, it will not be found" in caplog.text


def test_output_is_appended_to_and_its_end_belongs_to_the_newest_process(make: Make) -> None:
    """Nothing an earlier process wrote is lost, and its last words are not taken for the new one's."""
    supervisor = make(web=service("sh", "-c", "echo one >&2; echo $$; sleep 600"))
    supervisor.start("web")
    until(lambda: len(supervisor.tail("web", 9)) == 2, "no output")
    pid = supervisor.restart("web").pid
    until(lambda: supervisor.tail("web", 9) == ("one", str(pid)), "the tail is not the new process's")
    assert supervisor.tail("web", 1) == (str(pid),)
    assert supervisor.output_path("web").read_bytes().count(b"one") == 2


@pytest.mark.slow
def test_the_output_is_rotated_and_the_process_goes_on_writing(make: Make) -> None:
    """Copy and truncate: the writer's descriptor stays good because it appends."""
    supervisor = make(web=service("sh", "-c", "while :; do echo 0123456789; sleep 0.01; done", output_max=1000))
    supervisor.start("web")
    path = supervisor.output_path("web")
    until(lambda: supervisor.rotate() == ["web"], "never rotated")
    assert path.with_name("web.log.1").stat().st_size > 1000
    assert path.stat().st_size < 1000
    until(lambda: supervisor.tail("web", 1) == ("0123456789",), "it does not write any more")
    assert b"\0" not in path.read_bytes()


def test_the_tail_is_short_whatever_the_file_is(tmp_path: Path) -> None:
    """Long lines are cut, bytes that are no text replaced, a missing file is empty."""
    output = OutputFile(tmp_path / "out", 10)
    assert output.tail(3) == ()
    assert not output.rotate()
    (tmp_path / "out").write_bytes(b"\xff\n" + b"x" * 100_000 + b"\n\nlast\n")
    assert [len(line) for line in output.tail(9)] == [500, 4]


@pytest.mark.slow
def test_no_popen_is_left_that_would_reap_or_warn(make: Make) -> None:
    """The exit code stays for the agent, whatever the garbage collector and later starts do."""
    supervisor = make(web=service("sh", "-c", "exit 7"), db=service())
    pid = supervisor.start("web").pid
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()
    assert wait_gone(Identity(pid, 0), PATIENCE_S)
    supervisor.start("db")
    subprocess.run(["true"], check=True)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
