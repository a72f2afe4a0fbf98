"""The agent as a whole, with real processes, on a memory log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from mendline.agent import Agent, StateBusyError, StateError
from mendline.agent.state import StateFolder
from mendline.logs.base import LogRefusedError
from mendline.logs.memory import MemoryLog
from mendline.responders import clock
from mendline.responders.signing import KeyRing
from mendline.schemas.records import ConfigurationChange, Heartbeat, Outcome, ProcessEvent, Stop
from mendline.schemas.settings import ServiceSettings
from tests.agent.support import (
    HOST,
    METRICS,
    memory_log,
    records,
    restart_command,
    running,
    said,
    send,
    service,
    settings,
    wait_for,
)
from tests.producers.support import until

FAR = 2**45
UNWANTED = (
    *("numpy", "http.client", "asyncio", "ssl", "kafka", "mendline.roles", "cryptography"),
    *("configparser", "tomllib", "difflib"),
)


@pytest.fixture
def log() -> MemoryLog:
    """Return a log with the topics an agent needs."""
    return memory_log()


def pid_of(agent: Agent, name: str) -> int:
    """Return the process of a service."""
    current = agent.supervisor.current(name)
    assert current
    return current[0]


@pytest.mark.slow
def test_everything_has_its_place_in_one_order(tmp_path: Path, log: MemoryLog) -> None:
    """Heartbeats, events and rounds share one sequence without gaps, from the first to the last."""
    with running(settings(tmp_path, {"web": service()}), log):
        until(lambda: len(said(log)) > 8)
    found = said(log)
    assert list(range(len(found))) == [one.sequence for one in found]
    assert {1} == {one.epoch for one in found}
    first, last = found[0].record, found[-1].record
    assert isinstance(first, Heartbeat)
    assert isinstance(last, Heartbeat)
    assert (False, True) == (first.leaving, last.leaving)
    assert ("web",) == first.services


def test_each_life_has_an_epoch_of_its_own(tmp_path: Path, log: MemoryLog) -> None:
    """The next agent on the same state counts on, and its sequence begins at 0."""
    for _ in range(2):
        with running(settings(tmp_path), log):
            until(lambda: any(one.record is None for one in said(log)))
    second = [one.sequence for one in said(log) if one.epoch == 2]
    assert list(range(len(second))) == second


def test_a_second_agent_on_the_same_state_is_refused(tmp_path: Path, log: MemoryLog) -> None:
    """The message names the process that has the folder, and what to do."""
    with running(settings(tmp_path), log), pytest.raises(StateBusyError, match=f"process {os.getpid()}.* `state`"):
        Agent(settings(tmp_path), log)


def test_a_refused_agent_leaves_the_folder_free(tmp_path: Path, log: MemoryLog) -> None:
    """An agent whose settings make no sense can be made anew when they do."""
    bad = settings(tmp_path, {"web": service(probes=({"tcp": "nonsense"},))})
    with pytest.raises(ValueError, match="nonsense"):
        Agent(bad, log)
    with running(settings(tmp_path), log):
        pass


def test_a_damaged_epoch_is_not_guessed(tmp_path: Path) -> None:
    """Counting anew would make readers drop all that comes: the message says what to write."""
    (tmp_path / "epoch").write_text("what")
    with pytest.raises(StateError, match="higher than any epoch"):
        StateFolder(tmp_path)


def test_a_death_is_told_with_the_last_words(tmp_path: Path, log: MemoryLog) -> None:
    """The lines that the service wrote to standard error stand in the event."""
    with running(settings(tmp_path, {"web": service()}), log) as agent:
        wait_for(log, ProcessEvent, lambda event: event.state == "started")
        until(lambda: agent.supervisor.tail("web", 1) == ("ready",))
        os.kill(pid_of(agent, "web"), signal.SIGKILL)
        event = wait_for(log, ProcessEvent, lambda event: event.state == "exited")
    assert ("SIGKILL", False, ("ready",)) == (event.signal, event.meant, event.error_lines)


def test_events_are_signed_with_their_number(tmp_path: Path, log: MemoryLog) -> None:
    """So nobody else can tell them, nor tell them again as something new."""
    chosen = settings(tmp_path, {"web": service()})
    with running(chosen, log):
        event = wait_for(log, ProcessEvent, lambda event: event.state == "started")
    keys = KeyRing(Path(chosen.state) / "keys")
    assert keys.why_not(event) is None
    assert "is wrong" in (keys.why_not(event.model_copy(update={"sequence": 9})) or "")


def test_a_command_restarts_a_service(tmp_path: Path, log: MemoryLog) -> None:
    """The outcome is told, the old process's end was meant, and the new process is watched."""
    chosen = settings(tmp_path, {"web": service()})
    with running(chosen, log) as agent:
        wait_for(log, ProcessEvent, lambda event: event.state == "started")
        before = pid_of(agent, "web")
        command = restart_command(chosen, "web", FAR)
        send(log, command)
        outcome = wait_for(log, Outcome)
        after = wait_for(log, ProcessEvent, lambda event: event.state == "started" and event.pid != before)
        assert ("succeeded", command.intent) == (outcome.status, outcome.intent)
        assert KeyRing(Path(chosen.state) / "keys").why_not(outcome) is None
        assert after.pid == pid_of(agent, "web")
        assert wait_for(log, ProcessEvent, lambda event: event.state == "exited").meant


