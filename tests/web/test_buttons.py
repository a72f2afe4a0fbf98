"""What people order on the page in a real Chromium: every button, and who has which."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from mendline.reading import read_journal
from mendline.schemas.records import Order
from tests.responders.support import START_MS, fault, order
from tests.web.browsing import opened
from tests.web.support import Site, asking

pytestmark = pytest.mark.heavy


def press(page: Page, name: str) -> None:
    """Press a button of the page, not of its dialog."""
    page.locator("main").get_by_role("button", name=name, exact=True).first.click()


def confirm(page: Page, name: str, why: str = "") -> None:
    """Say why in the dialog and go on; wait until it was recorded."""
    dialog = page.get_by_role("dialog")
    if why:
        dialog.get_by_label("Why?").fill(why)
    dialog.get_by_role("button", name=name, exact=True).click()
    expect(dialog).to_have_count(0)


def given(site: Site) -> list[tuple[str, str]]:
    """Return kind and text of the orders of the journal."""
    found = (one.record for one in read_journal(site.log, site.settings))
    return [(one.kind, one.text) for one in found if isinstance(one, Order)]


def test_what_asks_is_approved_on_the_overview(chromium: Browser, site: Site) -> None:
    """After a look at what will follow; who cancels has said nothing."""
    site.tell(asking())
    with opened(chromium, site) as page:
        press(page, "Approve")
        expect(page.get_by_role("dialog")).to_contain_text("Approve: restart host-1/web")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        press(page, "Approve")
        confirm(page, "Approve", "go on")
        expect(page.get_by_role("heading", name="Being mended now")).to_be_visible()
    assert [("approve", "go on")] == given(site)


def test_all_is_said_on_the_page_of_the_incident(chromium: Browser, site: Site) -> None:
    """Each comes into the journal, and is seen at once."""
    site.tell(asking())
    with opened(chromium, site, f"/incident/{asking().intents[0].fault}") as page:
        press(page, "I look at it")
        confirm(page, "I look at it")
        expect(page.get_by_text("somebody looks at it", exact=True)).to_be_visible()
        press(page, "I do not look at it")
        confirm(page, "I do not look at it")
        expect(page.get_by_text("somebody looks at it", exact=True)).to_be_hidden()
        press(page, "Label")
        page.get_by_label("Was it one?").select_option("false")
        confirm(page, "Label", "backup")
        expect(page.locator(".evidence")).to_contain_text("false: backup")
        press(page, "Note")
        confirm(page, "Note", "called ann")
        expect(page.locator(".line")).to_contain_text("called ann")
        press(page, "Silence")
        page.get_by_label("For how long?").select_option("10 min")
        confirm(page, "Silence")
        press(page, "Deny")
        confirm(page, "Deny", "not now")
        expect(page.locator(".steps")).to_contain_text("denied")
    expected = ["acknowledge", "acknowledge", "label", "note", "silence", "deny"]
    assert expected == [kind for kind, _ in given(site)]


def test_somebody_looks_at_an_incident_only_if_at_each_fault_that_is_open(chromium: Browser, site: Site) -> None:
    """That people look at one that is over says nothing of it; the button is about all that nobody looks at."""
    back = fault(id="back", time=START_MS + 9000, opened_at=START_MS + 9000, earlier=fault().id, again=1)
    hung = fault(name="hung", opened_at=START_MS + 9000, reason="it makes no progress")
    over = fault(transition="resolved", revision=1)
    site.append("journal", fault(), order("acknowledge", fault().id), over, back, hung)
    with opened(chromium, site, f"/incident/{fault().id}") as page:
        expect(page.locator(".line")).to_contain_text("Somebody looks at it")
        expect(page.get_by_text("somebody looks at it", exact=True)).to_have_count(0)
        press(page, "I look at it")
        confirm(page, "I look at it", "on my way")
        expect(page.get_by_text("somebody looks at it", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name="I look at it", exact=True)).to_have_count(0)
    orders = [one.record for one in read_journal(site.log, site.settings) if isinstance(one.record, Order)]
    assert {fault().id, "back", hung.id} == {one.subject for one in orders}


def test_what_stands_is_ended_on_the_overview(chromium: Browser, site: Site) -> None:
    """Maintenance, and that everything is stopped."""
    site.tell(asking())
    with opened(chromium, site, f"/incident/{asking().intents[0].fault}") as page:
        press(page, "Maintenance")
        confirm(page, "Maintenance", "new disk")
        page.keyboard.press("o")
        expect(page.get_by_text("maintenance of host-1/web for")).to_be_visible()
        press(page, "End")
        confirm(page, "End")
        expect(page.get_by_text("maintenance of host-1/web for")).to_be_hidden()
        press(page, "Stop everything")
        confirm(page, "Stop everything", "storm")
        expect(page.get_by_text("stopped everything: nothing is begun")).to_be_visible()
        press(page, "Lift")
        confirm(page, "Lift")
        expect(page.get_by_text("stopped everything: nothing is begun")).to_be_hidden()


def test_a_refusal_is_told_where_it_was_asked(chromium: Browser, site: Site) -> None:
    """Somebody else was faster: the dialog stays, and says so."""
    site.tell(asking())
    with opened(chromium, site) as page:
        press(page, "Approve")
        body = json.dumps({"kind": "deny", "subject": asking().intents[0].id})
        assert 201 == site.get("/api/orders", "POST", body=body, headers={"Content-Type": "application/json"}).status
        expect(page.locator(".card")).to_have_count(0)
        page.get_by_role("dialog").get_by_role("button", name="Approve", exact=True).click()
        expect(page.get_by_role("alert").get_by_text("does not wait for an answer")).to_be_visible()


def test_whom_a_proxy_names_needs_no_token(chromium: Browser, tmp_path: Path) -> None:
    """The page asks who it is, and goes on under that name."""
    (tmp_path / "secret").write_text("between-them")
    proxy = {"addresses": ["127.0.0.1"], "secret": f"file:{tmp_path / 'secret'}", "users": {"ann": "operate"}}
    said = {"X-Forwarded-User": "ann", "X-Proxy-Secret": "between-them"}
    with Site(tmp_path, proxy=proxy) as site:
        page = chromium.new_context(extra_http_headers=said).new_page()
        page.goto(site.server.address)
        expect(page.locator("#leave")).to_have_text("ann · leave")
        expect(page.locator("#live")).to_have_text("live")
        page.context.close()


def test_who_may_only_look_has_no_buttons(chromium: Browser, tmp_path: Path) -> None:
    """Neither to answer nor to stop; all else is there."""
    (tmp_path / "vera").write_text("token-of-vera\n")
    with Site(tmp_path, tokens={"vera": {"token": f"file:{tmp_path / 'vera'}"}}) as site:
        site.tell(asking())
        with opened(chromium, site, token="token-of-vera") as page:
            expect(page.locator(".card")).to_be_visible()
            assert 0 == page.locator("main button").count()
