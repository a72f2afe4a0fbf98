"""A service that nobody touches without a person's word: it waits for `mendline approve`, called as people call it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mendline.demo.scenario import Broken, Finding, Part, Scenario, Victim, probed
from mendline.demo.scenarios.web import kill
from mendline.schemas.records import Command, Intent, Order

if TYPE_CHECKING:
    from mendline.demo.journal import Journal

THINKS_S = 1.0
PATIENCE_S = 30.0

SETTINGS = f"""\
  vault:
    process: {{command: [$python, -I, -S, $service_program, "$vault"], grace: 100ms}}
{probed("vault")}\
    allow: [restart]
"""
POLICIES = """\
  - name: vault-down
    when: {target: vault, kind: [dead]}
    mode: ask
    owner: the keepers of the vault
    play:
      - {action: restart, verify: 60s, attempts: 1000}
"""
VAULT = Part(("vault",), SETTINGS, POLICIES)


def kill_before_a_person(victim: Victim) -> None:
    """End the process; somebody hears that Mendline asks, thinks about it for a second, and says yes."""
    begin = time.time_ns() / 1e6
    kill(victim)
    threading.Thread(target=_approve, args=(victim, begin), daemon=True).start()


def _approve(victim: Victim, begin: float) -> None:
    journal = victim.deployment.journal
    if journal.wait(lambda: bool(_questions(journal, begin)), PATIENCE_S):
        time.sleep(THINKS_S)
        _, question = _questions(journal, begin)[0]
        victim.deployment.order("approve", question.id, "--text", "nobody is at the vault")


def _questions(journal: Journal, begin: float) -> list[tuple[int, Intent]]:
    found = journal.since(begin, Intent)
    return [(time_ms, one) for time_ms, one in found if one.mode == "ask" and one.target.endswith("/vault")]


@contextmanager
def waited(broken: Broken) -> Iterator[Callable[[], Finding]]:
    """Tell when the question came, when the answer did, and whether nothing was done before that."""
    yield lambda: _found(broken)


def _found(broken: Broken) -> Finding:
    asked = [time_ms for time_ms, one in broken.told(Intent) if one.mode == "ask"]
    orders = broken.victim.deployment.journal.since(broken.wall_ms, Order)
    answered = [time_ms for time_ms, one in orders if one.kind == "approve"]
    begun = [time_ms for time_ms, _ in broken.told(Command)]
    patient = bool(asked and answered and begun) and asked[0] < answered[0] <= begun[0]
    return Finding(
        good=patient,
        counts={"waited": patient},
        times={"asked_s": _after(asked, broken), "approved_s": _after(answered, broken)},
    )


def _after(times_ms: list[int], broken: Broken) -> float | None:
    return max(times_ms[0] - broken.wall_ms, 0.0) / 1000 if times_ms else None


SCENARIOS = {
    "ask": Scenario("killed, ask first", VAULT, (kill_before_a_person,), judge=waited),
}
