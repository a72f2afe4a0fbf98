"""A service with a broken page in its cache: a command of the host's own empties that, and the process stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mendline.demo.scenario import Broken, Finding, Part, Scenario, Victim, exchange, probed
from mendline.schemas.records import Outcome

CACHE = "cache"

SETTINGS = f"""\
  pages:
    process: {{command: [$python, -I, -S, $pages_program, "$pages", {CACHE}], grace: 100ms}}
{probed("pages", "1.2s")}\
    commands:
      flush: {{argv: [$python, -I, -S, $pages_program, "$pages", {CACHE}, --flush], timeout: 5s}}
    allow: [command]
"""
POLICIES = """\
  - name: pages-cache
    when: {target: pages, kind: [failing]}
    mode: auto
    play:
      - {action: command, parameters: {name: flush}, timeout: 10s, verify: 30s}
"""


def make_cache(folder: Path) -> None:
    """Make the folder of the cache."""
    (folder / CACHE).mkdir()


PAGES = Part(("pages",), SETTINGS, POLICIES, prepare=make_cache)


def poison(victim: Victim) -> None:
    """Put half a page where a whole one should be."""
    exchange(victim.deployment.folder / CACHE / "index.html", "<h1>All")


@contextmanager
def said(broken: Broken) -> Iterator[Callable[[], Finding]]:
    """Tell what the command printed, as it is attached to its outcome."""
    yield lambda: _found(broken)


def _found(broken: Broken) -> Finding:
    printed = [text.strip() for _, one in broken.told(Outcome) for text in (one.attached or {}).values()]
    return Finding(good=bool(printed), shown={"said": "; ".join(printed)})


SCENARIOS = {
    "command": Scenario("broken in a cache", PAGES, (poison,), needed=("command",), anew=False, judge=said),
}
