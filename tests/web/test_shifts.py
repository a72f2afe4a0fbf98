"""What changed around a moment: the most first, on a host and its peers, with what people changed beside it."""

from __future__ import annotations

import numpy as np
import pytest

from mendline.responders.facts import ChangeFact
from mendline.schemas.records import Heartbeat
from mendline.schemas.windows import WindowRow, Windows
from mendline.web.answers import Bands
from mendline.web.blocks import Span
from mendline.web.shifts import changes_around, scored
from tests.cli.support import until
from tests.responders.support import START_MS, order
from tests.web.support import Site

AT = START_MS + 300_000


def windows(site: Site, host: str, after: float) -> None:
    """Append ten minutes of windows: one series is `after` more from the moment on, one is steady, one counts up."""
    made = []
    for place in range(60):
        start = START_MS + 10_000 * place
        value = 5.0 + place % 2 + (after if start >= AT else 0.0)
        rows = (
            WindowRow(metric="steady", unit="{x}", count=10, mean=7.0 + place % 3),
            WindowRow(service="web", metric="queue", unit="{x}", count=10, mean=value),
            WindowRow(metric="sent", unit="By", kind="counter", count=10, mean=1e9 * place, rate=1e6),
        )
        made.append(Windows(source=host, time=start, start=start, width_ms=10_000, rounds=10, rows=rows))
    site.append("windows", *made)


@pytest.mark.slow
def test_what_changed_most_comes_first(site: Site) -> None:
    """Of this host and its peers; what is steady is not told, nor who has no service in common; changes are."""
    site.clock.now = AT
    for name, service in (("host-1", "web"), ("host-2", "web"), ("host-3", "db")):
        site.append("metrics", Heartbeat(source=name, time=AT, interval_ms=1000, services=(service,)))
    for host, after in (("host-1", 20.0), ("host-2", 90.0), ("host-3", 500.0)):
        windows(site, host, after)
    site.append("journal", order("note", "host-1/web", text="new version", time=AT))
    until("hosts", lambda: len(site.get("/api/fleet").json["hosts"]) == 3)
    found = site.get(f"/api/shifts?source=host-1&at={AT}").json
    assert ["host-1", "host-2"] == found["sources"]
    assert [("host-2", "web queue"), ("host-1", "web queue")] == [
        (one["source"], one["label"]) for one in found["shifts"]
    ]
    assert [(5.5, 95.5), (5.5, 25.5)] == [(one["before"], one["after"]) for one in found["shifts"]]
    assert 6 == found["compared"]
    assert ["new version" in one["text"] for one in found["changes"]] == [True]


def test_half_of_the_windows_may_be_anything() -> None:
    """Neither does a peak feign a change, nor hide one; too few windows tell nothing."""
    rng = np.random.default_rng(7)
    before = rng.normal(10.0, 1.0, (30, 4))
    after = rng.normal(10.0, 1.0, (30, 4))
    after[:14, 0] += 1e6
    after[:, 1] += 20.0
    before[:14, 1] -= 1e6
    after[:28, 2] = np.nan
    after[:, 3] = np.nan
    scores = scored(before, after, np.full(4, 0.1))[2]
    assert scores[0] < 3.0 < scores[1]
    assert (scores[2], scores[3]) == (0.0, 0.0)


def test_a_steady_slope_is_no_change() -> None:
    """It changes all the time."""
    slope = np.arange(60.0)[:, np.newaxis]
    assert 2.0 < scored(slope[:30], slope[30:], np.array([0.1]))[2][0] < 3.0


def test_changes_are_listed_from_an_hour_before() -> None:
    """The newest first; what came long before, or after, is none of it."""
    moment = Span("host-1", AT - 60_000, AT + 60_000)
    changes = [ChangeFact(time=AT + 1000 * at, target="web", text=str(at)) for at in (-3601, -3599, 0, 60, 61)]
    assert ["60", "0", "-3599"] == [one.text for one in changes_around(changes, moment)]


@pytest.mark.slow
def test_what_costs_is_worked_out_one_at_a_time(bare: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for too long is told to ask again, and all else is answered."""
    monkeypatch.setattr("mendline.web.page.BUSY_S", 0)
    span = f"source=host-1&label=load&begin={START_MS}&end={AT}"
    asked = [f"/api/bands?{span}", f"/api/shifts?source=host-1&at={AT}"]
    with bare.server.page._one_at_a_time():
        answers = [bare.get(one) for one in asked]
        assert 200 == bare.get("/api/overview").status
    assert {(503, "this is being worked out for others: ask again in a moment")} == {
        (one.status, one.json["detail"]) for one in answers
    }
    assert [200, 200] == [bare.get(one).status for one in asked]


def test_what_many_ask_for_is_worked_out_once(bare: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a while: two hundred tabs that show one incident ask for the same."""
    made: list[Span] = []

    def work_out(_: object, __: object, span: Span, *___: str) -> Bands:
        made.append(span)
        return Bands(bands=(), cut=False)

    monkeypatch.setattr("mendline.web.page.bands", work_out)
    page, span = bare.server.page, Span("host-1", START_MS, AT)
    for one in (span, span, span._replace(end=AT + 30_000), span):
        page.bands(one, "queue", "")
    assert [span, span._replace(end=AT + 30_000)] == made
    monkeypatch.setattr("mendline.web.page.BANDS_S", -1)
    page.bands(span, "queue", "")
    assert 3 == len(made)
