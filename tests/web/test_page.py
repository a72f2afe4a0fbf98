"""The page in a real Chromium: what people see, in both themes and on a phone, and that nothing takes it over."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from mendline.schemas.records import Heartbeat
from mendline.schemas.settings import DetectorSettings
from tests.responders.support import START_MS, fault, order
from tests.web.browsing import PHONE, opened
from tests.web.contrast import UNREADABLE
from tests.web.support import HOSTILE, Site, asking, evidence, mended
from tests.web.test_shifts import AT, windows

pytestmark = pytest.mark.heavy

BEGIN = """
() => {
  const all = [...document.querySelectorAll("button, a[href], input, select, summary, [tabindex='0']")];
  window.unreached = new Set(all.filter((one) => one.checkVisibility() && !one.disabled));
  return window.unreached.size;
}
"""
LEFT = """
() => {
  window.unreached.delete(document.activeElement);
  return [...window.unreached].filter((one) => one.isConnected).map((one) => one.outerHTML.slice(0, 80));
}
"""
SHOWN = "<img src=x onerror=\"document.title='taken'\">?[31m?&amp;"
"""The hostile text as people see it: all of it, with what steers terminals replaced."""


def test_the_link_lets_in_and_is_forgotten(chromium: Browser, site: Site) -> None:
    """The token stands neither in the address bar nor in the history; who leaves is asked for one."""
    with opened(chromium, site) as page:
        expect(page.get_by_role("heading", name="Nothing is known yet")).to_be_visible()
        site.append("journal", fault(), fault(transition="resolved", revision=1))
        expect(page.get_by_role("heading", name="Nothing is wrong")).to_be_visible()
        assert site.token not in page.url
        page.reload()
        expect(page.get_by_role("heading", name="Nothing is wrong")).to_be_visible()
        page.locator("#leave").click()
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("alert").get_by_text("not known here")).to_be_visible()
        page.get_by_label("Token").fill(site.token)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Nothing is wrong")).to_be_visible()


def test_a_page_that_stays_open_stays_in(chromium: Browser, site: Site) -> None:
    """Its session is begun anew once half of it is over, and not before."""
    left = """async (left_ms) => {
      const { renew } = await import('/static/js/session.js');
      const { now } = await import('/static/js/words.js');
      const held = JSON.parse(localStorage.getItem('mendline.session'));
      const until = now() + left_ms;
      localStorage.setItem('mendline.session', JSON.stringify({ ...held, expires_at: until }));
      await renew();
      return JSON.parse(localStorage.getItem('mendline.session')).expires_at - until;
    }"""
    with opened(chromium, site) as page:
        assert (True, 0) == (page.evaluate(left, 3_600_000) > 0, page.evaluate(left, 7 * 3_600_000))
        expect(page.locator("#live")).to_have_text("live")


def test_what_comes_is_seen_without_asking(chromium: Browser, site: Site) -> None:
    """On the overview, on the page of the incident, and in the fleet."""
    found = fault(reason="it was killed")
    with opened(chromium, site) as page:
        site.append("journal", found)
        expect(page.get_by_role("heading", name="1 open incident")).to_be_visible()
        expect(page.locator(".fleet").get_by_text("web: critical")).to_be_visible()
        page.locator("a.row").click()
        expect(page.get_by_role("heading", name="host-1/web dead").first).to_be_visible()
        site.append("journal", fault(transition="resolved", revision=1, ended="it runs"))
        expect(page.get_by_text("Fault gone").first).to_be_visible()
        page.keyboard.press("o")
        expect(page.get_by_role("heading", name="Nothing is wrong")).to_be_visible()


def test_what_is_old_is_told_as_of_when(chromium: Browser, site: Site) -> None:
    """That nothing is wrong is only said while it is known."""
    site.append("journal", fault(), fault(transition="resolved", revision=1))
    site.clock.now += 60_000
    with opened(chromium, site) as page:
        expect(page.get_by_role("heading", name="Nothing was wrong as of 22:14:20 UTC")).to_be_visible()
        expect(page.get_by_text("What has happened since is not known")).to_be_visible()


def test_neighbours_on_an_axis_differ(chromium: Browser, site: Site) -> None:
    """By as many digits as that takes."""
    with opened(chromium, site) as page:
        told = page.evaluate(
            "async () => { const { amounts } = await import('/static/js/words.js');"
            " return [amounts([10776576, 10777600, 10778624], 'By'), amounts([0, 0.0005], 's'), amounts([1, 2], '1')] }"
        )
    assert [["10.277 MiB", "10.278 MiB", "10.279 MiB"], ["0 ms", "0.5 ms"], ["1", "2"]] == told


def test_an_incident_is_told_from_the_first_sign_to_the_proof(chromium: Browser, site: Site) -> None:
    """Time line, cause, playbook, and what was attached."""
    site.tell(mended())
    with opened(chromium, site, f"/incident/{mended().intents[0].fault}") as page:
        titles = ["Fault found", "Decided", "Done", "Fault gone", "Verified: mended"]
        expect(page.locator(".line-what")).to_have_text(titles)
        expect(page.locator(".steps")).to_contain_text("mended it")
        expect(page.locator(".causes li").first).to_contain_text("killed by SIGKILL")
        page.locator("summary").click()
        expect(page.locator("pre")).to_contain_text("bye")


def test_the_chart_is_drawn_with_its_band(chromium: Browser, site: Site) -> None:
    """A hundred points of the series that the fault rests on."""
    found = site.chartable()
    with opened(chromium, site, f"/incident/{found.id}") as page:
        expect(page.locator(".chart canvas")).to_be_visible()
        expect(page.locator(".chart-title")).to_contain_text("expected 1 KiB to 2 KiB")
        drawn = page.evaluate(
            "() => { const c = document.querySelector('.chart canvas');"
            " return new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size }"
        )
        assert drawn > 10


def test_text_stays_text(chromium: Browser, site: Site) -> None:
    """Names, reasons, orders and attachments made of markup and escapes are shown as they are, and do nothing."""
    found = fault("host-1/web", reason=HOSTILE, evidence=evidence(text=HOSTILE, series=HOSTILE, value=1.0))
    beat = Heartbeat(source=HOSTILE, time=START_MS, interval_ms=1000, services=(HOSTILE,))
    site.append("metrics", beat)
    site.append("journal", found, order("maintenance", HOSTILE, text=HOSTILE), order("note", found.id, text=HOSTILE))
    for place in ("/", f"/incident/{found.id}", "/journal"):
        with opened(chromium, site, place) as page:
            expect(page.get_by_text(SHOWN).first).to_be_visible()
            page.wait_for_timeout(50)
            assert 0 == page.locator("main img").count()
            assert "taken" not in page.title()


def test_a_lost_connection_is_told_and_found_again(chromium: Browser, site: Site) -> None:
    """What is shown says that it is old; when the server is back, what was missed is there."""
    site.keep_port()
    with opened(chromium, site) as page:
        site.__exit__(None, None, None)
        expect(page.locator("#lost")).to_contain_text("does not answer")
        site.append("journal", fault())
        site.__enter__()
        expect(page.get_by_role("heading", name="1 open incident")).to_be_visible()
        expect(page.locator("#lost")).to_be_hidden()


def test_the_journal_is_searched(chromium: Browser, site: Site) -> None:
    """By words, further back on demand, and new entries wait until they are asked for."""
    site.append("journal", *(order("note", "web", text=f"number {one}") for one in range(150)), fault())
    with opened(chromium, site, "/journal") as page:
        expect(page.locator(".entry")).to_have_count(100)
        page.get_by_role("button", name="Older").click()
        expect(page.locator(".entry")).to_have_count(151)
        page.keyboard.press("/")
        page.keyboard.type("number 7")
        page.keyboard.press("Enter")
        expect(page.locator(".entry").first).to_contain_text("number 147")
        expect(page.get_by_role("status").last).to_contain_text("begins here")
        site.append("journal", order("note", "web", text="number 77777"))
        page.get_by_role("button", name="1 new").click()
        expect(page.locator(".entry").first).to_contain_text("number 77777")


def test_a_series_is_explored(chromium: Browser, site: Site) -> None:
    """Begun with what an open fault rests on; chosen from what the host measures, kept in the address, and removed."""
    site.clock.now = START_MS + 25_000
    site.chartable()
    beat = Heartbeat(source="host-1", time=START_MS, interval_ms=1000, services=("web",))
    site.append("metrics", beat)
    with opened(chromium, site, "/explore") as page:
        expect(page.get_by_role("link", name="host-1/web unusual")).to_be_visible()
        page.get_by_role("button", name="Remove web process.memory.usage of host-1").click()
        expect(page.locator("canvas")).to_have_count(0)
        page.get_by_label("Host", exact=True).fill("host-1")
        page.get_by_label("Host", exact=True).press("Tab")
        expect(page.get_by_text("1 series of host-1")).to_be_visible()
        page.get_by_label("Series", exact=True).fill("web process.memory.usage")
        page.get_by_role("button", name="Add").click()
        expect(page.locator("canvas")).to_be_visible()
        page.reload()
        expect(page.locator("canvas")).to_be_visible()
        page.get_by_label("Until, UTC").fill("2023-11-01T00:00:01")
        expect(page.get_by_text("nothing was measured in this time")).to_be_visible()
        page.reload()
        expect(page.get_by_label("Until, UTC")).to_have_value("2023-11-01T00:00:01")
        expect(page.get_by_text("nothing was measured in this time")).to_be_visible()


def test_what_was_expected_and_what_changed_is_explored(chromium: Browser, tmp_path: Path) -> None:
    """The band over past time, all hosts compared, and what changed around a moment that is typed or clicked."""
    detector = DetectorSettings(name="odd", use="zscore", window=10_000)
    with Site(tmp_path, detectors=(detector,)) as site:
        site.clock.now = AT
        for host, after in (("host-1", 20.0), ("host-2", 90.0)):
            site.append("metrics", Heartbeat(source=host, time=AT, interval_ms=1000, services=("web",)))
            windows(site, host, after)
        chosen = urlencode([("span", 21_600_000), ("s", json.dumps(["host-1", "web queue"]))])
        site.clock.now += 300_000
        with opened(chromium, site, f"/explore?{chosen}") as page:
            expect(page.locator(".chart-title")).to_contain_text("by odd")
            page.get_by_role("button", name="Compare web queue of all hosts").click()
            expect(page.locator("canvas")).to_have_count(2)
            page.get_by_label("Moment, UTC").fill("2023-11-14T22:18:20")
            page.get_by_role("button", name="Look").click()
            expect(page.locator("tbody tr").first).to_contain_text("host-2 web queue")
            expect(page.locator("tbody tr")).to_have_count(2)
            page.get_by_role("button", name="Remove web queue of host-2").click()
            page.get_by_role("button", name="Show web queue of host-2").click()
            expect(page.locator("canvas")).to_have_count(2)
            page.locator(".u-over").first.click(position={"x": 9, "y": 50})
            expect(page.get_by_text("No series changed by more than it varies.")).to_be_visible()
            assert [] == page.evaluate(UNREADABLE)


def test_policies_are_shown_with_their_record(chromium: Browser, site: Site) -> None:
    """What each is about, what it does, and what it was good for."""
    site.tell(mended())
    with opened(chromium, site) as page:
        page.get_by_role("link", name="Policies").click()
        expect(page.get_by_role("heading", name="1. web-down")).to_be_visible()
        expect(page.locator(".evidence")).to_contain_text("mended 1 of 1 time")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_can_be_read(chromium: Browser, site: Site, theme: str) -> None:
    """Every text has the contrast that WCAG AA asks for, and no page is wider than a phone."""
    site.tell(asking())
    site.chartable()
    site.append("journal", order("maintenance", "db"), fault("host-2/db", severity="warning"))
    with opened(chromium, site, color_scheme=theme) as page:
        for place in ("/", f"/incident/{asking().intents[0].fault}", "/explore", "/policies", "/journal"):
            page.goto(f"{site.server.address}#{place}")
            expect(page.locator(".panel").first).to_be_visible()
            page.set_viewport_size(PHONE)  # type: ignore[arg-type] # a dictionary of its own kind
            assert [] == page.evaluate(UNREADABLE)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_theme_is_chosen_and_kept(chromium: Browser, site: Site) -> None:
    """Whatever the system says."""
    with opened(chromium, site, color_scheme="light") as page:
        ground = "getComputedStyle(document.body).backgroundColor"
        before = page.evaluate(ground)
        page.locator("#theme").click()
        changed = page.evaluate(ground)
        page.reload()
        assert before != changed == page.evaluate(ground)


def test_the_keyboard_is_enough(chromium: Browser, site: Site) -> None:
    """From the top of the page to the incident, without a mouse; there, and everywhere, all can be reached."""
    site.tell(asking())
    with opened(chromium, site) as page:
        expect(page.locator(".card")).to_be_visible()
        for _ in range(30):
            page.keyboard.press("Tab")
            if "incident" in (page.evaluate("document.activeElement.getAttribute('href')") or ""):
                break
        page.keyboard.press("Enter")
        expect(page.locator(".line-what").first).to_be_visible()
        for name in ("host-1/web dead", "Overview", "Explore", "Policies", "Journal"):
            page.evaluate("document.activeElement.blur()")
            page.keyboard.press(name[0].lower())
            expect(page).to_have_title(f"{name} · Mendline")
            assert page.evaluate(BEGIN) > 5
            tabs = 0
            while page.evaluate(LEFT) and tabs < 60:
                page.keyboard.press("Tab")
                tabs += 1
            assert [] == page.evaluate(LEFT)


def test_what_cannot_be_shown_is_told(chromium: Browser, site: Site) -> None:
    """An incident that nobody knows; and what was read once stays, with its age, while the log does not answer."""
    site.append("journal", fault())
    with opened(chromium, site, "/incident/0123456789") as page:
        expect(page.locator("#lost")).to_contain_text("no incident, fault or intent that is remembered")
        page.goto(f"{site.server.address}#/incident/{fault().id}")
        expect(page.locator(".line-what").first).to_be_visible()
        expect(page.locator("#lost")).to_be_hidden()
        site.log.away = True
        page.keyboard.press("j")
        expect(page.locator("#lost")).to_be_visible()
        page.keyboard.press("o")
        expect(page.get_by_role("heading", name="1 open incident as of")).to_be_visible()
        site.log.away = False
        expect(page.get_by_role("heading", name="1 open incident", exact=True)).to_be_visible()
