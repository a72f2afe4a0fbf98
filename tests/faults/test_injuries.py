"""A real service is made ill in every way, and a real agent's records must tell what it has."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.support import HOST, memory_log, running
from tests.faults.fleet import wait_for
from tests.faults.injuries import GREEDY, HARMLESS, INJURIES, Victim, jam, mislead
from tests.faults.observing import FAIL_AFTER_MS, Ward, faults_of, ward, watching

pytestmark = pytest.mark.slow

WAYS = {
    f"{kind}-{number}": ("" if kind in HARMLESS else kind, injury)
    for kind, some in INJURIES.items()
    for number, injury in enumerate(some)
}
TOGETHER = {name: way for name, way in WAYS.items() if way[1] not in {*GREEDY, jam}}
APART = WAYS.keys() - TOGETHER.keys()


@pytest.fixture(name="victim")
def _victim(tmp_path: Path) -> Iterator[Victim]:
    victim = Victim(tmp_path)
    yield victim
    victim.close()


def told(ill: Ward, target: str) -> list[tuple[str, str]]:
    """Return kind and transition of each fault of a target."""
    return [(one.kind, one.transition) for one in ill.faults() if one.target == target]


def test_what_services_have_is_told(tmp_path: Path) -> None:
    """Of many at once: one fault, of the right kind from its opening on; none of what was meant, or is over soon."""
    sick = [name for name, (kind, _) in TOGETHER.items() if kind]
    with ward(tmp_path, list(TOGETHER)) as ill:
        for name, (_, injury) in TOGETHER.items():
            injury(ill.victims[name])
        until = time.monotonic() + FAIL_AFTER_MS / 1000 + 2
        wait_for("all faults", lambda: time.monotonic() >= until and ill.kinds().keys() >= set(sick))
        found = {name: told(ill, f"{HOST}/{name}") for name in TOGETHER}
    assert {name: [(kind, "opened")] if kind else [] for name, (kind, _) in TOGETHER.items()} == found


@pytest.mark.parametrize("name", sorted(APART))
def test_what_one_service_or_its_agent_has_is_told(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what takes a core, whether anything gets done tells hung from overloaded; a sick collector is of the host."""
    monkeypatch.setattr("mendline.agent.agent.HEARTBEAT_MS", 1000)
    kind, injury = WAYS[name]
    with ward(tmp_path, ["web"]) as ill:
        injury(ill.victims["web"])
        wait_for("a fault", ill.faults)
        found = {one.target: (one.kind, one.transition) for one in ill.faults()}
    assert {HOST if kind == "collector-sick" else f"{HOST}/web": (kind, "opened")} == found


def test_a_wrong_pidfile_is_no_death(victim: Victim) -> None:
    """The process is not found, its probe succeeds: the disagreement is told, and nothing that anybody acts on."""
    mislead(victim)
    log = memory_log()
    settings = watching(victim.folder, {"web": victim})
    with running(settings, log):
        wait_for("the fault", lambda: faults_of(log, settings))
    assert [("disagreement", "warning")] == [(one.kind, one.severity) for one in faults_of(log, settings)]


def test_a_service_that_was_busy_and_then_hangs_is_told_as_hung(
    victim: Victim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it did long ago does not count for ever."""
    monkeypatch.setattr("mendline.producers.work.LOOK_BACK_S", 3.0)
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