def test_a_stop_behind_a_command_is_seen_first(tmp_path: Path, log: MemoryLog) -> None:
    """What waits on the log when the agent comes is read to its end before anything begins."""
    chosen = settings(tmp_path, {"web": service()})
    stop = KeyRing(Path(chosen.state) / "keys").sign(Stop(source="person", time=0, by="somebody"))
    send(log, restart_command(chosen, "web", FAR), stop)
    with running(chosen, log):
        outcome = wait_for(log, Outcome)
    assert ("refused", "somebody ordered that nothing be begun") == (outcome.status, outcome.reason)


def test_commands_are_read_on_from_where_the_last_life_was(tmp_path: Path, log: MemoryLog) -> None:
    """A command is done once, however often the agent is started."""
    chosen = settings(tmp_path, {"web": service()})

    def done(count: int) -> bool:
        return len(records(log, Outcome)) == count

    for step in range(2):
        with running(chosen, log):
            send(log, restart_command(chosen, "web", FAR, step))
            until(partial(done, step + 1))
    assert ["succeeded"] * 2 == [outcome.status for outcome in records(log, Outcome)]


def test_services_are_stopped_in_reverse_order(tmp_path: Path, log: MemoryLog) -> None:
    """What depends on another starts after it and stops before it, and all ends are meant."""
    services = {"web": service(depends_on=("db",)), "db": service()}
    with running(settings(tmp_path, services), log):
        wait_for(log, ProcessEvent, lambda event: event.state == "started" and event.service == "web")
    events = [(event.service, event.state, event.meant) for event in records(log, ProcessEvent)]
    started, exited = (
        [("db", "started", False), ("web", "started", False)],
        [("web", "exited", True), ("db", "exited", True)],
    )
    assert [*started, *exited] == events


def test_services_outlive_an_agent_that_leaves_them(tmp_path: Path, log: MemoryLog) -> None:
    """The next agent finds the same process and adopts it."""
    chosen = settings(tmp_path, {"web": service()})
    with running(chosen, log, stop_services=False) as agent:
        wait_for(log, ProcessEvent, lambda event: event.state == "started")
        before = pid_of(agent, "web")
    with running(chosen, log) as agent:
        adopted = wait_for(log, ProcessEvent, lambda event: event.state == "adopted")
        assert before == adopted.pid == pid_of(agent, "web")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_death_between_two_agents_is_told_with_its_cause(
    tmp_path: Path, log: MemoryLog, number: signal.Signals
) -> None:
    """As during a reload: it is told before the service runs again, and so the fault that it is stands on record."""
    chosen = settings(tmp_path, {"web": service()})
    with running(chosen, log, stop_services=False) as agent:
        first = wait_for(log, ProcessEvent, lambda event: event.state == "started")
        until(lambda: "ready" in agent.supervisor.tail("web", 1))
    os.kill(first.pid, number)
    with running(chosen, log):
        again = wait_for(log, ProcessEvent, lambda event: event.state == "started" and event.pid != first.pid)
    told = [event for event in records(log, ProcessEvent) if first.pid == event.pid]
    assert ["started", "exited"] == [event.state for event in told]
    assert (number.name, False) == (told[1].signal, told[1].meant)
    assert told[1].started_at == pytest.approx(first.started_at, abs=100)
    assert ("it ended while no agent watched it", ("ready",)) == (told[1].detail, told[1].error_lines)
    assert told[1].sequence is not None
    assert again.sequence is not None
    assert told[1].sequence < again.sequence


def test_a_stop_that_was_meant_is_not_told_as_a_death_later(tmp_path: Path, log: MemoryLog) -> None:
    """Who stops Mendline together with its services, and starts it again, has had no fault."""
    chosen = settings(tmp_path, {"web": service()})
    for life in (1, 2):
        with running(chosen, log):
            wait_for(log, ProcessEvent, lambda event, life=life: (event.epoch, event.state) == (life, "started"))  # type: ignore[misc]
    assert [True, True] == [event.meant for event in records(log, ProcessEvent) if event.state == "exited"]


