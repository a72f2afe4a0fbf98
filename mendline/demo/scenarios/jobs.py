"""A service that hangs: what a person would look at is collected before the restart that destroys it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mendline.demo.scenario import Broken, Finding, Part, Scenario, probed
from mendline.demo.scenarios.web import deadlock
from mendline.schemas.records import Outcome

SECRET = "correct-horse-battery"  # noqa: S105 - made to be masked
SAID = "a lock is waited for"

SETTINGS = f"""\
  jobs:
    process:
      command: [$python, -I, -S, $service_program, "$jobs"]
      grace: 100ms
      environment: {{SAYS: "{SAID}, password={SECRET}"}}
{probed("jobs", "2s")}\
    allow: [restart]
"""
POLICIES = """\
  - name: jobs-hung
    when: {target: jobs, kind: [dead, hung]}
    mode: auto
    play:
      - {action: diagnose, timeout: 10s, verify: 0s, attempts: 1}
      - {action: restart, verify: 60s, attempts: 1000}
"""
JOBS = Part(("jobs",), SETTINGS, POLICIES)


@contextmanager
def evidence(broken: Broken) -> Iterator[Callable[[], Finding]]:
    """Tell whether the evidence is of the process that hung, from before its end, and without its secret."""
    yield lambda: _found(broken)


def _found(broken: Broken) -> Finding:
    outcomes = {one.action: one for _, one in reversed(broken.told(Outcome))}
    look, restart = outcomes.get("diagnose"), outcomes.get("restart")
    if look is None or restart is None:
        return Finding(good=False, counts={"attached": False, "masked": False}, times={"looked_s": None})
    texts = look.attached or {}
    before = (look.ended_at or 0) <= (restart.began_at or 0)
    attached = before and str(broken.victim.pid) in texts.get("processes", "") and SAID in texts.get("output", "")
    masked = SECRET not in "".join(texts.values())
    looked_s = ((look.ended_at or 0) - (look.began_at or 0)) / 1000
    return Finding(
        good=attached and masked, counts={"attached": attached, "masked": masked}, times={"looked_s": looked_s}
    )


SCENARIOS = {
    "diagnose": Scenario("hung, looked at", JOBS, (deadlock,), needed=("diagnose", "restart"), judge=evidence),
}
