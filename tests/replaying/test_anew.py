"""A recording under other settings: which faults there would have been; and all that is said, kept in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mendline.dumps import Dump
from mendline.dumps.loading import load
from mendline.dumps.recording import LogRecording
from mendline.dumps.writer import new_dump
from mendline.logs.memory import MemoryLog
from mendline.replaying.anew import Anew, nowhere
from mendline.replaying.courses import Change, Course, changes
from mendline.replaying.errors import ReplayError
from mendline.replaying.feeds import run
from mendline.replaying.inputs import Source, Wanted
from mendline.replaying.keeping import Keeper
from mendline.replaying.stages import Stages
from mendline.schemas.records import Evidence, Fault
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Partition
from tests.replaying.support import HOSTS, SETTINGS, UNLIMITED, Studio, settings_of

LOAD, QUEUE, UNUSUAL = SETTINGS["detectors"]


def anew(studio: Studio, settings: Settings, wanted: Wanted | None = None) -> Anew:
    """Return the replay under the settings, done."""
    with LogRecording(studio.log) as recording:
        found = Anew(Stages.anew(Source(recording, settings, wanted or Wanted())), nowhere)
        run(recording, found.feeds, UNLIMITED, lambda _: None)
        return found


def told(studio: Studio, *detectors: dict[str, Any], wanted: Wanted | None = None) -> list[tuple[str, str, str]]:
    """Return what changes with these detectors: how, where, and which."""
    settings = studio.settings.model_copy(update={"detectors": settings_of(Path(), detectors=detectors).detectors})
    found = anew(studio, settings, wanted).changes()
    lasts = [(one.kind, (one.replayed or one.recorded)) for one in found]
    return [(kind, course.last.target, course.last.detector) for kind, course in lasts if course]


@pytest.mark.slow
def test_the_settings_that_were_there_change_nothing(studio: Studio) -> None:
    """Each fault begins and ends when it did."""
    found = anew(studio, studio.settings)
    assert found.changes() == []
    assert (found.counts[0], found.counts[0] > 0, found.gaps) == (found.counts[1], True, {})


def test_what_another_threshold_would_have_found_is_added_or_lost(studio: Studio) -> None:
    """Fault by fault, in the order of time."""
    higher = {**LOAD, "open": {"above": 95}}
    assert told(studio, higher, QUEUE, UNUSUAL) == [("lost", host, "load-limit") for host in HOSTS]
    more = {"name": "more", "use": "threshold", "window": 0, "match": {"metric": "load"}, "open": {"above": 85}}
    assert told(studio, LOAD, QUEUE, UNUSUAL, more) == [("added", host, "more") for host in HOSTS]


def test_a_fault_that_ends_at_another_time_is_moved(studio: Studio) -> None:
    """With both of its times."""
    longer = {**QUEUE, "clear": {"below": 5}}
    settings = studio.settings.model_copy(
        update={"detectors": settings_of(Path(), detectors=[LOAD, longer, UNUSUAL]).detectors}
    )
    found = anew(studio, settings).changes()
    assert [one.kind for one in found] == ["moved"] * len(HOSTS)
    for one in found:
        assert one.recorded
        assert one.replayed
        assert (one.recorded.begin, one.recorded.end is None) == (one.replayed.begin, False)
        assert one.replayed.end is None


def test_a_plug_in_that_is_not_deterministic_is_named(studio: Studio) -> None:
    """What it would have found is chance, and is told as such."""
    theirs = {**QUEUE, "name": "theirs", "use": "tests.replaying.moods:Chance", "open": {"above": 4}}
    settings = studio.settings.model_copy(update={"detectors": settings_of(Path(), detectors=[theirs]).detectors})
    doubts = anew(studio, settings).doubts
    assert len(doubts) > 0
    assert all(
        one.startswith("the detector theirs (tests.replaying.moods:Chance) (mendline.windows ") for one in doubts
    )
    assert anew(studio, studio.settings).doubts == []


def test_one_host_alone_can_be_asked_for(studio: Studio) -> None:
    """What is about others is left out on both sides."""
    assert told(studio, QUEUE, UNUSUAL, wanted=Wanted(sources=frozenset({"host-2"}))) == [
        ("lost", "host-2", "load-limit")
    ]


def test_windows_that_were_not_recorded_are_not_made_up(studio: Studio) -> None:
    """Detectors on windows of other settings are refused; those on rounds can be replayed."""
    settings = studio.settings.model_copy(
        update={"windows": settings_of(Path(), windows={"pane": "1s", "widths": ["2s", "6s"]}).windows}
    )
    with pytest.raises(ReplayError, match="windows were made under other settings"):
        anew(studio, settings)
    assert anew(studio, settings, Wanted(topics=("metrics",))).changes() == []


def test_what_is_said_can_be_kept_and_loaded(studio: Studio, tmp_path: Path) -> None:
    """As topics of their own, in order; the log that is replayed has nothing more than before."""
    before = studio.ends()
    with LogRecording(studio.log) as recording, new_dump(tmp_path / "d") as file:
        source = Source(recording, studio.settings, Wanted())
        keeper = Keeper(file, source, 0)
        run(recording, Anew(Stages.anew(source), keeper.take).feeds, UNLIMITED, lambda _: None)
        keeper.finish()
    assert studio.ends() == before
    other = MemoryLog()
    with Dump(tmp_path / "d") as found:
        assert load(found, other, "again").records == keeper.records
    with LogRecording(other) as again:
        assert sum(again.extent(Partition("again.windows", number)).end for number in (0, 1)) > 0
        assert again.extent(Partition("again.journal", 0)).end > 0


# The comparison by itself ---------------------------------------------------------------------------------------------


def course(name: str, begin: int, end: int | None, detector: str = "d") -> Course:
    """Return a fault that was there from `begin` to `end`."""
    evidence = Evidence(event_time=end or begin, topic="t", partition=0, offsets=(0, 0))
    last = Fault(
        id=name, source="detect", time=0, revision=1, transition="resolved", target="h", host="h", detector=detector,
        kind="unusual", opened_at=begin, evidence=evidence, stage="detect", partition=0,
    )  # fmt: skip
    return Course(last, begin, end)


def test_a_fault_with_another_id_at_the_same_time_is_the_same_moved() -> None:
    """Each has one partner at most, and what does not overlap has none."""
    recorded_ones = {"a": course("a", 10, 20), "b": course("b", 30, 40), "c": course("c", 50, None)}
    replayed_ones = {
        "A": course("A", 12, 25), "B": course("B", 41, 45), "c": course("c", 50, None), "x": course("x", 13, 14),
        "y": course("y", 31, 32, detector="other"),
    }  # fmt: skip
    assert changes(recorded_ones, replayed_ones) == [
        Change("moved", recorded_ones["a"], replayed_ones["A"]),
        Change("added", None, replayed_ones["x"]),
        Change("lost", recorded_ones["b"], None),
        Change("added", None, replayed_ones["y"]),
        Change("added", None, replayed_ones["B"]),
    ]
