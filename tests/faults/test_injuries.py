"""A real service is made ill in every way, and a real agent's records must tell what it has."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mendline.schemas.records import Fault
from tests.agent.support import memory_log, running
from tests.faults.fleet import wait_for
from tests.faults.injuries import HARMLESS, INJURIES, Injury, Victim, mislead
from tests.faults.observing import FAIL_AFTER_MS, faults_of, watching

pytestmark = pytest.mark.slow

ILL = [(kind, injury) for kind, some in INJURIES.items() if kind not in HARMLESS for injury in some]


@pytest.fixture(name="victim")
def _victim(tmp_path: Path) -> Iterator[Victim]:
    victim = Victim(tmp_path)
    yield victim
    victim.close()


def told(
    victim: Victim, injure: Injury, enough: Callable[[list[Fault]], object], *, seconds: float = 0.0
) -> list[Fault]:
    """Return what is told of the service from before the injury until it is enough, or for so many seconds."""
    log = memory_log()
    settings = watching(victim.folder, {"web": victim})
    with running(settings, log) as agent:
        wait_for("the agent's first look", lambda: agent.processes.pid("web") == victim.pid)
        injure(victim)
        until = time.monotonic() + seconds
        wait_for("enough", lambda: time.monotonic() >= until and enough(faults_of(log, settings)))
        return faults_of(log, settings)


@pytest.mark.parametrize(("kind", "injury"), ILL, ids=[f"{kind}-{n}" for n, (kind, _) in enumerate(ILL)])
def test_what_a_service_has_is_told(victim: Victim, kind: str, injury: Injury, monkeypatch: pytest.MonkeyPatch) -> None:
    """One fault, of the right kind from its opening on, with a reason."""
    monkeypatch.setattr("mendline.agent.agent.HEARTBEAT_MS", 1000)
    faults = told(victim, injury, len)
    assert [(kind, "opened")] == [(one.kind, one.transition) for one in faults]
    assert faults[0].reason


@pytest.mark.parametrize(("kind", "number"), [("meant", 0), ("stall", 0), ("stall", 1)])
def test_what_is_harmless_is_not_told(victim: Victim, kind: str, number: int) -> None:
    """A stop that was meant, and a stall of a second."""
    seconds = FAIL_AFTER_MS / 1000 + 2
    assert [] == told(victim, INJURIES[kind][number], lambda _: True, seconds=seconds)


def test_a_wrong_pidfile_is_no_death(victim: Victim) -> None:
    """The process is not found, its probe succeeds: the disagreement is told, and nothing that anybody acts on."""
    mislead(victim)
    log = memory_log()
    settings = watching(victim.folder, {"web": victim})
    with running(settings, log):
        wait_for("the fault", lambda: faults_of(log, settings))
    assert [("disagreement", "warning")] == [(one.kind, one.severity) for one in faults_of(log, settings)]


def test_a_service_that_was_busy_and_then_hangs_is_told_as_hung(victim: Victim) -> None:
    """What it did long ago does not count for ever."""
    log = memory_log()
    settings = watching(victim.folder, {"web": victim})
    with running(settings, log):
        victim.load("/compute?0.1", 10)
        wait_for("overloaded", lambda: [one for one in faults_of(log, settings) if one.kind == "overloaded"])
        victim.load("/deadlock", 1)
        wait_for("hung", lambda: faults_of(log, settings)[-1].kind == "hung")
    assert 1 == len({one.id for one in faults_of(log, settings)})


def test_a_stopped_service_that_goes_on_is_well(victim: Victim) -> None:
    """SIGCONT ends the fault, without any action."""
    log = memory_log()
    settings = watching(victim.folder, {"web": victim})
    with running(settings, log) as agent:
        wait_for("the agent's first look", lambda: agent.processes.pid("web") == victim.pid)
        os.kill(victim.pid, signal.SIGSTOP)
        wait_for("stopped", lambda: faults_of(log, settings))
        os.kill(victim.pid, signal.SIGCONT)
        wait_for("resolved", lambda: faults_of(log, settings)[-1].transition == "resolved")
    assert {"stopped"} == {one.kind for one in faults_of(log, settings)}