def test_a_service_that_cannot_start_is_missing(tmp_path: Path, log: MemoryLog) -> None:
    """The reason is told, and the others are started."""
    services = {"bad": service(("/no/such/program",)), "web": service()}
    with running(settings(tmp_path, services), log):
        event = wait_for(log, ProcessEvent, lambda event: event.state == "missing")
        wait_for(log, ProcessEvent, lambda event: event.service == "web" and event.state == "started")
    assert "/no/such/program does not exist" in event.detail


@pytest.mark.slow
def test_a_changed_configuration_is_told_over_lives(tmp_path: Path, log: MemoryLog) -> None:
    """The first sight of a file is no change; one that was made while nobody looked is. What is there is told too."""
    path = tmp_path / "web.yaml"
    path.write_text("a")
    chosen = settings(tmp_path, {"web": ServiceSettings(config=(str(path),))})
    with running(chosen, log):
        until((tmp_path / "state" / "configurations.json").exists)
        path.write_text("bb")
        wait_for(log, ConfigurationChange, lambda change: not change.known)
    path.unlink()
    with running(chosen, log):
        change = wait_for(log, ConfigurationChange, lambda change: not change.hash)
    assert ("web", str(path)) == (change.service, change.path)
    assert [True, None, None] == [one.known for one in records(log, ConfigurationChange)]


@pytest.mark.slow
def test_what_happens_while_the_log_is_away_is_told_later_in_order(tmp_path: Path, log: MemoryLog) -> None:
    """Nothing is lost, nothing is out of order."""
    with running(settings(tmp_path, {"web": service()}), log) as agent:
        wait_for(log, ProcessEvent, lambda event: event.state == "started")
        log.away = True
        os.kill(pid_of(agent, "web"), signal.SIGKILL)
        until(lambda: agent.supervisor.current("web") is None)
        log.away = False
        wait_for(log, ProcessEvent, lambda event: event.state == "exited")
    assert list(range(len(said(log)))) == [one.sequence for one in said(log)]


