"""The stages on whole batches: what they say, and what it must not depend on."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tune
from hypothesis import strategies as st

from mendline.detectors import (
    Detector,
    NoParameters,
    Rows,
    Scores,
    StateArray,
    Step,
    bank_state,
    board,
    pools,
    rows,
    series_faults,
)
from mendline.detectors.stage import DetectStage
from mendline.schemas.records import Work, decode_record
from tests.detectors.support import (
    BEGIN,
    WINDOWS,
    Host,
    Jump,
    Story,
    Window,
    brief,
    faults,
    rounds_stage,
    said,
    settings,
    table,
    through_snapshot,
)  # fmt: skip
from tests.support.examples import examples

ZSCORE = {"name": "z", "use": "zscore", "parameters": {"windows": 5, "ready": 4}}
LIMIT = {
    "name": "limit", "use": "threshold", "open": {"above": 8, "for": "20s"}, "clear": {"below": 6, "for": "10s"},
}  # fmt: skip
LOOP = {"name": "loop", "use": "tests.detectors.support:Jump", "open": {"above": 5}, "clear": {"below": 1}}
RAW = {"name": "raw", "use": "threshold", "window": 0, "open": {"above": 8}}
HELD = {**RAW, "name": "held", "open": {"above": 8, "for": "4s"}, "clear": {"below": 3, "for": "2s"}}
RATE = {"name": "rate", "use": "zscore", "window": 0, "parameters": {"windows": 4, "ready": 3}}

ONE = table("a", "b")
TWO = table("b", "c", "d", service="web")
THREE = table("b", "a", "e")
COUNTER = table("a", kind="counter")


class Frozen(Jump):
    """Per series: surprised by how far the value is from the very first one."""

    def learn(self, value: float, time: int) -> None:
        self.before = value if self.before is None else self.before


def windows_of(*columns: Iterable[float], source: str = "h1", of: Any = ONE, first: int = 0) -> list[Window]:
    """Return windows of one source in a row, the values of each series given as a column."""
    rows = zip(*columns, strict=True)
    return [Window(source, of, row, BEGIN + (first + number) * 10_000) for number, row in enumerate(rows)]


def windows_story(windows: Iterable[Window]) -> Story:
    """Return a story of one record for each window, ten seconds apart."""
    story = Story(partition=WINDOWS)
    for window in windows:
        story.wait((window.start + window.width - story.now) / 1000)
        story.tell([window])
    return story


def detect(story: Story, *detectors: dict[str, Any], **more: Any) -> list[Any]:
    """Return the faults of a story of windows."""
    return list(faults(said(DetectStage(settings(*detectors, **more), WINDOWS), story.inputs())))


def test_threshold_with_holds() -> None:
    """A threshold opens after its hold, survives the band between its conditions, and clears after the other hold."""
    values = [1, 9, 1, 9, 9, 7, 5, 7, 5, 5]
    story: Any = windows_story(windows_of(values, [0] * 10))
    found = detect(story, {**LIMIT, "clear": {"below": 6, "for": "20s"}})
    assert [(one.transition, one.kind, one.opened_at - BEGIN, one.time - BEGIN) for one in found] == [
        ("opened", "threshold", 50_000, 50_000),
        ("resolved", "threshold", 50_000, 100_000),
    ]
    assert (found[0].evidence.value, found[0].evidence.high, found[0].evidence.surprise) == (9.0, 8.0, 300.0)
    assert (found[0].reason, found[0].ended) == ("a is 9 (expected: at most 8; surprise 300)", "")
    assert [story.told[offset][1][0].start - BEGIN for one in found for offset in one.evidence.offsets] == [
        30_000, 40_000, 80_000, 90_000,
    ]  # fmt: skip
    assert (found[1].reason, found[1].ended) == (found[0].reason, "a is 5 (expected: at most 8; surprise 0)")
    assert (found[0].target, found[0].host, found[0].detector, found[0].severity) == ("h1", "h1", "limit", "warning")
    assert (found[0].source, found[0].stage, found[0].partition) == ("detect", "detect", 0)


def test_gap_is_no_recovery() -> None:
    """A source that says nothing, or no value, does not recover, and its hold starts anew."""
    nan = float("nan")
    before = windows_of([9, 9, 9, nan, nan, 5], [0] * 6)
    after = windows_of([5, 5], [0, 0], first=60)
    rule = {**LIMIT, "clear": {"below": 6, "for": "30s"}}
    assert brief(said(DetectStage(settings(rule), WINDOWS), windows_story(before + after).inputs())) == [
        "opened threshold h1"
    ]


def test_zscore_budget() -> None:
    """Without conditions a fault opens where the budget of false faults says, and clears at half of that."""
    quiet = [10.0, 10.2, 9.8, 10.1, 9.9] * 2
    for surprise, budget in ((True, 1e6), (False, 1e-3)):
        story = windows_story(windows_of([*quiet, 10.9], [0] * 11))
        assert bool(detect(story, ZSCORE, budget=budget)) == surprise


def test_a_fault_that_is_back_soon_is_the_same_again() -> None:
    """It has an id of its own and names the first one, also after a restart; after a longer while it is a new one."""
    rule = {**LIMIT, "open": {"above": 8}, "clear": {"below": 6}}
    quiet, one = [1.0] * 70, settings(rule, faults={"again": "5m", "flap_high": 100})
    first = windows_story(windows_of([9, 1, 1, 9, 1, 1], [0] * 6))
    later = windows_story(windows_of([9, 1, *quiet, 9], [0] * 73, first=6))
    stage = DetectStage(one, WINDOWS)
    found = list(faults(said(stage, first.inputs())))
    found += faults(said(through_snapshot(stage, DetectStage(one, WINDOWS)), later.inputs()))
    begun = [fault for fault in found if fault.transition == "opened"]
    assert [fault.again for fault in begun] == [0, 1, 2, 0]
    assert [fault.earlier for fault in begun] == ["", begun[0].id, begun[0].id, ""]
    assert len({fault.id for fault in begun}) == 4


def test_a_value_that_comes_and_goes_is_one_fault_that_flaps() -> None:
    """No record follows each time, but that it is affirmed; in the end it resolves and flaps no more."""
    story = windows_story(windows_of([*[9, 1] * 50, *[1] * 30], [0] * 130))
    rule = {**LIMIT, "open": {"above": 8}, "clear": {"below": 6}}
    found = [one for one in detect(story, rule) if one.transition != "affirmed"]
    assert [(one.transition, one.flapping) for one in found] == [
        ("opened", False), ("resolved", False), ("opened", False), ("resolved", False),
        ("opened", False), ("updated", True), ("resolved", False),
    ]  # fmt: skip
    assert found[5].id == found[4].id


def test_what_is_unusual_for_long_is_learned_anew() -> None:
    """The fault of a detector of the unusual ends, nothing is mended, and the new level opens none; a rule's stays."""
    level = [10.0, 10.2, 9.8, 10.1, 9.9] * 4 + [50.0, 50.2, 49.8, 50.1, 49.9] * 8
    robust = {"name": "kept", "use": f"{__name__}:Frozen", "open": {"above": 4}}
    rule = {**LIMIT, "open": {"above": 20}}
    found = detect(windows_story(windows_of(level, [0] * 60)), robust, rule, faults={"max_age": "2m"})
    kept = [(one.transition, one.ended[:14]) for one in found if one.detector == "kept" and one.evidence.series == "a"]
    told = [one for one in kept if one[0] != "affirmed"]
    assert told == [("opened", ""), ("orphaned", "stale baseline")]
    assert {one.transition for one in found if one.detector == "limit"} == {"opened", "affirmed"}


