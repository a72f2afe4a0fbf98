"""What the tests of the page share: a served page, and a real Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.missing import refuse
from tests.web.support import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Serve a page over an empty log."""
    with Site(tmp_path) as served:
        yield served


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve one page to all tests of a module that write nothing."""
    with Site(tmp_path_factory.mktemp("bare")) as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start one browser for a module: while it runs, so does its event loop, and no other may."""
    program = shutil.which("chromium")
    if program is None:
        refuse("NOT TESTED IN A BROWSER: install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
