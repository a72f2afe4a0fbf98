"""The rounds: break the service, watch from the outside how it comes back, wait until all is quiet again."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mendline.demo.config import SERVICE
from mendline.demo.deployment import DemoError
from mendline.demo.peak import highest_memory
from mendline.demo.results import Restored, Round
from mendline.demo.scenarios import SCENARIOS, Scenario, Victim, now_ms
from mendline.demo.stock import SIZE, digest_of
from mendline.responders.snapshots.restoration import remembered
from mendline.schemas.records import Command, Fault

if TYPE_CHECKING:
    from mendline.demo.client import Answer
    from mendline.demo.deployment import Deployment

START_S = 60.0
MEND_S = 30.0
LOOK_S = 0.5
SETTLE_S = 1.5
"""How long the service answers before it is broken again: later than any action on the last break could come."""


@dataclass(frozen=True, slots=True)
class _Broken:
    """A break: of whom, when by the wall clock (ms) and the monotonic one (s), after how many processes."""

    victim: Victim
    wall_ms: float
    moment: float
    processes: int


def warm_up(deployment: Deployment) -> None:
    """Wait until the pipeline is at work: it has mended the service once, which is not counted. Raises DemoError."""
    wait_ready(deployment)
    if not _round(deployment, SCENARIOS["kill"], 0).mended:
        msg = f"the service was killed and not started again; `mendline up` said last:\n{deployment.last_words()}"
        raise DemoError(msg)


def run_rounds(deployment: Deployment, scenario: Scenario, count: int, after_each: Callable[[], None]) -> list[Round]:
    """Return so many rounds of `scenario`; `after_each` is called after each. Raises DemoError."""
    rounds = []
    if scenario.stock:
        _wait_for_snapshot(deployment)
    for number in range(count):
        wait_ready(deployment)
        rounds.append(_round(deployment, scenario, number))
        after_each()
    return rounds


def _wait_for_snapshot(deployment: Deployment) -> None:
    deadline = time.monotonic() + START_S
    while not deployment.store.ids():
        deployment.check()
        if time.monotonic() > deadline:
            msg = f"no snapshot was taken within {START_S:g} s; `mendline up` said last:\n{deployment.last_words()}"
            raise DemoError(msg)
        time.sleep(LOOK_S)


def wait_ready(deployment: Deployment) -> None:
    """Wait until the service answers, and all that was wrong is resolved and verified. Raises DemoError."""
    begin = time.monotonic()
    _answer(deployment, deployment.client.expect(lambda answer: answer.asked >= begin), START_S)
    if not deployment.journal.wait(deployment.journal.quiet, START_S):
        deployment.check()
        msg = f"the last fault is not resolved and verified after {START_S:g} s; `mendline up` said last:\n"
        raise DemoError(msg + deployment.last_words())


def _round(deployment: Deployment, scenario: Scenario, number: int) -> Round:
    victim = Victim(deployment.client.pids[-1], deployment.port, deployment.config, deployment.stock)
    before = digest_of(deployment.stock) if scenario.stock else ""
    broken = _Broken(victim, now_ms(), time.monotonic(), len(deployment.client.pids))
    with highest_memory(victim.pid) as peak:
        scenario.break_of(number)(victim)
        answer = _wait(deployment, scenario, victim)
    told = _told(deployment, scenario, broken, answer)
    crossed = None if scenario.limit is None else peak.bytes > scenario.limit
    return replace(told, crossed=crossed, restored=_restored(deployment, before) if scenario.stock else None)


def _restored(deployment: Deployment, before: str) -> Restored:
    told = remembered(deployment.store)
    times = [
        value if isinstance(value := told.get(f"recovery_{what}_s"), float) else None for what in ("point", "time")
    ]
    return Restored(SIZE, before, digest_of(deployment.stock), *times)


def _wait(deployment: Deployment, scenario: Scenario, victim: Victim) -> Answer | None:
    """Return the service's first answer after the break when all is quiet again; None when none came."""
    # What was asked before now may have been answered before the break.
    healed = deployment.client.expect(_heals(victim, time.monotonic(), new_process=bool(scenario.needed)))
    try:
        answer = _answer(deployment, healed, MEND_S)
    except DemoError:
        deployment.check()
        return None
    time.sleep(scenario.lasts_s)
    deployment.journal.wait(deployment.journal.quiet, MEND_S)
    time.sleep(SETTLE_S)
    return answer


def _heals(victim: Victim, broken: float, *, new_process: bool) -> Callable[[Answer], bool]:
    if new_process:
        return lambda answer: answer.pid != victim.pid
    return lambda answer: answer.asked >= broken


def _answer(deployment: Deployment, expected: Future[Answer], timeout_s: float) -> Answer:
    """Wait for an answer of the service, and for the end of `mendline up`, whichever comes first. Raises DemoError."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            return expected.result(LOOK_S)
        except FutureTimeoutError:
            deployment.check()
    msg = f"the service does not answer within {timeout_s:g} s; `mendline up` said last:\n{deployment.last_words()}"
    raise DemoError(msg)


def _told(deployment: Deployment, scenario: Scenario, broken: _Broken, answer: Answer | None) -> Round:
    opened = [
        time_ms
        for time_ms, fault in deployment.journal.since(broken.wall_ms, Fault)
        if fault.transition == "opened" and fault.target.endswith(f"/{SERVICE}")
    ]
    commands = [time_ms for time_ms, _ in deployment.journal.since(broken.wall_ms, Command)]
    restarts = len(deployment.client.pids) - broken.processes
    return Round(
        mended=answer is not None,
        # A process is seen by its answers, so one that died before its first is known by its command alone.
        actions=max(restarts, len(commands)),
        needed=scenario.needed,
        detected_s=_after(opened, broken.wall_ms),
        commanded_s=_after(commands, broken.wall_ms),
        answering_s=None if answer is None else answer.heard - broken.moment,
    )


def _after(times_ms: list[int], wall_ms: float) -> float | None:
    """Return how long after the break the first was, in s; the log tells whole ms, which may lie before it."""
    return max(times_ms[0] - wall_ms, 0.0) / 1000 if times_ms else None
