"""What counts in a report, and since when."""

from __future__ import annotations

import sys

import pytest

from mendline.reports.report import Report
from mendline.schemas.records import Record
from tests.reports.support import report_of
from tests.responders.support import SECOND, START_MS, Scene, fault, order, outcome, policy, settings

LONG = 3_700 * SECOND


def told(*records: Record) -> Report:
    """Return the report on records, a second apart."""
    scene = Scene()
    for record in records:
        scene.append(record)
        scene.tick()
    return report_of(scene.entries)


def test_the_label_said_last_counts() -> None:
    """One taken back is none, and words that are no verdict are none."""
    some = [fault(f"host-{number}/web") for number in range(4)]
    labels = [
        order("label", some[0].id, text="false"),
        order("label", some[0].id, text="true: I looked again"),
        order("label", some[1].id, text="useless"),
        order("label", some[2].id, text="true"),
        order("label", some[2].id, active=False),
        order("label", some[3].id, text="perhaps"),
    ]
    (found,) = told(*some, *labels).detectors
    assert (found.faults, found.true, found.false, found.useless, found.precision.share) == (4, 1, 0, 1, 0.5)


def test_harm_says_nothing_of_the_fault_itself() -> None:
    """It may have been true, and what was done about it wrong."""
    scene = Scene()
    scene.say(fault())
    scene.say(outcome(scene.intents[0]))
    for text in ("true", "harmful: it lost the sessions"):
        scene.say(order("label", fault().id, text=text))
    found = report_of(scene.entries)
    assert (found.detectors[0].true, found.playbooks[0].harmful) == (1, 1)


def test_repeats_count_once() -> None:
    """Records may stand in the journal twice, and old revisions again."""
    over = fault(transition="resolved", revision=1)
    found = told(fault(), fault(), over, over, fault())
    assert (found.detectors[0].faults, found.detectors[0].resolved, found.incidents.count) == (1, 1, 1)


def test_what_the_fold_has_forgotten_still_counts() -> None:
    """An hour after its end a fault leaves the fold, and is labelled the day after."""
    scene = Scene(settings(policy(target="db")))
    over = fault(transition="resolved", revision=1, time=START_MS + SECOND)
    scene.say(fault())
    scene.tick()
    scene.say(over)
    scene.blind(LONG)
    assert not scene.journal.faults
    scene.say(over, order("label", fault().id, text="true"))
    found = report_of(scene.entries)
    assert (found.detectors[0].true, found.incidents.count, found.incidents.ends["open"]) == (1, 1, 0)


def test_what_began_before_the_span_does_not_count_but_its_outage_does() -> None:
    """The service was down all the same."""
    scene = Scene()
    scene.say(fault(time=START_MS))
    scene.tick(100 * SECOND)
    scene.say(fault("host-2/web", opened_at=scene.time()))
    scene.tick(50 * SECOND)
    found = report_of(scene.entries, 50)
    assert [one.faults for one in found.detectors] == [1]
    assert [(one.hosts, one.down_ms) for one in found.services] == [(2, 150 * SECOND)]


def test_what_is_not_believed_is_counted_apart() -> None:
    """As the planner does: whoever could write to the journal could make Mendline look good."""
    scene = Scene()
    scene.say(fault())
    scene.say(outcome(scene.intents[0]).model_copy(update={"source": "host-9"}))
    scene.say(order("label", fault().id, text="true").model_copy(update={"source": "host-9"}))
    found = report_of(scene.entries, None, None, **{"host-9": "it is not signed"})
    assert (found.detectors[0].true, found.incidents.act.count, found.ignored) == (0, 0, {"it is not signed": 2})


def test_nobody_watched_while_no_detector_reported() -> None:
    """Then it is not known whether a service was down; at worst it was."""
    scene = Scene()
    scene.tick(100 * SECOND)
    scene.blind(300 * SECOND)
    scene.say(fault(opened_at=scene.time(), time=scene.time()))
    scene.tick(100 * SECOND)
    found = report_of(scene.entries)
    (web,) = found.services
    assert (found.blind_ms, web.known_ms, web.down_ms) == (300 * SECOND, 200 * SECOND, 100 * SECOND)
    assert (web.availability, web.worst) == (0.5, 0.2)


@pytest.mark.slow
def test_what_breaks_again_and_again_for_days_is_one_incident() -> None:
    """Each time is explained by the time before: a chain longer than Python's stack is deep."""
    scene = Scene()
    for number in range(sys.getrecursionlimit() + 100):
        opened = fault(opened_at=scene.time(), time=scene.time()).model_copy(update={"id": f"{number:032}"})
        scene.append(opened)
        scene.now += SECOND
        scene.append(opened.model_copy(update={"revision": 1, "transition": "resolved", "time": scene.time()}))
        scene.now += 290 * SECOND
    (found,) = report_of(scene.entries).longest
    assert found.faults == sys.getrecursionlimit() + 100
