"""What is counted of the journal, and how sure a share of few labels is."""

from __future__ import annotations

import pytest

from mendline.responders.reporting import Tally, wilson
from mendline.schemas.records import Hold, Record, Verification
from tests.responders.support import START_MS, fault, order


def counted(*records: Record, since: int = 0) -> Tally:
    """Return the tally of records, a second apart."""
    tally = Tally(lambda _: None, since)
    for number, record in enumerate(records):
        tally.apply(record, START_MS + number * 1000)
    return tally


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
)
def test_interval_of_wilson(hits: int, total: int, low: float, high: float) -> None:
    """As tables of it say; never outside of 0 to 1, and never of no width at the ends."""
    found = wilson(hits, total)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


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
    (found,) = counted(*some, *labels).report().detectors
    assert (found.faults, found.true, found.false, found.useless, found.precision.share) == (4, 1, 0, 1, 0.5)


def test_repeats_count_once() -> None:
    """Records may stand in the journal twice, and old revisions again."""
    over = fault(transition="resolved", revision=1)
    (found,) = counted(fault(), fault(), over, over, fault()).report().detectors
    assert (found.faults, found.resolved) == (1, 1)


def test_mended_and_held_are_counted() -> None:
    """Time to mend runs from the opening in the journal to the proof there."""
    proof = Verification(
        source="planner", time=START_MS, intent="i", fault=fault().id, target="host-1/web", mended=True
    )
    hold = Hold(source="planner", time=START_MS, fault=fault().id, target="t", policy="p", guard="fresh", reason="")
    found = counted(fault(), hold, proof, proof, hold).report()
    assert (found.mended, found.not_mended, found.mend_ms, found.held) == (1, 0, 2000, {"fresh": 2})


def test_since_leaves_out_what_began_before() -> None:
    """With what became of it later."""
    late = fault("host-2/web")
    found = counted(fault(), late, fault(transition="resolved", revision=1), since=START_MS + 1000).report()
    assert [(one.faults, one.resolved) for one in found.detectors] == [(1, 0)]
