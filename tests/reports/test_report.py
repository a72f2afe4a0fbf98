"""The numbers of a report are those that a plain look at the raw records gives."""

from __future__ import annotations

from statistics import median

import pytest

from mendline.reports.report import MOST_LISTED, Report
from tests.reports.naive import Naive, naive
from tests.reports.support import Life, report_of
from tests.responders.support import SECOND, START_MS

SECONDS = 900
SPANS = ((None, None), (200, 700))


@pytest.fixture(scope="module", params=[1, 2, 3])
def life(request: pytest.FixtureRequest) -> Life:
    """Live through a quarter of an hour in which much breaks."""
    lived = Life(request.param)
    lived.live(SECONDS)
    return lived


@pytest.fixture(params=SPANS, ids=["whole", "part"])
def both(life: Life, request: pytest.FixtureRequest) -> tuple[Report, Naive]:
    """Return the report on a span, and the model of it."""
    begin, end = request.param
    entries, last = life.scene.entries, life.scene.time()
    bounds = (START_MS, last) if begin is None else (START_MS + begin * SECOND, START_MS + end * SECOND)
    # Without an end, what came in the very last moment counts too.
    plain = naive(entries, life.scene.commands, *bounds)
    return report_of(entries, begin, end), plain


pytestmark = pytest.mark.slow


def test_detectors(both: tuple[Report, Naive]) -> None:
    """Faults, labels, ends."""
    found, plain = both
    told = {
        one.detector: (one.faults, one.true, one.false, one.useless, one.resolved, one.flapped)
        for one in found.detectors
    }
    assert plain.detectors() == told


def test_playbooks(both: tuple[Report, Naive]) -> None:
    """Tries, proofs, holds, and what people said of them."""
    found, plain = both
    told = {
        one.policy: (one.tried, one.verified, one.failed, one.looked, one.held, one.harmful, one.on_false)
        for one in found.playbooks
    }
    assert plain.playbooks() == told


def test_incidents(both: tuple[Report, Naive]) -> None:
    """How they ended, and how long it took to detect them and to act."""
    found, plain = both
    ends = dict(found.incidents.ends)
    ends["over"] = ends.pop("other") + ends.pop("lost")  # type: ignore[index]
    assert plain.ends() == {end: count for end, count in ends.items() if count}
    detect, act = plain.times()
    assert (len(detect), median(detect)) == (found.incidents.detect.count, found.incidents.detect.median)
    assert (len(act), median(act) if act else None) == (found.incidents.act.count, found.incidents.act.median)
    assert len(detect) == found.incidents.spells
    assert plain.begun() == sum(one.spells for one in found.buckets)


def test_how_long_something_was_wrong(both: tuple[Report, Naive]) -> None:
    """Of every incident, and how often."""
    found, plain = both
    assert found.incidents.count <= MOST_LISTED
    assert plain.wrong() == sorted(((one.wrong_ms, one.spells) for one in found.longest), key=str)


def test_sources(both: tuple[Report, Naive]) -> None:
    """The hosts where most faults opened."""
    found, plain = both
    assert plain.sources() == {one.host: (one.faults, one.flapped, one.false) for one in found.sources}


def test_availability(both: tuple[Report, Naive]) -> None:
    """Second by second."""
    found, plain = both
    assert plain.services() == {one.service: (one.down_ms, one.known_ms) for one in found.services}
