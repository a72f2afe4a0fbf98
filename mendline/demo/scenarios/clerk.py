"""A service whose configuration is changed by hand: it is well, but not as declared, and is brought back to that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mendline.demo.scenario import Broken, Finding, Part, Scenario, Victim, exchange, probed
from mendline.schemas.records import Fault
from mendline.schemas.versions import content_hash, version_hash

CONFIG, DECLARED, EDITED = "clerk.conf", "answer = ok\n", "answer =   ok\n"

SETTINGS = f"""\
  clerk:
    process:
      command: [$python, -I, -S, $service_program, "$clerk"]
      grace: 100ms
      environment: {{CONFIG: {CONFIG}}}
    config: [{CONFIG}]
{probed("clerk")}\
    allow: [restart, update_config]
"""
POLICIES = """\
  - name: clerk-drift
    when: {target: clerk}
    mode: auto
    playbook: drift
"""
DRIFT = """\
drift:
  - {service: clerk, declared: $declared, hold: 1s}
"""


def configure(folder: Path) -> None:
    """Write what is declared."""
    (folder / CONFIG).write_text(DECLARED)


def declared(folder: Path) -> Mapping[str, str]:
    """Return the version that is declared: it follows from the file's whole path and its content."""
    return {"declared": version_hash({str(folder / CONFIG): content_hash(DECLARED.encode())})}


CLERK = Part(("clerk",), SETTINGS, POLICIES, more=DRIFT, prepare=configure, known=declared)


def edit(victim: Victim) -> None:
    """Change the file so that it says the same in other words."""
    exchange(victim.deployment.folder / CONFIG, EDITED)


@contextmanager
def as_declared(broken: Broken) -> Iterator[Callable[[], Finding]]:
    """Tell whether the drift was named and the file is what was declared."""
    yield lambda: _found(broken)


def _found(broken: Broken) -> Finding:
    named = any(one.kind == "drift" for _, one in broken.told(Fault))
    back = (broken.victim.deployment.folder / CONFIG).read_text() == DECLARED
    return Finding(good=named and back, counts={"named": named, "as_declared": back})


SCENARIOS = {
    "drift": Scenario("changed by hand", CLERK, (edit,), needed=("update_config",), judge=as_declared),
}
