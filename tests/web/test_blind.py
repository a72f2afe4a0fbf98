"""What Mendline does not see now, and says so."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from mendline.fleet import Host
from mendline.responders.journal import Journal
from mendline.schemas.records import Heartbeat
from mendline.web.blind import MOST, blind_spots
from tests.responders.support import START_MS, Scene, progress, settings
from tests.web.browsing import opened
from tests.web.support import Site

NOW = START_MS + 100_000


def host(heard_ms: int, *, leaving: bool = False, **sick: str) -> Host:
    """Return a host that was heard of so long ago."""
    return Host((), NOW - heard_ms, leaving, 10_000, "1", sick)


def heard_by(age_ms: int) -> Journal:
    """Return a journal that heard of a stage so long ago."""
    scene, journal = Scene(settings()), Journal()
    journal.apply(progress(scene), 0, 50_000, NOW - age_ms)
    return journal


@pytest.mark.parametrize(("age_ms", "spots"), [(14_000, []), (16_000, [("rounds/0", NOW - 16_000)])])
def test_a_stage_that_does_not_say_that_it_works_is_one(age_ms: int, spots: list[tuple[str, int]]) -> None:
    """By the journal's own time of it, told in that of the clock."""
    assert spots == [(one.where, one.since) for one in blind_spots(heard_by(age_ms), {}, NOW)]


def test_hosts_that_are_silent_or_sick_are_told() -> None:
    """Not those that said that they leave."""
    hosts = {"a": host(1000, disk="it hangs"), "b": host(31_000), "c": host(99_000, leaving=True), "d": host(1000)}
    assert [("a", "does not measure disk: it hangs"), ("b", "is not heard of")] == [
        (one.where, one.what) for one in blind_spots(Journal(), hosts, NOW)
    ]


def test_so_many_are_told_and_no_more() -> None:
    """A broker that is gone must not make the page endless."""
    assert MOST == len(blind_spots(Journal(), {str(one): host(60_000) for one in range(200)}, NOW))


@pytest.mark.heavy
def test_they_stand_on_the_overview(chromium: Browser, site: Site) -> None:
    """As long as there are any."""
    site.append("metrics", Heartbeat(source="host-1", time=START_MS, interval_ms=1000, sick={"disk": "it hangs"}))
    with opened(chromium, site) as page:
        expect(page.get_by_text("does not measure disk: it hangs")).to_be_visible()
