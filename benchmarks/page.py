"""What the page costs: answers of a large fleet, a live update to many pages, and the page in a real browser.

python -m benchmarks.page [HOSTS] [SERVICES]

A log in memory holds heartbeats of all hosts and one open fault a hundred services. The browser is Chromium
(without one its figures are left out).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

from mendline.logs.memory import MemoryLog
from mendline.runtime.together import run_together
from mendline.schemas.base import Envelope, record_id
from mendline.schemas.records import Evidence, Fault, Heartbeat, Order, encode_record
from mendline.schemas.settings import Settings, WebSettings
from mendline.schemas.stream import NewRecord
from mendline.topics import topic_settings
from mendline.web.server import PageServer

PAGES = 200
UPDATES = 30
EVERY = 100
POINTS = 100_000
DRAW = """async (points) => {
  const at = Array.from({ length: points }, (_, place) => place);
  const values = at.map((place) => Math.sin(place / 500) + Math.random());
  const box = document.createElement("div");
  document.body.append(box);
  const begun = performance.now();
  await new Promise((done) => new uPlot({ width: 1000, height: 300, series: [{}, { stroke: "blue" }],
    hooks: { draw: [() => done()] } }, [at, values], box));
  return performance.now() - begun;
}"""


class Site:
    """A served page over a fleet."""

    def __init__(self, folder: Path, hosts: int, services: int) -> None:
        """Write the fleet to a log."""
        web = WebSettings(listen="127.0.0.1:0")
        self.settings, self.log = Settings(state=str(folder), web=web), MemoryLog()
        self.log.ensure_topics(topic_settings(self.settings.topics))
        self._producer = self.log.producer("benchmark")
        names = tuple(f"service-{number}" for number in range(services))
        now = time.time_ns() // 1_000_000
        beats = [Heartbeat(source=f"host-{one}", time=now, interval_ms=10_000, services=names) for one in range(hosts)]
        self.append("metrics", *beats)
        targets = [f"host-{one}/{name}" for one in range(hosts) for name in names][::EVERY]
        self.append("journal", *(_fault(target, now) for target in targets))

    def append(self, topic: Any, *records: Envelope) -> None:
        """Append records."""
        name = self.settings.topics.topic(topic)
        self._producer.append([NewRecord(name, encode_record(one), b"default", 0) for one in records]).result(60)

    @contextmanager
    def served(self) -> Iterator[None]:
        """Serve for the length of the block."""
        self.server, stop = PageServer(self.settings, self.log), threading.Event()
        thread = threading.Thread(target=run_together, args=(self.server.runners, stop))
        thread.start()
        try:
            while not self.get("/api/fleet").startswith(b'{"now"') or b"service-0" not in self.get("/api/fleet"):
                time.sleep(0.1)
            yield
        finally:
            stop.set()
            thread.join()

    def ask(self, path: str) -> HTTPResponse:
        """Return the answer to a question, unread."""
        connection = HTTPConnection("127.0.0.1", int(self.server.address.rpartition(":")[2].strip("/")), timeout=60)
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.server.page.access.own_token}"})
        return connection.getresponse()

    def get(self, path: str) -> bytes:
        """Return the answer to a question."""
        return self.ask(path).read()


def _fault(target: str, now: int) -> Fault:
    evidence = Evidence(event_time=now, topic="mendline.metrics", partition=0, offsets=(0, 0))
    facts = {
        "source": "rounds",
        "stage": "rounds",
        "partition": 0,
        "transition": "opened",
        "kind": "dead",
        "revision": 0,
    }
    host = target.partition("/")[0]
    named = {"id": record_id("fault", target), "target": target, "host": host, "detector": "liveness"}
    return Fault.model_validate({**facts, **named, "time": now, "opened_at": now, "evidence": evidence})


def took_ms(what: Callable[[], object], times: int = 10) -> float:
    """Return the median time of calls that are not answered from what was kept."""
    took = []
    for _ in range(times):
        time.sleep(0.15)
        begun = time.perf_counter()
        what()
        took.append(time.perf_counter() - begun)
    return round(1000 * statistics.median(took), 1)


def live_ms(site: Site) -> dict[str, float]:
    """Return how long after its append a record is with each of the open pages."""
    streams = [site.ask("/api/events") for _ in range(PAGES)]
    for stream in streams:
        while stream.readline() != b"\n":
            pass
    arrived: list[float] = []
    threads = [threading.Thread(target=_listen, args=(stream, arrived)) for stream in streams]
    for thread in threads:
        thread.start()
    took = []
    for number in range(UPDATES):
        arrived.clear()
        begun = time.perf_counter()
        now = time.time_ns() // 1_000_000
        site.append("journal", Order(source="ann", time=now, kind="note", by="ann", subject="*", text=str(number)))
        while len(arrived) < PAGES:
            time.sleep(0.001)
        took += [one - begun for one in arrived]
        time.sleep(0.1)
    found = sorted(took)
    return {"median": round(1000 * statistics.median(found), 1), "slowest": round(1000 * found[-1], 1)}


def _listen(stream: HTTPResponse, arrived: list[float]) -> None:
    with suppress(OSError, ValueError):
        while line := stream.readline():
            if line.startswith(b"data: "):
                arrived.append(time.perf_counter())


def in_browser(site: Site) -> dict[str, float]:
    """Return how long the page takes until it can be used, a change until it is seen, and a large chart."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        return {}
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"]).new_page()
        page.set_default_timeout(60_000)
        page.goto(site.server.link)
        page.wait_for_selector(".host")
        begun = time.perf_counter()
        page.reload()
        page.wait_for_selector(".host")
        opened = time.perf_counter() - begun
        page.wait_for_selector(".live[data-state=live]")
        begun = time.perf_counter()
        site.append("journal", _fault("one-more/web", time.time_ns() // 1_000_000))
        page.wait_for_selector("a.row:has-text('one-more/web')")
        seen = time.perf_counter() - begun
        drawn = statistics.median(page.evaluate(DRAW, POINTS) for _ in range(5))
        heap = [_heap(site, page, number) for number in range(2)]
        return {
            "interactive_ms": round(1000 * opened),
            "seen_ms": round(1000 * seen),
            "points_drawn_ms": round(drawn, 1),
            "heap_before_mb": heap[0],
            "heap_after_1000_updates_mb": heap[1],
        }


def _heap(site: Site, page: Any, number: int) -> float:
    """Return the page's memory, the second time after a thousand records."""
    for text in range(1000 * number):
        now = time.time_ns() // 1_000_000
        site.append("journal", Order(source="ann", time=now, kind="note", by="ann", subject="*", text=str(text)))
        if text % 50 == 0:
            page.wait_for_timeout(200)
    page.wait_for_timeout(1000)
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    return round(float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6, 1)


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hosts", nargs="?", type=int, default=1000)
    parser.add_argument("services", nargs="?", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), asked.hosts, asked.services)
        with site.served():
            answers = {
                "overview_ms": took_ms(lambda: site.get("/api/overview")),
                "fleet_ms": took_ms(lambda: site.get("/api/fleet")),
                "fleet_kb": round(len(site.get("/api/fleet")) / 1000),
            }
            print(json.dumps(answers), file=sys.stderr)
            browser = in_browser(site)
            live = live_ms(site)
            print(json.dumps({**answers, **browser, "live_to_200_pages_ms": live}))
            sys.stdout.flush()
            os._exit(0)  # two hundred streams are open, each with a thread that waits


if __name__ == "__main__":
    main()
