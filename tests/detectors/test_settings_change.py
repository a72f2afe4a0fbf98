"""What goes on, and what begins anew, when the settings of detectors change between a snapshot and its restore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as tune
from hypothesis import strategies as st

from mendline.detectors.configuring import configure
from mendline.detectors.stage import DetectStage
from mendline.schemas.records import Fault
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Input, NewRecord
from tests.detectors.support import (
    WINDOWS,
    Host,
    Story,
    brief,
    faults,
    rounds_stage,
    said,
    settings,
    through_snapshot,
)
from tests.detectors.test_stages import (
    ALL_DETECTORS,
    LIMIT,
    LOOP,
    RATE,
    RAW,
    ZSCORE,
    random_rounds,
    random_windows,
    windows_of,
    windows_story,
)
from tests.support.examples import examples

SHIFT_MS = 5_000


@dataclass(frozen=True)
class Change:
    """Settings before and after, in which one detector is edited, one added, one removed, and their order turned."""

    kind: str
    before: Settings
    after: Settings
    unchanged: frozenset[str]

    def stage(self, made: Settings) -> Any:
        """Return a fresh stage."""
        return DetectStage(made, WINDOWS) if self.kind == "detect" else rounds_stage(made)

    def story(self, seed: int) -> Story:
        """Return a story for the stage."""
        return random_windows(seed, 80) if self.kind == "detect" else random_rounds(seed, 80)


def changed(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]], kind: str, *same: str) -> Any:
    """Return the change as a parameter of a test."""
    made = [settings(*some, budget=1e6, liveness={"clear_hold": "2s"}) for some in (before, after)]
    return pytest.param(Change(kind, made[0], made[1], frozenset(same)), id=kind)


CHANGES = pytest.mark.parametrize(
    "change",
    [
        changed(
            ALL_DETECTORS,
            (LOOP, {**LIMIT, "open": {"above": 7, "for": "20s"}}, {**LIMIT, "name": "new"}, ZSCORE),
            "detect",
            "loop",
            "z",
        ),
        changed(
            (RAW, RATE, {**RAW, "name": "removed"}),
            (RATE, {**RAW, "open": {"above": 5}}, {**RATE, "name": "new"}),
            "rounds",
            "rate",
            "liveness",
        ),
    ],
)


def restored(change: Change, before: Input, *, warmed: bool = True) -> Any:
    """Return a stage under the new settings, with the state of one that took `before` under the old ones.

    What it lacks reads all of `before` again, under a log time that is another one.
    """
    old = change.stage(change.before)
    said(old, [before])
    new: Any = through_snapshot(old, change.stage(change.after))
    unready = new.unready()
    if warmed:
        said(unready.stage, [replace(before, log_times=before.log_times + SHIFT_MS)])
    unready.join(-SHIFT_MS)
    return new


def of(records: Sequence[NewRecord], detectors: frozenset[str], *, inside: bool = True) -> list[Fault]:
    """Return the faults of these detectors, or of all others, one detector after the other."""
    found = [one for one in faults(records) if (one.detector in detectors) == inside]
    return sorted(found, key=lambda one: one.detector)


@pytest.mark.slow
@CHANGES
@given(seed=st.integers(0, 10**6), at=st.integers(1, 70))
@tune(max_examples=examples(12), deadline=None)
def test_an_edit_leaves_the_others_alone(change: Change, seed: int, at: int) -> None:
    """Detectors that are as they were, and liveness, say exactly what they would have said without the change."""
    before, *after = change.story(seed).inputs([at])
    undisturbed = change.stage(change.before)
    said(undisturbed, [before])
    expected = of(said(undisturbed, after), change.unchanged)
    for warmed in (True, False):
        assert of(said(restored(change, before, warmed=warmed), after), change.unchanged) == expected


@pytest.mark.slow
@CHANGES
@given(seed=st.integers(0, 10**6), at=st.integers(1, 70))
@tune(max_examples=examples(12), deadline=None)
def test_what_is_new_says_what_it_would_have_said_from_the_beginning(change: Change, seed: int, at: int) -> None:
    """An edited or added detector that has read all again goes on as if it had always been there."""
    before, *after = change.story(seed).inputs([at])
    always = change.stage(change.after)
    said(always, [before])
    expected = of(said(always, after), change.unchanged, inside=False)
    assert of(said(restored(change, before), after), change.unchanged, inside=False) == expected


@CHANGES
def test_only_what_changed_is_read_again(change: Change) -> None:
    """The stage that warms up holds the changed and the new detector alone, and none is left after a restart."""
    before, *_ = change.story(1).inputs([40])
    old = change.stage(change.before)
    said(old, [before])
    new: Any = through_snapshot(old, change.stage(change.after))
    names = {one.name for one in change.after.detectors} - change.unchanged
    assert {bank.name for bank in new.unready().stage._board.banks} == names
    assert through_snapshot(restored(change, before), change.stage(change.after)).unready() is None


@CHANGES
def test_the_hash_of_a_stage_is_that_of_its_own_settings(change: Change) -> None:
    """A change of settings changes the hash; that of a detector of the other stage does not."""
    stage = type(change.stage(change.before))
    other = {**RAW, "name": "other"} if change.kind == "detect" else {**LIMIT, "name": "other"}
    more = change.before.model_copy(update={"detectors": (*change.before.detectors, *settings(other).detectors)})
    assert stage.config(change.before) == stage.config(more)
    assert stage.config(change.before) != stage.config(change.after)


def test_how_far_back_a_detector_reads() -> None:
    """As far as its declared windows, the window cut in two and its hold reach."""
    made = settings(ZSCORE, LIMIT, {**RAW, "parameters": {"of": "rate"}})
    found = [configure(one, made).warm_up_ms for one in made.detectors]
    assert found == [(5 + 1) * 10_000, 10_000 + 20_000, (1 + 1) * 1000]


def test_bounds_from_the_budget_are_settings_too() -> None:
    """Another budget of false faults changes what rests on it, and no rule."""
    found = [[configure(one, made).config for one in made.detectors] for made in
             (settings(ZSCORE, LIMIT, budget=1), settings(ZSCORE, LIMIT, budget=1e-6))]  # fmt: skip
    assert [one == other for one, other in zip(*found, strict=True)] == [False, True]


def test_another_width_begins_with_its_own_windows() -> None:
    """A new detector on windows that nobody looked at before finds its sources by reading back."""
    made = settings({**LIMIT, "name": "wide", "window": "60s", "open": {"above": 8}})
    change = Change("detect", settings(LIMIT), made, frozenset())
    wide = [replace(one, width=60_000, start=one.start - one.start % 60_000 + number * 60_000)
            for number, one in enumerate(windows_of([1, 9, 9], [0] * 3))]  # fmt: skip
    story = windows_story(wide)
    before, after = story.inputs([len(story.told) - 1])
    assert brief(said(restored(change, before), [after])) == []
    assert brief(said(restored(change, before, warmed=False), [after])) == ["opened threshold h1"]


def test_a_silent_host_stays_silent_under_other_settings() -> None:
    """What liveness knows does not depend on its settings: an edit neither forgets a fault nor delays the next one."""
    story = Story()
    host = Host(story)
    host.heartbeat()
    Host(story, name="h2").heartbeat()
    story.wait(20)
    Host(story, name="h2").heartbeat(epoch=2)
    first = len(story.told)
    story.wait(10)
    host.heartbeat()
    before, after = story.inputs([first])
    change = Change("rounds", settings(), settings(liveness={"silent_after": "5s"}), frozenset())
    old = change.stage(change.before)
    assert brief(said(old, [before])) == ["opened silent h1", "opened silent h2", "resolved silent h2"]
    new = through_snapshot(old, change.stage(change.after))
    assert new.unready() is None
    assert brief(said(new, [after])) == ["opened silent h2", "resolved silent h1"]
