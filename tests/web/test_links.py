"""One-time links on the page: looking does nothing, answering counts once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from mendline.keys import key_ring
from mendline.reading import read_journal
from mendline.responders.links import Link, seal
from mendline.schemas.records import Order
from tests.cli.support import until
from tests.web.support import HOSTILE, Answer, Site, asking

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Serve the story of a restart that waits for an answer."""
    with Site(tmp_path, url="https://mendline.example.com/") as served:
        served.tell(asking())
        until("the story is read", lambda: served.get("/api/overview").json["asking"])
        yield served


def link(site: Site, lasts_ms: int = 60_000, **more: str) -> str:
    """Return the path of a link to the story's question."""
    given = {"question": asking().intents[0].id, "receiver": "desk", **more}
    made = Link(until=int(time.time() * 1000) + lasts_ms, **given)  # type: ignore[arg-type]
    return f"/answer/{seal(made, key_ring(site.settings))}"


def look(site: Site, path: str, method: str = "GET") -> Answer:
    """Open a path without a token, by the public name."""
    return site.get(path, method, token="", headers={"Host": "mendline.example.com"})


def orders(site: Site) -> list[Order]:
    """Return the orders of the journal."""
    return [one.record for one in read_journal(site.log, site.settings) if isinstance(one.record, Order)]


def test_looking_does_nothing_and_answering_counts_once(site: Site) -> None:
    """However often a mail scanner opens it; the answer names who was told, and is signed."""
    path = link(site)
    for _ in range(3):
        shown = look(site, path)
        assert 200 == shown.status
    assert [] == orders(site)
    text = shown.body.decode()
    assert "May Mendline restart host-1/web?" in text
    assert f'action="{path}/approve"' in text
    assert "no-store" == shown.headers["cache-control"]
    assert "form-action 'self'" in shown.headers["content-security-policy"]
    assert 201 == look(site, f"{path}/approve", "POST").status
    (order,) = orders(site)
    assert ("approve", "desk (link)", asking().intents[0].id) == (order.kind, order.by, order.subject)
    assert key_ring(site.settings).why_not(order) is None
    until("it is at work", lambda: site.get("/api/overview").json["working"])
    for method, again in (("GET", path), ("POST", f"{path}/approve"), ("POST", f"{path}/deny")):
        refused = look(site, again, method)
        assert (410, True) == (refused.status, b"this link was used already" in refused.body)
    assert 1 == len(orders(site))


def test_two_answers_at_once_are_one(site: Site) -> None:
    """Both have the id of the link, so the second is a repeat."""
    path = link(site)
    page = site.server.page.journal
    with page.read() as journal:
        known = dict(journal.obeyed)
    assert 201 == look(site, f"{path}/deny", "POST").status
    with page.read() as journal:
        journal.obeyed.clear()
        journal.obeyed.update(known)
    look(site, f"{path}/approve", "POST")
    assert 1 == len({one.id for one in orders(site)})


def test_a_question_that_was_answered_otherwise_takes_no_answer(site: Site) -> None:
    """Nor does a link become the answer to the next question."""
    first, second = link(site), link(site, receiver="other")
    assert 201 == look(site, f"{first}/deny", "POST").status
    until("nothing asks", lambda: not site.get("/api/overview").json["asking"])
    refused = look(site, f"{second}/approve", "POST")
    assert (409, True) == (refused.status, b"nothing waits for this answer" in refused.body)
    assert 409 == look(site, link(site, question=asking().intents[0].fault)).status


@pytest.mark.parametrize("path", ["/answer/x.y.z", "/answer/é", "/answer/x.y.z/approve"])
def test_what_is_no_link_is_refused(site: Site, path: str) -> None:
    """Without a word about why the signature is wrong."""
    refused = look(site, path.replace("é", "%C3%A9"), "POST" if path.endswith("approve") else "GET")
    assert (403, True) == (refused.status, b"not one that Mendline gave" in refused.body)


def test_other_ways_to_ask_are_refused(site: Site) -> None:
    """By GET no answer is taken, and none but yes and no."""
    path = link(site)
    assert 405 == look(site, f"{path}/approve").status
    assert 422 == look(site, f"{path}/stop", "POST").status
    assert 403 == look(site, link(site, lasts_ms=-1)).status
    assert [] == orders(site)


def test_nothing_in_a_question_is_markup(tmp_path: Path) -> None:
    """A reason that a service wrote must not become a part of the page."""
    with Site(tmp_path) as served:
        scene = asking(reason=HOSTILE)
        served.tell(scene)
        until("the story is read", lambda: served.get("/api/overview").json["asking"])
        made = Link(scene.intents[0].id, "desk", int(time.time() * 1000) + 60_000)
        shown = served.get(f"/answer/{seal(made, key_ring(served.settings))}", token="")
        assert b"&lt;img src=x" in shown.body
        assert b"<img" not in shown.body


def test_a_button_gives_the_answer_in_a_browser(site: Site, chromium: Browser) -> None:
    """Without any script, under the page's own content security policy."""
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    page.goto(f"http://127.0.0.1:{site.port}{link(site)}")
    assert "killed by SIGKILL" in page.inner_text("main")
    page.get_by_role("button", name="Yes, restart").click()
    assert "Thank you" == page.inner_text("h1")
    assert ["approve"] == [one.kind for one in orders(site)]
    page.close()
