"""Whether a tab that is left open for a day keeps its memory: the page's own clock is turned on, pulse by pulse.

python -m benchmarks.open_tab [PULSES]

Each page looks again every ten seconds; a day has 8,640 such pulses. With each of them the browser's clock goes on by
ten seconds, what the page asks for is answered, and every tenth time a record comes; the stream is silent meanwhile
for longer than the page bears, so it is begun anew again and again too. Told is the heap after a tenth of the pulses,
when all was loaded, and at the end, each after a collection. Needs Chromium.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from benchmarks.page import Site
from mendline.schemas.records import Order
from mendline.schemas.rounds import Round, Sample

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HOSTS, SERVICES = 50, 4
DAY = 8_640
PULSE_MS = 10_000
SHARE = 10
ROUNDS = 300


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pulses", nargs="?", type=int, default=DAY, help="of the overview; the other pages a twelfth")
    pulses = parser.parse_args().pulses
    program = shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        site = Site(Path(folder), HOSTS, SERVICES)
        _measure(site)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with site.served():
            incident = json.loads(site.get("/api/overview"))["open"][0]["id"]
            places = {"overview": "/", "explore": "/explore", "incident": f"/incident/{incident}"}
            found = {
                name: _left_open(browser, site, place, pulses if name == "overview" else pulses // 12)
                for name, place in places.items()
            }
            browser.close()
    print(json.dumps(found))


def _measure(site: Site) -> None:
    """Let the first host have measured something, for the charts."""
    now = time.time_ns() // 1_000_000
    for place in range(ROUNDS):
        sample = Sample(metric="system.memory.utilization", attributes={"system.memory.state": "used"}, value=place % 7)
        site.append("metrics", Round(source="host-0", time=now - 1000 * (ROUNDS - place), samples=(sample,)))


def _left_open(browser: Browser, site: Site, place: str, pulses: int) -> dict[str, Any]:
    """Return the heap (MB) and the nodes of a page after a tenth of the pulses, and after all of them."""
    page = browser.new_context().new_page()
    page.clock.install()
    page.goto(site.server.link)
    page.wait_for_selector(".panel")
    page.goto(f"{site.server.address}#{place}")
    page.wait_for_selector(".panel")
    before: dict[str, float] = {}
    answers: list[str] = []
    page.on("requestfinished", lambda request: answers.append(request.url))
    for pulse in range(pulses):
        if pulse == pulses // SHARE:
            before = _used(page)
        if pulse % SHARE == 0:
            now = time.time_ns() // 1_000_000
            site.append("journal", Order(source="ann", time=now, kind="note", by="ann", subject="*", text=str(pulse)))
        page.clock.fast_forward(PULSE_MS)
        page.wait_for_timeout(10)
    page.wait_for_selector(".login", state="detached")  # it is still in
    after = _used(page)
    page.context.close()
    return {"pulses": pulses, "answers": len(answers), "before": before, "after": after}


def _used(page: Any) -> dict[str, float]:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    heap, nodes = session.send("Runtime.getHeapUsage")["usedSize"], session.send("Memory.getDOMCounters")["nodes"]
    session.detach()
    return {"heap_mb": round(float(heap) / 1e6, 1), "nodes": nodes}


if __name__ == "__main__":
    main()
