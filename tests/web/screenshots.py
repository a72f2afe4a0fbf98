"""Takes the pictures of docs/web.md: four services are run and broken for real, and the page is looked at.

python -m tests.web.screenshots
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from playwright.sync_api import Browser, sync_playwright

from mendline.demo.client import request
from mendline.demo.config import PROGRAMS, free_ports
from tests.cli.support import until
from tests.web.support import call

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SERVICES = ("api", "cache", "search", "web")
PATIENCE_S = 120.0
BEFORE_S = 45.0
"""So long all is well before anything is broken: the charts show it."""
AFTER_S = 5.0
WINDOWS_S = 12.0
"""So long after the last was broken there are windows enough to tell what changed then."""
SERIES = ("system.memory.utilization{system.memory.state=used}", "web process.memory.usage")
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
TALL = {"width": 1280, "height": 1220}


CONFIG = """\
name: shop-1
log: sqlite://log
state: state
host: {{interval: 500ms, collect: [cpu, memory]}}
web: {{listen: "127.0.0.1:{page}"}}
services: {services}
windows: {{pane: 2s, widths: [2s, 10s]}}
detectors:
  - {{name: usual, use: ewma, window: 0, match: {{metric: system.memory.utilization}}, open: {{above: 250}}}}
  - name: leak
    use: exhaustion
    match: {{metric: process.memory.usage, service: web}}
    window: 0
    parameters: {{limit: 201326592, horizon: 8, block: 1, blocks: 16}}
    severity: critical
    kind: leaking
policies:
  - name: api-by-hand
    when: {{target: api}}
    mode: ask
    owner: ann
    play: [{{action: restart, verify: 10s}}]
  - name: mend
    when: {{kind: [dead, leaking]}}
    mode: auto
    play: [{{action: restart, verify: 10s, attempts: 5}}, {{action: ask}}]
guards: {{cooldown: 1s}}
"""


class Deployment:
    """`mendline up` with four services, of which any may be broken."""

    def __init__(self, folder: Path) -> None:
        """Write the configuration in `folder`."""
        self._page, *ports = free_ports(1 + len(SERVICES))
        self.ports = dict(zip(SERVICES, ports, strict=True))
        self._state = folder / "state"
        self._config = folder / "mendline.yaml"
        services = json.dumps({name: _service(port) for name, port in self.ports.items()})
        self._config.write_text(CONFIG.format(page=self._page, services=services))

    def mendline(self, *words: str) -> None:
        """Run a command of Mendline."""
        subprocess.run(self._vector(*words), cwd=self._config.parent, check=True, stdout=subprocess.DEVNULL)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run `mendline up` for the length of the block."""
        up = subprocess.Popen(self._vector("up"), cwd=self._config.parent)
        try:
            yield
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(PATIENCE_S)

    def _vector(self, *words: str) -> Sequence[str]:
        return [sys.executable, "-m", "mendline", *words, "-c", str(self._config)]

    @property
    def token(self) -> str:
        """This host's token."""
        return (self._state / "web-token").read_text().strip()

    @property
    def page(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self._page}/"

    def overview(self) -> Any:
        """Return the overview."""
        return call(self._page, "/api/overview", headers={"Authorization": f"Bearer {self.token}"}).json

    def pid(self, name: str) -> int:
        """Return the process of a service, 0 while it does not answer."""
        with contextlib.suppress(OSError):
            return int(call(self.ports[name], "/health").body.split()[1])
        return 0

    def incident(self, service: str, doing: str) -> str:
        """Wait for an incident of a service that has come so far, and return its id."""

        def find() -> str | None:
            overview = self.overview()
            rows = [*overview["open"], *overview["closed"]]
            found = (one["id"] for one in rows if (one["target"], one["doing"]) == (f"shop-1/{service}", doing))
            return next(found, None)

        return str(until(f"{service} {doing}", find, PATIENCE_S))


def _service(port: int) -> Mapping[str, Any]:
    probe = {"name": "health", "http": f"http://127.0.0.1:{port}/health", "every": "200ms", "fail_after": "2s"}
    process = {"command": [sys.executable, "-I", "-S", str(PROGRAMS / "service.py"), str(port)], "grace": "100ms"}
    return {"process": process, "probes": [probe], "allow": ["restart"]}


def shoot(browser: Browser, deployment: Deployment, place: str, name: str, **options: Any) -> None:
    """Save a picture of a page."""
    context = browser.new_context(**{"viewport": DESK, **options})
    page = context.new_page()
    page.goto(f"{deployment.page}#token={deployment.token}")
    page.wait_for_selector(".live[data-state=live]")
    page.goto(f"{deployment.page}#{place}")
    page.wait_for_selector(".panel")
    page.wait_for_timeout(1500)  # all answers are there, and what moves has come to rest
    page.screenshot(path=str(PICTURES / f"{name}.png"))
    context.close()


class Broken(NamedTuple):
    """The incident of a service that was mended, that of one that waits for a person, and when (ms) that broke."""

    mended: str
    asking: str
    at: int


def break_services(deployment: Deployment) -> Broken:
    """Break three services in turn."""
    request(deployment.ports["web"], "/leak")
    leaking = deployment.incident("web", "mended")
    os.kill(deployment.pid("cache"), signal.SIGKILL)
    deployment.incident("cache", "mended")
    deployment.mendline("maintenance", "begin", "search", "--text", "new disk")
    at = time.time_ns() // 1_000_000
    os.kill(deployment.pid("api"), signal.SIGSTOP)
    return Broken(leaking, deployment.incident("api", "asks"), at)


def explored(at: int) -> str:
    """Return the address of some series, and of what changed at a time (ms)."""
    return f"/explore?{urlencode([('at', at), *(('s', json.dumps(['shop-1', one])) for one in SERIES)])}"


def main() -> None:
    """Write the pictures."""
    program = shutil.which("chromium")
    with tempfile.TemporaryDirectory(prefix="mendline-pictures-") as folder, sync_playwright() as playwright:
        deployment = Deployment(Path(folder))
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with deployment.running():
            until("the services answer", lambda: all(map(deployment.pid, SERVICES)), PATIENCE_S)
            time.sleep(BEFORE_S)
            broken = break_services(deployment)
            time.sleep(AFTER_S)
            shoot(browser, deployment, f"/incident/{broken.mended}", "incident")
            shoot(browser, deployment, f"/incident/{broken.asking}", "asking", color_scheme="dark")
            shoot(browser, deployment, "/", "overview")
            shoot(browser, deployment, "/", "phone", color_scheme="dark", viewport=PHONE)
            shoot(browser, deployment, "/journal", "journal")
            shoot(browser, deployment, "/policies", "policies")
            time.sleep(WINDOWS_S)
            shoot(browser, deployment, explored(broken.at), "explore", viewport=TALL)
        browser.close()


if __name__ == "__main__":
    main()