@pytest.mark.slow
def test_the_reflex_restarts_while_the_log_is_away_and_says_so(
    tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only then, and a few times only; the outcomes wait for the log and are marked."""
    monkeypatch.setattr(clock, "TRUSTED_FOR_S", 0.3)
    chosen = settings(tmp_path, {"web": service()}, reflex={"attempts": 1})
    with running(chosen, log) as agent:
        wait_for(log, ProcessEvent, lambda event: event.state == "started")
        before = pid_of(agent, "web")
        log.away = True
        os.kill(before, signal.SIGKILL)
        until(lambda: (agent.supervisor.current("web") or (before,))[0] != before)
        log.away = False
        outcome = wait_for(log, Outcome)
    assert (True, "succeeded", f"{HOST}/web") == (outcome.reflex, outcome.status, outcome.target)


@pytest.mark.slow
def test_no_reflex_while_the_log_answers(tmp_path: Path, log: MemoryLog) -> None:
    """Then it is the planner's to decide: the service stays down for many rounds."""
    with running(settings(tmp_path, {"web": service()}), log) as agent:
        wait_for(log, ProcessEvent, lambda event: event.state == "started")
        os.kill(pid_of(agent, "web"), signal.SIGKILL)
        wait_for(log, ProcessEvent, lambda event: event.state == "exited")
        count = len(said(log))
        until(lambda: len(said(log)) > count + 5)
        assert agent.supervisor.current("web") is None


@pytest.mark.slow
def test_no_reflex_because_nothing_was_said_for_long(
    tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the log acknowledged nothing lately does not mean that it is away: the service stays down at every look."""
    monkeypatch.setattr(clock, "TRUSTED_FOR_S", 0.001)
    monkeypatch.setattr("mendline.agent.rhythm.LOOK_S", 0.01)
    chosen = settings(tmp_path, {"web": service()}, host={"interval": "1h", "collect": ["load"]})
    with running(chosen, log) as agent:
        wait_for(log, ProcessEvent, lambda event: event.state == "started")
        looks = Looks(agent._reflexes.tick)
        monkeypatch.setattr(agent._reflexes, "tick", looks)
        os.kill(pid_of(agent, "web"), signal.SIGKILL)
        wait_for(log, ProcessEvent, lambda event: event.state == "exited")
        count = looks.count
        until(lambda: looks.count > count + 10)
        assert agent.supervisor.current("web") is None


@pytest.mark.slow
def test_the_reflex_ends_when_the_log_is_back(tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """However seldom it measures: it restarts while the log is away, and leaves all to the planner afterwards."""
    monkeypatch.setattr(clock, "TRUSTED_FOR_S", 0.2)
    monkeypatch.setattr("mendline.agent.rhythm.LOOK_S", 0.01)
    monkeypatch.setattr("mendline.agent.agent.HEARTBEAT_MS", 20)
    monkeypatch.setattr("mendline.responders.reflex.FIRST_PAUSE_S", 0.0)
    chosen = settings(tmp_path, {"web": service()}, host={"interval": "60s", "collect": ["load"]})
    with running(chosen, log) as agent:
        wait_for(log, ProcessEvent, lambda event: event.state == "started")
        log.away = True
        before = pid_of(agent, "web")
        os.kill(before, signal.SIGKILL)
        until(lambda: (agent.supervisor.current("web") or (before,))[0] != before)
        log.away = False
        assert wait_for(log, Outcome).reflex
        os.kill(pid_of(agent, "web"), signal.SIGKILL)
        until(lambda: 2 == sum(event.state == "exited" for event in records(log, ProcessEvent)))
        looks = Looks(agent._reflexes.tick)
        monkeypatch.setattr(agent._reflexes, "tick", looks)
        until(lambda: looks.count > 30)
        assert agent.supervisor.current("web") is None


class Looks:
    """Counts the calls of what it stands for."""

    def __init__(self, real: Callable[[], None]) -> None:
        """Stand for `real`."""
        self.count = 0
        self._real = real

    def __call__(self) -> None:
        """Count, and do it."""
        self.count += 1
        self._real()


def test_it_beats_however_seldom_it_measures(tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long interval of rounds does not make the host look silent."""
    monkeypatch.setattr("mendline.agent.agent.HEARTBEAT_MS", 20)
    with running(settings(tmp_path, host={"interval": "1h", "collect": ["load"]}), log):
        until(lambda: len(records(log, Heartbeat)) > 4)
    assert 1 == sum(one.record is None for one in said(log))


def test_it_says_once_that_it_has_settled(tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the second heartbeat, when all parts are at work, and never again."""
    monkeypatch.setattr("mendline.agent.agent.HEARTBEAT_MS", 20)
    settled: list[int] = []
    with running(settings(tmp_path), log, settled=lambda: settled.append(len(records(log, Heartbeat)))):
        until(lambda: len(records(log, Heartbeat)) > 4)
    assert 1 == len(settled)


def test_commands_are_read_from_the_first_acknowledgement_on(tmp_path: Path, log: MemoryLog) -> None:
    """Not a round later, which may be an hour away."""
    chosen = settings(tmp_path, {"web": service()}, host={"interval": "1h", "collect": ["load"]})
    send(log, restart_command(chosen, "web", FAR))
    with running(chosen, log):
        assert "succeeded" == wait_for(log, Outcome).status


def test_what_fails_before_the_first_round_leaves_nothing_open(
    tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is free again for the next agent, and the threads have ended, whatever else fails at the end."""

    def fail(*_: object) -> None:
        raise OSError("on purpose")

    agent = Agent(settings(tmp_path), log)
    threads = threading.active_count()
    monkeypatch.setattr(agent._executor, "recover", fail)
    monkeypatch.setattr(agent.processes, "close", fail)
    with pytest.raises(OSError, match="on purpose"):
        agent.run()
    assert agent.ended.is_set()
    until(lambda: threading.active_count() < threads)
    with running(settings(tmp_path), log):
        pass


@pytest.mark.slow
def test_an_agent_works_before_its_log_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts and watches its services, mends by reflex, and tells all of it once it has made the topics."""
    monkeypatch.setattr(clock, "TRUSTED_FOR_S", 0.2)
    log = MemoryLog()
    log.away = True
    with running(settings(tmp_path, {"web": service()}), log) as agent:
        until(lambda: agent.supervisor.current("web") is not None)
        before = pid_of(agent, "web")
        os.kill(before, signal.SIGKILL)
        until(lambda: (agent.supervisor.current("web") or (before,))[0] != before)
        log.away = False
        until(lambda: METRICS.topic in log.topics())
        assert wait_for(log, Outcome).reflex
    assert list(range(len(said(log)))) == [one.sequence for one in said(log)]


def test_a_log_that_refuses_ends_the_agent(tmp_path: Path, log: MemoryLog) -> None:
    """Trying again is useless, so whoever runs the agent hears why."""
    log.fail_next(LogRefusedError("not yours"))
    with pytest.raises(LogRefusedError, match="not yours"), running(settings(tmp_path), log) as agent:
        until(agent.ended.is_set)


@pytest.mark.slow
def test_an_agent_needs_no_large_libraries(tmp_path: Path) -> None:
    """Neither numpy nor HTTP, which would double its memory; it signs with what Python itself has loaded."""
    text = f"""
import sys, threading
from tests.agent.support import memory_log, running, said, service, settings
from tests.producers.support import until
from pathlib import Path
log = memory_log()
with running(settings(Path({str(tmp_path)!r}), {{"web": service()}}), log):
    until(lambda: len(said(log)) > 4)
print([name for name in {UNWANTED!r} if name in sys.modules])
"""
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, check=False, text=True, env=env)
    assert "[]" == done.stdout.strip(), done.stderr
