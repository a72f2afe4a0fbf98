"""The page of a report in a real browser: alone, at any width, in both themes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from mendline.reports.page import page as page_of
from mendline.reports.report import Report
from tests.reports.support import Life, evil_report, report_of
from tests.web.browsing import DESK, PHONE
from tests.web.contrast import UNREADABLE

pytestmark = pytest.mark.heavy


def report_on(name: str) -> Report:
    """Return a report on what chance broke, or on names made of markup."""
    return evil_report() if name == "evil" else report_of(Life(1).live(300))


@contextmanager
def alone(chromium: Browser, file: Path, size: Any, scheme: Any) -> Iterator[Page]:
    """Open a file in a browser of its own; fail for whatever it fetches, runs or complains of."""
    context = chromium.new_context(viewport=size, color_scheme=scheme)
    page, wrong = context.new_page(), list[str]()
    for event in ("pageerror", "dialog", "console", "requestfailed"):
        page.on(event, lambda what: wrong.append(str(what)))
    page.on("request", lambda request: wrong.append(request.url) if request.url != file.as_uri() else None)
    page.goto(file.as_uri())
    yield page
    context.close()
    assert wrong == []


@pytest.mark.parametrize("name", ["full", "evil"])
def test_a_report_stands_alone(chromium: Browser, tmp_path: Path, name: str) -> None:
    """Nothing is fetched or run, every text can be read, it is no wider than the screen, and its pictures are there."""
    file = tmp_path / "report.html"
    file.write_text(page_of(report_on(name)), encoding="utf-8")
    for size, scheme in ((DESK, "light"), (PHONE, "dark")):
        with alone(chromium, file, size, scheme) as page:
            assert page.evaluate(UNREADABLE) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            assert page.locator("svg").count() == 3
            assert page.locator("svg rect.down").count() > 0
