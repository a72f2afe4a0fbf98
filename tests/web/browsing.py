"""Opening the served page in a real browser, where nothing may go wrong or leave this host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect

from tests.web.support import Site

PATIENCE_MS = 60_000
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}


@contextmanager
def opened(chromium: Browser, site: Site, place: str = "/", token: str = "", **options: object) -> Iterator[Page]:
    """Open a page with this host's token or another, in a browser of its own; fail for what it should not do."""
    context = chromium.new_context(**{"viewport": DESK, **options})  # type: ignore[arg-type] # any of its options
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on(
        "request", lambda request: wrong.append(request.url) if urlsplit(request.url).hostname != "127.0.0.1" else None
    )
    page.goto(f"{site.server.address}#token={token or site.token}")
    expect(page.locator("#live")).to_have_text("live")
    page.goto(f"{site.server.address}#{place}")
    yield page
    context.close()
    assert [] == wrong
