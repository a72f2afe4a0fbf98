"""Watched processes: real ones, killed, stopped, continued, found."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mendline.producers.exits import Exit, ExitWatch
from mendline.producers.files import KeptFile
from mendline.producers.locators import Ending, Locator, MatchLocator, PidfileLocator
from mendline.producers.oom import KillCount, group_kills
from mendline.producers.processes import ProcessWatch
from mendline.producers.procfs import LinuxProcess, PortableProcess, command_line
from mendline.schemas.records import ProcessEvent
from tests.producers.support import Heard, by_label, program, sleeper, until


class Told:
    """A locator that is told where the process is and whether its end is meant."""

    slow = False

    def __init__(self, pid: int | None = None, *, meant: bool = False) -> None:
        self.pid = pid
        self.meant = meant

    def locate(self) -> int | None:
        return self.pid

    def meant_absence(self) -> bool:
        return self.meant

    def explain(self, pid: int, ended: Exit) -> Ending:
        return Ending(ended, self.meant, error_lines=("last words",))


class Unlucky(Told):
    """A locator that fails when it is asked about an end."""

    def explain(self, pid: int, ended: Exit) -> Ending:
        msg = "nobody knows"
        raise OSError(msg)


def now_ms() -> int:
    """Return the wall clock."""
    return time.time_ns() // 1_000_000


@pytest.fixture
def heard() -> Heard:
    """Keep what the watch emits."""
    return Heard()


@pytest.fixture
def watched(heard: Heard) -> Iterator[list[ProcessWatch]]:
    """Watches to be closed."""
    made: list[ProcessWatch] = []
    yield made
    for one in made:
        one.close()


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that does nothing."""
    made = sleeper()
    yield made
    made.kill()
    made.returncode = 0  # the watch may have reaped it


def watch(made: list[ProcessWatch], heard: Heard, locator: Locator) -> ProcessWatch:
    """Watch one service."""
    made.append(ProcessWatch("host", {"web": locator}, heard, now_ms, cores=2))
    return made[-1]


def ended(heard: Heard) -> ProcessEvent:
    """Return the first death that is told."""
    return heard.wait(ProcessEvent, lambda event: event.state == "exited")


def test_a_kill_is_told_at_once(watched: list[ProcessWatch], heard: Heard, process: subprocess.Popen[bytes]) -> None:
    """The event names process, signal and time; no round is needed for it."""
    watch(watched, heard, Told()).attach("web", process.pid)
    before = now_ms()
    process.kill()
    event = ended(heard)
    assert (process.pid, "SIGKILL", None, False) == (event.pid, event.signal, event.exit_code, event.meant)
    assert before <= event.time <= now_ms()
    assert event.started_at is not None
    assert ("last words",) == event.error_lines


def test_the_exit_code_of_a_child_is_told(watched: list[ProcessWatch], heard: Heard) -> None:
    """A child that ended before it was watched is told of too, for nobody else has reaped it."""
    child = subprocess.Popen(program("raise SystemExit(3)"))
    child.returncode = 0
    watch(watched, heard, Told()).attach("web", child.pid)
    event = ended(heard)
    assert (3, None) == (event.exit_code, event.signal)
    assert not event.detail


