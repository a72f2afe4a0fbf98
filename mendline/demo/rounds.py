"""The rounds: break the service, watch from the outside how it comes back, wait until all is quiet again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from typing import TYPE_CHECKING

from mendline.demo.deployment import START_S, DemoError
from mendline.demo.results import Round
from mendline.demo.scenario import Broken, Scenario, Victim
from mendline.demo.scenarios import SCENARIOS
from mendline.schemas.records import Command, Fault, Verification

if TYPE_CHECKING:
    from mendline.demo.client import Answer, Client
    from mendline.demo.deployment import Deployment

MEND_S = 60.0
LOOK_S = 0.5
SETTLE_S = 1.5
"""How long the service answers before it is broken again: later than any action on the last break could come."""


def warm_up(deployment: Deployment) -> None:
    """Wait until the pipeline is at work: it has started the service once, which is not counted. Raises DemoError."""
    if run_rounds(deployment, SCENARIOS["kill"], 1)[0].answering_s is None:
        msg = f"the service was killed and not started again; `mendline up` said last:\n{deployment.last_words()}"
        raise DemoError(msg)


def run_rounds(
    deployment: Deployment, scenario: Scenario, count: int, after_each: Callable[[], None] = lambda: None
) -> list[Round]:
    """Return so many rounds of `scenario`; `after_each` is called after each. Raises DemoError."""
    rounds = []
    if scenario.ready:
        scenario.ready(deployment)
    with deployment.client(scenario.part.services[0], scenario.every_s) as client:
        for number in range(count):
            wait_ready(deployment, client)
            rounds.append(_round(deployment, client, scenario, number))
            after_each()
    return rounds


def wait_ready(deployment: Deployment, client: Client) -> None:
    """Wait until the service answers, and all that was wrong is resolved and verified. Raises DemoError."""
    begin = time.monotonic()
    _answer(deployment, client.expect(lambda answer: answer.asked >= begin), START_S)
    if not deployment.journal.wait(deployment.journal.quiet, START_S):
        deployment.check()
        msg = f"the last fault is not resolved and verified after {START_S:g} s; `mendline up` said last:\n"
        raise DemoError(msg + deployment.last_words())


def _round(deployment: Deployment, client: Client, scenario: Scenario, number: int) -> Round:
    victim = Victim(client.pids[-1], client.port, deployment)
    broken = Broken(victim, scenario.part.services, _now_ms(), time.monotonic(), len(client.pids))
    with scenario.judge(broken) as found:
        broken = replace(broken, wall_ms=_now_ms(), moment=time.monotonic())
        scenario.break_of(number)(victim)
        answer = _wait(client, scenario, broken)
        return replace(_told(client, scenario, broken, answer), found=found())


def _now_ms() -> float:
    """Return the wall clock in ms, to be compared with append times."""
    return time.time_ns() / 1e6


def _wait(client: Client, scenario: Scenario, broken: Broken) -> Answer | None:
    """Return the service's first answer after the break when all is quiet again; None when that did not come."""
    deployment = broken.victim.deployment
    # What was asked before now may have been answered before the break.
    healed = client.expect(_heals(broken.victim, time.monotonic(), anew=scenario.anew))
    try:
        answer = _answer(deployment, healed, MEND_S)
    except DemoError:
        deployment.check()
        return None
    time.sleep(scenario.lasts_s)
    quiet = deployment.journal.wait(deployment.journal.quiet, MEND_S)
    time.sleep(SETTLE_S)
    return answer if quiet else None


def _heals(victim: Victim, broken: float, *, anew: bool) -> Callable[[Answer], bool]:
    if anew:
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


def _told(client: Client, scenario: Scenario, broken: Broken, answer: Answer | None) -> Round:
    opened = [time_ms for time_ms, fault in broken.told(Fault) if fault.transition == "opened"]
    commands = broken.told(Command)
    done = Counter(command.action for _, command in commands)
    restarts = len(client.pids) - broken.processes
    proven = any(proof.mended for _, proof in broken.told(Verification)) or not scenario.needed
    return Round(
        mended=answer is not None and proven,
        # A process is seen by its answers, so one that died before its first is known by its command alone.
        actions=max(restarts, len(commands)),
        needed=len(scenario.needed),
        stray=(done - Counter(scenario.needed)).total() + (0 if scenario.anew else restarts),
        detected_s=_after(opened, broken.wall_ms),
        commanded_s=_after([time_ms for time_ms, _ in commands], broken.wall_ms),
        answering_s=None if answer is None else answer.heard - broken.moment,
    )


def _after(times_ms: list[int], wall_ms: float) -> float | None:
    """Return how long after the break the first was, in s; the log tells whole ms, which may lie before it."""
    return max(times_ms[0] - wall_ms, 0.0) / 1000 if times_ms else None
