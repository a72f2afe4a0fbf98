"""Rounds: late and failing collectors, checked values, the limit of series."""

from __future__ import annotations

import logging
import math
import threading

import pytest

from mendline.producers.base import NO_VALUE, Collected
from mendline.producers.rounds import Assembly, Collection, _Lane
from mendline.producers.validation import Validation
from mendline.schemas.series import Series, SeriesTable
from tests.producers.support import until

GAUGE = Series(metric="gauge")
COUNTER = Series(metric="counter", kind="counter")
SHARE = Series(metric="system.cpu.utilization")


class Fixed:
    """Measures the same every time."""

    def __init__(self, name: str, *values: float) -> None:
        self.name = name
        self.collected = Collected(tuple(Series(metric=f"{name}.{n}") for n in range(len(values))), list(values))

    def collect(self, now_ms: int) -> Collected:
        return self.collected


class Hung(Fixed):
    """Does not return before it is let go."""

    def __init__(self, name: str) -> None:
        super().__init__(name, 7.0)
        self.let_go = threading.Event()

    def collect(self, now_ms: int) -> Collected:
        self.let_go.wait()
        return self.collected


class Failing(Fixed):
    """Raises."""

    def collect(self, now_ms: int) -> Collected:
        msg = "no such luck"
        raise OSError(msg)


def collection(*collectors: Fixed, deadline_s: float = 0.1, max_series: int = 1000) -> Collection:
    """Return a collection that waits a short time only."""
    return Collection(collectors, deadline_s=deadline_s, patience_s=0.05, max_series=max_series)


def read(rounds: Collection) -> dict[str, float]:
    """Make a round and return its values by label."""
    table, values = rounds.round(0)
    return {series.label: value for series, value in zip(table.series, values, strict=True)}


@pytest.mark.slow
def test_a_hung_collector_delays_no_other() -> None:
    """The others are measured in the very round in which one hangs, and in all later ones."""
    hung = Hung("hung")
    rounds = collection(Fixed("first", 1.0), hung, Fixed("last", 2.0))
    for _ in range(3):
        found = read(rounds)
        assert (1.0, 2.0) == (found["first.0"], found["last.0"])
    hung.let_go.set()
    rounds.close()