def test_zscore_on_service() -> None:
    """A fault of a service's series is about the service."""
    story = windows_story(windows_of([1, 2, 1, 2, 1, 90], [0] * 6, [0] * 6, of=TWO))
    found = detect(story, {**ZSCORE, "match": {"metric": "b"}})
    assert [(one.target, one.host, one.kind, one.evidence.series) for one in found] == [
        ("h1/web", "h1", "unusual", "web b")
    ]


def test_two_series_of_a_target() -> None:
    """Two series of one target that are unusual at one time are two faults."""
    story = windows_story(windows_of([1, 2, 1, 2, 1, 90], [1, 2, 1, 2, 1, 90]))
    assert len({one.id for one in detect(story, ZSCORE)}) == 2


def test_match() -> None:
    """A detector looks at the series and sources that match, and at no others."""
    columns = ([1, 2, 1, 2, 1, 90], [1, 2, 1, 2, 1, 90])
    story = windows_story(windows_of(*columns))
    for match, expected in (
        ({"metric": "a"}, {"a"}), ({"metric": "*"}, {"a", "b"}), ({"source": "h2"}, set()), ({"service": "web"}, set()),
    ):  # fmt: skip
        assert {one.evidence.series for one in detect(story, {**ZSCORE, "match": match})} == expected


