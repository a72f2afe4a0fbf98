"""A service that is killed, hung, stalled, configured wrongly, or takes too much: most of it takes a restart."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mendline.agent.services import cores
from mendline.demo.client import EVERY_S, request
from mendline.demo.peak import highest_memory
from mendline.demo.scenario import Broken, Finding, Part, Scenario, Victim

STALL_S = 1.0
BURST_S = 2.0
CONFIG = "web.conf"
LEAK_LIMIT = 128 * 2**20
"""What the service must never take of memory, in bytes."""
BUSY = 0.25
"""So much of a core, for longer than any burst, is unusual for the service, which takes less than a tenth of that."""

SETTINGS = f"""\
  web:
    process:
      command: [$python, -I, -S, $service_program, "$web"]
      grace: 100ms
      environment: {{CONFIG: {CONFIG}}}
    config: [{CONFIG}]
    rollback: {{good_after: 500ms}}    # impatient too
    probes:
      - name: health
        http: http://127.0.0.1:$web/health
        every: 100ms
        timeout: 200ms
        fail_after: 1.2s        # impatient: made for a demonstration with stalls of 1 s; 3 s or more suit most services
        body: ^ok
    allow: [restart, rollback_config]
"""
DETECTORS = f"""\
  - name: leak                # 4 s before the limit: a restart takes a tenth of one
    use: exhaustion
    match: {{metric: process.memory.usage, service: web}}
    window: 0
    parameters: {{limit: {LEAK_LIMIT}, horizon: 4, block: 1, blocks: 16}}
    severity: critical
    kind: leaking
  - name: burn                # longer than any of its bursts
    use: threshold
    match: {{metric: process.cpu.utilization, service: web}}
    window: 0
    open: {{above: {BUSY / cores():g}, for: 2500ms}}    # of all cores: a quarter of one
    severity: critical
    kind: burning
"""
POLICIES = """\
  - name: web-ill
    when: {target: web, kind: [leaking, burning]}
    mode: auto
    play:
      - {action: restart, verify: 10s, attempts: 1000}
  - name: web-config
    when: {target: web, kind: [dead], cause: configuration}
    mode: auto
    play:
      - {action: rollback_config, verify: 10s, attempts: 1}
      - {action: restart, verify: 10s, attempts: 1000}
  - name: web-down
    when: {target: web, kind: [dead, hung, failing, stopped]}
    mode: auto
    play:
      - {action: restart, verify: 10s, attempts: 1000}
"""


def configure(folder: Path) -> None:
    """Write what the service answers."""
    (folder / CONFIG).write_text("answer = ok\n")


WEB = Part(("web",), SETTINGS, POLICIES, DETECTORS, prepare=configure)


def kill(victim: Victim) -> None:
    """End the process without warning."""
    os.kill(victim.pid, signal.SIGKILL)


def freeze(victim: Victim) -> None:
    """Stop the process: it is there, holds its port, and does nothing."""
    os.kill(victim.pid, signal.SIGSTOP)


def deadlock(victim: Victim) -> None:
    """Make the only worker wait for a lock that it holds itself."""
    request(victim.port, "/deadlock")


def pause(victim: Victim) -> None:
    """Stop the process and let it go on a second later."""
    os.kill(victim.pid, signal.SIGSTOP)
    threading.Timer(STALL_S, _go_on, (victim.pid,)).start()


def stall(victim: Victim) -> None:
    """Keep the only worker busy for a second."""
    request(victim.port, f"/stall?s={STALL_S:g}")


def leak(victim: Victim) -> None:
    """Make the service take 10 MB of memory a second, and give nothing back."""
    request(victim.port, "/leak")


def burn(victim: Victim) -> None:
    """Make the service compute without end, beside its work."""
    request(victim.port, "/burn")


def burst(victim: Victim) -> None:
    """Let the service compute for two seconds, as it may."""
    request(victim.port, f"/burn?s={BURST_S:g}")


def misconfigure(victim: Victim) -> None:
    """Edit its configuration so that it cannot be read."""
    (victim.deployment.folder / CONFIG).write_text("anser = ok\n")


def _go_on(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return  # somebody restarted it, which the round finds out by itself


@contextmanager
def below_the_limit(broken: Broken) -> Iterator[Callable[[], Finding]]:
    """Watch whether the process ever has more memory than it may."""
    with highest_memory(broken.victim.pid) as peak:
        yield lambda: Finding(good=peak.bytes <= LEAK_LIMIT, counts={"crossed": peak.bytes > LEAK_LIMIT})


SCENARIOS = {
    "kill": Scenario("killed", WEB, (kill,), every_s=EVERY_S),
    "hang": Scenario("hung", WEB, (freeze, deadlock), every_s=EVERY_S),
    "stall": Scenario("stalled for 1 s", WEB, (pause, stall), (), anew=False, lasts_s=STALL_S, every_s=EVERY_S),
    "bad-config": Scenario("configured wrongly", WEB, (misconfigure,), ("rollback_config",), every_s=EVERY_S),
    "leak": Scenario("leaking 10 MB/s", WEB, (leak,), judge=below_the_limit),
    "burn": Scenario("burning a core", WEB, (burn,)),
    "burst": Scenario("busy for 2 s", WEB, (burst,), (), anew=False, lasts_s=BURST_S),
}