def test_a_thread_that_has_no_turn_is_replaced_and_nobody_blamed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a machine that is busy the thread may not even have begun: its collectors are run by another at once."""
    turn, serve = threading.Event(), _Lane._serve
    first: list[_Lane] = []

    def starved(lane: _Lane) -> None:
        if not first:
            first.append(lane)
            turn.wait()
        serve(lane)

    monkeypatch.setattr(_Lane, "_serve", starved)
    rounds = collection(Fixed("one", 1.0), Fixed("two", 2.0))
    found = read(rounds)
    assert (1.0, 2.0) == (found["one.0"], found["two.0"])
    assert [] == caplog.messages
    turn.set()
    rounds.close()


def test_a_collector_beyond_its_deadline_is_reported_and_comes_back() -> None:
    """It is overdue while it hangs; when it returns, its values go into the next round."""
    hung = Hung("hung")
    rounds = collection(Fixed("other", 1.0), hung)
    until(lambda: read(rounds)["mendline.collector.overdue{mendline.collector=hung}"] == 1.0)
    assert read(rounds)["mendline.collector.duration{mendline.collector=hung}"] > 0.1
    hung.let_go.set()
    until(lambda: read(rounds).get("hung.0") == 7.0)
    until(lambda: read(rounds)["mendline.collector.overdue{mendline.collector=hung}"] == 0.0)
    rounds.close()


def test_two_hung_collectors_delay_no_other() -> None:
    """Each keeps a thread for itself."""
    hung = Hung("one"), Hung("two")
    rounds = collection(*hung, Fixed("other", 1.0))
    assert 1.0 == read(rounds)["other.0"]
    assert 1.0 == read(rounds)["other.0"]
    for one in hung:
        one.let_go.set()
    rounds.close()


def test_a_failing_collector_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """What one collector raises is its own affair."""
    rounds = collection(Failing("failing", 1.0), Fixed("other", 1.0))
    read(rounds)
    found = read(rounds)
    assert 1.0 == found["other.0"]
    assert 2.0 == found["mendline.collector.errors{mendline.collector=failing}"]
    assert 1 == sum("no such luck" in record.message for record in caplog.records if record.levelno >= logging.WARNING)
    rounds.close()


def test_the_table_is_the_same_object_while_no_layout_changes() -> None:
    """Building a table costs a thousand times more than filling a round."""
    rounds = collection(Fixed("a", 1.0))
    assert rounds.round(0)[0] is rounds.round(1000)[0]
    rounds.close()


def test_series_beyond_the_limit_are_dropped_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """The first series stay, the rest is dropped, the number dropped is known."""
    assembly = Assembly(max_series=3)
    for values in ([1.0, 2.0], [1.0, 2.0, 3.0]):
        part = Fixed("a", *values).collected
        table, kept = assembly.join([part, part])
        assert (3, 3) == (len(table), len(kept))
    assert 3 == assembly.dropped
    assert 1 == sum("host.max_series" in record.message for record in caplog.records)


def checked(series: Series, *values: float) -> tuple[list[float], Validation]:
    """Return what is left of the values, one a round."""
    validation = Validation()
    validation.begin(SeriesTable([series]).series)
    return [validation.check([value])[0] for value in values], validation


@pytest.mark.parametrize(
    ("series", "value", "reason"),
    [
        (GAUGE, math.inf, "not_finite"),
        (COUNTER, -math.inf, "not_finite"),
        (SHARE, 1.5, "out_of_range"),
        (COUNTER, -1.0, "out_of_range"),
    ],
)
def test_what_is_not_valid_is_rejected_and_counted(series: Series, value: float, reason: str) -> None:
    """A value that is not finite or outside of the metric's range becomes "no value"."""
    (kept,), validation = checked(series, value)
    assert math.isnan(kept)
    assert {reason: 1} == {name: count for name, count in validation.rejected.items() if count}


def test_no_value_is_not_rejected() -> None:
    """NaN says that there was nothing to measure, which is no fault."""
    _, validation = checked(GAUGE, NO_VALUE)
    assert 0 == sum(validation.rejected.values())


def test_a_counter_that_begins_anew_is_a_reset() -> None:
    """A value below half of the last one is passed on and counted as a reset."""
    kept, validation = checked(COUNTER, 100.0, 10.0, 11.0)
    assert [100.0, 10.0, 11.0] == kept
    assert 1 == validation.resets


def test_a_counter_that_steps_back_a_little_is_a_glitch() -> None:
    """The value is rejected, and the counter goes on from where it was."""
    kept, validation = checked(COUNTER, 100.0, 99.0, 101.0)
    assert math.isnan(kept[1])
    assert (1, 0) == (validation.rejected["stepped_back"], validation.resets)


def test_a_counter_that_stays_back_was_reset_after_all() -> None:
    """After three rejected rounds the lower value is believed."""
    kept, validation = checked(COUNTER, 100.0, 90.0, 90.0, 90.0, 91.0)
    assert [True, True, True, False] == [math.isnan(value) for value in kept[1:]]
    assert 1 == validation.resets


def test_counters_are_remembered_over_a_change_of_layout() -> None:
    """A new disk must not make every other counter forget where it was."""
    validation = Validation()
    validation.begin([COUNTER])
    validation.check([100.0])
    validation.begin([GAUGE, COUNTER])
    assert math.isnan(validation.check([0.0, 99.0])[1])


def test_a_collector_that_hangs_or_keeps_failing_is_sick() -> None:
    """One that failed twice is not yet, and neither is one that is well."""
    hung = Hung("hung")
    rounds = collection(Fixed("well", 1.0), Failing("failing"), hung)
    for _ in range(2):
        read(rounds)
    assert "failing" not in rounds.sick
    read(rounds)
    until(lambda: "hung" in rounds.sick)
    assert {"failing": "OSError: no such luck", "hung": "at work for more than 0.1 s"} == rounds.sick
    hung.let_go.set()
    until(lambda: "hung" not in rounds.sick)
    rounds.close()
