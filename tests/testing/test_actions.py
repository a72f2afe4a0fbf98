"""The generic checks of actions: each finds the action that is bad in just this, and the good ones pass them all."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from examples.actions.purge import Purge
from mendline.responders.action import Action, ActionContext, PermanentError
from mendline.responders.adjust import Adjust
from mendline.responders.command import Command
from mendline.responders.diagnose import Diagnose
from mendline.responders.restart import Restart, RestartProcess
from mendline.responders.restart_systemd import RestartUnit
from mendline.responders.restore_data import RestoreData
from mendline.responders.snapshots.deadline import Deadline
from mendline.responders.snapshots.saving import save
from mendline.responders.snapshots.store import Store
from mendline.responders.supervisor import Supervisor
from mendline.schemas.settings import ServiceSettings
from mendline.testing.actions import SERVICE, Trial, check_action
from mendline.testing.detectors import CheckFailedError

NAMED, ONCE, IN_TIME, SHELL, WORDS, HONEST, CHILD = range(7)


class Base:
    """A good action that notes in a file, once for each intent; the bad ones below differ from it in one thing."""

    name = "note"

    def run(self, context: ActionContext) -> str:
        """Do it."""
        self.find(context)
        return self.work(context) or "done"

    def find(self, context: ActionContext) -> Path:
        """Return the file. Raises PermanentError."""
        if not context.settings.config:
            msg = "the service has no config"
            raise PermanentError(msg)
        return Path(context.settings.config[0])

    def work(self, context: ActionContext) -> str:
        """Note the intent."""
        self.find(context).write_text(context.intent)
        return ""


class Nameless(Base):
    """Cannot be named by a policy."""

    name = ""


class Silent(Base):
    """Does not say what it did."""

    def run(self, context: ActionContext) -> str:
        """Return nothing."""
        return super().run(context)[:0]


class Twice(Base):
    """Adds again at each run, whatever the intent."""

    def work(self, context: ActionContext) -> str:
        """Append."""
        with self.find(context).open("a") as file:
            file.write("x")
        return ""


class Endless(Base):
    """Takes its time, and not the one it was given."""

    def work(self, context: ActionContext) -> str:
        """Wait for what does not come."""
        threading.Event().wait(3.0 if "slow" in context.parameters else 0)
        return ""


class Late(Base):
    """Succeeds after its time."""

    def work(self, context: ActionContext) -> str:
        """Wait somewhat too long."""
        threading.Event().wait(context.timeout_s + 0.2 if "slow" in context.parameters else 0)
        return ""


class Confused(Base):
    """Raises what the contract does not know when its time is over."""

    def work(self, context: ActionContext) -> str:
        """Give up in its own way."""
        if "slow" in context.parameters:
            raise RuntimeError
        return ""


class Shell(Base):
    """Lets a shell read a command line."""

    def work(self, _: ActionContext) -> str:
        """Run it."""
        subprocess.run("true", shell=True, check=True)  # noqa: S602 - what is to be found
        return ""


class OtherShell(Base):
    """Starts a shell by its name."""

    def work(self, _: ActionContext) -> str:
        """Run it."""
        subprocess.run(["/bin/sh", "-c", "true"], check=True)
        return ""


class Obedient(Base):
    """Runs what a record says."""

    def work(self, context: ActionContext) -> str:
        """Run it."""
        subprocess.run(["true", str(context.parameters.get("word", ""))], check=True)
        return ""


class Reader(Base):
    """Opens a file that a record names."""

    def work(self, context: ActionContext) -> str:
        """Look for it."""
        path = self.find(context).with_name(str(context.parameters.get("word", "")))
        with path.open("a"):
            return ""


class Noter(Base):
    """Makes a path of the intent's id."""

    def work(self, context: ActionContext) -> str:
        """Note it in a file of its own."""
        self.find(context).with_name(context.intent).touch()
        return ""


class Optimist(Base):
    """Is content with doing nothing."""

    def find(self, _: ActionContext) -> Path:
        """Find anything."""
        return Path("/dev/null")


class Crasher(Base):
    """Falls over where settings are missing."""

    def find(self, context: ActionContext) -> Path:
        """Trust that there is one."""
        return Path(context.settings.config[0])


SLEEP = [sys.executable, "-c", "import time; time.sleep(30)"]


class Litter(Base):
    """Leaves a process that left its session too."""

    def work(self, _: ActionContext) -> str:
        """Start it."""
        children.append(subprocess.Popen(SLEEP, start_new_session=True))
        return ""


class Orphans(Base):
    """Does not wait for what it started."""

    def work(self, _: ActionContext) -> str:
        """Start it, and read all it says."""
        child = subprocess.Popen(["true"], stdout=subprocess.PIPE)
        children.append(child)
        assert child.stdout is not None
        child.stdout.read()
        child.stdout.close()
        while Path(f"/proc/{child.pid}/stat").read_text().split()[2] != "Z":
            time.sleep(0.001)
        return ""


class Threads(Base):
    """Leaves a thread that keeps the program from ending."""

    def work(self, _: ActionContext) -> str:
        """Start it."""
        threading.Thread(target=gate.wait, args=(20,), name="left").start()
        return ""


children: list[subprocess.Popen[bytes]] = []
gate = threading.Event()


def trial(folder: Path) -> Trial:
    """Return on what the notes are tried."""
    note = folder / "note"
    note.touch()
    settings = ServiceSettings(config=(str(note),))
    return Trial(settings, {"word": "w"}, {"slow": True}, note.read_text)