def test_auto_statistic() -> None:
    """`auto` takes the rate of counters and the mean of gauges."""
    rule = {"name": "limit", "use": "threshold", "open": {"above": 8}}
    for of, value in ((COUNTER, 10.0), (table("a"), 9.0)):
        found = detect(windows_story([Window("h1", of, [value / (1 + (of is COUNTER))], BEGIN)]), rule)
        assert [one.evidence.value for one in found] == [value]


def test_repeated_windows() -> None:
    """Windows that come again are passed over."""
    story = windows_story(windows_of([1, 2, 1, 2, 1, 90, 1, 2], [0] * 8))
    again = windows_story(windows_of([1, 2, 1, 2, 1, 90, 1, 2], [0] * 8))
    again.told += story.told[-4:]
    assert detect(again, ZSCORE) == detect(story, ZSCORE)


def test_layout_changes() -> None:
    """A source that gains a series keeps what is known of the others, and their open faults."""
    first = windows_of([1, 1, 9, 9], [0] * 4)
    later = windows_of([0] * 3, [9, 5, 5], [0] * 3, of=THREE, first=4)
    found = detect(windows_story(first + later), LIMIT)
    assert [(one.transition, one.evidence.series) for one in found] == [("opened", "a"), ("resolved", "a")]


def test_series_vanishes() -> None:
    """A fault of a series that its source measures no more is orphaned."""
    first = windows_of([9, 9, 9], [0] * 3)
    later = windows_of([0] * 90, [0] * 90, of=table("b", "e"), first=3)
    assert brief(said(DetectStage(settings(LIMIT), WINDOWS), windows_story(first + later).inputs())) == [
        "opened threshold h1", "orphaned threshold h1",
    ]  # fmt: skip


