"""A service that is killed, of which people hear by a webhook and by e-mail: the demonstration itself takes both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from mendline.demo.receivers import letters, posted, receiving
from mendline.demo.scenario import Broken, Finding, Part, Scenario, probed
from mendline.demo.scenarios.web import kill

HEARD_S = 30.0
TOLD = ("demo/bell is dead: opened", "a policy wants you to know of demo/bell", "demo/bell was mended")

SETTINGS = f"""\
  bell:
    process: {{command: [$python, -I, -S, $service_program, "$bell"], grace: 100ms}}
{probed("bell")}\
    allow: [restart]
"""
POLICIES = """\
  - name: bell-down
    when: {target: bell, kind: [dead]}
    mode: auto
    play:
      - {action: notify, parameters: {team: ringers}, verify: 0s, attempts: 1}
      - {action: restart, verify: 60s, attempts: 1000}
"""
NOTIFY = """\
notify:                       # at once and each: most people want a `wait` and an `interval`
  - {webhook: "http://127.0.0.1:$hook/", wait: 0ms, interval: 0ms}
  - email: {to: [ringer@localhost], sender: mendline@localhost, server: "127.0.0.1:$smtp", security: none}
    wait: 0ms
    interval: 0ms
"""


def receive(folder: Path, ports: Mapping[str, int]) -> AbstractContextManager[None]:
    """Take what is told."""
    return receiving(ports["hook"], ports["smtp"], folder)


BELL = Part(("bell",), SETTINGS, POLICIES, more=NOTIFY, receivers=("hook", "smtp"), beside=receive)


@contextmanager
def heard(broken: Broken) -> Iterator[Callable[[], Finding]]:
    """Tell whether both heard of the fault, of the policy's wish and of the end."""
    folder = broken.victim.deployment.folder
    before = len(posted(folder)), len(letters(folder))
    yield lambda: _found(broken, folder, *before)


def _found(broken: Broken, folder: Path, posts: int, written: int) -> Finding:
    def by_hook() -> str:
        return "\n".join(str(one["text"]) for one in posted(folder)[posts:])

    def by_mail() -> str:
        return letters(folder)[written:]

    def both() -> bool:
        return all(text in by_hook() and text in by_mail() for text in TOLD)

    broken.victim.deployment.journal.wait(both, HEARD_S)
    counts = {"posted": all(text in by_hook() for text in TOLD), "mailed": all(text in by_mail() for text in TOLD)}
    return Finding(good=all(counts.values()), counts=counts)


SCENARIOS = {
    "notify": Scenario("killed, told of", BELL, (kill,), needed=("notify", "restart"), judge=heard),
}