def test_the_exit_code_of_somebody_elses_child_is_told(watched: list[ProcessWatch], heard: Heard) -> None:
    """It is read from what is left of the process, as long as its parent has not reaped it."""
    text = "import os, sys, time\np = os.fork()\nif not p:\n time.sleep(1000)\nprint(p, flush=True)\nsys.stdin.read()\n"
    with subprocess.Popen(program(text), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        watch(watched, heard, Told()).attach("web", child)
        os.kill(child, signal.SIGTERM)
        assert "SIGTERM" == ended(heard).signal


def test_a_meant_end_is_marked(watched: list[ProcessWatch], heard: Heard, process: subprocess.Popen[bytes]) -> None:
    """Whoever runs the service knows whether its end was asked for."""
    watch(watched, heard, Told(meant=True)).attach("web", process.pid)
    process.terminate()
    assert ended(heard).meant


def test_a_state_is_answered_after_the_end_of_the_process_was_told(
    watched: list[ProcessWatch], heard: Heard, process: subprocess.Popen[bytes]
) -> None:
    """What a probe says that fails because the process ended is judged by that end, however busy the watch is."""
    busy, go_on, other = threading.Event(), threading.Event(), sleeper()

    class Slow(Told):
        def explain(self, pid: int, ended: Exit) -> Ending:
            busy.set()
            assert go_on.wait(10)
            return super().explain(pid, ended)

    watched.append(ProcessWatch("host", {"web": Told(), "other": Slow()}, heard, now_ms, cores=2))
    watched[0].attach("web", process.pid)
    watched[0].attach("other", other.pid)
    other.kill()
    assert busy.wait(10)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    told: list[tuple[str, bool]] = []

    def ask() -> None:
        letter = watched[0].state("web")
        ends = [one for one in heard.events if isinstance(one, ProcessEvent) and one.state == "exited"]
        told.append((letter, any(one.service == "web" for one in ends)))

    asking = threading.Thread(target=ask)
    asking.start()
    go_on.set()
    asking.join()
    other.returncode = 0
    assert [("", True)] == told


def test_a_death_is_told_even_if_nobody_can_explain_it(
    watched: list[ProcessWatch], heard: Heard, process: subprocess.Popen[bytes]
) -> None:
    """The event says what the kernel said, and that the rest is unknown."""
    watch(watched, heard, Unlucky()).attach("web", process.pid)
    process.kill()
    assert ("SIGKILL", "its circumstances are unknown: nobody knows") == (ended(heard).signal, ended(heard).detail)


def test_stopped_and_continued_are_noticed(
    watched: list[ProcessWatch], heard: Heard, process: subprocess.Popen[bytes]
) -> None:
    """Looking at the state, as rounds and failing probes do, tells of SIGSTOP and SIGCONT, once each."""
    watching = watch(watched, heard, Told())
    watching.attach("web", process.pid)
    process.send_signal(signal.SIGSTOP)
    until(lambda: watching.state("web") == "T")
    assert 1.0 == by_label(watching.collect(now_ms()))["web mendline.process.state{process.state=stopped}"]
    process.send_signal(signal.SIGCONT)
    until(lambda: watching.state("web") != "T")
    assert ["started", "stopped", "continued"] == heard.states()


def test_a_round_shows_what_the_process_uses(
    watched: list[ProcessWatch], heard: Heard, process: subprocess.Popen[bytes]
) -> None:
    """All values are there for a process of one's own, and none but `up` when there is no process."""
    watching = watch(watched, heard, Told(process.pid))
    watching.collect(now_ms())
    found = by_label(watching.collect(now_ms()))
    assert not [label for label, value in found.items() if value != value]  # noqa: PLR0124 - NaN
    assert (1.0, 1.0) == (found["web mendline.process.up"], found["web process.thread.count"])
    assert found["web process.memory.usage"] > 10_000
    process.kill()
    ended(heard)
    found = by_label(watching.collect(now_ms()))
    assert 0.0 == found["web mendline.process.up"]


def test_a_process_that_was_there_is_adopted_and_its_successor_started(
    watched: list[ProcessWatch], heard: Heard, process: subprocess.Popen[bytes]
) -> None:
    """The first look finds what ran before; a new process after a death is a restart."""
    locator = Told(process.pid)
    watching = watch(watched, heard, locator)
    watching.collect(now_ms())
    process.kill()
    ended(heard)
    successor = sleeper()
    locator.pid = successor.pid
    found = by_label(watching.collect(now_ms()))
    assert 1.0 == found["web mendline.process.restarts"]
    assert ["adopted", "exited", "started"] == heard.states()
    successor.kill()
    successor.returncode = 0
    heard.wait(ProcessEvent, lambda event: event.state == "exited" and event.pid == successor.pid)


def test_a_service_that_is_not_there_is_missing_once(watched: list[ProcessWatch], heard: Heard) -> None:
    """The first look that finds nothing is told, the others are not."""
    watching = watch(watched, heard, Told(None))
    for _ in range(3):
        watching.collect(now_ms())
    assert ["missing"] == heard.states()


def test_that_nobody_looked_is_told_apart_from_that_nothing_is_there(watched: list[ProcessWatch], heard: Heard) -> None:
    """A probe must know on which side of the first look its success was."""
    watching = watch(watched, heard, Told(None))
    assert watching.started_at("web") is None
    watching.collect(now_ms())
    assert 0 == watching.started_at("web")


def test_a_pidfile_leads_to_the_process(tmp_path: Path) -> None:
    """The first word of the file is the id; a missing or odd file is no process."""
    path = tmp_path / "pid"
    locator = PidfileLocator(str(path))
    assert locator.locate() is None
    path.write_text("what\n")
    assert locator.locate() is None
    path.write_text("123\n")
    assert 123 == locator.locate()


@pytest.mark.parametrize(
    ("exit_", "there", "meant"),
    [
        (Exit(code=0), False, True),
        (Exit(signal="SIGTERM"), False, True),
        (Exit(code=0), True, False),
        (Exit(signal="SIGKILL"), False, False),
        (Exit(code=1), False, False),
    ],
)
def test_a_clean_end_that_took_its_pidfile_away_was_meant(
    tmp_path: Path, exit_: Exit, there: bool, meant: bool
) -> None:
    """A daemon removes its pidfile when it is told to end, and leaves it behind when it crashes."""
    path = tmp_path / "pid"
    if there:
        path.write_text("1")
    assert meant == PidfileLocator(str(path)).explain(1, exit_).meant


def test_a_pattern_leads_to_the_oldest_process() -> None:
    """Of several processes the first one is the service, the others are most likely its children."""
    mark = f"1000.{os.getpid()}"
    both = [subprocess.Popen(["sleep", mark]) for _ in range(2)]
    try:
        for one in both:  # a process has its command line a moment after it was started
            until(lambda pid=one.pid: mark in command_line(pid))  # type: ignore[misc]
        assert min(one.pid for one in both) == MatchLocator(f"^sleep {mark}$").locate()
    finally:
        for one in both:
            one.kill()
            one.wait()


def test_the_watch_of_exits_outlives_a_bad_listener() -> None:
    """If telling of one death fails, the next is told all the same."""
    watching, told = ExitWatch(), Heard()
    first, second = sleeper(), sleeper()

    def fail(_: Exit) -> None:
        msg = "deaf"
        raise ValueError(msg)

    watching.watch(first.pid, fail)
    watching.watch(
        second.pid,
        lambda how: told(
            ProcessEvent(source="host", time=0, service="web", state="exited", pid=second.pid, signal=how.signal)
        ),
    )
    for one in (first, second):
        one.kill()
        one.returncode = 0
    assert "SIGKILL" == ended(told).signal
    watching.close()


def test_psutil_sees_the_same_process(process: subprocess.Popen[bytes]) -> None:
    """Where there is no /proc, psutil tells the same."""
    here, there = LinuxProcess(process.pid), PortableProcess(process.pid)
    until(lambda: here.state() == "S")
    assert here.state() == there.state()
    assert abs(here.started_at - there.started_at) < 2000
    mine, theirs = here.sample(), there.sample()
    assert (mine.threads, mine.virtual, mine.descriptors) == (theirs.threads, theirs.virtual, theirs.descriptors)


def test_a_dead_process_is_not_mistaken_for_its_successor(process: subprocess.Popen[bytes]) -> None:
    """The open files of a process never show another one."""
    here = LinuxProcess(process.pid)
    process.kill()
    process.wait()
    assert not here.state()
    with pytest.raises(ProcessLookupError):
        here.sample()


@pytest.mark.parametrize(
    ("line", "file"), [("0::/web", "web/memory.events"), ("4:cpu,memory:/web", "memory/web/memory.oom_control")]
)
def test_a_kill_for_want_of_memory_moves_the_groups_counter(tmp_path: Path, line: str, file: str) -> None:
    """Both versions of control groups tell it in a file of the process's group."""
    counter = tmp_path / file
    counter.parent.mkdir(parents=True)
    counter.write_text("low 0\noom_kill 1\n")
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text(f"1:name=systemd:/\n{line}\n")
    kills = group_kills(7, proc=str(tmp_path), cgroups=str(tmp_path))
    assert kills.moved() is False
    counter.write_text("low 0\noom_kill 2\n")
    assert kills.moved() is True
    kills.note()
    assert kills.moved() is False


def test_without_a_counter_nothing_is_known_of_kills() -> None:
    """Then the counter of the whole host has to do."""
    assert KillCount(None).moved() is None


def test_a_kept_file_reads_what_is_new(tmp_path: Path) -> None:
    """The file is opened once and read from its start each time, however long it is."""
    path = tmp_path / "file"
    path.write_bytes(b"a" * 200_000)
    kept = KeptFile(path)
    assert 200_000 == len(kept.read())
    path.write_bytes(b"b")
    assert b"b" == kept.read()
    kept.close()
    kept.close()


def test_who_ended_before_the_watch_was_closed_is_told_of() -> None:
    """The watch may be busy with one end when the next comes and it is closed."""
    watching, busy, go_on = ExitWatch(), threading.Event(), threading.Event()
    told: list[Exit] = []
    first, second = sleeper(), sleeper()

    def linger(_: Exit) -> None:
        busy.set()
        assert go_on.wait(10)

    watching.watch(first.pid, linger)
    watching.watch(second.pid, told.append)
    first.kill()
    assert busy.wait(10)
    second.kill()
    os.waitid(os.P_PID, second.pid, os.WEXITED | os.WNOWAIT)
    closing = threading.Thread(target=watching.close)
    closing.start()
    until(lambda: watching._closing)
    go_on.set()
    closing.join()
    for one in (first, second):
        one.returncode = 0
    assert [Exit(signal="SIGKILL")] == told
