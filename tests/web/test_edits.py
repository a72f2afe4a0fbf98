"""Configurations that were edited before an incident: what was edited, where this host has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from mendline.responders.versions.files import Entry
from mendline.responders.versions.history import History
from mendline.schemas.records import ConfigurationChange
from mendline.schemas.settings import ServiceSettings
from tests.cli.support import until
from tests.responders.support import START_MS, fault
from tests.web.browsing import opened
from tests.web.contrast import UNREADABLE
from tests.web.support import Site

OLD, NEW = b"workers = 8\nname = shop\n", b"workers = 0\nname = shop\npassword = hunter2\n"


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Return a page of a host that keeps two versions of a service's file, edited shortly before the service failed."""
    site = Site(tmp_path)
    services = {"web": ServiceSettings(config=(str(tmp_path / "web.conf"),))}
    site.settings = site.settings.model_copy(update={"services": services})
    history = History(Path(site.settings.state), "web")
    for seconds, content in ((-3600, OLD), (59, NEW), (7200, OLD)):
        now = START_MS / 1000 + seconds
        monkeypatch.setattr("mendline.responders.versions.history.time.time", lambda now=now: now)
        history.take({"/etc/web.conf": Entry(content)})
    monkeypatch.undo()
    change = {"time": START_MS, "service": "web", "path": "/etc/web.conf", "hash": "1"}
    site.append(
        "journal", *(ConfigurationChange.model_validate({"source": one, **change}) for one in ("host-1", "host-2"))
    )
    site.append("journal", fault("host-1/web"), fault("host-2/web"))
    return site


@pytest.mark.slow
def test_what_was_edited_is_shown_where_this_host_has_it(edited: Site, tmp_path: Path) -> None:
    """Of that very edit, secrets hidden; of another host it is told how to ask there; those who only look see none."""
    (tmp_path / "vera").write_text("token-of-vera")
    tokens = {"vera": {"token": f"file:{tmp_path / 'vera'}"}}
    web = type(edited.settings.web).model_validate({"listen": "127.0.0.1:0", "tokens": tokens})
    edited.settings = edited.settings.model_copy(update={"web": web})
    with edited as site:
        rows = until("incidents", lambda: len(found := site.get("/api/overview").json["open"]) and found)
        ids = {one["target"]: one["id"] for one in rows}
        path = f"/api/incidents/{ids['host-1/web']}/edits"
        (own,) = site.get(path).json
        assert ["-workers = 8", "+workers = 0", "+password = *****"] == [
            line for line in own["diff"].splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")
        ]
        (other,) = site.get(f"/api/incidents/{ids['host-2/web']}/edits").json
        assert ("", "its contents stay on host-2: `mendline configs log web` there lists its versions") == (
            other["diff"],
            other["why"],
        )
        assert 403 == site.get(path, token="token-of-vera").status
        assert [] == site.get("/api/incidents/0123456789/edits").json


@pytest.mark.heavy
def test_the_edit_stands_on_the_page_of_the_incident(chromium: Browser, edited: Site) -> None:
    """Beside the likely cause, and it can be read."""
    with edited as site, opened(chromium, site, f"/incident/{fault('host-1/web').id}") as page:
        expect(page.locator(".diff .removed").last).to_have_text("-workers = 8")
        expect(page.locator(".diff .added").last).to_have_text("+password = *****")
        assert [] == page.evaluate(UNREADABLE)
