"""A member of a real stage whose settings change between two lives: what is read again, and from where it counts."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from mendline.logs.base import LogUnavailableError
from mendline.responders.signing import KeyRing
from mendline.roles import rounds_spec
from mendline.runtime.member import Clocks, Member, Pace
from mendline.runtime.spec import StageSpec
from mendline.schemas.records import encode_record
from mendline.schemas.rounds import Round, Sample
from mendline.schemas.settings import Settings
from tests.runtime.support import TOPICS, Bench

LIMIT = {"name": "limit", "use": "threshold", "window": 0, "open": {"above": 100}}
UNUSUAL = {
    "name": "unusual", "use": "zscore", "window": 0, "parameters": {"windows": 20, "ready": 10}, "open": {"above": 5},
}  # fmt: skip
QUIET = [10.0, 11.0] * 20


def spec_of(*detectors: dict[str, Any]) -> StageSpec:
    """Return the stage over rounds under settings with these detectors."""
    settings = Settings.model_validate({"detectors": list(detectors), "topics": TOPICS.model_dump()})
    return rounds_spec(settings, KeyRing(Path(mkdtemp(prefix="mendline-"))))


class Fleet:
    """One host that says a value a second, and a member that judges them."""

    def __init__(self) -> None:
        """Begin with an empty log."""
        self.bench = Bench()

    def member(self, spec: StageSpec, *, farewell: float = 10.0) -> Member:
        """Return an open member of the stage."""
        clocks = Clocks(monotonic=lambda: self.bench.clock() / 1000, now_ms=self.bench.clock)
        member = Member(
            self.bench.log, spec, TOPICS, "m", pace=Pace(again=0.0, idle=0.0, farewell=farewell), clocks=clocks
        )
        member.open()
        return member

    def live(self, spec: StageSpec, *values: float) -> None:
        """Let a member live while the host says the values."""
        member = self.member(spec)
        member.turn()
        for value in values:
            self.bench.clock.advance(1)
            one = Round(source="h", time=self.bench.clock(), samples=(Sample(metric="load", value=value),))
            self.bench.put_bytes(encode_record(one))
            member.turn()
        for _ in range(3):
            member.turn()
        member.finish()
        member.close()

    def journal(self, kind: str) -> list[dict[str, Any]]:
        """Return the journal's records of this type."""
        found: list[Any] = self.bench.read("t.journal")
        return [one for one in found if one["type"] == kind]

    def faults(self, detector: str) -> list[tuple[str, int]]:
        """Return what was said of the detector's faults: transition and revision."""
        return [(one["transition"], one["revision"]) for one in self.journal("fault") if one["detector"] == detector]


@pytest.fixture(name="fleet")
def _fleet() -> Fleet:
    return Fleet()


@pytest.mark.slow
def test_an_edited_detector_warms_up_by_reading_back_and_says_nothing_twice(fleet: Fleet) -> None:
    """It is ready at once, what it read again is muted, and the activation says from where it read and counts."""
    fleet.live(spec_of(LIMIT, UNUSUAL), *QUIET, 90.0, *QUIET[:4])
    before = fleet.faults("unusual")
    assert ("opened", 0) in before
    edited = spec_of(LIMIT, {**UNUSUAL, "open": {"above": 4}})
    fleet.live(edited, *QUIET)
    assert fleet.faults("unusual") == before
    activations = fleet.journal("activation")
    assert [one["config"] for one in activations] == [spec_of(LIMIT, UNUSUAL).config, edited.config]
    read_from, counts_from = activations[-1]["read_from"], activations[-1]["offset"]
    assert (counts_from, counts_from - read_from) == (45, 22)
    fleet.live(edited, 90.0)
    assert fleet.faults("unusual")[-1] == ("opened", 0)


def test_a_detector_that_is_as_it_was_keeps_its_open_fault(fleet: Fleet) -> None:
    """The fault goes on under its revisions and is resolved by the detector that opened it."""
    fleet.live(spec_of(LIMIT, UNUSUAL), *QUIET, 200.0, 200.0)
    fleet.live(spec_of(LIMIT), 200.0, 50.0)
    assert fleet.faults("limit") == [("opened", 0), ("resolved", 1)]


def test_a_new_detector_reads_back_no_more_than_it_declares(fleet: Fleet) -> None:
    """A rule without memory reads its one window, however much others would."""
    fleet.live(spec_of(UNUSUAL), *QUIET)
    fleet.live(spec_of(UNUSUAL, LIMIT), 10.0)
    activation = fleet.journal("activation")[-1]
    assert activation["offset"] - activation["read_from"] == 2


def test_a_life_after_a_crash_under_new_settings_says_nothing_twice(fleet: Fleet) -> None:
    """Where the new settings left no snapshot, the next life warms up again, and mutes what was acknowledged."""
    fleet.live(spec_of(LIMIT, UNUSUAL), *QUIET)
    edited = spec_of({**LIMIT, "open": {"above": 60}}, UNUSUAL)
    dead = fleet.member(edited)
    dead.turn()
    one = Round(source="h", time=fleet.bench.clock() + 1000, samples=(Sample(metric="load", value=90.0),))
    fleet.bench.put_bytes(encode_record(one))
    for _ in range(4):
        dead.turn()
    dead.close()
    fleet.live(edited, 90.0, 10.0)
    assert fleet.faults("limit") == [("opened", 0), ("resolved", 1)]


def test_nothing_is_judged_before_the_activation_is_acknowledged(fleet: Fleet) -> None:
    """While the journal does not take it, the partition is not opened; once it does, what is judged stands after it."""
    fleet.live(spec_of(LIMIT), *QUIET)
    one = Round(source="h", time=fleet.bench.clock() + 1000, samples=(Sample(metric="load", value=90.0),))
    fleet.bench.put_bytes(encode_record(one))
    edited = fleet.member(spec_of({**LIMIT, "open": {"above": 60}}), farewell=0.0)
    fleet.bench.log.fail_next()
    with pytest.raises(LogUnavailableError, match="does not take the activation"):
        edited.turn()
    assert (edited.partitions, fleet.faults("limit")) == ((), [])
    for _ in range(5):
        fleet.bench.clock.advance(1)
        edited.turn()
    journal: list[Any] = fleet.bench.read("t.journal")
    assert [one["type"] for one in journal if one["type"] != "progress"][-2:] == ["activation", "fault"]
