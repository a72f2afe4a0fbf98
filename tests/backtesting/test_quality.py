"""How good faults are, by labels and by incidents that are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from mendline.backtesting import Terms
from mendline.backtesting.comparing import NAMES, Side, counts
from mendline.backtesting.deciding import Decided
from mendline.backtesting.past import Period
from mendline.backtesting.quality import QUALITIES, Quality, Truth, quality
from mendline.backtesting.stretches import Stretch
from mendline.cli.known import load_incidents
from mendline.config import ConfigError
from mendline.replaying.courses import Course
from mendline.reports.shares import wilson
from mendline.schemas.records import Evidence, Fault, Order, encode_record
from mendline.schemas.stream import NewRecord
from tests.backtesting.support import LOAD, QUEUE, after, compared, run
from tests.replaying.support import Studio, recorded

PERIOD = Period(0, 100)
NOTHING = Decided([], [], 0)


def course(name: str, target: str, begin: int, end: int | None) -> Course:
    """Return a fault that was there from `begin` to `end`."""
    evidence = Evidence(event_time=end or begin, topic="t", partition=0, offsets=(0, 0))
    host = target.partition("/")[0]
    last = Fault(
        id=name, source="detect", time=0, revision=1, transition="resolved", target=target, host=host,
        detector="d", kind="unusual", opened_at=begin, evidence=evidence, stage="detect", partition=0,
    )  # fmt: skip
    return Course(last, begin, end)


def side(*courses: Course, late: int = 3) -> Side:
    """Return a side with these faults, each in the log so long (ms) after it began."""
    found = {one.last.id: one for one in courses}
    return Side("new", found, {name: one.begin + late for name, one in found.items()}, NOTHING)


RECORDED = {one.last.id: one for one in (course("a", "h/web", 10, 20), course("b", "h/db", 30, 40))}


def found(new: Side, labels: dict[str, str], file: list[Stretch] | None = None) -> Quality:
    """Return how good a side is."""
    return quality(new, Truth(PERIOD, RECORDED, labels, file))


def test_a_true_fault_that_is_not_found_is_missed_and_a_false_one_is_spared() -> None:
    """Without a false one precision is whole, within the bounds that one true fault allows."""
    both = found(side(*RECORDED.values()), {"a": "true", "b": "false"})
    assert (both.incidents, both.found, both.recall, both.precision) == (1, 1, wilson(1, 1), wilson(1, 2))
    only_true = found(side(RECORDED["a"]), {"a": "true", "b": "false"})
    assert (only_true.recall, only_true.precision) == (wilson(1, 1), wilson(1, 1))
    only_false = found(side(RECORDED["b"]), {"a": "true", "b": "false"})
    assert (only_false.recall, only_false.precision) == (wilson(0, 1), wilson(0, 1))


def test_a_moved_fault_keeps_its_label_and_one_within_an_incident_is_true() -> None:
    """What nothing is known of counts on neither side."""
    moved, other, unknown = (
        course(*one) for one in (("A", "h/web", 12, 25), ("x", "h/web", 14, 15), ("y", "h", 60, 70))
    )
    told = found(side(moved, other, unknown), {"a": "true"})
    assert (told.verdicts, told.precision) == ({"true": 2, "": 1}, wilson(2, 2))
    assert (told.delay.median, told.delay.low) == (5, None)


def test_a_file_of_all_incidents_makes_all_else_false() -> None:
    """But for what people labelled true; incidents of other times do not count."""
    file = [Stretch("web", 5, 22), Stretch("db", 50, 60), Stretch("db", 500, 600)]
    told = found(side(*RECORDED.values(), course("y", "h", 60, None)), {"b": "true"}, file)
    assert (told.verdicts, told.recall) == ({"true": 2, "false": 1}, wilson(1, 2))
    assert told.delay.median == 8


def test_every_count_has_a_name() -> None:
    """So that a condition can be read before anything is run."""
    assert tuple(found(side(), {}).figures()) == QUALITIES


@pytest.mark.slow
def test_labels_are_taken_from_the_journal(tmp_path: Path) -> None:
    """As often as people change their minds, the last counts; one that was not believed does not."""
    studio = recorded(tmp_path, 30)
    unknown = compared(studio)
    assert tuple(counts(unknown)) == NAMES
    assert unknown.before.courses
    ids = list(unknown.before.courses)
    labels = [(ids[0], "false", True), (ids[0], "true: it was", True), (ids[1], "true", True), (ids[1], "true", False)]
    _say(studio, labels)
    truth = _truth(studio)
    assert truth.labels == {ids[0]: "true"}
    assert quality(compared(studio, detectors=[LOAD, QUEUE]).after, truth).recall == wilson(1, 1)
    assert quality(compared(studio, detectors=[QUEUE]).after, truth).recall == wilson(0, 1)


def _say(studio: Studio, labels: list[tuple[str, str, bool]]) -> None:
    journal = studio.settings.topics.topic("journal")
    producer = studio.log.producer("people")
    for number, (fault, text, active) in enumerate(labels):
        order = Order(
            id=str(number),
            source="me",
            time=studio.clock(),
            kind="label",
            by="me",
            subject=fault,
            text=text,
            active=active,
        )
        producer.append([NewRecord(journal, encode_record(order), b"default", 0)]).result(10)
    producer.close()


def _truth(studio: Studio) -> Truth:
    return run(studio, [{}], Terms()).truth


def test_incidents_are_read_from_a_file(tmp_path: Path) -> None:
    """Times are UTC; what is wrong is told with its line."""
    file = tmp_path / "incidents.yaml"
    file.write_text(
        "incidents:\n- {target: web, from: 2023-11-14T22:13:21, to: 2023-11-14 22:13:30}\n", encoding="utf-8"
    )
    assert load_incidents(file) == [Stretch("web", after(1), after(10))]
    file.write_text("incidents:\n- target: web\n  from: yesterday\n  to: 2023-11-14T22:13:20\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"incidents.yaml:3: incidents.0.from: 'yesterday' is no time"):
        load_incidents(file)
    file.write_text(
        "incidents:\n- {target: web, from: 2023-11-14T22:13:20, to: 2023-11-14T22:13:20}\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError, match=r"incidents.yaml:2: incidents.0: `to` is not after `from`"):
        load_incidents(file)