def failures(make: Callable[[], Action], tried: Trial) -> dict[int, str]:
    """Return the numbers of the checks that failed, with why."""
    found = {}
    for number, check in enumerate(check_action(make, tried)):
        try:
            check.run()
        except CheckFailedError as error:
            found[number] = str(error)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bad", "number", "why"),
    [
        (Nameless, NAMED, "policies could not name it"),
        (Silent, NAMED, "returned '': people would not know"),
        (Twice, ONCE, "a second run for the same intent changed what is observed: from 'xx' to 'xxx'"),
        (Endless, IN_TIME, "it is still at work 1.3 s after 0.3 s were given"),
        (Late, IN_TIME, "it says that it succeeded, after 0.5 s of 0.3"),
        (Confused, IN_TIME, "it raised ['RuntimeError'], not TimeoutError"),
        (Shell, SHELL, "it used a shell"),
        (OtherShell, SHELL, "it used a shell"),
        (Obedient, WORDS, "the parameter word or the intent's id got into [Seen(event='subprocess.Popen'"),
        (Reader, WORDS, "the parameter word or the intent's id got into [Seen(event='open'"),
        (Noter, WORDS, "the intent's id got into"),
        (Optimist, HONEST, "it says that it succeeded on a service that the host declares nothing of"),
        (Crasher, HONEST, "it raised IndexError"),
        (Litter, CHILD, "it left 2 processes behind, such as"),
        (Orphans, CHILD, "ended and was not waited for"),
        (Threads, CHILD, "left threads behind that are no daemons: ['left'"),
    ],
)
def test_each_check_finds_the_action_that_is_bad_in_it(bad: type[Base], number: int, why: str, tmp_path: Path) -> None:
    """In nothing else is it bad, so no other check is what found it."""
    gate.clear()
    try:
        found = failures(bad, trial(tmp_path))
    finally:
        gate.set()
        while children:
            child = children.pop()
            child.kill()
            child.wait()
    assert [number] == list(found), found
    assert why in found[number]


def test_a_good_action_passes(tmp_path: Path) -> None:
    """The base of the bad ones does, so that each of them is bad by its difference."""
    assert failures(Base, trial(tmp_path)) == {}


def test_the_example_of_the_page_passes(tmp_path: Path) -> None:
    """As its author would find out."""
    (tmp_path / "old").touch()
    settings = ServiceSettings(actions={"purge": {"folders": {"cache": str(tmp_path)}, "days": 0}})
    tried = Trial(settings, {"folder": "cache"}, observe=lambda: sorted(tmp_path.iterdir()))
    assert failures(Purge, tried) == {}
    assert not list(tmp_path.iterdir())


# Built-in actions -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_commands_pass(tmp_path: Path) -> None:
    """A slow one is ended with all that it started."""
    (tmp_path / "note").touch()
    write = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('done')"
    commands = {"write": {"argv": [sys.executable, "-c", write, str(tmp_path / "note")]}, "sleep": {"argv": SLEEP}}
    tried = Trial(
        ServiceSettings.model_validate({"commands": commands}),
        {"name": "write"},
        {"name": "sleep"},
        (tmp_path / "note").read_text,
    )
    assert failures(Command, tried) == {}


@pytest.mark.slow
def test_adjusting_passes(tmp_path: Path) -> None:
    """Each intent adds, and the same one does so once."""
    file = tmp_path / "web.ini"
    file.write_text("workers = 1\n")
    commands = {"sleep": {"argv": SLEEP}}
    plain = {"file": str(file), "key": "workers", "min": 0, "max": 100}
    numbers = {"workers": plain, "slowly": {**plain, "apply": "sleep"}}
    tried = Trial(
        ServiceSettings.model_validate({"adjustable": numbers, "commands": commands}),
        {"name": "workers", "by": 1},
        {"name": "slowly"},
        file.read_text,
    )
    assert failures(lambda: Adjust(Command(), tmp_path / "state"), tried) == {}


@pytest.mark.slow
def test_looking_passes(tmp_path: Path) -> None:
    """It touches nothing, so it may succeed on a service of which nothing is declared."""
    assert failures(lambda: Diagnose(Supervisor({}, tmp_path), lambda _: None), Trial()) == {}


@pytest.mark.slow
def test_restoring_passes(tmp_path: Path) -> None:
    """A check that takes too long ends it before anything is touched."""
    stock = tmp_path / "stock"
    stock.write_text("good")
    plain = {"path": str(stock), "stop": False}
    settings = ServiceSettings.model_validate({"data": {"stock": plain, "slow": {**plain, "check": SLEEP}}})
    for name in settings.data:
        save(Store(tmp_path / "state", SERVICE, name), settings.data["stock"], 1_700_000_000_000, Deadline.after(20))
    tried = Trial(settings, {"data": "stock"}, {"data": "slow"}, stock.read_text)
    assert failures(lambda: RestoreData(Supervisor({}, tmp_path), RestartUnit(), tmp_path / "state"), tried) == {}


@pytest.mark.slow
def test_restarting_passes(tmp_path: Path) -> None:
    """What it is there to start stays; that it runs is what is observed."""
    one = ServiceSettings.model_validate({"process": {"command": SLEEP}})
    supervisor = Supervisor({SERVICE: one}, tmp_path)
    supervisor.start(SERVICE)

    def running() -> list[int]:
        found = supervisor.current(SERVICE)
        return [found[0]] if found else []

    def reaped() -> list[int]:
        for child in psutil.Process().children():
            if child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, 0)  # as the agent does, which is told of each end
        return running()

    tried = Trial(one, observe=lambda: bool(running()), stays=reaped)
    try:
        assert failures(lambda: Restart({"command": RestartProcess(supervisor)}), tried) == {}
    finally:
        supervisor.stop(SERVICE)
