"""Several times within minutes are one incident, and how long each took is told apart from the whole."""

from __future__ import annotations

from typing import Any

from mendline.reports.report import IncidentReport, Report
from mendline.reports.sections import figures
from mendline.responders.incidents import incidents
from mendline.schemas.settings import StepSettings
from mendline.web.telling import tell_incident
from tests.reports.support import report_of
from tests.responders.support import SECOND, START_MS, Scene, fault, order, outcome, policy, settings

BEGINS = (0, 60, 90)
LASTS = 10


def lived(*, open_last: bool = False) -> Scene:
    """Return the journal of a service that was killed three times, ten seconds each."""
    scene = Scene()
    for number, begin in enumerate(BEGINS):
        scene.tick(begin * SECOND - scene.now)
        about: dict[str, Any] = {"opened_at": scene.time(), "id": f"fault-{number}"}
        scene.say(fault(time=scene.time(), **about))
        scene.tick(LASTS * SECOND)
        if not (open_last and number + 1 == len(BEGINS)):
            scene.say(fault(transition="resolved", revision=1, time=scene.time(), **about))
    return scene


def only(report: Report) -> IncidentReport:
    """Return the one incident of a report."""
    (one,) = report.longest
    return one


def test_a_report_tells_how_long_something_was_wrong() -> None:
    """Beside how long the incident took from its begin to its end."""
    scene = lived()
    one = only(report_of(scene.entries))
    assert (3, 3 * LASTS * SECOND, 3) == (one.spells, one.wrong_ms, one.faults)
    assert (BEGINS[-1] + LASTS) * SECOND == one.took_ms
    one = only(report_of(lived(open_last=True).entries))
    assert (3, None) == (one.spells, one.wrong_ms)


def test_each_time_counts_for_itself_in_what_comes_first() -> None:
    """Of four times within minutes Mendline mended two by itself and one with a person's word; one was over alone."""
    step = StepSettings(action="restart", attempts=3, timeout=5 * SECOND, verify=10 * SECOND)
    asks = policy("ask", step, kind=("hung",)).model_copy(update={"name": "web-hung"})
    scene = Scene(settings(asks, policy("auto", step, kind=("dead",)), blast_radius=1.0, cooldown=2 * SECOND))
    for number, kind in enumerate(("dead", "hung", "dead", "odd")):
        about: dict[str, Any] = {"name": kind, "opened_at": scene.time(), "id": f"fault-{number}"}
        scene.say(fault(time=scene.time(), **about))
        if kind == "hung":
            scene.say(order("approve", scene.intents[-1].id))
        if kind != "odd":
            scene.say(outcome(scene.intents[-1], began_at=0, ended_at=0))
        scene.tick()
        scene.say(fault(transition="resolved", revision=1, time=scene.time(), **about))
        scene.tick(60 * SECOND)
    report = report_of(scene.entries)
    assert {"mended": 2, "asked": 1, "other": 1} == {end: n for end, n in report.incidents.ends.items() if n}
    told = {one.name: (one.value, one.note) for one in figures(report)}
    assert ("1", "wrong 4 times, 0 still open") == told["incidents"]
    assert ("50 %", "2 of 4 times that are over") == told["mended without a person"]
    assert ("1 s", "half of the times; 90 % within 1 s") == told["recovered within"]


def test_the_page_tells_the_same() -> None:
    """Faults that overlap are one spell."""
    scene = lived()
    row = tell_incident(scene.journal, incidents(scene.journal)[0])
    assert (3, 3 * LASTS * SECOND) == (row.spells, row.wrong_ms)
    assert row.closed_at == START_MS + (BEGINS[-1] + LASTS) * SECOND
    scene = lived(open_last=True)
    scene.say(fault("host-1/web", name="hung", time=scene.time(), opened_at=scene.time() - SECOND))
    row = tell_incident(scene.journal, incidents(scene.journal)[0])
    assert (3, None) == (row.spells, row.wrong_ms)