def test_source_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is gone for long (here: two minutes) is forgotten, and its faults are orphaned."""
    monkeypatch.setattr(pools, "FORGET_MS", 120_000)
    monkeypatch.setattr("mendline.detectors.series_faults.FORGET_MS", 120_000)
    monkeypatch.setattr("mendline.detectors.board.FORGET_MS", 120_000)
    story = windows_story(windows_of([9, 9, 9], [0] * 3))
    story.wait(400)
    stage = DetectStage(settings(LIMIT), WINDOWS)
    assert brief(said(stage, story.inputs(range(0, 400, 7)))) == ["opened threshold h1", "orphaned threshold h1"]
    assert [block for block in stage.dump() if block.sources] == []


def test_many_layouts() -> None:
    """A source whose series change all the time keeps a bounded number of layouts."""
    stage = DetectStage(settings(ZSCORE), WINDOWS)
    windows = [Window("h1", table(f"m{number}"), [1.0], BEGIN + number * 10_000) for number in range(50)]
    said(stage, windows_story(windows).inputs())
    assert len([block for block in stage.dump() if "pool" in block.values]) == pools.MOST_TABLES


def test_updates_are_few() -> None:
    """A fault that gets worse all the time is updated a handful of times."""
    quiet = [10.0, 10.2, 9.8, 10.1, 9.9]
    story = windows_story(windows_of(quiet + [100.0 * 10**n for n in range(40)], [0] * 45))
    transitions = [one.transition for one in detect(story, ZSCORE) if one.evidence.series == "a"]
    assert 0 <= transitions.count("updated") <= 7


# Rounds --------------------------------------------------------------------------------------------------------------


def test_round_detector() -> None:
    """A detector of window 0 sees each round, and opens with the round itself."""
    story = Story()
    host = Host(story)
    for value in (1.0, 9.0, 1.0):
        host.round(table("a"), [value])
        story.wait(1)
    found = faults(said(rounds_stage(settings(RAW)), story.inputs()))
    assert [(one.transition, one.time - BEGIN, one.stage) for one in found] == [
        ("opened", 1000, "rounds"), ("resolved", 2000, "rounds"),
    ]  # fmt: skip


def test_round_rates() -> None:
    """Counters in rounds are looked at as rates; a reset has none."""
    story = Story()
    host = Host(story)
    for value in (100.0, 101.0, 102.0, 3.0, 4.0, 14.0):
        host.round(COUNTER, [value])
        story.wait(1)
    found = faults(said(rounds_stage(settings(RAW)), story.inputs()))
    assert [(one.transition, one.evidence.value) for one in found] == [("opened", 10.0)]


def test_repeated_rounds() -> None:
    """Rounds that come again are not looked at again."""
    story = Story()
    host = Host(story)
    for value in (1.0, 9.0):
        host.round(table("a"), [value])
        story.wait(1)
    story.told += story.told[:1]
    assert brief(said(rounds_stage(settings(RAW)), story.inputs())) == ["opened threshold h1"]


# A detector that fails -----------------------------------------------------------------------------------------------


class Raises(Detector):
    """Fails when it sees a value over 50."""

    def arrays(self) -> Mapping[str, StateArray]:
        return {}

    def step(self, state: Rows, step: Step) -> Scores:
        if (step.values > 50).any():
            msg = "too much for me"
            raise RuntimeError(msg)
        return Scores(np.where(step.values > 8, 300.0, 0.0))


class Writes(Raises):
    """Changes its input."""

    def step(self, state: Rows, step: Step) -> Scores:
        step.values[:] = 1.0
        return super().step(state, step)


class Shapeless(Raises):
    """Answers with one number."""

    def step(self, state: Rows, step: Step) -> Scores:
        return Scores(np.float64(1.0))  # type: ignore[arg-type]  # the point


class Leaves(Raises):
    """Wants to end the program."""

    def step(self, state: Rows, step: Step) -> Scores:
        raise SystemExit(3)


class Greedy(Raises):
    """Wants more memory for a series than there is in the world."""

    def arrays(self) -> Mapping[str, StateArray]:
        return {"all": StateArray(shape=(2**50,))}


class Inventive(Raises):
    """Has a score where there is no value."""

    def step(self, state: Rows, step: Step) -> Scores:
        return Scores(np.zeros_like(step.values))


@pytest.mark.parametrize("name", ["Raises", "Writes", "Shapeless", "Leaves", "Greedy"])
def test_failing_detector(name: str) -> None:
    """A detector that fails is switched off with a fault that names it; its faults end, the others go on."""
    bad = {"name": "bad", "use": f"tests.detectors.test_stages:{name}"}
    story = windows_story(windows_of([9, 9, 90, 9, 9, 9, 9, 9, 9, 9], [0] * 10))
    found = detect(story, bad, {**LIMIT, "open": {"above": 80}})
    about = [(one.transition, one.kind, one.target) for one in found if one.transition != "affirmed"]
    assert ("opened", "detector-failed", "mendline/bad") in about
    assert ("opened", "threshold", "h1") in about
    assert about.count(("opened", "unusual", "h1")) == about.count(("orphaned", "unusual", "h1"))
    assert [one for one in found if one.transition == "affirmed" and one.kind == "detector-failed"]


def test_a_score_of_no_value_switches_off() -> None:
    """It would open and clear faults by what nobody measured."""
    bad = {"name": "bad", "use": "tests.detectors.test_stages:Inventive"}
    known = windows_story(windows_of([9.0, 9.0], [0, 0]))
    missing = windows_story(windows_of([9.0, math.nan], [0, 0]))
    assert not detect(known, bad)
    assert [(one.kind, one.target) for one in detect(missing, bad)] == [("detector-failed", "mendline/bad")]


def test_failed_detector_stays_off() -> None:
    """A detector that was switched off is still off after a restart, and its fault is affirmed on."""
    one = settings({"name": "bad", "use": "tests.detectors.test_stages:Raises"})
    stage = DetectStage(one, WINDOWS)
    said(stage, windows_story(windows_of([90], [0])).inputs())
    restored = through_snapshot(stage, DetectStage(one, WINDOWS))
    later = windows_story(windows_of([90] * 12, [0] * 12, first=1))
    assert {fault.transition for fault in faults(said(restored, later.inputs()))} == {"affirmed"}


class Hoards(Jump):
    """Per series: its state grows with each value, beyond what it declared."""

    def __init__(self, parameters: NoParameters) -> None:
        super().__init__(parameters)
        self.all: list[float] = []

    def learn(self, value: float, time: int) -> None:
        self.all.append(value)

    def dump(self) -> dict[str, Any]:
        return {"all": self.all}


class Forgets(Jump):
    """Per series: cannot take over what it has dumped."""

    def load(self, state: Mapping[str, float | None]) -> None:
        raise KeyError("after")


class Keeps(Detector):
    """Keeps all values that it ever saw, where no array is declared."""

    kind = "unusual"
    Parameters, warm_up = NoParameters, 1

    def arrays(self) -> Mapping[str, StateArray]:
        return {}

    def step(self, state: Rows, step: Step) -> Scores:
        self.__dict__.setdefault("seen", []).append(np.zeros(10**6))
        return Scores(np.zeros_like(step.values))


@pytest.mark.parametrize(
    ("name", "why"), [("Hoards", "more than the declared 40"), ("Forgets", "after"), ("Keeps", "beside its declared")]
)
def test_a_detector_whose_state_cannot_be_kept_harms_only_itself(name: str, why: str) -> None:
    """The snapshot is made and taken over without it; it is switched off with the next window, and others go on."""
    one = settings({"name": "bad", "use": f"tests.detectors.test_stages:{name}"}, {**LIMIT, "open": {"above": 80}})
    stage: Any = DetectStage(one, WINDOWS)
    said(stage, windows_story(windows_of([9] * 12, [0] * 12)).inputs())
    restored = through_snapshot(stage, DetectStage(one, WINDOWS))
    stage = restored if name == "Forgets" else stage
    found = faults(said(stage, windows_story(windows_of([90, 90], [0, 0], first=12)).inputs()))
    assert {(fault.kind, fault.target) for fault in found} == {
        ("detector-failed", "mendline/bad"),
        ("threshold", "h1"),
    }
    (failed,) = [fault for fault in found if fault.kind == "detector-failed"]
    assert why in failed.reason


# What it must not depend on ------------------------------------------------------------------------------------------

ALL_DETECTORS = (ZSCORE, LIMIT, LOOP, {**LOOP, "name": "some", "match": {"metric": "b", "source": "h[12]"}})


def random_windows(seed: int, length: int) -> Story:
    """Return a story of several sources with faults, gaps, layouts that change, and records of many windows."""
    lots = random.Random(seed)
    story = Story(partition=WINDOWS)
    tables = {f"h{number}": lots.choice([ONE, TWO, THREE]) for number in range(4)}
    starts = dict.fromkeys(tables, BEGIN)
    for _ in range(length):
        record = []
        for source in lots.sample(sorted(tables), lots.randint(0, 4)):
            if lots.random() < 0.05:
                tables[source] = lots.choice([ONE, TWO, THREE])
            starts[source] += 10_000 * lots.choice([1, 1, 1, 1, 2, 9, 0])
            values = [lots.choice([1, 2, 3, 5, 9, 9, 50, float("nan")]) + lots.random() for _ in tables[source].series]
            record.append(Window(source, tables[source], values, starts[source]))
        story.now += lots.choice([1, 500, 10_000])
        story.tell(record)
        if lots.random() < 0.04:
            story.wait(lots.choice([5, 70, 70, 700]))
    return story


def random_probe(host: Host, lots: random.Random) -> None:
    """Let a service or a peer be asked, and answer or not; what does not answer may be at work."""
    ok, service = lots.random() < 0.5, lots.choice(["web", "web", ""])
    work = lots.choice([None, Work(over_ms=2000, cpu_ms=lots.choice([10, 1500]), accepted=1, queued=2)])
    fields = {"process": lots.choice(["S", "S", "T", "t", ""]), "failure": lots.choice(["refused", "unanswered"])}
    more = {} if ok else {**fields, "work": work}
    probe = "http" if service else lots.choice(["h8", "h9"])
    host.probe(ok=ok, failing_for=lots.choice([1, 4]), service=service, probe=probe, **more)


def random_rounds(seed: int, length: int) -> Story:
    """Return a story of hosts with rounds and events, on one partition of metrics."""
    lots = random.Random(seed)
    story = Story()
    hosts = [Host(story, name=f"h{number}") for number in range(4)]
    pids = dict.fromkeys(range(4), 100)
    for _ in range(length):
        number = lots.randrange(4)
        host, deed = hosts[number], lots.randrange(10)
        if deed < 4:
            layout = lots.choice([ONE, ONE, ONE, COUNTER, THREE])
            host.round(layout, [lots.choice([1, 2, 9, 50]) + lots.random() for _ in layout.series])
        elif deed == 4:
            host.heartbeat(leaving=lots.random() < 0.2, sick=lots.choice([None, None, {"nfs": "x"}, {"disk": "y"}]))
        elif deed == 5:
            late = lots.choice([0, 0, 20_000])
            host.process("exited", pid=pids[number], meant=lots.random() < 0.3, time=story.now - late)
        elif deed == 6:
            pids[number] += 1
            host.process("started", pid=pids[number])
        elif deed == 7:
            random_probe(host, lots)
        elif deed == 8:
            host.outcome(f"outcome {lots.randrange(length // 4)}")
        else:
            host.process(lots.choice(["stopped", "traced", "continued"]), pid=pids[number])
        if lots.random() < 0.05:
            host.epoch += lots.choice([1, -1]) if host.epoch > 1 else 1
        story.wait(lots.choice([0, 0, 0.1, 1, 3, 20]))
        if lots.random() < 0.05:
            story.told += story.told[-3:]
            story.now += 1
    return story


def stages(kind: str, length: int, seed: int) -> tuple[Any, Story]:
    """Return how to make a stage of the kind, and a story for it."""
    if kind == "detect":
        made = settings(*ALL_DETECTORS, budget=1e6, faults={"max_age": "3m", "again": "2m"})
        return (lambda: DetectStage(made, WINDOWS)), random_windows(seed, length)
    made = settings(RAW, HELD, RATE, budget=1e6, liveness={"clear_hold": "2s"})
    return (lambda: rounds_stage(made)), random_rounds(seed, length)


@contextmanager
def forgetful() -> Iterator[None]:
    """Let sources be forgotten after five minutes instead of a day, which no story lasts."""
    with ExitStack() as stack:
        for module in (board, pools, series_faults):
            stack.enter_context(patch.object(module, "FORGET_MS", 300_000))
        yield


KINDS = pytest.mark.parametrize("kind", ["detect", "rounds"])


@pytest.mark.slow
@KINDS
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(1, 90)), restarts=st.lists(st.integers(1, 90), max_size=3))
@tune(max_examples=examples(15), deadline=None)
def test_neither_batches_nor_restarts_matter(kind: str, seed: int, cuts: list[int], restarts: list[int]) -> None:
    """Taken over from a snapshot after any prefixes, in any batches, a stage says what one undisturbed pass says."""
    make, story = stages(kind, 80, seed)
    with forgetful():
        expected = said(make(), story.inputs())
        stage, found = make(), []
        for batch in story.inputs(cut for cut in (*cuts, *restarts) if cut < len(story.told)):
            stage = through_snapshot(stage, make()) if batch.offsets[0] in restarts else stage
            found += said(stage, [batch])
    assert found == expected


@pytest.mark.slow
@given(seed=st.integers(0, 10**6))
@tune(max_examples=examples(25), deadline=None)
def test_order_of_sources_does_not_matter(seed: int) -> None:
    """The order of windows within a record does not matter."""
    make, story = stages("detect", 60, seed)
    turned = Story(story.told, partition=WINDOWS)
    turned.told = [(time, item[::-1] if isinstance(item, list) else item) for time, item in story.told]
    assert said(make(), turned.inputs([20, 40])) == said(make(), story.inputs([20, 40]))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_how_much_is_a_step_does_not_matter(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """A stage says the same, to the bit, whether the windows of all sources are one step or each is its own."""
    make, story = stages("detect", 80, seed)
    together = said(make(), story.inputs([30]))
    monkeypatch.setattr(rows, "MOST_ROWS", 1)
    assert together
    assert together == said(make(), story.inputs([30]))


@pytest.mark.slow
@KINDS
def test_stories_are_worth_it(kind: str) -> None:
    """The random stories open, update, affirm, resolve and orphan faults of several kinds: else they prove nothing."""
    found = []
    for seed in range(10):
        make, story = stages(kind, 80, seed)
        found += faults(said(make(), story.inputs()))
    assert {one.transition for one in found} >= {"opened", "updated", "affirmed", "resolved"}
    assert len({(one.detector, one.kind) for one in found}) >= (4 if kind == "detect" else 7)
    if kind == "detect":
        assert any(one.flapping for one in found)
        assert any(one.again and one.earlier for one in found)
        assert any("stale" in one.ended for one in found)


@pytest.mark.slow
def test_snapshot_blocks_are_small() -> None:
    """Blocks of a snapshot stay far below 1 MB, however many series a source has."""
    wide = table(*(f"m{number}" for number in range(3000)))
    stage = DetectStage(settings({"name": "z", "use": "zscore"}), WINDOWS)
    values = np.random.default_rng(1).normal(size=3000).tolist()
    windows = [Window(f"h{number}", wide, values, BEGIN) for number in range(3)]
    story = Story(partition=WINDOWS)
    story.tell(windows)
    said(stage, story.inputs())
    blocks = list(stage.dump())
    assert max(bank_state.size_of(block) for block in blocks) < 600_000
    restored = through_snapshot(stage, DetectStage(settings({"name": "z", "use": "zscore"}), WINDOWS))
    again = list(restored.dump())
    assert [block.values for block in again] == [block.values for block in blocks]
    for one, other in zip(blocks, again, strict=True):
        assert all(one.arrays[name].tobytes() == other.arrays[name].tobytes() for name in one.arrays)


def test_records_are_readable() -> None:
    """What a stage says is what a reader of the journal can decode."""
    make, story = stages("detect", 80, 3)
    assert all(decode_record(record.value).source == "detect" for record in said(make(), story.inputs()))
