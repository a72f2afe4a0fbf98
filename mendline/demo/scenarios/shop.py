"""A shop that cannot do without its store: both die, and what others depend on is mended first."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mendline.demo.deployment import DemoError
from mendline.demo.scenario import Broken, Finding, Part, Scenario, Victim, probed
from mendline.demo.scenarios.web import kill
from mendline.schemas.records import Command, Fault, Hold, Verification

PATIENCE_S = 30.0
LOOK_S = 0.05

SETTINGS = f"""\
  shop:
    depends_on: [store]
    process:
      command: [$python, -I, -S, $service_program, "$shop"]
      grace: 100ms
      environment: {{NEEDS: "$store"}}    # without it there, it answers that it cannot serve
{probed("shop")}\
    allow: [restart]
  store:
    process:
      command: [$python, -I, -S, $service_program, "$store"]
      grace: 100ms
      environment: {{LOADS: "0.5"}}       # so many seconds pass before it answers
{probed("store")}\
    allow: [restart]
"""
POLICIES = """\
  - name: shop-down
    when: {target: shop, kind: [dead]}
    mode: auto
    play:
      - {action: restart, verify: 60s, attempts: 1000}
  - name: store-down
    when: {target: store, kind: [dead]}
    mode: auto
    play:
      - {action: restart, verify: 60s, attempts: 1000}
"""
SHOP = Part(("shop", "store"), SETTINGS, POLICIES)


def kill_both(victim: Victim) -> None:
    """End the store, and the shop as soon as it is known that the store is dead. Raises DemoError."""
    deployment, begin = victim.deployment, time.time_ns() / 1e6
    store = _pid_of(victim, "store")
    os.kill(store, signal.SIGKILL)
    if not deployment.journal.wait(lambda: bool(_dead(victim, begin)), PATIENCE_S):
        deployment.check()
        msg = f"the store was killed, and nobody knows it; `mendline up` said last:\n{deployment.last_words()}"
        raise DemoError(msg)
    kill(victim)


def _pid_of(victim: Victim, service: str) -> int:
    with victim.deployment.client(service, LOOK_S) as client:
        return client.expect(lambda _: True).result(PATIENCE_S).pid


def _dead(victim: Victim, begin: float) -> list[Fault]:
    found = victim.deployment.journal.since(begin, Fault)
    return [one for _, one in found if one.target.endswith("/store") and one.transition == "opened"]


@contextmanager
def in_order(broken: Broken) -> Iterator[Callable[[], Finding]]:
    """Tell whether the shop was let alone until the store was proven to be mended, and said to be so."""
    yield lambda: _found(broken)


def _found(broken: Broken) -> Finding:
    proven = [time_ms for time_ms, one in broken.told(Verification, "store") if one.mended]
    begun = [time_ms for time_ms, _ in broken.told(Command, "shop")]
    held = any(one.guard == "cause" for _, one in broken.told(Hold, "shop"))
    ordered = bool(proven and begun) and proven[0] <= begun[0]
    return Finding(good=ordered and held, counts={"in_order": ordered, "held": held})


SCENARIOS = {
    "order": Scenario("killed, store too", SHOP, (kill_both,), needed=("restart", "restart"), judge=in_order),
}
